"""Settings that follow from the rhythm of the data: widths, windows, schedules."""

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from components.looking.targets import Delay
from components.looking.times import Cadence

_DAY = timedelta(days=1)
_WEEK_DAYS = 7
_WIDTHS = (14, 28, 56, 91, 182, 364)
_MONITOR_ROWS = 100
_HOLDOUT_ROWS = 300
_USUAL_FIRST = timedelta(days=91)
_SLIDING = timedelta(days=90)
_LEAST_FITTED = 30
_MOST_BEFORE = 0.6
# With fewer rows of the rarer class a gate sees no difference, or one by chance.
_RARE_ROWS = 10
_LEAST_JUDGED = 20


@dataclass(frozen=True, slots=True)
class Pace:
    """How much data there is, and how it comes.

    Attributes
    ----------
    start, end : Timestamp
        Of the first and the last event.
    labelled : int
        Rows with a label.
    wait : timedelta
        After which nearly all labels are known.
    rarest : float
        Share of the rarer of two classes; 1 where there are not two.

    """

    start: pd.Timestamp
    end: pd.Timestamp
    labelled: int
    wait: timedelta
    rhythm: Cadence
    rarest: float = 1.0

    @property
    def span(self) -> timedelta:
        """From the first event to the last."""
        return max((self.end - self.start).to_pytimedelta(), timedelta(seconds=1))

    def rows_in(self, width: timedelta) -> float:
        """Labelled rows in a stretch of this width, on average."""
        return self.labelled * (width / max(self.span, _DAY / 24))


@dataclass(frozen=True, slots=True)
class Choices:
    """What the pipeline file will say, with the reason for each in a few words."""

    first_train: pd.Timestamp | None
    holdout: tuple[int, timedelta]
    block: timedelta
    monitor: tuple[timedelta, int]
    windows: tuple[str, ...]
    naive: tuple[str, ...]
    season: timedelta
    schedule: dict[str, str]
    noticed: tuple[str, ...]
    short: bool
    """Whether history is so short that nothing can be searched: one recipe is stated."""


def pace_of(
    events: pd.Series, labelled: int, delay: Delay, rhythm: Cadence, rarest: float = 1.0
) -> Pace:
    """Put together how data comes; `events` are times in any order."""
    wait = max(delay.late, pd.Timedelta(0)).to_pytimedelta()
    return Pace(events.min(), events.max(), labelled, wait, rhythm, rarest)


def choose(pace: Pace, *, task: str) -> Choices:
    """Choose widths so that each holds enough rows, and so that history suffices for them.

    A first training needs room for three stretches: rows to fit on, rows that choose the
    recipe, rows for the gate; after each, labels are still on their way for `pace.wait`.
    """
    most, least_rows = _holdout(pace)
    first = _first(pace, most)
    short = first is None
    seasons = _season(pace.rhythm)
    mean = "mean" if task == "regression" else "majority"
    long_enough = pace.span >= 3 * _SLIDING
    noticed = []
    rare = pace.rows_in(max(most - pace.wait, most / 4)) * pace.rarest
    if pace.rarest < 1 and rare < _RARE_ROWS:
        noticed.append(
            f"the gate judges on the newest {most / _DAY:.0f} days, where only about {rare:.1f} "
            "rows are of the rarer class: it will often say wait, or judge by a handful"
        )
    if short:
        noticed.append(_short_in_words(pace, most))
        first = pace.span / 2
    return Choices(
        first_train=None if first == _USUAL_FIRST else _moment(pace, first or pace.span / 2),
        holdout=(least_rows, most),
        block=_block(pace.rhythm),
        monitor=_monitor(pace),
        windows=("all", "last 90d") if long_enough and not short else ("all",),
        naive=("last", "season", mean) if seasons else ("last", mean),
        season=seasons or timedelta(days=7),
        schedule=_schedule(pace),
        noticed=tuple(noticed),
        short=short,
    )


def _short_in_words(pace: Pace, most: timedelta) -> str:
    """Say what history is short of: rows, or days where each of them has plenty."""
    days = f"{pace.span / _DAY:.0f} days"
    if pace.rows_in(max(most - pace.wait, most / 4)) < _HOLDOUT_ROWS:
        return (
            f"history is short ({pace.labelled} labelled rows in {days}): one model is stated "
            "instead of a search, and the gate will often say wait"
        )
    return (
        f"history is short ({days}; its {pace.labelled} labelled rows would do): one model is "
        "stated instead of a search, for fitting, choosing and the gate each need days of their own"
    )


def _holdout(pace: Pace) -> tuple[timedelta, int]:
    """Find the narrowest stretch that holds enough rows whose labels have come."""
    fitting = [_DAY * days for days in _WIDTHS if _DAY * days <= pace.span / 5]
    if not fitting:
        days = max(1, int(pace.span / 5 / _DAY))
        fitting = [_DAY * days if pace.span >= 5 * _DAY else pace.span / 5]
        if days > _WEEK_DAYS:  # where many rows come a day a week holds enough of them
            fitting.insert(0, _DAY * _WEEK_DAYS)
    enough = [
        width
        for width in fitting
        if width > pace.wait and pace.rows_in(width - pace.wait) >= _HOLDOUT_ROWS
    ]
    if enough:
        return _with_rare(pace, enough)
    widest = fitting[-1]
    rows = pace.rows_in(max(widest - pace.wait, widest / 4))
    return widest, int(min(200, max(_LEAST_JUDGED, rows * 0.6)))


def _with_rare(pace: Pace, widths: list[timedelta]) -> tuple[timedelta, int]:
    """Take the narrowest that also holds enough of the rarer class; else the widest with room.

    Room is what the first training needs to search.
    """
    needed = _RARE_ROWS / max(pace.rarest, 1e-9)
    roomy = [width for width in widths if 3 * (width + pace.wait) <= _MOST_BEFORE * pace.span]
    held = [width for width in roomy if pace.rows_in(width - pace.wait) >= needed]
    width = (held[:1] or roomy[-1:] or widths[:1])[0] if pace.rarest < 1 else widths[0]
    rows = min(max(200.0, needed * 2 / 3), pace.rows_in(width - pace.wait) * 2 / 3)
    return width, int(rows)


def _first(pace: Pace, most: timedelta) -> timedelta | None:
    """Say how far into history the first training is; None: history is too short to search."""
    usual = _USUAL_FIRST if pace.span >= 3 * _USUAL_FIRST else _whole_days(pace.span / 3)
    needed = 3 * (most + pace.wait)
    first = max(usual, _whole_days(needed) if needed >= _DAY else needed)
    enough = pace.rows_in(first - 2 * (most + pace.wait)) >= _LEAST_FITTED
    return first if first <= _MOST_BEFORE * pace.span and enough else None


def _whole_days(span: timedelta) -> timedelta:
    return _DAY * round(span / _DAY) if span >= _DAY else span


def _moment(pace: Pace, after: timedelta) -> pd.Timestamp:
    fine = pace.span < 10 * _DAY
    return (pace.start + after).floor("h" if fine else "D")


def _monitor(pace: Pace) -> tuple[timedelta, int]:
    """Find a window of at least 100 rows; a week where that will do, for its days differ."""
    widths = [7, 14, 28, 91, 182]
    if pace.span < 56 * _DAY:
        widths = [1, *widths]
    width = next((days for days in widths if pace.rows_in(_DAY * days) >= _MONITOR_ROWS), None)
    if width is None:
        width = 28 if pace.span >= 6 * 28 * _DAY else 7
    if pace.span < 4 * _DAY * width:
        width = max(1, min(width, int(pace.span / 4 / _DAY)))
    rows = pace.rows_in(_DAY * width)
    return _DAY * width, int(min(30, max(5, rows / 2)))


def _season(rhythm: Cadence) -> timedelta | None:
    """Give the period after which a moment of the same kind comes; None without a rhythm."""
    if rhythm.step is None:
        return None
    week = timedelta(days=7)
    if rhythm.step <= pd.Timedelta(week) and pd.Timedelta(week) % rhythm.step == pd.Timedelta(0):
        return week if rhythm.step < pd.Timedelta(week) else 52 * week
    return None


def _block(rhythm: Cadence) -> timedelta:
    """Rows within a block depend on each other: a day, or five steps of slower data."""
    if rhythm.step is None or rhythm.step <= pd.Timedelta(hours=4):
        return _DAY
    if rhythm.step < pd.Timedelta(days=1):
        # Not a week: a holdout of two would be two blocks, and no gain is ever sure of two.
        return _DAY * -(-5 * rhythm.step // pd.Timedelta(days=1))
    return _DAY * (7 if rhythm.step == pd.Timedelta(days=1) else 28)


def _schedule(pace: Pace) -> dict[str, str]:
    """Read and score as often as rows come, by the hour at most."""
    step = pace.rhythm.step
    busy = pace.labelled / max(pace.span / _DAY, 1.0)
    if (step is not None and step <= pd.Timedelta(hours=1)) or (step is None and busy >= 200):  # noqa: PLR2004 - eight an hour
        return {"ingest": "5 * * * *", "score": "10 * * * *", "monitor": "40 0 * * *"}
    if step is None or step <= pd.Timedelta(days=2):
        return {"ingest": "5 0 * * *", "score": "20 0 * * *", "monitor": "40 0 * * *"}
    return {"ingest": "5 0 * * 1", "score": "20 0 * * 1", "monitor": "40 0 * * 1"}
