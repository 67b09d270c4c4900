"""Where records are about many, the naive baseline repeats what was known of the same one."""

import numpy as np
import pandas as pd
import pytest

from components.records import PREDICTIONS
from flows.steps.judging import judge_windows
from flows.steps.past import Past
from flows.steps.rivals import naive_now
from flows.steps.scoring import score
from flows.steps.snapshots import labels_known, records_known, with_entities


@pytest.fixture
def shops(fresh, world):
    """Two shops in turn, of which one always counts 0 and the other 100; nothing is trained."""
    rows = world(40)
    rows["shop"] = np.where(np.arange(len(rows)) % 2, "south", "north")
    rows["count"] = np.where(rows["shop"] == "south", 100.0, 0.0)
    fresh.change(entity="shop", naive=("last",))
    fresh.write(rows)
    return fresh


def test_scored_and_measured_it_is_that_of_the_same_one(shops, day) -> None:
    for number in range(14, 36):
        shops.ingest(day(number))
        score(shops.home, shops.pipeline, as_of=day(number))
    made = shops.rows(PREDICTIONS)
    assert len(made) > 100
    south = made["record_id"].str.endswith("|south")
    assert set(made.loc[south, "prediction"]) == {100.0}
    assert set(made.loc[~south, "prediction"]) == {0.0}
    judged = judge_windows(shops.home, shops.pipeline, as_of=day(36))
    beside = [one.naive for one in judged.windows if one.score is not None]
    assert len(beside) > 1
    assert set(beside) == {0.0}


def test_a_replay_sees_the_same_one_too(shops, day) -> None:
    shops.ingest(day(20))
    lake, pipeline = shops.home.lake, shops.pipeline
    records, labels = (shops.rows(table) for table in ("records", "labels"))
    past = Past.of(records, labels, pipeline).labels_known(day(15))
    live = with_entities(labels_known(lake, pipeline, as_of=day(15)), lake, pipeline)
    pd.testing.assert_frame_equal(past[live.columns], live)
    asked = records_known(lake, pipeline, as_of=day(20), since=day(14))
    said = naive_now(pipeline, asked, live, as_of=day(14)).values
    assert (said == np.where(asked["shop"] == "south", 100.0, 0.0)).all()
