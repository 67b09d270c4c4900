"""Connections to the ledger's database: one writer at a time, durable, errors in words.

On SQLite every writer starts with ``BEGIN IMMEDIATE``, so it waits for its turn instead of
failing half way; on PostgreSQL it takes one advisory lock for its transaction. What is read
in such a transaction cannot change before it commits, on either.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url, text
from sqlalchemy.engine import URL

from components.errors import DriftwheelError, StoreError, StoreUnreachableError
from components.stores.ledger.placing import refuse_network_share

BUSY_SECONDS = 30
"""How long a writer waits for its turn before it says so."""

_WRITER_LOCK = 0x6472_6966_7477_6865  # "driftwhe", a number of our own in PostgreSQL's lock space
_MEND = "mend `ledger` in driftwheel.toml (or DRIFTWHEEL_LEDGER)"


@dataclass(frozen=True, slots=True)
class Database:
    """An engine, and how it is shown to people (without its password)."""

    engine: Engine
    shown: str

    @property
    def file(self) -> Path | None:
        """SQLite's file; None on PostgreSQL."""
        return _sqlite_file(self.engine.url) if self.engine.dialect.name == "sqlite" else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one consistent state."""
        with self.in_words(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Be the only writer until the block ends; it commits whole or not at all."""
        writer = self.engine.execution_options(writes=True)
        with self.in_words(), writer.begin() as connection:
            if self.engine.dialect.name == "postgresql":
                _wait_for_turn(connection)
            yield connection

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """Turn the database's complaints into ours."""
        try:
            yield
        except exc.IntegrityError as problem:
            raise StoreError(
                f"the ledger {self.shown} refused a row ({_first_line(problem)}); "
                "nothing was changed"
            ) from problem
        except (exc.DBAPIError, exc.TimeoutError) as problem:
            raise StoreUnreachableError(_explain(self.shown, problem)) from problem
        except exc.StatementError as problem:
            # Our own column types refuse a value; SQLAlchemy wraps what they raise.
            if isinstance(problem.orig, DriftwheelError):
                raise problem.orig from None
            raise


def connect(url: str) -> Database:
    """Prepare connections to the database at `url`; nothing is opened yet.

    Parameters
    ----------
    url : str
        ``sqlite:///FILE`` or ``postgresql://USER@HOST/DATABASE``.

    Raises
    ------
    StoreUnreachableError
        If it is no such URL, or names a file where SQLite would not be safe.

    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return Database(_sqlite(parsed), parsed.render_as_string(hide_password=True))
    return Database(_postgresql(parsed), parsed.render_as_string(hide_password=True))


def _parse(url: str) -> URL:
    wanted = "the ledger's URL must be sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        # Not quoted: what cannot be parsed may hold a password.
        raise StoreUnreachableError(f"{wanted}. Got something else; {_MEND}") from None
    backend = {"postgres": "postgresql"}.get(parsed.get_backend_name(), parsed.get_backend_name())
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise StoreUnreachableError(f"{wanted}. Got {parsed.drivername}://…; {_MEND}")
    if _sqlite_file(parsed) is None:
        raise StoreUnreachableError(f"{wanted}. Got no file, and memory is not kept; {_MEND}")
    return parsed.set(drivername="sqlite")


def _sqlite_file(url: URL) -> Path | None:
    name = (url.database or "").removeprefix("file:")
    return Path(name) if name and name != ":memory:" else None


def _sqlite(url: URL) -> Engine:
    file = _sqlite_file(url)
    assert file is not None  # noqa: S101 - `_parse` has refused URLs without a file
    if not file.parent.is_dir():
        raise StoreUnreachableError(
            f"the ledger {file} needs the folder {file.parent}, which does not exist; "
            f"create it, or {_MEND}"
        )
    refuse_network_share(file)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would otherwise begin late, and deferred
    connection.execute("PRAGMA synchronous=FULL")  # an acknowledged commit survives a power cut
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            pool_size=2,  # sixteen workers must not use up a server's hundred connections
            max_overflow=6,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10},
        )
    except ModuleNotFoundError as problem:
        raise StoreUnreachableError(
            "a ledger on PostgreSQL needs the package psycopg, which is not installed; "
            "pip install 'driftwheel[postgres]'"
        ) from problem


def _wait_for_turn(connection: Connection) -> None:
    """Take the writers' lock until the transaction ends.

    A holder that was stopped in the middle loses its session after a minute.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'"))
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '60s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})


# What the database says, and what it means for the reader.
_MEANINGS = (
    (("readonly", "read-only"), "cannot be written; make it and its folder writable"),
    (("locked", "lock timeout"), f"was busy for {BUSY_SECONDS} s; see who holds it, try again"),
    (
        ("is full", "no space", "disk i/o"),
        "has no space left, or its disk fails; free some and try again",
    ),
    (
        ("not a database", "malformed"),
        f"is no SQLite database; restore it from a backup or {_MEND}",
    ),
    (("password", "role", "authentication"), f"does not let this user in; {_MEND}"),
    (('database "',), f"does not exist there; create the database, or {_MEND}"),
    (("no such", "relation"), f"lacks what a ledger has; restore it from a backup or {_MEND}"),
    (("unable to open",), f"cannot be opened; check that it is a file you may write, or {_MEND}"),
)


def _explain(shown: str, problem: Exception) -> str:
    said = _first_line(problem)
    for signs, meaning in _MEANINGS:
        if any(sign in said.lower() for sign in signs):
            return f"the ledger {shown} {meaning} ({said})"
    return f"the ledger {shown} does not answer; check that its server is up, or {_MEND} ({said})"


def _first_line(problem: Exception) -> str:
    said = str(getattr(problem, "orig", None) or problem).strip()
    return said.splitlines()[0] if said else type(problem).__name__
