"""One measured number, with what it takes to judge it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

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


def status_of(value: float, threshold: float | None, direction: Direction) -> Status:
    """Judge a value against its threshold; the threshold itself is a breach.

    >>> status_of(0.3, 0.3, "above"), status_of(0.3, 0.3, "below"), status_of(0.3, None, "above")
    ('breach', 'breach', 'fine')
    """
    if threshold is None:
        return "fine"
    bad = value >= threshold if direction == "above" else value <= threshold
    return "breach" if bad else "fine"


def measurement_frame(measurements: Iterable[Measurement]) -> pd.DataFrame:
    """Lay measurements out as rows, in the words of the `measurements` table."""
    rows = [
        {
            "window_start": one.window.start,
            "window_end": one.window.end,
            "name": one.name,
            "column": one.column,
            "method": one.method,
            "value": one.value,
            "threshold": one.threshold,
            "direction": one.direction,
            "status": one.status,
            "rows": one.rows,
            "reason": one.reason,
        }
        for one in measurements
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_NUMBERS)


_COLUMNS = (
    "window_start", "window_end", "name", "column", "method", "value", "threshold",
    "direction", "status", "rows", "reason",
)  # fmt: skip
_NUMBERS = {"value": "float64", "threshold": "float64", "rows": "int64"}
