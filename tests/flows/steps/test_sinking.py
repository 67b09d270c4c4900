"""Predictions reach the user's own table once in effect, whatever dies on the way."""

import sqlite3
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from components.errors import SourceError, StoreError, StoreUnreachableError
from components.pipelines import Pipeline
from components.records import prediction_schema
from components.stores import sql
from flows.steps.home import Home
from flows.steps.sinking import push_predictions

EVENT = pd.Timestamp("2024-01-01", tz="UTC")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str:
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'shop.db'}"


@pytest.fixture
def run(url):
    def running(statement: str) -> list[tuple]:
        if url.startswith("sqlite"):
            connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        else:
            import psycopg

            connection = psycopg.connect(url)
        try:
            cursor = connection.execute(statement)
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
        finally:
            connection.close()
        return found

    return running


@pytest.fixture
def at_home(tmp_path) -> Home:
    root = tmp_path / "home"
    return Home(
        root=root,
        lake_uri=str(root / "lake"),
        ledger_url=f"sqlite:///{root / 'ledger.db'}",
        tracking_uri="",
        registry_uri="",
        prefix="",
        environment="test",
        pipeline_folders=(root / "pipelines",),
    )


def pipeline_to(url: str, **changes: object) -> Pipeline:
    given = {
        "name": "shop",
        "source": {"path": "shop.csv"},
        "time": "at",
        "target": "sold",
        "task": "binary",
        "label_delay": "1d",
        "sink": "${SHOP}",
        "places": {"SHOP": url},
        "file": Path("shop.yaml"),
        **changes,
    }
    return Pipeline.model_validate(given)


def predict(home: Home, pipeline: Pipeline, *ids: str, channel: str = "batch") -> None:
    """Commit predictions in the lake, as scoring does."""
    rows = [
        {
            "prediction_id": f"p-{record}-{channel}",
            "record_id": record,
            "event_time": EVENT,
            "known_time": EVENT,
            "model_version": "3",
            "channel": channel,
            "prediction": "yes",
            "probabilities": [0.25, 0.75],
        }
        for record in ids
    ]
    schema = prediction_schema(pipeline)
    home.lake.create(pipeline.name, "predictions", schema)
    table = pa.Table.from_pylist(rows, schema=schema)
    home.lake.commit(pipeline.name, "predictions", lambda _: table, producer="score")


COUNT = "SELECT count(*), count(DISTINCT prediction_id) FROM predictions"


def test_predictions_arrive_with_what_the_user_needs(at_home, url, run):
    pipeline = pipeline_to(url)
    predict(at_home, pipeline, "a")
    assert push_predictions(at_home, pipeline) == 1
    found = run(
        "SELECT prediction_id, record_id, model_version, channel, prediction, probabilities"
        " FROM predictions"
    )
    assert found == [("p-a-batch", "a", "3", "batch", "yes", "[0.25, 0.75]")]
    assert str(run("SELECT event_time FROM predictions")[0][0]).startswith("2024-01-01 00:00:00")


def test_only_what_is_new_is_sent(at_home, url, run):
    pipeline = pipeline_to(url)
    predict(at_home, pipeline, "a", "b")
    assert push_predictions(at_home, pipeline) == 2
    assert push_predictions(at_home, pipeline) == 0
    predict(at_home, pipeline, "c")
    assert push_predictions(at_home, pipeline) == 1
    assert run(COUNT) == [(3, 3)]


def test_a_pipeline_without_a_sink_or_predictions_sends_nothing(at_home, url):
    assert push_predictions(at_home, pipeline_to(url)) == 0
    pipeline = pipeline_to(url, sink=None)
    predict(at_home, pipeline, "a")
    assert push_predictions(at_home, pipeline) == 0


def test_the_answers_of_a_shadow_stay_here(at_home, url, run):
    pipeline = pipeline_to(url)
    predict(at_home, pipeline, "a", channel="shadow")
    predict(at_home, pipeline, "a", channel="online")
    push_predictions(at_home, pipeline)
    assert run("SELECT channel FROM predictions") == [("online",)]


def test_compacting_the_lake_loses_and_doubles_nothing(at_home, url, run):
    pipeline = pipeline_to(url)
    predict(at_home, pipeline, "a")
    push_predictions(at_home, pipeline)
    predict(at_home, pipeline, "b")
    at_home.lake.compact(pipeline.name, "predictions")
    predict(at_home, pipeline, "c")
    push_predictions(at_home, pipeline)
    assert run(COUNT) == [(3, 3)]


def test_after_a_compaction_only_what_is_new_is_sent(at_home, url, run):
    pipeline = pipeline_to(url)
    for record in "abc":
        predict(at_home, pipeline, record)
    assert push_predictions(at_home, pipeline) == 3
    assert at_home.lake.compact(pipeline.name, "predictions") == 3
    assert push_predictions(at_home, pipeline) == 0
    predict(at_home, pipeline, "d")
    predict(at_home, pipeline, "e", channel="shadow")
    at_home.lake.compact(pipeline.name, "predictions")
    predict(at_home, pipeline, "f")
    run("DELETE FROM predictions")
    assert push_predictions(at_home, pipeline) == 2
    assert sorted(run("SELECT record_id FROM predictions")) == [("d",), ("f",)]


def test_what_was_sent_comes_again_where_its_old_file_is_gone(at_home, url, run):
    pipeline = pipeline_to(url)
    for record in "abc":
        predict(at_home, pipeline, record)
    push_predictions(at_home, pipeline)
    at_home.lake.compact(pipeline.name, "predictions")
    at_home.lake.vacuum(pipeline.name, "predictions", keep_versions=[], older_than=timedelta(0))
    assert push_predictions(at_home, pipeline) == 3, "over themselves"
    assert run(COUNT) == [(3, 3)]


def test_another_table_starts_from_nothing(at_home, url, run):
    predict(at_home, pipeline_to(url), "a")
    push_predictions(at_home, pipeline_to(url))
    assert push_predictions(at_home, pipeline_to(url, sink="${SHOP}#scores")) == 1
    assert run("SELECT record_id FROM scores") == [("a",)]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whoever_dies_half_way_is_taken_up_where_it_stopped(at_home, url, run, monkeypatch, moment):
    pipeline = pipeline_to(url)
    monkeypatch.setattr("components.stores.lake.added._ROWS", 2)
    for pair in ("ab", "cd", "ef"):
        predict(at_home, pipeline, *pair)
    upsert, calls = sql.upsert, []

    def dying(*given: object, **named: object) -> int:
        calls.append(given)
        if len(calls) == 2 and moment == "before":
            raise KeyboardInterrupt
        sent = upsert(*given, **named)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sent

    monkeypatch.setattr(sql, "upsert", dying)
    with pytest.raises(KeyboardInterrupt):
        push_predictions(at_home, pipeline)
    assert run(COUNT) == [(2, 2)] if moment == "before" else [(4, 4)]
    assert push_predictions(at_home, pipeline) == 6
    assert run(COUNT) == [(6, 6)]
    assert push_predictions(at_home, pipeline) == 0


def test_a_table_of_the_users_own_takes_them_beside_its_other_columns(at_home, url, run):
    run(
        "CREATE TABLE predictions (prediction_id varchar(60) PRIMARY KEY, record_id text,"
        " event_time timestamp, known_time timestamp, model_version text, channel text,"
        " prediction text, probabilities text, seen integer DEFAULT 0)"
    )
    pipeline = pipeline_to(url)
    predict(at_home, pipeline, "a")
    push_predictions(at_home, pipeline)
    run("UPDATE predictions SET seen = 1")
    push_predictions(at_home, pipeline_to(url))
    assert run("SELECT record_id, seen FROM predictions") == [("a", 1)]


def test_a_table_that_cannot_take_them_is_refused_until_it_can(at_home, url, run):
    run("CREATE TABLE predictions (prediction_id text PRIMARY KEY)")
    pipeline = pipeline_to(url)
    predict(at_home, pipeline, "a")
    with pytest.raises(StoreError, match="has no column record_id"):
        push_predictions(at_home, pipeline)
    run("DROP TABLE predictions")
    assert push_predictions(at_home, pipeline) == 1


def test_a_sink_that_is_down_loses_nothing_and_shows_no_password(at_home, tmp_path):
    file = tmp_path / "later" / "shop.db"
    pipeline = pipeline_to("postgresql://me:s3cr3t@127.0.0.1:1/shop")
    predict(at_home, pipeline, "a")
    with pytest.raises(StoreUnreachableError, match=r"the sink \$\{SHOP\} of shop") as raised:
        push_predictions(at_home, pipeline)
    assert "s3cr3t" not in repr(raised.value)
    down = pipeline_to(f"sqlite:///{file}")
    with pytest.raises(StoreUnreachableError):
        push_predictions(at_home, down)
    file.parent.mkdir()
    assert push_predictions(at_home, down) == 1


def test_a_sink_whose_address_is_not_known_is_asked_for(at_home):
    pipeline = pipeline_to("x", places={})
    predict(at_home, pipeline, "a")
    with pytest.raises(SourceError, match="export SHOP=… and try again"):
        push_predictions(at_home, pipeline)


def test_intervals_and_thresholds_are_sent_where_the_pipeline_file_asks_for_them(at_home, url, run):
    pipeline = pipeline_to(url, intervals=0.9, decision={"recall": 0.8})
    predict(at_home, pipeline, "a")
    schema = prediction_schema(pipeline)
    bounds = {"prediction_set": ["no", "yes"], "threshold": 0.25}
    row = {"prediction_id": "p-b", "record_id": "b", "prediction": "yes", **bounds}
    table = pa.Table.from_pylist([row], schema=schema)
    at_home.lake.commit(pipeline.name, "predictions", lambda _: table, producer="score")
    assert push_predictions(at_home, pipeline) == 2
    found = run("SELECT prediction_set, threshold FROM predictions ORDER BY prediction_id")
    assert found == [(None, None), ('["no", "yes"]', 0.25)]


def test_a_sink_of_before_is_not_asked_for_columns_that_nobody_wants(at_home, url, run):
    pipeline = pipeline_to(url)
    predict(at_home, pipeline, "a")
    push_predictions(at_home, pipeline)
    made = run("SELECT * FROM predictions")
    assert len(made[0]) == 8
