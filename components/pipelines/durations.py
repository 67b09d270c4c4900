"""Durations as people write them: ``90d``, ``36h``, ``30min``, ``2w``."""

import re

import pandas as pd

_UNITS = {"s": "s", "min": "min", "h": "h", "d": "D", "w": "W"}
_WRITTEN = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|min|h|d|w)\s*$")


def parse_duration(text: object) -> pd.Timedelta:
    """Read a duration.

    Parameters
    ----------
    text : str or Timedelta
        A number and a unit: ``s``, ``min``, ``h``, ``d`` or ``w``.

    Raises
    ------
    ValueError
        If it is neither.

    Examples
    --------
    >>> parse_duration("90d")
    Timedelta('90 days 00:00:00')
    >>> parse_duration("1.5h")
    Timedelta('0 days 01:30:00')

    """
    if isinstance(text, pd.Timedelta):
        return text
    found = _WRITTEN.match(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"must be a number and a unit such as 30min, 1h, 7d or 2w. Got {text!r}")
    return pd.Timedelta(f"{found[1]}{_UNITS[found[2]]}")


def write_duration(span: pd.Timedelta) -> str:
    """Write a duration with the largest unit that divides it.

    >>> write_duration(pd.Timedelta("90D")), write_duration(pd.Timedelta("90min"))
    ('90d', '90min')
    """
    seconds = round(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
