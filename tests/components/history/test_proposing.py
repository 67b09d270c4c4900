"""A history feature is proposed where it helps on early history, and only there."""

import numpy as np
import pandas as pd
import pytest

from components.history.proposing import propose
from components.pipelines import Pipeline

START = pd.Timestamp("2024-01-01", tz="UTC")


def pipeline(task: str = "regression") -> Pipeline:
    given = {"name": "p", "source": {"path": "p.csv"}, "time": "t", "target": "y", "task": task}
    return Pipeline.model_validate(given | {"label_delay": "1h", "columns": {"x": "number"}})


def world(answers: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    chance = np.random.default_rng(1)
    times = pd.Series(pd.date_range(START, periods=len(answers), freq="h", unit="us"))
    ids = pd.Series([f"r{number}" for number in range(len(answers))], dtype="str")
    keys = {"record_id": ids, "event_time": times}
    records = pd.DataFrame({**keys, "known_time": times, "x": chance.normal(size=len(answers))})
    known = times + pd.Timedelta(1, unit="h")
    return records, pd.DataFrame({**keys, "known_time": known, "label": answers})


def walk(hours: int) -> np.ndarray:
    steps = np.random.default_rng(0).normal(size=hours)
    answers = np.zeros(hours)
    for hour in range(1, hours):
        answers[hour] = 0.95 * answers[hour - 1] + steps[hour]
    return answers


def test_what_wanders_is_best_followed_by_its_newest_label() -> None:
    chosen = propose(*world(walk(3000)), pipeline())
    assert chosen[0].name == "label_last"
    assert len(chosen) <= 4


def test_where_the_past_says_nothing_nothing_is_proposed() -> None:
    noise = np.random.default_rng(2).normal(size=3000)
    assert propose(*world(noise), pipeline()) == ()


def test_classes_are_followed_too() -> None:
    records, labels = world(walk(3000))
    labels["label"] = pd.Series(np.where(labels["label"] > 0, "up", "down"), dtype="str")
    names = [one.name for one in propose(records, labels, pipeline("binary"))]
    assert "label_last" in names


def test_the_same_data_gives_the_same_proposal_in_any_order() -> None:
    records, labels = world(walk(1500))
    mixed = propose(
        records.sample(frac=1, random_state=3), labels.sample(frac=1, random_state=4), pipeline()
    )
    assert mixed == propose(records, labels, pipeline())


def test_only_the_head_of_history_is_looked_at() -> None:
    records, labels = world(walk(3000))
    changed = labels.assign(label=np.where(labels.index > 1600, 0.0, labels["label"]))
    assert propose(records, changed, pipeline()) == propose(records, labels, pipeline())


@pytest.mark.parametrize("rows", [0, 1, 150])
def test_too_few_labels_give_no_proposal(rows) -> None:
    assert propose(*world(walk(rows)), pipeline()) == ()


def test_one_answer_for_all_gives_no_proposal() -> None:
    assert propose(*world(np.ones(1000)), pipeline()) == ()
