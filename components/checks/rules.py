"""The rules that a row can break, as values and in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from components.pipelines import write_duration

Mask: TypeAlias = NDArray[np.bool_]

MISSING = "must not be missing"
A_NUMBER = "must be a number"
TEXT = "must be text"
FINITE = "must be finite"
A_TIME = "must be a time between 1900 and 2261, in ISO: 2026-01-31 05:00:00"
ONE_ROW = "must be claimed by one row, not by rows that differ"
ONE_LABEL = "must be one value for a record, not several"
ABSENT = "column must be in the source"


@dataclass(frozen=True, slots=True)
class Broken:
    """Rows that broke one rule; `label_only` spares the record."""

    column: str
    rule: str
    rows: Mask
    label_only: bool = False


def at_least(bound: float) -> str:
    """Say that values must not lie below a bound."""
    return f"must be at least {bound:g}"


def at_most(bound: float) -> str:
    """Say that values must not exceed a bound."""
    return f"must be at most {bound:g}"


def in_time(lateness: timedelta) -> str:
    """Say how late a row may come."""
    return f"must arrive within {write_duration(lateness)} of being known"


def any_broken(broken: Iterable[Broken], count: int, *, label_only: bool) -> Mask:
    """Mark the rows that broke a rule: of the record, or of its label only."""
    found = np.zeros(count, dtype=bool)
    for one in broken:
        if one.label_only == label_only:
            found |= one.rows
    return found
