"""Upsert rows into a table of the user's own database: by key, whole or not at all."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    Index,
    MetaData,
    Table,
    Text,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

from components.errors import StoreError
from components.stores.sql.connecting import Address, in_words, parse_address, writing
from components.stores.sql.names import quote_name, quote_table, split_table

_CHUNK_ROWS = 5_000


def upsert(url: str, table: str, rows: pa.Table, key: str, *, named: str = "the sink") -> int:
    """Insert rows, or update those whose key is there, in one transaction.

    A table that is absent is made, with the types of the rows and a unique index on the key.
    One that we made gets columns that are new; a table of the user's own is never altered.

    Parameters
    ----------
    url : str
        ``postgresql://…`` or ``sqlite:///FILE``; with its password, which is never shown.
    table : str
        ``schema.table`` or ``table``.
    rows : Table
        Of text, numbers, booleans and times; each key once (of two the later row stands).
    key : str
        The column that names a row.
    named : str
        What the database is called where it was named, such as ``${SHOP_DB}``.

    Returns
    -------
    int
        How many rows were sent.

    Raises
    ------
    StoreError
        If the user's own table lacks a column, or has no unique key; says what to run.
    StoreUnreachableError
        If the database does not answer; nothing was written then.

    """
    if not rows.num_rows:
        return 0
    address = parse_address(url, named)
    place = [". Nothing of this batch was written"]
    with in_words(address, StoreError, place), writing(address) as connection:
        described = _describe(table, rows.schema)
        _prepare(connection, address, described, table, key)
        statement = _statement(connection, described, key)
        for batch in rows.to_batches(max_chunksize=_CHUNK_ROWS):
            connection.execute(statement, batch.to_pylist())
    return int(rows.num_rows)


def lock_of(table: str) -> int:
    """Give the number of the lock at which those wait who make, or fill, one table at once.

    By the bare name: with and without a schema it may be the same table.
    """
    named = hashlib.sha256(f"driftwheel sink\0{table}".encode()).digest()
    return int.from_bytes(named[:8], signed=True)


def _describe(name: str, schema: pa.Schema) -> Table:
    where, table = split_table(name)
    columns = [Column(field.name, _type_of(field)) for field in schema]
    return Table(table, MetaData(), *columns, schema=where)


def _type_of(field: pa.Field) -> TypeEngine[Any]:
    kind = field.type
    if pa.types.is_boolean(kind):
        return Boolean()
    if pa.types.is_integer(kind):
        return BigInteger()
    if pa.types.is_floating(kind):
        return Double()
    if pa.types.is_timestamp(kind):
        return DateTime(timezone=True)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return Text()
    raise StoreError(
        f"column {field.name!r} cannot be written to a database as {kind}; write it as text"
    )


def _prepare(
    connection: Connection, address: Address, described: Table, name: str, key: str
) -> None:
    """See that the table takes the rows; make it where it is absent."""
    if address.is_sqlite:
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
    else:
        connection.execute(select(func.pg_advisory_xact_lock(lock_of(described.name))))
    looking = inspect(connection)
    index = _our_index(described, key)
    if not looking.has_table(described.name, schema=described.schema):
        described.create(connection)
        return
    present = [c["name"] for c in looking.get_columns(described.name, schema=described.schema)]
    indexes = looking.get_indexes(described.name, schema=described.schema)
    lacking = [column for column in described.columns if column.name not in present]
    if any(one["name"] == index for one in indexes):
        for column in lacking:
            _add_column(connection, name, column)
        return
    if lacking:
        raise StoreError(
            f"table {name} in {address.shown} has no column "
            f"{', '.join(column.name for column in lacking)}; it has {', '.join(present)}. It is "
            f"not ours to change: run {_alterations(connection, name, lacking)}, or name another "
            "table"
        )
    _require_key(connection, address, described, name, key)


def _our_index(described: Table, key: str) -> str:
    """Name, and describe, the index by which we know a table that we made."""
    name = f"driftwheel_{described.name[:40]}_key"
    Index(name, described.c[key], unique=True)
    return name


def _require_key(
    connection: Connection, address: Address, described: Table, name: str, key: str
) -> None:
    looking = inspect(connection)
    where = {"schema": described.schema}
    keys: list[Sequence[str | None]] = [
        looking.get_pk_constraint(described.name, **where)["constrained_columns"],
        *(one["column_names"] for one in looking.get_unique_constraints(described.name, **where)),
        *(
            one["column_names"]
            for one in looking.get_indexes(described.name, **where)
            if one["unique"] and not _is_partial(one)
        ),
    ]
    if [key] in [list(one) for one in keys]:
        return
    index = quote_name(f"{described.name}_{key}")
    raise StoreError(
        f"table {name} in {address.shown} has no unique key on {key!r}, so a row could land twice; "
        f"run CREATE UNIQUE INDEX {index} ON {quote_table(name)} ({quote_name(key)})"
    )


def _is_partial(index: Any) -> bool:
    options = index.get("dialect_options", {})
    return any(name.endswith("_where") for name in options)


def _add_column(connection: Connection, name: str, column: Column[Any]) -> None:
    connection.execute(text(_alteration(connection, name, column)))


def _alterations(connection: Connection, name: str, lacking: Sequence[Column[Any]]) -> str:
    return "; ".join(_alteration(connection, name, column) for column in lacking)


def _alteration(connection: Connection, name: str, column: Column[Any]) -> str:
    kind = column.type.compile(dialect=connection.dialect)
    return f"ALTER TABLE {quote_table(name)} ADD COLUMN {quote_name(column.name)} {kind}"


def _statement(connection: Connection, described: Table, key: str) -> Any:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite

        given: Any = insert_sqlite(described)
    else:
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        given = insert_postgresql(described)
    others = {c.name: given.excluded[c.name] for c in described.columns if c.name != key}
    if not others:
        return given.on_conflict_do_nothing(index_elements=[key])
    return given.on_conflict_do_update(index_elements=[key], set_=others)
