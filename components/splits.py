"""Which rows a model may learn from, and which it is judged on."""

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from components.pipelines.spec import Holdout, Window
from components.records import EVENT_TIME, KNOWN_TIME


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to learn from, and newer rows to judge on.

    Attributes
    ----------
    train : DataFrame
        Rows whose labels were known by `cut`.
    holdout : DataFrame
        Rows of events at or after `cut`, old enough to have had a fair chance of a label;
        none of them is in `train`.
    cut : Timestamp
        The virtual moment at which the tested twin is fitted.

    """

    train: pd.DataFrame
    holdout: pd.DataFrame
    cut: pd.Timestamp


def known_by(rows: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    """Keep the rows whose labels were known at a moment: what a fit could see then."""
    return rows[rows[KNOWN_TIME] <= moment]


def had_a_chance(rows: pd.DataFrame, age: timedelta, *, until: pd.Timestamp) -> pd.DataFrame:
    """Keep the rows old enough at `until` to have had a fair chance of a label.

    Of younger ones only those with fast labels are there, and fast is not random: learnt
    from, they would teach that what is new turns out as fast labels do.
    """
    return rows[rows[EVENT_TIME] <= until - age] if age > timedelta(0) else rows


def in_window(
    rows: pd.DataFrame, window: Window, *, until: pd.Timestamp, least: int = 0
) -> pd.DataFrame:
    """Keep the rows of the training window that ends at `until` (event time).

    Parameters
    ----------
    least : int
        Where the window holds fewer rows than this, it is widened back until it holds them.

    """
    if window.last is None:
        return rows
    times = rows[EVENT_TIME]
    inside = times >= until - window.last
    if inside.sum() >= least or rows.empty:
        return rows[inside]
    oldest: pd.Timestamp = times.nlargest(least).iloc[-1]
    return rows[times >= oldest]


def split_newest(
    rows: pd.DataFrame,
    *,
    as_of: pd.Timestamp,
    holdout: Holdout,
    seen_until: pd.Timestamp | None,
    fair_age: timedelta = timedelta(0),
) -> Split:
    """Hold out the newest labelled rows that nobody in the comparison was fitted on.

    Of what is new since the champion, at most half is held out (but never fewer than
    ``holdout.least_rows`` rows, where there are as many): a twin that learnt nothing new is
    the champion over again. Training rows are those whose label was known at the cut: on the
    day the twin would have been fitted, nobody knew the labels of the events just before it.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)
        Labelled rows with `event_time` and `known_time` (of the label). Not modified.
    as_of : Timestamp
        The moment of the training; the holdout reaches back at most ``holdout.most``.
    holdout : Holdout
        How far back, and how few rows are too few (which the gate says, not this).
    seen_until : Timestamp, optional
        Event time of the newest row that the champion was fitted on: holdout rows are newer.
    fair_age : timedelta
        Rows younger than this at `as_of` are not judged on: see :func:`had_a_chance`. What
        is too young at the cut is left out where a recipe is fitted.

    Examples
    --------
    >>> days = pd.date_range("2026-01-01", periods=10, tz="UTC")
    >>> rows = pd.DataFrame({"event_time": days, "known_time": days + pd.Timedelta("2D")})
    >>> held = Holdout(least_rows=2, most=timedelta(days=4))
    >>> split = split_newest(rows, as_of=days[9], holdout=held, seen_until=None)
    >>> split.cut.day, len(split.train), len(split.holdout)
    (6, 4, 3)

    """
    known = known_by(rows, as_of)
    fair = had_a_chance(known, fair_age, until=as_of)
    cut = as_of - pd.Timedelta(holdout.most)
    if seen_until is not None:
        cut = max(cut, _half_of_the_new(fair, seen_until, holdout.least_rows))
    train = known_by(known[known[EVENT_TIME] < cut], cut)
    return Split(train=train, holdout=fair[fair[EVENT_TIME] >= cut], cut=cut)


def _half_of_the_new(
    known: pd.DataFrame, seen_until: pd.Timestamp, least_rows: int
) -> pd.Timestamp:
    """Find where the newer half of the new rows begins; earlier where that is too few."""
    new = known.loc[known[EVENT_TIME] > seen_until, EVENT_TIME].sort_values()
    held = max(least_rows, len(new) // 2)
    if held >= len(new):
        # The next instant: the champion has seen the row *at* seen_until.
        return seen_until + timedelta(microseconds=1)
    return pd.Timestamp(new.iloc[-held])
