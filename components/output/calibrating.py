"""Learning a calibration on rows that the model has not seen.

With ``auto`` each way is learnt on the earlier half of the rows and judged by log loss on the
later half. A line, or a temperature, is taken there with any gain; a curve only if its gain on
top of that exceeds the gain's own standard error. The winner is then learnt anew on all rows.
Asking the line for a standard error as well was no better: where the world moves, as on elec2,
it leaves probabilities wrong that even an old line would have mended (log loss of the four weeks
after, 40 fits of LightGBM on 90 days: 0.632 as they are, 0.580 with that demand, 0.573 without).
"""

import numpy as np

from components.answers import LEAST_PROBABILITY
from components.output.calibrations import Calibration, Isotonic, Sigmoid, Temperature, log_odds

LEAST_ROWS, LEAST_OF_EACH = 100, 10
"""Fewer held-out rows, or fewer of one class, teach no calibration worth having."""

LEAST_FOR_ISOTONIC = 1_000
"""With fewer rows a curve of many points learns the rows by heart (Niculescu-Mizil, Caruana.
Predicting good probabilities with supervised learning. ICML 2005)."""

_TILT, _CELL = 1e-3, 0.01
_COLDEST, _HOTTEST = 0.05, 20.0


def learn_calibration(
    true: np.ndarray, probabilities: np.ndarray, method: str
) -> tuple[Calibration | None, str]:
    """Learn how probabilities become shares.

    Parameters
    ----------
    true : ndarray of shape (n_rows,), int
        The place of the true class, oldest event first.
    probabilities : ndarray of shape (n_rows, n_classes)
        As the model gave them, finite.
    method : {"auto", "none", "sigmoid", "isotonic"}
        More than two classes are calibrated by a temperature, whichever way is asked for.

    Returns
    -------
    Calibration or None
        None leaves probabilities as they are.
    str
        Why nothing was learnt that was asked for; else empty.

    """
    if method == "none":
        return None, ""
    ways = _ways(probabilities.shape[1], len(true), method)
    problem = _too_few(true, probabilities.shape[1])
    if problem:
        return None, "" if method == "auto" else f"calibration: {problem}"
    way = _best(true, probabilities, ways) if method == "auto" else ways[0]
    found = None if way is None else _LEARN[way](true, probabilities)
    if found is None and method != "auto":
        return None, f"calibration: {way} found that probabilities fall as the class gets likelier"
    return found, ""


def _ways(classes: int, rows: int, method: str) -> tuple[str, ...]:
    if classes > 2:  # noqa: PLR2004 - curves are for two
        return ("temperature",)
    if method != "auto":
        return (method,)
    return ("sigmoid", "isotonic") if rows >= LEAST_FOR_ISOTONIC else ("sigmoid",)


def _too_few(true: np.ndarray, classes: int) -> str:
    counts = np.bincount(true, minlength=classes)
    if len(true) < LEAST_ROWS:
        return f"needs {LEAST_ROWS} held-out rows, there are {len(true)}"
    if classes == 2 and counts.min() < LEAST_OF_EACH:  # noqa: PLR2004 - of many one may be rare
        return f"needs {LEAST_OF_EACH} held-out rows of each class, there are {counts.min()}"
    return ""


def _best(true: np.ndarray, probabilities: np.ndarray, ways: tuple[str, ...]) -> str | None:
    half = len(true) // 2
    earlier, later = (true[:half], probabilities[:half]), (true[half:], probabilities[half:])
    if len(np.unique(earlier[0])) < 2:  # noqa: PLR2004 - one class teaches nothing
        return None
    lowest, best = _log_losses(*later), None
    for way in ways:
        learnt = _LEARN[way](*earlier)
        if learnt is None:
            continue
        losses = _log_losses(later[0], learnt.apply(later[1]))
        gain = lowest - losses
        chance = gain.std(ddof=1) / np.sqrt(len(gain)) if way == "isotonic" else 0.0
        if gain.mean() > chance:
            lowest, best = losses, way
    return best


def _log_losses(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    given = probabilities[np.arange(len(true)), true]
    return np.asarray(-np.log(np.clip(given, LEAST_PROBABILITY, 1.0)))


def _sigmoid(true: np.ndarray, probabilities: np.ndarray) -> Calibration | None:
    """Fit a line on the log odds; targets a little off 0 and 1 (Platt) keep it finite."""
    from sklearn.linear_model import LogisticRegression

    odds = log_odds(probabilities[:, 1]).reshape(-1, 1)
    hits = int(true.sum())
    wanted = np.where(true == 1, (hits + 1) / (hits + 2), 1 / (len(true) - hits + 2))
    # A target between 0 and 1 is a row of each class, weighing as much together as one.
    fitted = LogisticRegression(C=np.inf, max_iter=1_000).fit(
        np.vstack([odds, odds]),
        np.repeat([1, 0], len(true)),
        sample_weight=np.concatenate([wanted, 1 - wanted]),
    )
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return Sigmoid(slope, intercept) if slope > 0 else None


def _isotonic(true: np.ndarray, probabilities: np.ndarray) -> Calibration | None:
    """Fit rising steps, and draw the line through their middles.

    Between two rows the steps themselves may rise by a tenth, and then the last digit of a
    float32 would move an answer by more than packages may; so rows are gathered into cells a
    hundredth of their probability wide. A slight tilt keeps the order of rows where the line
    is level: before the first middle and after the last.
    """
    from sklearn.isotonic import IsotonicRegression

    logs = np.log(np.maximum(probabilities[:, 1], LEAST_PROBABILITY))
    cells, cell = np.unique(np.minimum(np.floor(logs / _CELL), -1), return_inverse=True)
    rows, middles = np.bincount(cell), np.exp((cells + 0.5) * _CELL)
    least = 1 / (len(true) + 2)  # no class is ruled out by rows that did not hold it
    steps = IsotonicRegression(y_min=least, y_max=1 - least)
    share = np.bincount(cell, weights=true) / rows
    fitted = steps.fit(middles, share, sample_weight=rows).predict(middles)
    levels, step = np.unique(fitted, return_inverse=True)
    centres = np.bincount(step, weights=rows * middles) / np.bincount(step, weights=rows)
    said = np.array([0.0, *centres, 1.0])
    came = (1 - _TILT) * np.interp(said, centres, levels) + _TILT * said
    return Isotonic(tuple(said.tolist()), tuple(came.tolist()))


def _temperature(true: np.ndarray, probabilities: np.ndarray) -> Calibration | None:
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        scaled = Temperature(float(np.exp(log_temperature))).apply(probabilities)
        return float(_log_losses(true, scaled).mean())

    found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return Temperature(float(np.exp(found.x)))


_LEARN = {"sigmoid": _sigmoid, "isotonic": _isotonic, "temperature": _temperature}
