"""Times as they are written, and the rhythm in which they come."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.values import parse_numbers, parse_times

_ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"
_UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
# Numbers of seconds in this range are times from 1975 to 2255; a thousand times as many are
# the same times in milliseconds, and no seconds of that range.
_SECONDS = (1.5e8, 9.0e9)
_SHOWN = 3
_MOST = 0.95

STEPS = {
    "every minute": pd.Timedelta(minutes=1),
    "every 5 minutes": pd.Timedelta(minutes=5),
    "every 10 minutes": pd.Timedelta(minutes=10),
    "every quarter of an hour": pd.Timedelta(minutes=15),
    "half-hourly": pd.Timedelta(minutes=30),
    "hourly": pd.Timedelta(hours=1),
    "daily": pd.Timedelta(days=1),
    "weekly": pd.Timedelta(days=7),
}
_REGULAR = 0.9
_FEWEST = 5
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Moments:
    """Times that were read, and how they are written.

    Attributes
    ----------
    values : Series of datetime64[us, UTC]
        NaT where the value is missing or cannot be read.
    given, unreadable : int
        How many values there are, and how many of them cannot be read.
    zoned : int
        How many say their time zone.
    examples : tuple of str
        Some that cannot be read.
    zone : str
        The zone that the column as a whole has; empty for text and for none.

    """

    values: pd.Series
    given: int
    unreadable: int
    zoned: int
    examples: tuple[str, ...] = ()
    zone: str = ""

    def merged(self, before: "Moments | None") -> "Moments":
        """Count these and those from before; the values are dropped."""
        nothing = self.values.iloc[:0]
        if before is None:
            return Moments(
                nothing, self.given, self.unreadable, self.zoned, self.examples, self.zone
            )
        return Moments(
            nothing,
            before.given + self.given,
            before.unreadable + self.unreadable,
            before.zoned + self.zoned,
            (before.examples + self.examples)[:_SHOWN],
            before.zone,
        )


def read_moments(raw: pd.Series) -> Moments:
    """Read a column of times as the loop will read them.

    >>> found = read_moments(pd.Series(["2026-01-01", "2026-01-02T00:00:00+01:00", "soon"]))
    >>> found.given, found.unreadable, found.zoned, found.examples
    (3, 1, 1, ('soon',))
    """
    parsed = parse_times(raw)
    given = raw.notna() & (raw.ne("") if isinstance(raw.dtype, pd.StringDtype) else True)
    examples = tuple(str(value)[:60] for value in raw[parsed.unreadable].iloc[:_SHOWN])
    zone, zoned = "", 0
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        zone, zoned = str(raw.dt.tz), int(given.sum())
    elif isinstance(raw.dtype, pd.StringDtype):
        zoned = int(raw.str.contains(_ZONE, regex=True, na=False).sum())
    return Moments(
        parsed.values, int(given.sum()), int(parsed.unreadable.sum()), zoned, examples, zone
    )


def looks_like_times(raw: pd.Series) -> bool:
    """Say whether a column holds times: datetimes, dates, or text in ISO.

    >>> looks_like_times(pd.Series(["2026-01-01"])), looks_like_times(pd.Series(["20260101"]))
    (True, False)
    """
    if pd.api.types.is_datetime64_any_dtype(raw.dtype):
        return True
    if pd.api.types.is_numeric_dtype(raw.dtype) or not len(raw):
        return False
    if isinstance(raw.dtype, pd.StringDtype):
        dashed = raw.str.match(r"\s*\d{4}-\d\d", na=False).mean()
        if dashed < _MOST * raw.notna().mean():
            return False
    found = read_moments(raw)
    return found.given > 0 and found.given - found.unreadable >= _MOST * found.given


def epoch_unit(raw: pd.Series) -> str:
    """Name the unit of numbers that count from 1970; empty when they do not look so.

    >>> epoch_unit(pd.Series([1293840000, 1293843600])), epoch_unit(pd.Series([7, 8]))
    ('seconds', '')
    """
    parsed = parse_numbers(raw)
    numbers = parsed.values.dropna()
    if parsed.unreadable.any() or numbers.empty:
        return ""
    low, high = float(numbers.min()), float(numbers.max())
    for unit, size in _UNITS.items():
        if _SECONDS[0] * size <= low and high <= _SECONDS[1] * size:
            return unit
    return ""


def unreadable_words(raw: pd.Series, column: str, shown: str) -> str:
    """Say why a column cannot be the time, and what to do.

    Parameters
    ----------
    raw : Series
        Values of it that are given.
    column, shown : str
        Its name, and that of the source.

    """
    first = ", ".join(repr(str(value)) for value in raw.head(_SHOWN))
    wanted = (
        "a time is needed in ISO, such as 2026-01-31 05:00:00, as a datetime, or as a number that "
        "counts seconds (or thousandths, millionths, milliardths of them) since 1970"
    )
    return f"column {column!r} of {shown} holds no readable time: {wanted}. Got {first}"


@dataclass(frozen=True, slots=True)
class Cadence:
    """The rhythm in which events come.

    Attributes
    ----------
    step : Timedelta or None
        The usual distance of two moments; None where there is none.
    words : str
        Such as ``hourly``.
    missing : int
        Moments of the rhythm at which nothing happened.
    gaps : tuple of (Timestamp, Timestamp)
        The longest stretches without an event: the last before, the first after.

    """

    step: pd.Timedelta | None
    words: str
    missing: int = 0
    gaps: tuple[tuple[pd.Timestamp, pd.Timestamp], ...] = ()


def cadence(times: pd.Series) -> Cadence:
    """Find the rhythm of events, and where it was broken.

    Parameters
    ----------
    times : Series of datetime64[us, UTC]
        In any order; several events may share a moment.

    Examples
    --------
    >>> hours = pd.Series(pd.date_range("2026-01-01", periods=48, freq="h", tz="UTC"))
    >>> found = cadence(hours.drop(range(10, 13)))
    >>> found.words, found.missing
    ('hourly', 3)

    """
    moments = np.unique(times.dropna().to_numpy("datetime64[us]").astype(np.int64))
    steps = np.diff(moments)
    if len(steps) < _FEWEST:
        return Cadence(None, "irregular")
    distinct, count = np.unique(steps, return_counts=True)
    usual = int(distinct[count.argmax()])
    if count.max() / len(steps) < _REGULAR and not _on_grid(moments, usual):
        return Cadence(
            None, "irregular", 0, _holes(moments, max(20 * float(np.quantile(steps, 0.9)), _DAY))
        )
    step = pd.Timedelta(usual, "us")
    missing = np.where(steps > usual, np.round(steps / usual) - 1, 0)
    return Cadence(step, _named(step), int(missing.sum()), _holes(moments, 1.5 * usual))


def _on_grid(moments: np.ndarray, usual: int) -> bool:
    """Say whether events fall on one grid though many moments of it are without one."""
    return usual >= _DAY // 24 and bool(((moments - moments[0]) % usual == 0).mean() >= _MOST)


def _named(step: pd.Timedelta) -> str:
    named = next((words for words, usual in STEPS.items() if usual == step), None)
    return named or f"every {span_in_words(step)}"


def _holes(moments: np.ndarray, least: float) -> tuple[tuple[pd.Timestamp, pd.Timestamp], ...]:
    steps = np.diff(moments)
    wide = np.flatnonzero(steps > least)
    longest = wide[np.argsort(-steps[wide], kind="stable")][:_SHOWN]
    ends = pd.to_datetime(moments, unit="us", utc=True)
    return tuple((ends[place], ends[place + 1]) for place in longest)


def span_in_words(span: pd.Timedelta) -> str:
    """Write a span for people.

    >>> span_in_words(pd.Timedelta(minutes=168)), span_in_words(pd.Timedelta(days=12, hours=3))
    ('2.8 hours', '12.1 days')
    """
    seconds = span.total_seconds()
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if abs(seconds) >= size * (2 if unit == "day" else 1):
            number = f"{seconds / size:.1f}".removesuffix(".0")
            return f"{number} {unit}{'' if number == '1' else 's'}"
    return f"{seconds:g} seconds"
