"""How differently a model treats groups of people: who is selected, and who is wronged.

Rates by group come from fairlearn. A difference is the highest rate of a group less the lowest;
it is never below zero, and rises by chance with more and smaller groups, so groups too small to
have a rate take no part in it and are named instead.

References
----------
Weerts, Dudík, Edgar, Jalali, Lutz, Madaio. Fairlearn: assessing and improving fairness of AI
systems. Journal of Machine Learning Research 24 (2023).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.answers import Answers
from components.evaluation.measures import answered
from components.evaluation.slicing import groups_of

LEAST_ROWS = 30
"""A rate of fewer rows than this is no rate."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group, with the rates of its rows; a rate of too few rows is None.

    Attributes
    ----------
    name : str
        The value of the column, or the range of it.
    rows : int
    rates : dict of str to (float or None)
        Two classes: ``selection_rate`` (share called positive), ``false_positive_rate``,
        ``false_negative_rate`` and ``error_rate``. More classes: ``error_rate``. Numbers:
        ``mean_answer`` and ``mean_absolute_error``, in units of the target.

    """

    name: str
    rows: int
    rates: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Fairness:
    """The groups of one sensitive column, and how far apart their rates are.

    Attributes
    ----------
    column : str
    groups : tuple of Group
        By name.
    differences : dict of str to (float or None)
        Of each rate the highest less the lowest; None with fewer than two groups to compare.
    too_small : tuple of str
        Groups with too few rows, left out of every difference.

    """

    column: str
    groups: tuple[Group, ...]
    differences: dict[str, float | None]
    too_small: tuple[str, ...]

    @property
    def largest(self) -> float | None:
        """The largest difference of a rate (a share); None for numbers, or nothing to compare."""
        known = [
            value
            for name, value in self.differences.items()
            if name.endswith("_rate") and value is not None
        ]
        return max(known, default=None)


def fairness(
    truth: pd.Series, answers: Answers, values: pd.Series, *, kind: str = "category"
) -> Fairness:
    """Compare the groups of one sensitive column.

    Parameters
    ----------
    truth : Series of shape (n_rows,)
        Numbers for a regression, else class names.
    answers : Answers of shape (n_rows,)
        Of two classes the last is the positive one; rows without an answer are left out.
    values : Series of shape (n_rows,)
        The sensitive column; a missing value is a group of its own.
    kind : {"category", "number"}
        A number of many values is cut into quarters.

    """
    usable = answered(answers)
    truth, answers, values = truth[usable], answers.take(usable), values[usable]
    column = str(values.name)
    if not len(truth):
        return Fairness(column, (), {}, ())
    names = groups_of(values, kind)
    groups = _groups(truth, answers, names)
    too_small = tuple(one.name for one in groups if one.rows < LEAST_ROWS)
    rates = groups[0].rates
    differences = {rate: _spread([one.rates[rate] for one in groups]) for rate in rates}
    return Fairness(column, groups, differences, too_small)


def _groups(truth: pd.Series, answers: Answers, names: np.ndarray) -> tuple[Group, ...]:
    true, said, rates = _as_rates(truth, answers)
    from fairlearn.metrics import MetricFrame, count

    frame = MetricFrame(
        metrics={**{name: rate for name, (rate, _) in rates.items()}, "rows": count},
        y_true=true,
        y_pred=said,
        sensitive_features=pd.Series(names, name="group"),
    ).by_group
    found = []
    for name in frame.index:
        mine = names == name
        each = {
            rate: float(frame.loc[name, rate]) if base[mine].sum() >= LEAST_ROWS else None
            for rate, (_, base) in rates.items()
        }
        found.append(Group(str(name), int(frame.loc[name, "rows"]), each))
    return tuple(found)


_Rates = Mapping[str, tuple[Callable[..., Any], np.ndarray]]


def _as_rates(truth: pd.Series, answers: Answers) -> tuple[np.ndarray, np.ndarray, _Rates]:
    """Give truth and answers as numbers, and each rate with the rows that it is a rate of."""
    from fairlearn.metrics import (
        false_negative_rate,
        false_positive_rate,
        mean_prediction,
        selection_rate,
    )
    from sklearn.metrics import mean_absolute_error, zero_one_loss

    every = np.ones(len(truth), dtype=bool)
    if not answers.classes:
        true, said = truth.to_numpy(dtype=float), answers.values.astype(float)
        return (
            true,
            said,
            {
                "mean_answer": (mean_prediction, every),
                "mean_absolute_error": (mean_absolute_error, every),
            },
        )
    names = truth.to_numpy(dtype=object)
    if len(answers.classes) != 2:  # noqa: PLR2004 - none of many is positive
        wrong = (names != answers.values).astype(int)
        return np.zeros(len(wrong), dtype=int), wrong, {"error_rate": (zero_one_loss, every)}
    positive = names == answers.classes[1]
    said = (answers.values == answers.classes[1]).astype(int)
    return (
        positive.astype(int),
        said,
        {
            "selection_rate": (selection_rate, every),
            "false_positive_rate": (false_positive_rate, ~positive),
            "false_negative_rate": (false_negative_rate, positive),
            "error_rate": (zero_one_loss, every),
        },
    )


def _spread(rates: list[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return max(known) - min(known) if len(known) > 1 else None
