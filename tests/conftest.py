"""What tests of every package ask for by name."""

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CLONE = Path(__file__).resolve().parents[1]
SERVER = "postgresql://postgres@127.0.0.1:5432"


def hear_ctrl_c() -> None:
    """Hear Ctrl-C, and let the processes of tests hear it.

    A shell starts what it puts into the background deaf to it, and so are all its children:
    tests that send one would wait for ever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers (`--strict-markers` refuses any other), and how Hypothesis draws.

    The same examples each time, and none that fails because it took long: what passed passes
    again. New ones are drawn with ``--hypothesis-profile=fresh``.
    """
    hear_ctrl_c()
    config.addinivalue_line("markers", "slow: takes more than about 20 seconds; starts first")
    settings.register_profile(
        "fresh", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
    )
    settings.register_profile("same", settings.get_profile("fresh"), derandomize=True)
    settings.load_profile("same")


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
        connection = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=20)
    except psycopg.OperationalError as problem:
        pytest.skip(f"PostgreSQL: no server at {SERVER} ({str(problem).splitlines()[0]})")
    with connection:
        yield connection


@pytest.fixture(scope="session")
def _database(server) -> Iterator[str]:
    """Make one database for a worker: to drop one, the server first writes its disk."""
    name = f"driftwheel_test_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(server, _database) -> Iterator[str]:
    """Give the address of an empty database; emptied afterwards, and whoever is in it put out."""
    import psycopg

    url = f"{SERVER}/{_database}"
    try:
        yield url
    finally:
        still_in = (
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s"
        )
        server.execute(still_in, [_database])
        with psycopg.connect(url, autocommit=True) as connection:
            made = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'"
            for (schema,) in connection.execute(made).fetchall():
                connection.execute(
                    psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(psycopg.sql.Identifier(schema))
                )
            connection.execute("CREATE SCHEMA public")


@pytest.fixture
def postgres(postgres_url):
    """Give a connection to a database of the test's own."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection
