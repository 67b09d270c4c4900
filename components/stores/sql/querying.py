"""Stream the answer to a query, in one consistent state of the database."""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection

from components.errors import SourceError
from components.stores.sql.connecting import Address, in_words, parse_address, reading
from components.stores.sql.names import quote_name, quote_table

_FETCH_ROWS = 10_000
_CURSOR = "driftwheel_read"

# PostgreSQL's types by number. All others come as text: a numeric would lose digits as a
# float, and a timestamp may be 'infinity'.
_PLAIN = {
    16: pa.bool_(),
    **dict.fromkeys((20, 21, 23, 26), pa.int64()),
    **dict.fromkeys((700, 701), pa.float64()),
    **dict.fromkeys((18, 19, 25, 1042, 1043), pa.string()),
}
_DATE, _TIMESTAMP, _TIMESTAMPTZ = 1082, 1114, 1184
_MOMENTS = {
    _DATE: pa.timestamp("us"),
    _TIMESTAMP: pa.timestamp("us"),
    _TIMESTAMPTZ: pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a database: a query, or a whole table (``schema.table``).

    `shown` is what people call it, without a password.
    """

    shown: str
    query: str | None = None
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Since:
    """Rows count as new where this column is at or above a time (UTC), or missing."""

    column: str
    time: pd.Timestamp


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of an answer; `kind` is PostgreSQL's number of its type, None in SQLite."""

    name: str
    kind: int | None


def columns_of(url: str, asked: Asked) -> tuple[str, ...]:
    """Name the columns of an answer, without reading it.

    Raises
    ------
    SourceError
        If the table, or what the query asks for, does not exist.
    StoreUnreachableError
        If the database does not answer.

    """
    address = parse_address(url, asked.shown)
    with in_words(address), reading(address) as connection:
        return tuple(column.name for column in _describe(connection, asked))


def read_query(
    url: str,
    asked: Asked,
    *,
    columns: Sequence[str] | None = None,
    since: Sequence[Since] = (),
) -> Iterator[pa.RecordBatch]:
    """Read the answer to a query, in small batches, from one state of the database.

    Parameters
    ----------
    url : str
        ``postgresql://…`` or ``sqlite:///FILE``; with its password, which is never shown.
    asked : Asked
    columns : sequence of str, optional
        Which columns; all by default.
    since : sequence of Since
        Leave out a row that none of these calls new. Only PostgreSQL is asked to, and only
        where every one of the columns is a time; else everything comes.

    Yields
    ------
    RecordBatch
        PostgreSQL: whole numbers as int64, floats, bools, text; timestamps and dates as
        timestamps (with ``UTC`` where they have a zone); numeric, uuid, json and all others
        as text. SQLite: as each value stands there; a column of mixed ones is text.

    Raises
    ------
    SourceError
        If the query asks for what does not exist.
    StoreUnreachableError
        If the database does not answer, or goes away half-way: says after how many rows.

    """
    address = parse_address(url, asked.shown)
    place = [""]
    with in_words(address, place=place), reading(address) as connection:
        described = _describe(connection, asked)
        chosen = _choose(described, columns, asked)
        count = 0
        for rows in _fetch(connection, address, _select(chosen, described, asked, since)):
            count += len(rows)
            place[0] = f". It broke off after {count:,} rows; nothing of this delivery was kept"
            yield _batch(rows, chosen)


def _describe(connection: Connection, asked: Asked) -> list[_Column]:
    given = f"select * from {_from(asked)} limit 0"  # noqa: S608 - the user's own query, only read
    cursor: Any = connection.connection.cursor()
    with closing(cursor):
        cursor.execute(given)
        described = cursor.description or ()
    return [_Column(str(one[0]), one[1]) for one in described]


def _choose(
    described: Sequence[_Column], columns: Sequence[str] | None, asked: Asked
) -> list[_Column]:
    if columns is None:
        names = [column.name for column in described]
        return [column for column in described if names.count(column.name) == 1]
    known = {column.name: column for column in described}
    absent = [name for name in columns if name not in known]
    if absent:
        raise SourceError(
            f"{asked.shown} has no column {absent[0]!r}; it has {', '.join(known) or 'none'}"
        )
    return [known[name] for name in columns]


def _select(
    chosen: Sequence[_Column], described: Sequence[_Column], asked: Asked, since: Sequence[Since]
) -> str:
    listed = ", ".join(_expression(column) for column in chosen) or "1"
    where = _newer(described, since)
    return f"select {listed} from {_from(asked)}{where}"  # noqa: S608 - as above; names are quoted


def _from(asked: Asked) -> str:
    if asked.table is not None:
        return f"{quote_table(asked.table)} as driftwheel_asked"
    # On lines of its own: the query may end in a comment.
    query = str(asked.query).strip().rstrip(";").rstrip()
    return f"(\n{query}\n) as driftwheel_asked"


def _expression(column: _Column) -> str:
    name = quote_name(column.name)
    plain = column.kind is None or column.kind in _PLAIN
    return name if plain else f"{name}::text as {name}"


def _newer(described: Sequence[_Column], since: Sequence[Since]) -> str:
    kinds = {column.name: column.kind for column in described}
    if not since or any(kinds.get(one.column) not in _MOMENTS for one in since):
        return ""
    return f" where {' or '.join(_at_or_after(one, kinds[one.column]) for one in since)}"


def _at_or_after(one: Since, kind: int | None) -> str:
    name = quote_name(one.column)
    moment = one.time.tz_convert("UTC").tz_localize(None).isoformat(sep=" ")
    literal = f"timestamptz '{moment}+00'" if kind == _TIMESTAMPTZ else f"timestamp '{moment}'"
    return f"{name} >= {literal} or {name} is null"


def _fetch(connection: Connection, address: Address, sql: str) -> Iterator[list[tuple[Any, ...]]]:
    """Fetch rows as they are asked for: the answer is held by the server, not here."""
    driver: Any = connection.connection.driver_connection
    cursor = driver.cursor() if address.is_sqlite else driver.cursor(name=_CURSOR)
    with closing(cursor):
        cursor.execute(sql)
        while rows := cursor.fetchmany(_FETCH_ROWS):
            yield rows


def _batch(rows: list[tuple[Any, ...]], chosen: Sequence[_Column]) -> pa.RecordBatch:
    if not chosen:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(rows), pa.struct([])))
    arrays = [_array(v, c.kind) for v, c in zip(zip(*rows, strict=True), chosen, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in chosen])


def _array(values: tuple[Any, ...], kind: int | None) -> pa.Array:
    if kind is None:
        return _untyped(values)
    if kind in _PLAIN:
        return pa.array(values, _PLAIN[kind])
    text = pa.array(values, pa.string())
    if kind in _MOMENTS:
        # Not 'infinity' and the like: who reads it shall see it.
        with suppress(pa.ArrowInvalid):
            return text.cast(_MOMENTS[kind])
    return text


def _untyped(values: tuple[Any, ...]) -> pa.Array:
    """Type values of SQLite, each of which has its own type."""
    try:
        found = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else _text(value) for value in values], pa.string())
    if pa.types.is_binary(found.type):
        return pa.array([None if value is None else _text(value) for value in values], pa.string())
    return found.cast(pa.string()) if pa.types.is_null(found.type) else found


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
