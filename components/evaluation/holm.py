"""Many questions asked of the same rows, and one level for all answers together.

References
----------
Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal of
Statistics 6 (1979): holds its level however the questions depend on each other.
"""

from collections.abc import Sequence

import numpy as np

from components.intervals import Interval


def holm(chances: Sequence[float]) -> np.ndarray:
    """Adjust p-values so that those at most a level are wrong, any of them, no more often.

    Parameters
    ----------
    chances : sequence of float
        One p-value a question; NaN where it could not be asked, which counts as none.

    Returns
    -------
    ndarray of shape (n_questions,)
        In the order given; NaN stays NaN.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]

    """
    given = np.asarray(chances, dtype=float)
    asked = np.flatnonzero(~np.isnan(given))
    order = asked[np.argsort(given[asked], kind="stable")]
    adjusted = np.full(len(given), np.nan)
    times = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * times), 1.0)
    return adjusted


def chance_above(found: Interval, bound: float = 0.0) -> float:
    """Give the p-value of "the estimate is no higher than `bound`"; NaN where nothing is sure."""
    from scipy.special import stdtr  # scipy.stats takes ten times as long to import

    if found.stretches < 2 or not np.isfinite([found.mean, found.error]).all():  # noqa: PLR2004
        return float("nan")
    if found.error == 0:
        return 0.0 if found.mean > bound else 1.0
    return float(stdtr(found.stretches - 1, -(found.mean - bound) / found.error))
