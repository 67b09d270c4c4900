"""A fresh database a test, on SQLite and on PostgreSQL."""

import sqlite3

import pytest


@pytest.fixture
def sqlite_url(tmp_path) -> str:
    file = tmp_path / "shop.db"
    sqlite3.connect(file).close()
    file.touch()
    return f"sqlite:///{file}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request) -> str:
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return request.getfixturevalue(fixture)


@pytest.fixture
def run(url):
    """Run statements in the database, as its owner would."""

    def running(*statements: str) -> list[tuple]:
        if url.startswith("sqlite"):
            connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        else:
            import psycopg

            connection = psycopg.connect(url)
        try:
            found: list[tuple] = []
            for statement in statements:
                cursor = connection.execute(statement)
                found = cursor.fetchall() if cursor.description else []
            connection.commit()
        finally:
            connection.close()
        return found

    return running
