"""Connections to a user's database: short, in UTC, and never with a password in an error."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent_encoded

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from components.errors import DriftwheelError, SourceError, StoreUnreachableError

_CONNECT_SECONDS = 10
_BUSY_SECONDS = 30
_SQLITE, _POSTGRESQL = "sqlite", "postgresql"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is.

    Attributes
    ----------
    url : URL
        With its password; never shown.
    shown : str
        For people: what the pipeline file calls it, and where it is, without a login's secret.

    """

    url: URL = field(repr=False)
    shown: str

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.url.get_backend_name() == _SQLITE

    def hide(self, text: str) -> str:
        """Take every spelling of the password out of a text."""
        named = (self.url.query.get(name, "") for name in ("password", "sslpassword"))
        secrets = {str(self.url.password or ""), *map(str, named)}
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            for spelling in {secret, percent_encoded(secret, safe="")}:
                text = text.replace(spelling, "…")
        return text


def hide_password(text: str, url: str) -> str:
    """Take the password of an address out of a text; what is no address hides nothing.

    >>> hide_password("no entry with s3cret", "postgresql://ann:s3cret@db/shop")
    'no entry with …'
    """
    try:
        return Address(make_url(url), "").hide(text)
    except (exc.ArgumentError, ValueError):
        return text


def parse_address(url: str, named: str) -> Address:
    """Read the address of a database.

    Parameters
    ----------
    url : str
        ``postgresql://USER:PASSWORD@HOST/DATABASE`` or ``sqlite:///FILE``.
    named : str
        What it is called where it was named, such as ``${SHOP_DB} (orders)``.

    Raises
    ------
    StoreUnreachableError
        If it is no such address, or the file does not exist.

    """
    wanted = "must stand for postgresql://USER@HOST/DATABASE or sqlite:///FILE"
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):
        # Not quoted: what cannot be parsed may hold a password.
        raise StoreUnreachableError(f"{named} {wanted}. Got something else; mend it") from None
    backend = parsed.get_backend_name()
    if backend in {"postgres", _POSTGRESQL}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    elif backend == _SQLITE:
        parsed = parsed.set(drivername=_SQLITE)
        if not parsed.database or parsed.database == ":memory:":
            raise StoreUnreachableError(f"{named} {wanted}. Got no file; mend it")
    else:
        raise StoreUnreachableError(f"{named} {wanted}. Got {parsed.drivername}://…; mend it")
    place = parsed.set(query={}, drivername=parsed.get_backend_name(), password=None)
    return Address(parsed, f"{named} at {place.render_as_string()}")


@contextmanager
def reading(address: Address) -> Iterator[Connection]:
    """Read one consistent state; nothing can be written."""
    if address.is_sqlite:
        _require_file(address)
    engine = _engine(address).execution_options(
        **({} if address.is_sqlite else _ONE_STATE),
    )
    with engine.connect() as connection, connection.begin():
        _settle(connection, address)
        if address.is_sqlite:
            connection.exec_driver_sql("PRAGMA query_only = ON")
        yield connection


@contextmanager
def writing(address: Address) -> Iterator[Connection]:
    """Write in one transaction: whole, or not at all."""
    with _engine(address).connect() as connection, connection.begin():
        _settle(connection, address)
        yield connection


_ONE_STATE: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _engine(address: Address) -> Engine:
    try:
        if not address.is_sqlite:
            given = {"connect_timeout": _CONNECT_SECONDS, "application_name": "driftwheel"}
            return create_engine(address.url, poolclass=NullPool, connect_args=given)
        engine = create_engine(
            address.url, poolclass=NullPool, connect_args={"timeout": _BUSY_SECONDS}
        )
    except ModuleNotFoundError as problem:
        raise StoreUnreachableError(
            f"{address.shown} needs the package psycopg, which is not installed; "
            "pip install 'driftwheel[postgres]'"
        ) from problem
    event.listen(engine, "connect", _own_transactions)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _own_transactions(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin none for a SELECT, nor for DDL


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _settle(connection: Connection, address: Address) -> None:
    if not address.is_sqlite:
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")


def _require_file(address: Address) -> None:
    """Refuse a file that is not there: SQLite would make an empty database of it."""
    file = Path(str(address.url.database).removeprefix("file:"))
    if not file.is_file():
        raise StoreUnreachableError(
            f"{address.shown} does not exist; see whether the file was moved, or mend the address"
        )


# --- what a database says, and what it means for the reader ------------------------------------

# By the first characters of PostgreSQL's error code; the longest fits first.
_BY_CODE = (
    ("42P01", True, "has no such table; see its name, with the schema: schema.table"),
    ("42703", True, "has no such column; mend the query, or the name in the pipeline file"),
    ("42501", False, "does not let this user do that; grant it, or use another user"),
    ("25006", True, "is only read: the query must not write; write it as a SELECT"),
    ("57014", False, "cancelled the query, which took too long; ask for less, or raise its limit"),
    ("28", False, "does not let this user in; mend user or password in the address"),
    ("3F", True, "has no such schema; create it, or mend the table's name"),
    ("3D", False, "has no such database; create it, or mend the address"),
    ("42", True, "cannot make sense of the query; mend it"),
    ("22", True, "holds a value that the query cannot work out; mend the query or the value"),
    ("23", True, "refuses a row; mend the table's constraints, or use a table of its own"),
    ("", False, "does not answer; see whether its server is up, then run this again"),
)
_NO_SENSE = ("", True, "cannot do what is asked of it; mend the query, or the table")
# SQLite, and servers that were never reached, say it in words only.
_BY_WORDS = (
    ("no such table", True, _BY_CODE[0][2]),
    ("no such column", True, _BY_CODE[1][2]),
    ("syntax error", True, "cannot make sense of the query; mend it"),
    ("incomplete input", True, "cannot make sense of the query; mend it"),
    ("decode to utf-8", True, "holds text that is no UTF-8; mend the value"),
    ("not a database", False, "is no SQLite database; mend the address"),
    ("malformed", False, "is damaged; restore it from a backup"),
    ("locked", False, f"was busy for {_BUSY_SECONDS} s; see who holds it, then run this again"),
    ("readonly", False, "cannot be written; make the file and its folder writable"),
    ("unable to open", False, "cannot be opened; make the file and its folder readable"),
    ("disk i/o", False, "cannot be read to its end: its disk fails, or is full"),
    ("constraint", True, "refuses a row; mend the table's constraints, or use a table of its own"),
    ("password", False, "does not let this user in; mend user or password in the address"),
    ("authentication", False, "does not let this user in; mend user or password in the address"),
    ("role", False, "does not let this user in; mend user or password in the address"),
    ('database "', False, "has no such database; create it, or mend the address"),
)


@contextmanager
def in_words(
    address: Address, wrong: type[DriftwheelError] = SourceError, place: list[str] | None = None
) -> Iterator[None]:
    """Turn the database's complaints into ours.

    Parameters
    ----------
    address : Address
    wrong : type
        What is raised where the user asked for what cannot be; a database that does not
        answer is always a StoreUnreachableError.
    place : list of str, optional
        Its last entry says how far it had come.

    """
    complaints: tuple[type[Exception], ...] = (exc.SQLAlchemyError, *_driver_errors())
    try:
        yield
    except complaints as problem:
        kind, said = explain(address, problem, wrong)
        raise kind(f"{said}{place[-1] if place else ''}") from None


def explain(
    address: Address, problem: Exception, wrong: type[DriftwheelError] = SourceError
) -> tuple[type[DriftwheelError], str]:
    """Say in words what a database complains of, and which error that is."""
    found = getattr(problem, "orig", None) or problem
    said = address.hide(str(found).strip())
    first = re.sub(r"\s+", " ", said.split("\n\n")[0])[:300] or type(found).__name__
    code = getattr(found, "sqlstate", None)
    if code:
        asked, meaning = next((a, m) for start, a, m in _BY_CODE if code.startswith(start))
    else:
        words = (one for one in _BY_WORDS if one[0] in first.lower())
        _, asked, meaning = next(words, _NO_SENSE if address.is_sqlite else _BY_CODE[-1])
    kind = wrong if asked else StoreUnreachableError
    return kind, f"{address.shown} {meaning} ({first})"


def _driver_errors() -> tuple[type[Exception], ...]:
    """Name what the drivers raise where we use them directly."""
    import sqlite3

    try:
        import psycopg
    except ModuleNotFoundError:
        return (sqlite3.Error,)
    return (sqlite3.Error, psycopg.Error)
