"""Learning how far answers are off, for intervals and sets that hold the truth so often.

Split conformal prediction: where the rows learnt from and the row asked about are exchangeable,
the truth lies inside with at least the stated probability, whatever the model is. A world that
changes breaks that, so the share that does lie inside is measured live.

Numbers are cut into bins by predicted value, each with its own reach, so that busy hours get
wide intervals and quiet ones narrow ones; classes have each their own cutoff, so that a rare
class is covered as often as a common one. With too few rows for that, all share one.

References
----------
Vovk, Gammerman, Shafer. Algorithmic learning in a random world (2005): split and Mondrian.

Boström. crepes: a Python package for generating conformal regressors and predictive systems.
COPA 2022: the library used.

Sadinle, Lei, Wasserman. Least ambiguous set-valued classifiers with bounded error levels.
Journal of the American Statistical Association 114 (2019): the score, one less the probability.
"""

import numpy as np

from components.output.values import Cutoffs, Reaches

MOST_BINS = 10
"""Predicted values are cut into at most so many bins."""

_BEYOND_IN_BIN = 10


def learn_reaches(
    truth: np.ndarray, values: np.ndarray, coverage: float
) -> tuple[Reaches | None, str]:
    """Learn intervals of a regression.

    Parameters
    ----------
    truth, values : ndarray of shape (n_rows,)
        What came, and what the model answered without having seen it; finite.
    coverage : float
        The share of rows whose truth shall lie inside.

    Returns
    -------
    Reaches or None
    str
        Why there are none; else empty.

    """
    if len(truth) < _least(coverage):
        return None, _too_few(coverage, len(truth))
    from crepes import ConformalRegressor

    wanted = min(MOST_BINS, max(1, len(truth) // _least_in_bin(coverage)))
    edges = np.unique(np.quantile(values, np.arange(1, wanted) / wanted))
    bins = np.searchsorted(edges, values, side="right")
    rows = np.bincount(bins, minlength=len(edges) + 1)
    if rows.min() < _least_in_bin(coverage):  # few distinct values, so bins of unlike size
        edges, bins, rows = np.empty(0), np.zeros(len(values), dtype=int), np.array([len(values)])
    learnt = ConformalRegressor().fit(truth - values, bins=bins)
    each = np.arange(len(rows))
    around_zero = learnt.predict_int(np.zeros(len(rows)), bins=each, confidence=coverage)
    reach = around_zero[:, 1]
    return Reaches(coverage, tuple(edges.tolist()), tuple(reach.tolist()), tuple(rows.tolist())), ""


def learn_cutoffs(
    true: np.ndarray, probabilities: np.ndarray, coverage: float
) -> tuple[Cutoffs | None, str]:
    """Learn sets of a classification.

    Parameters
    ----------
    true : ndarray of shape (n_rows,), int
        The place of the true class; -1 for one that the model never saw.
    probabilities : ndarray of shape (n_rows, n_classes)
        As the model gave them without having seen the rows; finite.
    coverage : float
        The share of rows whose class shall lie inside.

    Returns
    -------
    Cutoffs or None
    str
        Why there are none; else empty.

    """
    if len(true) < _least(coverage):
        return None, _too_few(coverage, len(true))
    given = probabilities[np.arange(len(true)), true]
    scores = 1.0 - np.where(true >= 0, given, 0.0)
    classes = probabilities.shape[1]
    rows = np.bincount(true[true >= 0], minlength=classes)
    if rows.min() < _least_in_bin(coverage) or (true < 0).any():
        cutoff = _cutoff(scores, coverage)
        return Cutoffs(coverage, (cutoff,) * classes, (len(true),) * classes), ""
    each = tuple(_cutoff(scores[true == place], coverage) for place in range(classes))
    return Cutoffs(coverage, each, tuple(rows.tolist())), ""


def _cutoff(scores: np.ndarray, coverage: float) -> float:
    """Give the highest score that is still inside."""
    from crepes import ConformalClassifier

    levels = np.unique(scores)
    inside = (
        ConformalClassifier()
        .fit(scores)
        .predict_set(levels.reshape(-1, 1), confidence=coverage, smoothing=False)
    )
    return float(levels[inside[:, 0] == 1].max())


def _least(coverage: float) -> int:
    return int(np.ceil(coverage / (1 - coverage) - 1e-9)) + 1


def _least_in_bin(coverage: float) -> int:
    """Rows for a quantile with ten rows beyond it."""
    return int(np.ceil(_BEYOND_IN_BIN / (1 - coverage)))


def _too_few(coverage: float, rows: int) -> str:
    return (
        f"intervals: {100 * coverage:g} % needs at least {_least(coverage)} held-out rows, "
        f"there are {rows}"
    )
