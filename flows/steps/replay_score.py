"""Score what a replay predicted: one figure with its interval, over all rows."""

import numpy as np
import pandas as pd

from components.answers import Answers
from components.intervals import mean_interval
from components.metrics import metric_value, row_losses
from components.pipelines import Pipeline
from components.records import EVENT_TIME, LABEL

DRAWS = 200
LEVEL = 0.05
_MEANS = frozenset({"mae", "accuracy", "log_loss"})


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
    rows: pd.DataFrame, answers: Answers, pipeline: Pipeline, *, seed: int
) -> tuple[float, tuple[float, float]]:
    """Give the metric over all rows, with a 95 % interval from a block bootstrap over time.

    Blocks are ``gate.block`` wide: errors of neighbouring hours are alike, and resampling
    single rows would make the interval too narrow (Künsch 1989, Annals of Statistics 17).
    """
    metric = pipeline.resolved_metric
    score = metric_value(metric, rows[LABEL], answers)
    if metric in _MEANS:
        losses = row_losses(pipeline.resolved_task, metric, rows[LABEL], answers)
        found = mean_interval(
            losses, rows[EVENT_TIME], block=pipeline.gate.block, level=LEVEL, seed=seed
        )
        low, high = found.low, found.high
        return score, (1 - high, 1 - low) if metric == "accuracy" else (low, high)
    return score, _resampled(rows, answers, pipeline, seed)


def _resampled(
    rows: pd.DataFrame, answers: Answers, pipeline: Pipeline, seed: int
) -> tuple[float, float]:
    """Resample whole blocks and compute the metric again: for metrics that are no mean."""
    blocks = rows.groupby(rows[EVENT_TIME].dt.floor(pd.Timedelta(pipeline.gate.block))).indices
    places = list(blocks.values())
    chance = np.random.default_rng(seed)
    scores = []
    for _ in range(DRAWS):
        drawn = chance.integers(0, len(places), len(places))
        taken = np.concatenate([places[i] for i in drawn])
        scores.append(
            metric_value(pipeline.resolved_metric, rows[LABEL].iloc[taken], _taken(answers, taken))
        )
    low, high = np.nanquantile(scores, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def _taken(answers: Answers, places: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Answers:
    probabilities = None if answers.probabilities is None else answers.probabilities[places]
    return Answers(answers.values[places], probabilities, answers.classes)


def _aligned(
    answers: Answers, classes: tuple[str, ...]
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    if answers.probabilities is None:
        raise ValueError("a classification needs probabilities")
    wide = np.zeros((len(answers.values), len(classes)))
    for place, name in enumerate(answers.classes):
        wide[:, classes.index(name)] = answers.probabilities[:, place]
    return wide
