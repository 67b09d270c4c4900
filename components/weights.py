"""Weights that stand in for labels still to come: one over the chance of being known by now.

Of the rows of a fresh window those with fast labels are known first, and fast is not random:
a flight on time lands earlier. So each known row stands for all rows like it, known or not:
it weighs one over the share of labels *of its own outcome* that are known at its age. The
outcome is seen wherever a weight is needed, so this allows for waits that depend on it, as
weights by age alone would not. How long which outcome waits is learnt from rows that are old
enough to have had a fair chance; that it still waits as long is the assumption.

Rows too young are left out whole, labelled or not: below an age at which a tenth of the labels
of every outcome is known, a weight would exceed ten and one row would stand for a crowd.
Leaving out by age is fair, since age does not depend on the outcome.

References
----------
Horvitz, Thompson. A generalization of sampling without replacement from a finite universe.
Journal of the American Statistical Association 47 (1952).

Robins, Rotnitzky. Recovery of information and adjustment for dependent censoring using
surrogate markers. In AIDS Epidemiology (1992): weights by the chance of being uncensored.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.maturity import MaturityCurve, Micros, in_micros
from components.records import EVENT_TIME, KNOWN_TIME, LABEL

LEAST_CHANCE = 0.1
"""No row weighs more than one over this."""

LEAST_IN_STRATUM = 50
"""An outcome seen less often has no wait of its own: such outcomes share one."""

MOST_STRATA = 10
"""Numbers are cut at their quantiles into at most so many outcomes."""

Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Waits:
    """How long labels take, by outcome.

    Attributes
    ----------
    curves : tuple of MaturityCurve
        One a stratum: the share known by age of the labels that come.
    classes : tuple of str
        Names with a stratum of their own, in the order of `curves`; the last curve is that of
        all other names. Empty for numbers.
    edges : ndarray of shape (n_strata - 1,)
        Where numbers are cut; empty for classes.
    strata, ages : ndarray of shape (n_past,)
        What they were learnt from, oldest event first: stratum, and age in microseconds.

    """

    curves: tuple[MaturityCurve, ...]
    classes: tuple[str, ...]
    edges: Numbers
    strata: Places
    ages: Micros

    def chances(self, labels: pd.Series, ages: Micros) -> Numbers:
        """Give the chance of each row to be known at its age (microseconds), given its label."""
        return _chances(self.curves, _strata(labels, self.classes, self.edges), ages)

    def chances_without(self, labels: pd.Series, ages: Micros, *, parts: int) -> list[Numbers]:
        """Give the chances anew, each time without one of so many stretches of what was learnt."""
        part = np.arange(len(self.ages)) * parts // max(len(self.ages), 1)
        strata = _strata(labels, self.classes, self.edges)
        kept = (part != one for one in range(parts))
        count = len(self.curves)
        return [
            _chances(_curves(self.strata[some], self.ages[some], count), strata, ages)
            for some in kept
        ]

    @property
    def least_age(self) -> pd.Timedelta:
        """The age from which on every outcome has a chance of at least a tenth."""
        ages = (curve.age_of(LEAST_CHANCE) for curve in self.curves)
        return max((age for age in ages if age is not None), default=pd.Timedelta(0))


def learn_waits(past: pd.DataFrame, *, regression: bool) -> Waits:
    """Learn how long labels of each outcome take.

    Parameters
    ----------
    past : DataFrame of shape (n_past, n_columns)
        Labelled rows old enough to have had a fair chance, oldest event first: `event_time`,
        `known_time` (when the label was first known), `label`. Not modified.
    regression : bool
        Whether labels are numbers, cut at their quantiles, or classes.

    """
    labels = past[LABEL]
    classes, edges = ((), _edges(labels)) if regression else (_classes(labels), np.empty(0))
    strata = _strata(labels, classes, edges)
    ages = np.maximum(in_micros(past[KNOWN_TIME] - past[EVENT_TIME]), 0)
    count = len(edges) + 1 if regression else len(classes) + 1
    return Waits(_curves(strata, ages, count), classes, edges, strata, ages)


def _curves(strata: Places, ages: Micros, count: int) -> tuple[MaturityCurve, ...]:
    """Count how soon labels came, by stratum; too few for a wait of their own: that of all."""
    whole = _counted(ages)
    parts = [_counted(ages[strata == place]) for place in range(count)]
    return tuple(part if part.rows >= LEAST_IN_STRATUM else whole for part in parts)


def _chances(curves: tuple[MaturityCurve, ...], strata: Places, ages: Micros) -> Numbers:
    found = np.ones(len(ages))
    for place, curve in enumerate(curves):
        mine = strata == place
        found[mine] = curve.shares_at(ages[mine])
    return found


def _counted(ages: Micros) -> MaturityCurve:
    """Count how soon labels came that all had the time to come."""
    age, count = np.unique(ages, return_counts=True)
    return MaturityCurve(age, np.cumsum(count) / max(len(ages), 1), len(ages), len(ages))


def _classes(labels: pd.Series) -> tuple[str, ...]:
    counted = labels.value_counts()
    return tuple(sorted(map(str, counted.index[counted >= LEAST_IN_STRATUM])))


def _edges(labels: pd.Series) -> Numbers:
    strata = min(MOST_STRATA, max(1, len(labels) // LEAST_IN_STRATUM))
    cuts = np.arange(1, strata) / strata
    return np.unique(np.quantile(labels.to_numpy(dtype=float), cuts)) if len(cuts) else np.empty(0)


def _strata(labels: pd.Series, classes: tuple[str, ...], edges: Numbers) -> Places:
    if classes:
        place = pd.Index(classes).get_indexer(pd.Index(labels.to_numpy(dtype=object)))
        return np.where(place < 0, len(classes), place)
    if not len(edges):
        return np.zeros(len(labels), dtype=np.intp)
    return np.searchsorted(edges, labels.to_numpy(dtype=float), side="left")
