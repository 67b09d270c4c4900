"""Column types that mean the same on SQLite and PostgreSQL."""

import json
import math
import numbers
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from components.errors import InvalidInputError


class UtcTime(TypeDecorator[datetime]):
    """A moment: UTC-aware on the way in and on the way out, to the microsecond."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn any aware time, a pandas Timestamp too, into a plain datetime in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise InvalidInputError(
                f"the ledger needs times with a time zone. Got {value.isoformat()!r}; "
                "attach one, for example with tzinfo=UTC"
            )
        utc = value.astimezone(UTC)
        clock = (utc.hour, utc.minute, utc.second, utc.microsecond)
        # SQLite has no time zones: there the text in UTC is what is stored.
        zone = None if dialect.name == "sqlite" else UTC
        return datetime(utc.year, utc.month, utc.day, *clock, tzinfo=zone)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Facts(TypeDecorator[dict[str, Any]]):
    """A mapping as strict JSON text, so that any reader of the database can parse it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:
        """Write what JSON can hold; see :func:`plain` for the rest."""
        del dialect
        return None if value is None else json.dumps(plain(value), allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> dict[str, Any] | None:
        """Read it back."""
        del dialect
        return None if value is None else dict(json.loads(value))


class Listed(TypeDecorator[list[Any]]):
    """A list as strict JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> str | None:
        """Write what JSON can hold; see :func:`plain` for the rest."""
        del dialect
        return None if value is None else json.dumps(plain(list(value)), allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[Any] | None:
        """Read it back."""
        del dialect
        return None if value is None else list(json.loads(value))


def plain(value: Any) -> Any:
    """Turn numpy numbers, times and tuples into what JSON knows; NaN and infinity into None.

    >>> plain({"gain": float("nan"), "rows": (1, 2), "day": date(2026, 1, 1)})
    {'gain': None, 'rows': [1, 2], 'day': '2026-01-01'}
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, date):  # a datetime and a pandas Timestamp too
        return value.isoformat()
    if hasattr(value, "tolist"):  # numpy's booleans and arrays
        return plain(value.tolist())
    return str(value)
