"""Stretches of event time that are measured."""

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open stretch of event time, in UTC: `start` belongs to it, `end` does not."""

    start: pd.Timestamp
    end: pd.Timestamp

    def __str__(self) -> str:
        return f"{_short(self.start)} to {_short(self.end)}"

    def holds(self, times: pd.Series) -> pd.Series:
        """Say of each time whether it lies in this window.

        Parameters
        ----------
        times : Series of shape (n_rows,)
            UTC times.

        """
        return (times >= self.start) & (times < self.end)


def complete_windows(
    anchor: pd.Timestamp,
    as_of: pd.Timestamp,
    width: timedelta,
    *,
    after: pd.Timestamp | None = None,
) -> list[Window]:
    """List the tumbling windows that had ended by `as_of`, oldest first.

    Windows lie on a grid that starts at `anchor`, so each row falls into exactly one of
    them, whenever the monitor happens to run.

    Parameters
    ----------
    anchor : Timestamp
        Start of the first window, UTC.
    as_of : Timestamp
        A window that ends later is not complete; one that ends now is.
    width : timedelta
    after : Timestamp, optional
        Leave out windows that start earlier; the end of the last measured one.

    Examples
    --------
    >>> day = pd.Timedelta("1D")
    >>> start = pd.Timestamp("2026-01-01", tz="UTC")
    >>> [str(window) for window in complete_windows(start, start + 2.5 * day, day)]
    ['2026-01-01 to 2026-01-02', '2026-01-02 to 2026-01-03']

    """
    step = pd.Timedelta(width)
    if step <= pd.Timedelta(0):
        raise ValueError(f"width of a window must be above zero. Got {width}")
    first = 0 if after is None else max(0, -((anchor - after) // step))
    count = (as_of - anchor) // step
    return [Window(anchor + i * step, anchor + (i + 1) * step) for i in range(first, count)]


def _short(time: pd.Timestamp) -> str:
    """Write a time without its midnight."""
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M}"
