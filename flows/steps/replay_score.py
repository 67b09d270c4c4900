"""Score what a replay predicted: one figure with its interval, over all rows."""

import numpy as np
import pandas as pd

from components.answers import Answers
from components.intervals import metric_interval
from components.metrics import metric_value
from components.pipelines import Pipeline
from components.records import EVENT_TIME, LABEL

LEVEL = 0.05
"""Both ends of the interval together miss the truth this often."""


def joined(parts: list[tuple[pd.DataFrame, Answers]]) -> tuple[pd.DataFrame, Answers]:
    """Put the stretches of a replay together; classes that a part did not know get 0."""
    rows = pd.concat([rows for rows, _ in parts], ignore_index=True)
    values = np.concatenate([answers.values for _, answers in parts])
    classes = tuple(sorted({name for _, answers in parts for name in answers.classes}))
    if not classes:
        return rows, Answers(values)
    wide = [_aligned(answers, classes) for _, answers in parts]
    return rows, Answers(values, np.concatenate(wide), classes)


def score_with_interval(
    rows: pd.DataFrame, answers: Answers, pipeline: Pipeline
) -> tuple[float, tuple[float, float]]:
    """Give the metric over all rows, with a 95 % interval that respects time.

    Errors of neighbouring hours are alike; the interval leaves out whole stretches of
    ``gate.block`` and more (see :mod:`components.intervals`).
    """
    metric, truth, times = pipeline.resolved_metric, rows[LABEL], rows[EVENT_TIME]
    found = metric_interval(
        metric,
        truth,
        answers,
        times,
        block=pipeline.gate.block,
        level=LEVEL / 2,
        quantile=pipeline.quantile,
    )
    value = metric_value(metric, truth, answers, quantile=pipeline.quantile)
    return value, (found.low, found.high)


def _aligned(answers: Answers, classes: tuple[str, ...]) -> np.ndarray:
    if answers.probabilities is None:
        raise ValueError("a classification needs probabilities")
    wide = np.zeros((len(answers.values), len(classes)))
    for place, name in enumerate(answers.classes):
        wide[:, classes.index(name)] = answers.probabilities[:, place]
    return wide
