"""What a user would do today on the same rows and features: a loop by hand around scikit-learn."""

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.preprocessing import OrdinalEncoder

from components.answers import Answers
from components.baselines import naive_answers
from components.pipelines import Pipeline
from components.records import KNOWN_TIME, LABEL
from driftwheel.backtesting import FAR_FUTURE
from flows.steps.past import Past
from flows.steps.rivals import classes_of

Answered = tuple[pd.DataFrame, Answers]


def scikit(past: Past, pipeline: Pipeline, start: pd.Timestamp, every: timedelta) -> Answered:
    """Refit histogram boosting by calendar on all labels known, with its default settings.

    The features are those of the pipeline, history and all, as the product makes them; words
    are numbered anew at every fit. No check, no gate.
    """
    rows = _scored(past, start)
    answered = []
    for begin, end in _stretches(start, rows[KNOWN_TIME].max(), every):
        asked = rows[(rows[KNOWN_TIME] > begin) & (rows[KNOWN_TIME] <= end)]
        if len(asked):
            answered.append((asked, _fit_and_answer(past.labelled(begin), asked, pipeline)))
    return _together(answered)


def persistence(past: Past, pipeline: Pipeline, start: pd.Timestamp) -> dict[str, Answered]:
    """Repeat the last label known, and the one of a week ago."""
    rows, labels = _scored(past, start), past.labels_known(FAR_FUTURE)
    return {
        kind: (
            rows,
            naive_answers(
                kind,
                rows,
                labels,
                task=pipeline.resolved_task,
                classes=classes_of(pipeline, labels),
                season=pipeline.season,
                known_by=None,
            ),
        )
        for kind in ("last", "season")
    }


def _scored(past: Past, start: pd.Timestamp) -> pd.DataFrame:
    rows = past.scored
    return rows[(rows[KNOWN_TIME] > start) & rows[LABEL].notna()]


def _stretches(
    start: pd.Timestamp, end: pd.Timestamp, every: timedelta
) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
    while start < end:
        yield start, start + every
        start += every


def _fit_and_answer(known: pd.DataFrame, asked: pd.DataFrame, pipeline: Pipeline) -> Answers:
    words = [name for name, kind in pipeline.inputs.items() if kind == "category"]
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1
    ).set_output(transform="pandas")
    learnt, later = known[list(pipeline.inputs)], asked[list(pipeline.inputs)]
    if words:
        learnt = learnt.assign(**encoder.fit_transform(learnt[words]))
        later = later.assign(**encoder.transform(later[words]))
    if pipeline.resolved_task == "regression":
        model = HistGradientBoostingRegressor(early_stopping=False, random_state=0)
        return Answers(model.fit(learnt, known[LABEL].astype(float)).predict(later))
    model = HistGradientBoostingClassifier(early_stopping=False, random_state=0)
    model.fit(learnt, known[LABEL].astype(str))
    classes = tuple(str(name) for name in model.classes_)
    return Answers.of_output(model.predict_proba(later), classes)


def _together(answered: list[Answered]) -> Answered:
    rows = pd.concat([rows for rows, _ in answered])
    values = np.concatenate([answers.values for _, answers in answered])
    first = answered[0][1]
    if first.probabilities is None:
        return rows, Answers(values)
    given = np.concatenate(
        [answers.probabilities for _, answers in answered if answers.probabilities is not None]
    )
    return rows, Answers(values, given, first.classes)
