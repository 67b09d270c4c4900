"""One measured number, with what it takes to judge it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import pandas as pd

from monitoring.windows import Window

Direction = Literal["above", "below"]
Status = Literal["fine", "breach", "cannot_tell"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number, how it was measured, where its limit lies, and what that says.

    `direction` names the bad side: with ``above`` a value at or above the threshold is a
    breach, with ``below`` one at or below it. `column` is None for the whole table,
    `threshold` None for a number that is only recorded. ``cannot_tell`` is never a breach
    and never a clean bill: `reason` says what was missing.
    """

    name: str
    column: str | None
    window: Window
    method: str
    value: float | None
    threshold: float | None
    direction: Direction
    status: Status
    rows: int
    reason: str

    def as_row(self) -> dict[str, Any]:
        """Lay it out in the words of the `measurements` table; times are Timestamps."""
        row = {field.name: getattr(self, field.name) for field in fields(self)}
        del row["window"]
        return {"window_start": self.window.start, "window_end": self.window.end, **row}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of the `measurements` table; other columns of it are ignored."""
        kept = {field.name: row[field.name] for field in fields(cls) if field.name != "window"}
        for name in ("column", "value", "threshold"):
            kept[name] = None if pd.isna(kept[name]) else kept[name]
        return cls(window=Window(row["window_start"], row["window_end"]), **kept)


def status_of(value: float, threshold: float | None, direction: Direction) -> Status:
    """Judge a value against its threshold; the threshold itself is a breach.

    >>> status_of(0.3, 0.3, "above"), status_of(0.3, 0.3, "below"), status_of(0.3, None, "above")
    ('breach', 'breach', 'fine')
    """
    if threshold is None:
        return "fine"
    bad = value >= threshold if direction == "above" else value <= threshold
    return "breach" if bad else "fine"
