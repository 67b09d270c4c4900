"""Whether more rows would help, and whether the model learns its rows by heart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.errors import DriftwheelError
from components.records import EVENT_TIME

SHARES = (0.125, 0.25, 0.5, 1.0)

_STILL_HELPS = 0.02
_BY_HEART = 0.5


@dataclass(frozen=True, slots=True)
class Step:
    """One fit on the newest rows: mean loss a row there and on later rows, lower is better.

    `problem` says why there is none; the losses are then None.
    """

    rows: int
    train_loss: float | None
    later_loss: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Fits on ever more of the newest rows, in rising order of rows."""

    steps: tuple[Step, ...]

    @property
    def gap(self) -> float | None:
        """How much higher the loss is on later rows than on those learnt from, as a share of it.

        Of the fit on most rows; 0.5: half of the loss on later rows is not seen in training.
        None without a fit, or where the later loss is 0.
        """
        done = self._done
        if not done or not done[-1][2]:
            return None
        _, train, later = done[-1]
        return (later - train) / later

    @property
    def last_gain(self) -> float | None:
        """By which share the last growth of rows lowered the loss on later rows; None without."""
        done = self._done
        if len(done) < 2 or not done[-2][2]:  # noqa: PLR2004 - a growth needs two
            return None
        return 1 - done[-1][2] / done[-2][2]

    def __str__(self) -> str:
        """Say what the curve shows, in a sentence."""
        done = self._done
        if not done:
            reasons = {step.problem for step in self.steps} - {""}
            return f"nothing could be fitted ({'; '.join(sorted(reasons)) or 'no rows'})"
        words = [f"loss {done[-1][2]:.4g} on later rows, {done[-1][1]:.4g} on those learnt from"]
        if self.gap is not None and self.gap > _BY_HEART:
            words.append("more than half of it unseen in training: it learns rows by heart")
        if self.last_gain is not None:
            before, now = done[-2][0], done[-1][0]
            words.append(f"from {before:,} to {now:,} rows it {_moved(self.last_gain)}")
        return "; ".join(words)

    @property
    def _done(self) -> list[tuple[int, float, float]]:
        return [
            (step.rows, step.train_loss, step.later_loss)
            for step in self.steps
            if step.train_loss is not None and step.later_loss is not None
        ]


def learning_curve(
    train: pd.DataFrame,
    later: pd.DataFrame,
    fit: Callable[[pd.DataFrame], Callable[[pd.DataFrame], np.ndarray]],
    *,
    shares: Sequence[float] = SHARES,
    least_rows: int = 10,
) -> LearningCurve:
    """Fit on growing shares of the newest rows, and measure each fit there and on later rows.

    Parameters
    ----------
    train : DataFrame of shape (n_train, n_columns)
        Labelled rows with `event_time`, in any order. Not modified.
    later : DataFrame of shape (n_later, n_columns)
        Labelled rows after them.
    fit : callable
        Fits rows, and gives what tells the loss of each row of a frame. It may raise a
        :class:`components.errors.DriftwheelError`, which is kept as that step's problem.
    shares : sequence of float
        Above 0, up to 1.
    least_rows : int
        Steps of fewer rows are left out.

    """
    newest_last = train.sort_values(EVENT_TIME, kind="stable")
    sizes = sorted({round(share * len(train)) for share in shares})
    return LearningCurve(
        tuple(
            _step(newest_last.iloc[len(train) - size :], later, fit)
            for size in sizes
            if size >= least_rows
        )
    )


def _step(
    rows: pd.DataFrame,
    later: pd.DataFrame,
    fit: Callable[[pd.DataFrame], Callable[[pd.DataFrame], np.ndarray]],
) -> Step:
    try:
        losses = fit(rows)
    except DriftwheelError as problem:
        return Step(len(rows), None, None, str(problem))
    return Step(len(rows), _mean(losses(rows)), _mean(losses(later)) if len(later) else None)


def _mean(losses: np.ndarray) -> float | None:
    mean = float(np.mean(losses))
    return mean if np.isfinite(mean) else None


def _moved(gain: float) -> str:
    if gain > _STILL_HELPS:
        return f"fell by {100 * gain:.0f} %: more rows may still help"
    if gain < -_STILL_HELPS:
        return f"rose by {-100 * gain:.0f} %: older rows mislead it, a shorter window may help"
    return "barely moved: more rows would not help"
