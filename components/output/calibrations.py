"""From raw probabilities to shares, as values; each keeps the order of the rows.

References
----------
Platt. Probabilistic outputs for support vector machines. Advances in Large Margin Classifiers
(1999); here on the log odds of the raw probability.

Zadrozny, Elkan. Transforming classifier scores into accurate multiclass probability
estimates. KDD 2002: isotonic regression.

Oron, Flournoy. Centered isotonic regression: point and interval estimation for dose-response
studies. Statistics in Biopharmaceutical Research 9 (2017): the line through the steps' middles.

Guo, Pleiss, Sun, Weinberger. On calibration of modern neural networks. ICML 2017: temperature.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.answers import LEAST_PROBABILITY


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """Two classes: a straight line on the log odds; `slope` is above 0."""

    slope: float
    intercept: float

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrate probabilities of shape (n_rows, 2)."""
        odds = self.slope * log_odds(probabilities[:, 1]) + self.intercept
        return _both((1 + np.tanh(odds / 2)) / 2)  # the logistic function, which overflows nowhere

    def as_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"method": "sigmoid", "slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Two classes: a rising line through points, from 0 to 1 in `said`, rising in `came`."""

    said: tuple[float, ...]
    came: tuple[float, ...]

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrate probabilities of shape (n_rows, 2)."""
        return _both(np.interp(probabilities[:, 1], self.said, self.came))

    def as_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"method": "isotonic", "said": list(self.said), "came": list(self.came)}


@dataclass(frozen=True, slots=True)
class Temperature:
    """Any number of classes: logarithms divided by `temperature`, above 0; 1 changes nothing."""

    temperature: float

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrate probabilities of shape (n_rows, n_classes)."""
        logs = np.log(np.clip(probabilities, LEAST_PROBABILITY, 1.0)) / self.temperature
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def as_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"method": "temperature", "temperature": self.temperature}


Calibration = Sigmoid | Isotonic | Temperature


def read_calibration(given: Mapping[str, Any]) -> Calibration:
    """Read what ``as_dict`` wrote.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is no calibration, or one that would not keep the order of rows.

    """
    method = given["method"]
    if method == "sigmoid":
        slope, intercept = float(given["slope"]), float(given["intercept"])
        found: Calibration = Sigmoid(slope, intercept)
        rising = 0 < slope < np.inf and bool(np.isfinite(intercept))
    elif method == "isotonic":
        said, came = tuple(map(float, given["said"])), tuple(map(float, given["came"]))
        found = Isotonic(said, came)
        rising = len(said) == len(came) > 0 and bool((np.diff([said, came]) > 0).all())
    elif method == "temperature":
        found = Temperature(float(given["temperature"]))
        rising = 0 < found.temperature < np.inf
    else:
        raise ValueError(f"method must be sigmoid, isotonic or temperature. Got {method!r}")
    if not rising:
        raise ValueError(f"a calibration must rise with the probability. Got {found}")
    return found


def log_odds(probability: np.ndarray) -> np.ndarray:
    """Give the log odds of probabilities, held away from 0 and 1 by what float32 can tell."""
    held = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.asarray(np.log(held) - np.log1p(-held))


def _both(positive: np.ndarray) -> np.ndarray:
    return np.column_stack([1.0 - positive, positive])
