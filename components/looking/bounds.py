"""Bounds that a number has by nature, or that only a fault would cross.

A bound sends a row to quarantine, so it must never be crossed by a world that merely changes:
where nature sets none, it stands three times the seen span away.
"""

import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

_FEWEST_ROWS = 100
_SPANS = 3.0
_PILED_AT_ZERO = 0.01
_SENTINELS = (-9999.0, -999.0, -99.0, 999.0, 9999.0, 99999.0, 999999.0)

# What a name says of the values, tried from top to bottom; it counts only where all that was
# seen lies within.
_BY_NAME: tuple[tuple[str, float, float], ...] = (
    (r"minute_of_day|min_of_day", 0, 1439),
    (r"hour_of_week", 0, 167),
    (r"day_of_year|yearday|doy", 0, 366),
    (r"day_of_week|weekday|dow", 0, 7),
    (r"hour_of_day|(^|_)hour$|^hr$", 0, 24),
    (r"(^|_)month$", 0, 12),
    (r"(^|_)week(_of_year)?$", 0, 54),
    (r"(^|_)quarter$", 0, 4),
    (r"(^|_)lat(itude)?$", -90, 90),
    (r"(^|_)(lon|lng|long)(itude)?$", -180, 180),
    (r"wind_dir|bearing|heading|azimuth", 0, 360),
    (r"humid|(^|_)(pct|percent|percentage)$", 0, 100),
    (r"(^|_)(prob|probability)$", 0, 1),
)
_NEVER_BELOW_ZERO = re.compile(
    r"count|speed|gust|distance|(^|_)age$|year|seat|duration|precip|rain|snow|pressure|visib|"
    r"weight|height|width|length|quantity|(^|_)qty|(^|_)num_|(^|_)n_|(^|_)size|area|volume|"
    r"(^|_)km$|_km(h)?$|(^|_)mm$|miles|population|visits|clicks|orders|sold",
    re.IGNORECASE,
)
_MAY_CROSS_ZERO = re.compile(
    r"temp|dew|feels|delta|diff|change|balance|profit|margin|delay|offset|return|growth|score|"
    r"price|transfer|flow|net",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Smallest and largest value that is possible; None: open. `odd` says what stood out."""

    low: float | None = None
    high: float | None = None
    odd: str = ""


OPEN = Bounds()
"""Anything is possible."""


def bounds_of(name: str, values: pd.Series) -> Bounds:
    """Find bounds for a number.

    Parameters
    ----------
    name : str
    values : Series of float64
        Finite values that were seen; of fewer than 100 nothing is concluded.

    Examples
    --------
    >>> seen = pd.Series(range(200)) % 24.0
    >>> bounds_of("hour", seen).high, bounds_of("temp_c", seen).low
    (23.0, -69.0)

    """
    if len(values) < _FEWEST_ROWS:
        return Bounds()
    low, high = float(values.min()), float(values.max())
    whole = is_whole(values)
    if whole and (low, high) == (0.0, 1.0):
        return Bounds(0.0, 1.0)
    for pattern, least, most in _BY_NAME:
        fits = least <= low and high <= most
        counted = whole or most == 1 or most >= 90  # noqa: PLR2004 - a share or an angle is none
        if fits and counted and re.search(pattern, name, re.IGNORECASE):
            return _by_name(low, high, least, most)
    odd = _sentinel(values)
    span = (high - low) or abs(high) or 1.0
    top = _round_up(high + _SPANS * span)
    if low >= 0 and _not_below_zero(name, values, whole=whole):
        return Bounds(0.0, top, odd)
    return Bounds(-_round_up(-(low - _SPANS * span)), top, odd)


def _by_name(low: float, high: float, least: float, most: float) -> Bounds:
    """Tighten a range that some count from 0 and some from 1, by what was seen."""
    if most == 24 and high <= 23:  # noqa: PLR2004 - the hours of a day
        most = 23.0
    if most == 7 and low == 0 and high <= 6:  # noqa: PLR2004 - the days of a week
        most = 6.0
    if most in {7.0, 12.0, 4.0, 54.0} and low >= 1:
        least = 1.0
    return Bounds(float(least), float(most))


def is_whole(values: pd.Series) -> bool:
    """Say whether all values are whole numbers."""
    numbers = values.to_numpy(dtype=float)
    return bool((numbers == np.floor(numbers)).all()) and bool(np.abs(numbers).max() < 2**53)


def _not_below_zero(name: str, values: pd.Series, *, whole: bool) -> bool:
    if _MAY_CROSS_ZERO.search(name):
        return False
    if _NEVER_BELOW_ZERO.search(name):
        return True
    piled = float((values == 0).mean()) >= _PILED_AT_ZERO
    return piled or (whole and float(values.min()) <= 1)


def _sentinel(values: pd.Series) -> str:
    """Name a value that stands for "missing" rather than for a number."""
    found = values[values.isin(_SENTINELS)]
    if found.empty:
        return ""
    word = float(found.mode().iloc[0])
    others = values[values != word]
    if others.empty or others.min() <= word <= others.max():
        return ""
    away = min(abs(word - others.min()), abs(word - others.max()))
    if away < _SPANS * (others.max() - others.min() or 1.0):
        return ""
    return (
        f"{int((values == word).sum())} values are {word:g}, far from all others: if that means "
        "missing, write it as empty"
    )


def _round_up(value: float) -> float:
    """Round away from zero to two digits; numbers below zero towards it.

    >>> _round_up(1234.0), _round_up(-1234.0), _round_up(0.0)
    (1300.0, -1200.0, 0.0)
    """
    if value == 0 or not math.isfinite(value):
        return 0.0 if value == 0 else value
    size = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    rounded = math.ceil(value / size) * size
    return float(f"{rounded:.12g}")
