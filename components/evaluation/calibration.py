"""Whether probabilities mean what they say: of the rows given 0.7, seven of ten turn out so.

Rows are put into bins of about equal row counts by the probability they were given (of the
positive class of two; of more classes, of the likeliest), and in each bin what was said is
compared with what came. The mean gap, each bin weighing its rows, is the expected calibration
error. It is above zero by chance alone, about 0.03 for 1,000 honest rows, so compare it
between models on the same rows, not with zero.

References
----------
Naeini, Cooper, Hauskrecht. Obtaining well calibrated probabilities using Bayesian binning.
AAAI 2015: the expected calibration error.

Nixon et al. Measuring calibration in deep learning. CVPR Workshops 2019: bins of equal row
counts, since with equal widths most bins of a confident model are empty.

Wilson. Probable inference, the law of succession, and statistical inference. Journal of the
American Statistical Association 22 (1927): the interval of a share.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.answers import Answers

MOST_BINS, LEAST_IN_BIN = 10, 20
"""At most so many bins, of at least so many rows each."""

_NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What was said and what came, bin by bin, in rising order of what was said.

    Attributes
    ----------
    said : ndarray of shape (n_bins,)
        Mean probability given.
    came : ndarray of shape (n_bins,)
        Share of rows that turned out so.
    low, high : ndarray of shape (n_bins,)
        95 % interval of that share (Wilson), as if rows were independent.
    rows : ndarray of shape (n_bins,)
        Rows of the bin, or their weights.

    """

    said: np.ndarray
    came: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rows: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error, 0 to 1; NaN without rows."""
        if not len(self.rows):
            return float("nan")
        return float(np.average(np.abs(self.said - self.came), weights=self.rows))


def reliability(
    truth: pd.Series, answers: Answers, weights: np.ndarray | None = None
) -> Reliability:
    """Compare given probabilities with what came.

    Parameters
    ----------
    truth : Series of shape (n_rows,)
        Class names.
    answers : Answers of shape (n_rows,)
        With probabilities; rows where these are not finite are left out.
    weights : ndarray of shape (n_rows,), optional
        How many rows each row stands for.

    Raises
    ------
    ValueError
        If the answers carry no probabilities.

    """
    said, came = _events(truth, answers)
    usable = np.isfinite(said)
    said, came = said[usable], came[usable]
    each = np.ones(len(said)) if weights is None else np.asarray(weights, dtype=float)[usable]
    place = _bins(said)
    rows = np.bincount(place, weights=each)
    share = np.bincount(place, weights=each * came) / rows
    return Reliability(
        np.bincount(place, weights=each * said) / rows, share, *_wilson(share, rows), rows
    )


def calibration_error(
    truth: pd.Series, answers: Answers, weights: np.ndarray | None = None
) -> float:
    """Give the expected calibration error; see :func:`reliability`."""
    return reliability(truth, answers, weights).error


def _events(truth: pd.Series, answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Give the probability said of each row, and whether it came true."""
    if answers.probabilities is None:
        raise ValueError("calibration_error needs probabilities. Got answers without any")
    names = truth.to_numpy(dtype=object)
    if len(answers.classes) == 2:  # noqa: PLR2004 - of two the other one mirrors it
        return answers.probabilities[:, 1], (names == answers.classes[1]).astype(float)
    likeliest = answers.probabilities.argmax(axis=1)
    said = answers.probabilities[np.arange(len(names)), likeliest]
    return said, (names == np.array(answers.classes, dtype=object)[likeliest]).astype(float)


def _bins(said: np.ndarray) -> np.ndarray:
    """Give each row the number of its bin; equal probabilities share one, none is empty."""
    wanted = min(MOST_BINS, max(1, len(said) // LEAST_IN_BIN))
    if wanted == 1 or not len(said):
        return np.zeros(len(said), dtype=np.intp)
    edges = np.unique(np.quantile(said, np.arange(1, wanted) / wanted))
    _, place = np.unique(np.searchsorted(edges, said, side="right"), return_inverse=True)
    return np.asarray(place)


def _wilson(share: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    square = _NORMAL_95**2
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    spread = share * (1 - share) / rows + square / (4 * rows**2)
    reach = _NORMAL_95 * np.sqrt(spread) / (1 + square / rows)
    return middle - reach, middle + reach
