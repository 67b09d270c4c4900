"""From rows to values and back."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, Table, select

V = TypeVar("V")


def choose(table: Table, kind: type[Any]) -> Select[Any]:
    """Select the columns that the fields of `kind` are named after."""
    return select(*(table.c[field.name] for field in fields(kind)))


def one(connection: Connection, query: Select[Any], kind: type[V]) -> V | None:
    """Read the first row as a value of `kind`; None when there is none."""
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else kind(**row)


def every(connection: Connection, query: Select[Any], kind: type[V]) -> list[V]:
    """Read all rows as values of `kind`."""
    return [kind(**row) for row in connection.execute(query).mappings()]


def as_row(value: Any) -> Mapping[str, Any]:
    """Name the fields of a value; nested mappings stay what they are."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
