"""What is known of a challenger beside its mean loss, on rows later than those it learnt from.

:func:`beside_of` gives what the gate holds against its limits, in milliseconds, so that a
backtest decides as the gate would; :func:`examine` adds what people read: every measure with
its interval, slices, groups, importance, coverage and a learning curve.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.answers import Answers
from components.evaluation.calibration import Reliability, calibration_error, reliability
from components.evaluation.coverage import Coverage, learn_covered
from components.evaluation.fairness import Fairness, fairness
from components.evaluation.flips import Flips, flips
from components.evaluation.importance import REPEATS, Importance, permutation_importance
from components.evaluation.learning_curve import LearningCurve, learning_curve
from components.evaluation.measures import Measure, finite, measure
from components.evaluation.slices import LEAST_ROWS, SliceLoss, find_slices, measure_slices
from components.evaluation.slicing import Slice, grown_slices, slices_of
from components.intervals import Interval, mean_interval
from components.metrics import row_losses
from components.pipelines import Pipeline
from components.recipes import fit_rows
from components.records import EVENT_TIME, LABEL
from monitoring.limits import Beside, Pair

if TYPE_CHECKING:
    from components.models.fitting import Fitted
    from flows.steps.rivals import Rival
    from flows.steps.training import Evaluation, Prepared, Trained

SIDES = ("model", "rival", "naive")

SHARES = (0.25, 0.5, 1.0)
"""Of the rows of a learning curve, the newest ones: one fit each."""

CURVE_ROWS = {"linear": 10_000, "lightgbm": 10_000, "hist_boosting": 10_000, "forest": 3_000}
"""A learning curve is fitted on so many of the newest training rows at most, which takes a
second or two; the families that are not named take longer, and have none."""

MOST_COLUMNS, MOST_SHUFFLES, MOST_SHUFFLED = 75, 150, 1_000
"""The importance of so many features is measured, with so many shuffles in all of so many rows."""

_MOST_STRETCHES = 30
_LOSS = {
    "mae": "absolute error",
    "rmse": "squared error",
    "pinball": "pinball loss",
    "accuracy": "share of wrong answers",
}


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """What an evaluation found, beside the two losses that the gate compares.

    Attributes
    ----------
    metric, loss : str
        What is reported, and in words what a row loses by it: the unit of slices, importance
        and learning curve.
    times, truth, answers, losses
        Of the held-out rows, for pictures: event times, labels, the tested model's answers.
    measures : mapping of {"model", "rival", "naive"} to tuple of Measure
    slices : tuple of SliceLoss
        Those named in the pipeline file, the tested model's loss in each.
    rival_slices : tuple of SliceLoss
        The same of the rival.
    found : tuple of SliceLoss
        Those found by the data.
    fairness : mapping of {"model", "rival"} to tuple of Fairness
        One a sensitive column.
    flips : Flips
        From the rival's answers to the tested model's.
    reliability : mapping of {"model", "rival"} to Reliability
        Of classes only.
    importance : tuple of Importance
    coverage : Coverage
        Held-out rows that the training rows cover.
    curve : LearningCurve or None
        None for families that take long to fit.

    """

    metric: str
    loss: str
    times: pd.Series
    truth: pd.Series
    answers: Answers
    losses: np.ndarray
    measures: Mapping[str, tuple[Measure, ...]]
    slices: tuple[SliceLoss, ...]
    rival_slices: tuple[SliceLoss, ...]
    found: tuple[SliceLoss, ...]
    fairness: Mapping[str, tuple[Fairness, ...]]
    flips: Flips
    reliability: Mapping[str, Reliability]
    importance: tuple[Importance, ...]
    coverage: Coverage
    curve: LearningCurve | None

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values in a fixed order; what is no finite number reads None."""
        left_out = {"times", "truth", "answers", "losses"}
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        kept = {name: plain(value) for name, value in said.items() if name not in left_out}
        curve = None if self.curve is None else {"said": str(self.curve), **kept["curve"]}
        stretch = {
            "rows": len(self.times),
            "from": self.times.min().isoformat(),
            "until": self.times.max().isoformat(),
        }
        return {**stretch, **kept, "curve": curve}

    def mean_loss(self, pipeline: Pipeline) -> Interval:
        """Give the mean loss a row of the tested model."""
        return mean_interval(self.losses, self.times, block=pipeline.gate.block, level=0.025)

    def over_time(self, pipeline: Pipeline) -> list[tuple[pd.Timestamp, Interval]]:
        """Give the mean loss of consecutive stretches, each a block or more wide; oldest first.

        Where a stretch is one block, nothing is known of how sure its mean is.
        """
        width = pipeline.gate.block
        span = self.times.max() - self.times.min()
        while span / width > _MOST_STRETCHES:
            width *= 2
        place = self.times.dt.floor(width)
        return [
            (
                begin + width / 2,
                mean_interval(
                    self.losses[mine], self.times[mine], block=pipeline.gate.block, level=0.025
                ),
            )
            for begin in sorted(place.unique())
            if (mine := (place == begin).to_numpy(dtype=bool)).any()
        ]


def plain(value: Any) -> Any:
    """Write a value of ours as JSON can hold it: no arrays, nothing that is not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return finite(value) if isinstance(value, float) else value


def examine(
    prepared: "Prepared",
    twin: "Trained",
    evaluation: "Evaluation",
    pipeline: Pipeline,
) -> Examination:
    """Examine a twin and its rival on the held-out rows, for people.

    Parameters
    ----------
    prepared : Prepared
        Its holdout holds the rows, with `event_time`, `label`, features and entity.
    twin : Trained
        Learnt from none of them.
    evaluation : Evaluation
        The answers of both sides to these rows, and their losses.

    """
    rows, truth = prepared.split.holdout, prepared.split.holdout[LABEL]
    ours, theirs = evaluation.twin_answers, evaluation.rival_answers
    answers = dict(zip(SIDES, (ours, theirs, evaluation.naive_answers), strict=True))
    block, times = pipeline.gate.block, rows[EVENT_TIME]
    measured = partial(measure, truth, times=times, block=block, quantile=pipeline.quantile)
    cuts = named_slices(rows, pipeline)
    of_slices = partial(measure_slices, cuts, times=times, block=block)
    kinds = dict(pipeline.inputs)
    found = find_slices(rows, kinds, evaluation.twin_losses, times, block=block, seed=pipeline.seed)
    return Examination(
        metric=pipeline.resolved_metric,
        loss=_LOSS.get(pipeline.resolved_metric, _otherwise(pipeline)),
        times=times,
        truth=truth,
        answers=ours,
        losses=evaluation.twin_losses,
        measures={side: measured(answers=given) for side, given in answers.items()},
        slices=of_slices(losses=evaluation.twin_losses),
        rival_slices=of_slices(losses=evaluation.rival_losses),
        found=found,
        fairness={
            side: _fairness(rows, pipeline, given)
            for side, given in (("model", ours), ("rival", theirs))
        },
        flips=flips(truth, theirs, ours, times, block=block),
        reliability={
            side: reliability(truth, given)
            for side, given in (("model", ours), ("rival", theirs))
            if given.probabilities is not None
        },
        importance=_importance(rows, twin.fitted, pipeline),
        coverage=learn_covered(twin.rows, kinds, seed=pipeline.seed).measure(rows),
        curve=_curve(twin, prepared, pipeline),
    )


def examine_for_gate(
    prepared: "Prepared", evaluation: "Evaluation", pipeline: Pipeline, rival: "Rival"
) -> Beside:
    """Give what the gate holds against its limits; latency and size are the caller's to add."""
    return beside_of(
        prepared.split.holdout,
        pipeline,
        theirs=(evaluation.rival_answers, evaluation.rival_losses),
        ours=(evaluation.twin_answers, evaluation.twin_losses),
        in_charge=rival.model is not None,
    )


def beside_of(
    rows: pd.DataFrame,
    pipeline: Pipeline,
    *,
    theirs: tuple[Answers, np.ndarray],
    ours: tuple[Answers, np.ndarray],
    in_charge: bool,
) -> Beside:
    """Compare two sides on the same labelled rows by all that a challenger must not lose.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        With `event_time`, `label`, and the columns of the pipeline. Not modified.
    theirs, ours : (Answers, ndarray of shape (n_rows,))
        Answers and losses of the champion (or whoever stands in for one) and the challenger.
    in_charge : bool
        Whether a model is in charge. The naive baseline says the same to everybody: it flips
        nobody, is fair and calibrated for free, and a first model is not held to that; only
        slices that the pipeline names are.

    """
    (before, lost_before), (after, lost_after) = theirs, ours
    slices = named_slices(rows, pipeline)
    if not in_charge:
        return Beside(slices=slices)
    truth, block = rows[LABEL], pipeline.gate.block
    calibration = None
    if before.probabilities is not None and after.probabilities is not None:
        calibration = Pair(*(finite(calibration_error(truth, one)) for one in (before, after)))
    return Beside(
        slices=(*slices, *_worsened(rows, pipeline, lost_after - lost_before)),
        flips=finite(flips(truth, before, after, rows[EVENT_TIME], block=block).negative.mean),
        calibration=calibration,
        fairness=_fairness_pairs(
            _fairness(rows, pipeline, before), _fairness(rows, pipeline, after)
        ),
    )


def named_slices(rows: pd.DataFrame, pipeline: Pipeline) -> tuple[Slice, ...]:
    """Cut rows by each column that the pipeline file names under ``slices``."""
    return tuple(
        each for name in pipeline.slices for each in slices_of(rows, name, _kind(pipeline, name))
    )


def _worsened(rows: pd.DataFrame, pipeline: Pipeline, rise: np.ndarray) -> tuple[Slice, ...]:
    """Find parts of the rows that lost on their earlier half, to be tested on the later one.

    Where they were found they are worse by choice; only later rows can say whether they are.
    """
    known = np.flatnonzero(np.isfinite(rise))
    order = known[np.argsort(pd.DatetimeIndex(rows[EVENT_TIME].iloc[known]).asi8, kind="stable")]
    earlier = order[: len(order) // 2]
    later = np.zeros(len(rows), dtype=bool)
    later[order[len(order) // 2 :]] = True
    grown = grown_slices(
        rows.iloc[earlier],
        rise[earlier],
        rows,
        kinds=dict(pipeline.inputs),
        least_rows=LEAST_ROWS,
        seed=pipeline.seed,
    )
    lost = (each for each in grown if rise[earlier][each.rows[earlier]].mean() > 0)
    return tuple(Slice(each.name, each.rows & later) for each in lost)


def _kind(pipeline: Pipeline, name: str) -> str:
    """Give the kind of a column to cut by; an entity that is no feature is a category."""
    return pipeline.inputs.get(name, "category")


def _fairness(rows: pd.DataFrame, pipeline: Pipeline, answers: Answers) -> tuple[Fairness, ...]:
    return tuple(
        fairness(rows[LABEL], answers, rows[name], kind=_kind(pipeline, name))
        for name in pipeline.sensitive
    )


def _fairness_pairs(before: tuple[Fairness, ...], after: tuple[Fairness, ...]) -> dict[str, Pair]:
    """Pair the differences of each rate; the means of numbers are no shares and not limited."""
    return {
        f"difference of {rate.replace('_', ' ')} by {now.column}": Pair(
            was.differences.get(rate), now.differences[rate]
        )
        for was, now in zip(before, after, strict=True)
        for rate in now.differences
        if rate.endswith("_rate")
    }


def _importance(rows: pd.DataFrame, fitted: "Fitted", pipeline: Pipeline) -> tuple[Importance, ...]:
    features = fitted.contract.names[:MOST_COLUMNS]
    return permutation_importance(
        rows,
        features,
        partial(_losses, fitted, pipeline),
        seed=pipeline.seed,
        repeats=max(2, min(REPEATS, MOST_SHUFFLES // len(features))),
        most_rows=MOST_SHUFFLED,
    )


def _curve(twin: "Trained", prepared: "Prepared", pipeline: Pipeline) -> LearningCurve | None:
    most = CURVE_ROWS.get(twin.recipe.family)
    if most is None:
        return None
    newest = twin.rows.tail(most)

    def fit(rows: pd.DataFrame) -> Callable[[pd.DataFrame], np.ndarray]:
        if len(rows) == len(twin.rows):
            return partial(_losses, twin.fitted, pipeline)
        fitted = fit_rows(rows, twin.recipe, pipeline, until=prepared.split.cut)
        return partial(_losses, fitted, pipeline)

    return learning_curve(newest, prepared.split.holdout, fit, shares=SHARES)


def _losses(fitted: "Fitted", pipeline: Pipeline, rows: pd.DataFrame) -> np.ndarray:
    answers = fitted.predict(rows[list(fitted.contract.names)])
    return row_losses(
        pipeline.resolved_task,
        pipeline.resolved_metric,
        rows[LABEL],
        answers,
        quantile=pipeline.quantile,
    )


def _otherwise(pipeline: Pipeline) -> str:
    return "absolute error" if pipeline.resolved_task == "regression" else "log loss"
