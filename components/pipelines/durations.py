"""Durations as people write them: ``90d``, ``36h``, ``30min``, ``2w``."""

import re
from datetime import timedelta

_SECONDS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_WRITTEN_OUT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\.?\s*$")
_UNITS = {"se": "s", "mi": "min", "m": "min", "ho": "h", "hr": "h", "h": "h", "da": "d", "d": "d",
          "we": "w", "wk": "w", "w": "w"}  # fmt: skip
_WRITTEN = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|min|h|d|w)\s*$")


def parse_duration(text: object) -> timedelta:
    """Read a duration.

    Parameters
    ----------
    text : str or timedelta
        A number and a unit: ``s``, ``min``, ``h``, ``d`` or ``w``.

    Raises
    ------
    ValueError
        If it is neither, or longer than anything.

    Examples
    --------
    >>> parse_duration("90d")
    datetime.timedelta(days=90)
    >>> parse_duration("1.5h")
    datetime.timedelta(seconds=5400)

    """
    if isinstance(text, timedelta):
        return text
    found = _WRITTEN.match(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(
            "must be a number and a unit (s, min, h, d or w) such as 30min, 1h, 7d or 2w. "
            f"Got {text!r}{_meant(text)}"
        )
    try:
        return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
    except OverflowError as problem:
        raise ValueError(f"is longer than can be counted. Got {text!r}") from problem


def _meant(text: object) -> str:
    """Suggest the spelling of a unit that is written out; empty where none is near."""
    found = _WRITTEN_OUT.match(text) if isinstance(text, str) else None
    unit = None if found is None else _UNITS.get(found[2].lower()[:2].rstrip("s"))
    return "" if found is None or unit is None else f"; did you mean {found[1]}{unit}?"


def write_duration(span: timedelta) -> str:
    """Write a duration with the largest unit that divides it.

    >>> write_duration(timedelta(days=90)), write_duration(timedelta(minutes=90))
    ('90d', '90min')
    """
    seconds = round(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def some_time(span: timedelta) -> timedelta:
    """Let only a duration above zero pass: a width or a period of nothing has no next one."""
    if span <= timedelta(0):
        raise ValueError("must be longer than nothing. Got 0s")
    return span
