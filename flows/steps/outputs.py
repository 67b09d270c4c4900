"""What makes a model's answers fit to act on, learnt on rows that the model has not seen.

The tested twin's threshold and calibration come from the newest stretch of its own training
rows, answered by a fit without them; what serves gets them, and its intervals, from the twin's
answers on the holdout: the nearest to unseen rows that a fit on everything known can have.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from components.answers import Answers
from components.maturity import fair_age_of
from components.output.learning import learn_output
from components.pipelines import Pipeline
from components.recipes import LEAST_ROWS, fit_recipe
from components.records import EVENT_TIME, LABEL
from components.splits import split_newest

if TYPE_CHECKING:
    import pandas as pd

    from flows.steps.training import Prepared, Trained


def with_own_output(prepared: "Prepared", twin: "Trained", pipeline: Pipeline) -> "Trained":
    """Calibrate the twin and choose its threshold, where the pipeline asks for either.

    One that answers in shadow may serve as it is, and gets its intervals too. It costs one fit
    more. With too few rows to spare the twin answers as it was fitted.
    """
    serves = pipeline.gate.mode == "shadow"
    if not (_decides(pipeline) or (serves and pipeline.intervals)):
        return twin
    rows, cut = prepared.split.train, prepared.split.cut
    inner = split_newest(
        rows,
        as_of=cut,
        holdout=pipeline.holdout,
        seen_until=None,
        fair_age=fair_age_of(rows, pipeline, as_of=cut),
    )
    if len(inner.train) < LEAST_ROWS or len(inner.holdout) < pipeline.holdout.least_rows:
        return twin
    if inner.train[LABEL].nunique() < rows[LABEL].nunique():
        return twin  # a class that came late: this fit would know less than the twin
    auxiliary = fit_recipe(inner.train, twin.recipe, pipeline, until=inner.cut)
    answers = auxiliary.raw(inner.holdout[list(pipeline.inputs)])
    output = learn_output(
        inner.holdout[LABEL], answers, inner.holdout[EVENT_TIME], pipeline, bounds=serves
    )
    return replace(twin, fitted=replace(twin.fitted, output=output))


def with_output_of(
    twin_answers: Answers, holdout: "pd.DataFrame", served: "Trained", pipeline: Pipeline
) -> "Trained":
    """Give what will serve its threshold, calibration and intervals.

    Parameters
    ----------
    twin_answers : Answers of shape (n_rows,)
        The twin's raw answers to the held-out rows, which it was not fitted on.
    holdout : DataFrame of shape (n_rows, n_columns)
        The same rows, with event time and label.
    served : Trained
        The refit; it is not asked.

    """
    if not (_decides(pipeline) or pipeline.intervals):
        return served
    output = learn_output(holdout[LABEL], twin_answers, holdout[EVENT_TIME], pipeline)
    return replace(served, fitted=replace(served.fitted, output=output))


def _decides(pipeline: Pipeline) -> bool:
    """Say whether anything is learnt that changes what is answered."""
    if pipeline.resolved_task == "regression":
        return False
    return pipeline.calibration != "none" or pipeline.decision is not None
