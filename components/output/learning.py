"""Learning a model's output on rows that it has not seen."""

import numpy as np
import pandas as pd

from components.answers import Answers
from components.output.bounding import learn_cutoffs, learn_reaches
from components.output.calibrating import learn_calibration
from components.output.deciding import choose_threshold
from components.output.values import Output
from components.pipelines.spec import Pipeline


def learn_output(
    truth: pd.Series,
    answers: Answers,
    times: pd.Series,
    pipeline: Pipeline,
    *,
    bounds: bool = True,
) -> Output:
    """Learn what makes a model's raw answers fit to act on.

    Parameters
    ----------
    truth : Series of shape (n_rows,)
        Numbers for a regression, else class names.
    answers : Answers of shape (n_rows,)
        Raw, of rows that the model was not fitted on. Rows whose answer or truth is not finite
        teach nothing.
    times : Series of shape (n_rows,)
        Event times, in any order.
    pipeline : Pipeline
        Its `calibration`, `decision` and `intervals` say what is wanted.
    bounds : bool
        Whether intervals or sets are learnt; a model that will not serve needs none.

    Returns
    -------
    Output
        What could be learnt; its notes say what could not.

    Raises
    ------
    ValueError
        If truth, answers and times differ in length.

    """
    if not len(truth) == len(answers) == len(times):
        raise ValueError(
            f"needs an answer and a time for each true value. Got {len(truth)} true values, "
            f"{len(answers)} answers and {len(times)} times"
        )
    order = np.argsort(pd.DatetimeIndex(times).asi8, kind="stable")
    coverage = pipeline.intervals.coverage if bounds and pipeline.intervals else None
    if answers.probabilities is None:
        return _of_numbers(truth.iloc[order], answers.values[order], coverage)
    names = pd.Index(truth.iloc[order].to_numpy(dtype=object))
    true = pd.Index(answers.classes).get_indexer(names)
    return _of_classes(true, answers.probabilities[order], pipeline, coverage)


def _of_numbers(truth: pd.Series, values: np.ndarray, coverage: float | None) -> Output:
    if coverage is None:
        return Output()
    came, said = truth.to_numpy(dtype=np.float64), values.astype(np.float64)
    usable = np.isfinite(came) & np.isfinite(said)
    reaches, note = learn_reaches(came[usable], said[usable], coverage)
    return Output(conformal=reaches, notes=_told(note))


def _of_classes(
    true: np.ndarray, probabilities: np.ndarray, pipeline: Pipeline, coverage: float | None
) -> Output:
    usable = np.isfinite(probabilities).all(axis=1)
    true, probabilities = true[usable], probabilities[usable]
    known = true >= 0
    calibration, first = learn_calibration(true[known], probabilities[known], pipeline.calibration)
    given = probabilities if calibration is None else calibration.apply(probabilities)
    threshold, second = (
        (None, "")
        if pipeline.decision is None
        else choose_threshold(true[known] == 1, given[known, 1], pipeline.decision)
    )
    cutoffs, third = (
        (None, "") if coverage is None else learn_cutoffs(true, probabilities, coverage)
    )
    return Output(calibration, threshold, cutoffs, _told(first, second, third))


def _told(*notes: str) -> tuple[str, ...]:
    return tuple(filter(None, notes))
