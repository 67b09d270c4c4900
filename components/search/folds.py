"""Temporal cross-validation: later stretches to judge on, each after all that its fit saw."""

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from components.maturity import fair_age_of
from components.pipelines import Pipeline
from components.recipes import LEAST_ROWS
from components.records import EVENT_TIME, LABEL
from components.splits import had_a_chance, known_by


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Rows to learn from, and a later stretch to judge on.

    Attributes
    ----------
    train : DataFrame
        Rows of events before `cut` whose label was known at `cut`: between the newest of
        them and the stretch lies the delay of the labels.
    later : DataFrame
        Rows of events from `cut` on, before `until`.
    cut, until : Timestamp
        Event time.

    """

    train: pd.DataFrame
    later: pd.DataFrame
    cut: pd.Timestamp
    until: pd.Timestamp

    def __str__(self) -> str:
        return (
            f"{self.cut:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M}: {len(self.later)} rows, "
            f"fitted on up to {len(self.train)}"
        )


def temporal_folds(
    rows: pd.DataFrame, pipeline: Pipeline, *, as_of: pd.Timestamp
) -> tuple[Fold, ...]:
    """Cut up to ``search.folds`` stretches, newest first, each as wide as the gate's holdout.

    An older stretch is left out where it, or what lies before it, holds too little to learn
    from: fewer rows than ``least_train_rows``, less time than the stretch itself, one class.
    The newest is always there.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)
        Labelled rows; those whose label was known after `as_of` are left out. Not modified.

    References
    ----------
    Tashman. Out-of-sample tests of forecasting accuracy: an analysis and review.
    International Journal of Forecasting 16 (2000): rolling origin.

    """
    known = known_by(rows, as_of)
    fair = had_a_chance(known, fair_age_of(rows, pipeline, as_of=as_of), until=as_of)
    width = pd.Timedelta(pipeline.holdout.most)
    found = [_fold(known, fair, as_of - width, as_of)]
    for number in range(1, pipeline.search.folds):
        cut = as_of - (number + 1) * width
        fold = _fold(known, fair, cut, cut + width)
        if not _worth(fold, pipeline, width):
            break
        found.append(fold)
    return tuple(found)


def _fold(known: pd.DataFrame, fair: pd.DataFrame, cut: pd.Timestamp, until: pd.Timestamp) -> Fold:
    times = fair[EVENT_TIME]
    later = fair[times >= cut] if until > times.max() else fair[(times >= cut) & (times < until)]
    return Fold(known_by(known[known[EVENT_TIME] < cut], cut), later, cut, until)


def _worth(fold: Fold, pipeline: Pipeline, width: timedelta) -> bool:
    if len(fold.later) < LEAST_ROWS or len(fold.train) < pipeline.least_train_rows:
        return False
    if fold.cut - fold.train[EVENT_TIME].min() < width:
        return False
    return pipeline.resolved_task == "regression" or len(pd.unique(fold.train[LABEL])) > 1
