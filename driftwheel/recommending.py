"""Which policy of a backtest is recommended, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.answers import Answers
from components.intervals import Interval, gain_interval
from components.metrics import RANKINGS, RATIOS, row_losses
from components.pipelines import HIGHER_IS_BETTER, Pipeline
from components.records import EVENT_TIME, LABEL
from flows.steps.replay import Replayed
from flows.steps.replay_score import LEVEL, joined

_NO_MEAN = RANKINGS | RATIOS  # of rows: their gain has no loss of each row to be the mean of


@dataclass(frozen=True, slots=True)
class Judged:
    """One policy as it came out of a backtest.

    Attributes
    ----------
    rows : DataFrame of shape (n_rows, 3)
        `event_time`, `label`, `version`, in the order of history.
    answers : Answers of shape (n_rows,)
    score : float
        In the pipeline's metric, over all rows.
    bounds : tuple of float
        Its 95 % interval.

    """

    text: str
    rows: pd.DataFrame
    answers: Answers
    score: float
    bounds: tuple[float, float]
    fits: int


def in_order(done: Replayed) -> tuple[pd.DataFrame, Answers]:
    """Put the stretches of a replay together in the order of history, whatever their cuts."""
    rows, answers = joined(done.predicted)
    place = np.argsort(np.concatenate([part.index for part, _ in done.predicted]), kind="stable")
    given = None if answers.probabilities is None else answers.probabilities[place]
    ordered = rows.iloc[place].reset_index(drop=True)
    return ordered, Answers(answers.values[place], given, answers.classes)


def recommend(judged: Sequence[Judged], pipeline: Pipeline) -> tuple[str, str]:
    """Name the policy with the best score, and say by how much and how surely.

    Of equal ones the one with fewer fits. The gain over the next is bounded on the same rows,
    in pairs: two intervals that overlap do not say that two policies are alike.
    """
    lower = pipeline.resolved_metric not in HIGHER_IS_BETTER
    ranked = sorted(judged, key=lambda one: (one.score if lower else -one.score, one.fits))
    best, *others = ranked
    if not others:
        return best.text, "no other policy was asked for"
    return best.text, _because(best, others[0], pipeline) + _ungated(best)


def _ungated(best: Judged) -> str:
    """Say what the loop does otherwise than the plain calendar of the published tables."""
    if not best.text.startswith("periodic:") or best.text.endswith("+gate"):
        return ""
    return f". It takes every fit, and the loop only what passes the gate: see {best.text}+gate"


def _because(best: Judged, after: Judged, pipeline: Pipeline) -> str:
    compared = (
        f"its {pipeline.resolved_metric} is the best, {best.score:.4g} against {after.score:.4g} "
        f"of {after.text}, the next"
    )
    if best.score == after.score:
        fewer = " with fewer fits" if best.fits < after.fits else ""
        return f"{after.text} does no better: {best.score:.4g} both{fewer}"
    sure, said = _how_sure(best, after, pipeline)
    if not sure and after.fits < best.fits:
        said += f", and {after.text} needs {after.fits} fits instead of {best.fits}"
    return f"{compared}; {said}"


def _how_sure(best: Judged, after: Judged, pipeline: Pipeline) -> tuple[bool, str]:
    gain = _gain(best, after, pipeline)
    if gain is None:
        (low, high), (other_low, other_high) = best.bounds, after.bounds
        sure = high < other_low or low > other_high
        return sure, f"their 95 % intervals {'lie apart' if sure else 'overlap: it may be chance'}"
    sure = gain.low > 0
    between = f"on the same rows the gain is between {gain.low:.1%} and {gain.high:.1%}"
    return sure, f"{between} (95 %){'' if sure else ': it may be chance'}"


def _gain(best: Judged, after: Judged, pipeline: Pipeline) -> Interval | None:
    """Bound the relative gain in loss; None where the rows or the metric do not allow it."""
    metric = pipeline.resolved_metric
    if metric in _NO_MEAN or len(best.rows) != len(after.rows):
        return None
    before, now = (
        row_losses(
            pipeline.resolved_task,
            metric,
            one.rows[LABEL],
            one.answers,
            quantile=pipeline.quantile,
        )
        for one in (after, best)
    )
    if not (before.sum() > 0 and np.isfinite(before).all() and np.isfinite(now).all()):
        return None
    found = gain_interval(
        before, now, best.rows[EVENT_TIME], block=pipeline.gate.block, level=LEVEL / 2
    )
    return found if np.isfinite(found.low) and np.isfinite(found.high) else None
