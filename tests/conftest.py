"""What tests of every package ask for by name."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[1]
SERVER = "postgresql://postgres@127.0.0.1:5432"


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers; `--strict-markers` refuses any other."""
    config.addinivalue_line("markers", "slow: takes more than about 20 seconds; starts first")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the slow files first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def clone() -> Path:
    """Give the repository's root."""
    return CLONE


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty home, with no setting of the developer's own shining through."""
    for name in [name for name in os.environ if name.startswith("DRIFTWHEEL_")]:
        if name != "DRIFTWHEEL_DATASETS":
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def datasets() -> Path:
    """Give the folder of data sets that are not shipped; skip, by name, where it is absent."""
    folder = Path(os.environ.get("DRIFTWHEEL_DATASETS", CLONE.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"data sets: {folder} is absent; set DRIFTWHEEL_DATASETS")
    return folder


@pytest.fixture(scope="session")
def server():
    """Give a connection to the PostgreSQL server; skip, by name, where there is none."""
    psycopg = pytest.importorskip("psycopg", reason="PostgreSQL: psycopg is not installed")
    try:
        connection = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=2)
    except psycopg.OperationalError as problem:
        pytest.skip(f"PostgreSQL: no server at {SERVER} ({str(problem).splitlines()[0]})")
    with connection:
        yield connection


@pytest.fixture
def postgres_url(server) -> Iterator[str]:
    """Give the address of a database of the test's own; dropped afterwards."""
    name = f"driftwheel_test_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{SERVER}/{name}"
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres(postgres_url):
    """Give a connection to a database of the test's own."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection
