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


def shops(days: int = 40, many: int = 12, **stated: object) -> tuple[tuple, Pipeline]:
    """Sales by the hour; each shop has an hour of its own at which it sells most."""
    chance = np.random.default_rng(7)
    hours = np.repeat(np.arange(days * 24), many)
    shop = np.tile(np.arange(many), days * 24)
    level, peak = chance.uniform(5, 40, many), chance.uniform(0, 24, many)
    expected = level[shop] * (1 + 0.8 * np.sin(2 * np.pi * (hours - peak[shop]) / 24))
    times = pd.Series(START + pd.to_timedelta(hours, unit="h")).dt.as_unit("us")
    ids = pd.Series([f"{hour}|{one}" for hour, one in zip(hours, shop, strict=True)], dtype="str")
    keys = {"record_id": ids, "event_time": times}
    features = {"x": chance.normal(size=len(hours)), "shop": pd.Series(shop).astype("str")}
    records = pd.DataFrame({**keys, "known_time": times, **features})
    known = times + pd.Timedelta(1, unit="D")
    units = chance.poisson(expected).astype("float64")
    given = {**pipeline().model_dump(exclude={"file"}), "label_delay": "1d", **stated}
    labels = pd.DataFrame({**keys, "known_time": known, "label": units})
    return (records, labels), Pipeline.model_validate(given)


@pytest.mark.parametrize("seen", [True, False])
def test_where_shops_differ_the_past_of_the_same_shop_is_proposed(seen) -> None:
    columns = {"x": "number", "shop": "category"} if seen else {"x": "number"}
    world, asked = shops(entity="shop", columns=columns)
    chosen = propose(*world, asked)
    assert chosen[0].name == "label_mean_28d_same_hour_by_shop"


def test_the_newest_label_of_anybody_is_never_proposed_where_a_record_is_about_somebody() -> None:
    records, labels = world(walk(3000))
    who = pd.Series([f"w{place % 2}" for place in range(3000)], dtype="str")
    asked = Pipeline.model_validate(pipeline().model_dump(exclude={"file"}) | {"entity": "who"})
    for about in (who, records["record_id"]):
        chosen = propose(records.assign(who=about), labels, asked)
        assert all(one.by for one in chosen if one.take == "last")


def test_however_many_rows_come_a_day_weeks_of_them_are_judged() -> None:
    """The first 6000 rows alone would be four days, and half of them learnt from: too few."""
    world, asked = shops(days=20, many=60, entity="shop")
    chosen = propose(*world, asked)
    assert chosen
    assert chosen[0].by == ("shop",)


def test_an_hour_that_no_column_tells_is_told_by_the_past_of_the_same_hour() -> None:
    records, labels = world(10 * np.sin(2 * np.pi * (np.arange(3000) % 24) / 24))
    assert propose(records, labels, pipeline()) != ()
