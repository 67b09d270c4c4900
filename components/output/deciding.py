"""Choosing the probability from which on the positive class is said."""

import numpy as np

from components.output.values import Threshold
from components.pipelines.learning import Decision

_NEVER = float(np.nextafter(1.0, 2.0))


def choose_threshold(
    positive: np.ndarray, probability: np.ndarray, decision: Decision
) -> tuple[Threshold | None, str]:
    """Choose a threshold on rows that the model has not seen.

    By cost, the threshold of least mean cost; of several the one nearest to what the costs ask
    of exact probabilities, ``false_positive / (false_positive + false_negative)``. By precision
    (or recall), of the thresholds that reach it the one of highest recall (precision); where
    none does, the one that comes nearest. Between two neighbouring probabilities the threshold
    lies in the middle.

    Parameters
    ----------
    positive : ndarray of bool, shape (n_rows,)
    probability : ndarray of shape (n_rows,)
        Of the positive class, calibrated, finite.
    decision : Decision

    Returns
    -------
    Threshold or None
        None when the rows hold one class only and no costs say what to do then.
    str
        Why none could be chosen on the rows; else empty.

    """
    if positive.all() or not positive.any():
        return _without_rows(decision, len(positive))
    curve = _Curve(positive, probability)
    if decision.precision is not None:
        aim, wanted, other = decision.precision, curve.precision, curve.recall
    elif decision.recall is not None:
        aim, wanted, other = decision.recall, curve.recall, curve.precision
    else:
        costs = curve.costs(*_prices(decision))
        exact = _exact(decision)
        least = np.flatnonzero(costs == costs.min())
        place = int(least[np.abs(curve.values[least] - exact).argmin()])
        return curve.threshold(place, "cost", exact, reached=True, cost=float(costs[place])), ""
    met = np.flatnonzero(wanted >= aim)
    reached = len(met) > 0
    if not reached:
        met = np.flatnonzero(wanted == np.nanmax(wanted))
    best = met[np.flatnonzero(other[met] == np.nanmax(other[met]))[-1]]
    by = "recall" if decision.precision is None else "precision"
    return curve.threshold(int(best), by, aim, reached=reached), ""


class _Curve:
    """Every threshold that tells the rows apart: all are called positive, fewer, none."""

    def __init__(self, positive: np.ndarray, probability: np.ndarray) -> None:
        levels, place = np.unique(probability, return_inverse=True)
        hits = np.bincount(place, weights=positive, minlength=len(levels))
        others = np.bincount(place, weights=~positive, minlength=len(levels))
        self.rows = len(positive)
        self.values = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [_NEVER]])
        self.hits = np.append(np.cumsum(hits[::-1])[::-1], 0.0)
        self.false_alarms = np.append(np.cumsum(others[::-1])[::-1], 0.0)
        self.missed = positive.sum() - self.hits
        called = self.hits + self.false_alarms
        self.precision = np.divide(
            self.hits, called, out=np.full(len(called), np.nan), where=called > 0
        )
        self.recall = self.hits / positive.sum()

    def costs(self, false_positive: float, false_negative: float) -> np.ndarray:
        """Give the mean cost a row of each threshold."""
        return np.asarray(
            (false_positive * self.false_alarms + false_negative * self.missed) / self.rows
        )

    def threshold(
        self, place: int, by: str, target: float, *, reached: bool, cost: float | None = None
    ) -> Threshold:
        precision = float(self.precision[place])
        return Threshold(
            value=float(self.values[place]),
            chosen_by=by,
            target=target,
            reached=reached,
            rows=self.rows,
            cost=cost,
            precision=None if np.isnan(precision) else precision,
            recall=float(self.recall[place]),
        )


def _prices(decision: Decision) -> tuple[float, float]:
    return decision.false_positive or 0.0, decision.false_negative or 0.0


def _exact(decision: Decision) -> float:
    false_positive, false_negative = _prices(decision)
    return false_positive / (false_positive + false_negative)


def _without_rows(decision: Decision, rows: int) -> tuple[Threshold | None, str]:
    found = f"{rows} held-out rows of one class only" if rows else "no held-out rows"
    if decision.precision is not None or decision.recall is not None:
        return None, f"decision: {found}; the likelier class is said"
    exact = _exact(decision)
    note = f"decision: {found}; the threshold is what the costs ask of exact probabilities"
    return Threshold(
        exact, "cost", exact, reached=False, rows=rows, cost=None, precision=None, recall=None
    ), note
