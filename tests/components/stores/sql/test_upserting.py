"""Rows are upserted by key: once in effect, whole or not at all, into anybody's table."""

import pandas as pd
import pyarrow as pa
import pytest

from components.errors import StoreError, StoreUnreachableError
from components.stores.sql import Asked, read_query, upsert
from components.stores.sql.upserting import lock_of

SCHEMA = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("prediction", pa.float64()),
        ("probabilities", pa.string()),
    ]
)
FIRST = pd.Timestamp("2011-01-01 05:00", tz="UTC")


def rows(*ids: str, value: float = 1.5) -> pa.Table:
    given = [{"prediction_id": i, "event_time": FIRST, "prediction": value} for i in ids]
    return pa.Table.from_pylist(given, schema=SCHEMA)


def send(url: str, given: pa.Table, table: str = "predictions") -> int:
    return upsert(url, table, given, "prediction_id", named="the sink ${SHOP}")


def held(run, table: str = "predictions") -> dict[str, float]:
    return dict(run(f"SELECT prediction_id, prediction FROM {table} ORDER BY prediction_id"))


def test_a_table_is_made_and_rows_replace_themselves(url, run):
    assert send(url, rows("a", "b")) == 2
    assert send(url, rows("b", "c", value=2.5)) == 2
    assert held(run) == {"a": 1.5, "b": 2.5, "c": 2.5}


def test_a_row_that_stands_twice_in_a_batch_lands_once(url, run):
    send(url, pa.concat_tables([rows("a"), rows("a", value=7.0)]))
    assert held(run) == {"a": 7.0}


def test_no_rows_ask_nothing():
    assert send("postgresql://nobody@127.0.0.1:1/x", rows()) == 0


def test_types_follow_the_rows(postgres_url, postgres):
    send(postgres_url, rows("a"))
    (batch,) = read_query(postgres_url, Asked("t", table="predictions"))
    assert batch.schema == SCHEMA
    assert batch.to_pylist() == rows("a").to_pylist()


def test_a_table_of_ours_gets_columns_that_are_new(url, run):
    send(url, rows("a"))
    send(url, rows("b").append_column("channel", pa.array(["batch"])))
    assert run("SELECT prediction_id, channel FROM predictions ORDER BY 1") == [
        ("a", None),
        ("b", "batch"),
    ]


def test_a_table_of_the_users_own_keeps_its_other_columns(url, run):
    run(
        "CREATE TABLE predictions (prediction_id varchar(40) PRIMARY KEY, event_time timestamp,"
        " prediction numeric, probabilities text, note text)",
        "INSERT INTO predictions (prediction_id, note) VALUES ('a', 'kept')",
    )
    send(url, rows("a", "b"))
    found = run("SELECT prediction_id, note FROM predictions ORDER BY 1")
    assert found == [("a", "kept"), ("b", None)]
    assert run("SELECT event_time FROM predictions")[0][0] is not None


def test_a_table_without_a_unique_key_is_refused_with_the_statement_to_run(url, run):
    run(
        "CREATE TABLE predictions (prediction_id text, event_time timestamp, prediction float,"
        " probabilities text)"
    )
    with pytest.raises(StoreError, match="no unique key on 'prediction_id'") as raised:
        send(url, rows("a"))
    run(str(raised.value).partition("run ")[2].partition(". ")[0])
    assert send(url, rows("a")) == 1


def test_a_partial_unique_index_is_no_key(postgres_url, postgres):
    postgres.execute(
        "CREATE TABLE predictions (prediction_id text, event_time timestamptz,"
        " prediction float, probabilities text)"
    )
    postgres.execute("CREATE UNIQUE INDEX best ON predictions (prediction_id) WHERE prediction > 0")
    with pytest.raises(StoreError, match="no unique key"):
        send(postgres_url, rows("a"))


def test_columns_that_the_users_table_lacks_are_named(url, run):
    run("CREATE TABLE predictions (prediction_id text PRIMARY KEY, event_time timestamp)")
    with pytest.raises(StoreError, match="has no column prediction, probabilities") as raised:
        send(url, rows("a"))
    for statement in str(raised.value).partition("run ")[2].partition(", or")[0].split("; "):
        run(statement)
    assert send(url, rows("a")) == 1


def test_a_row_that_is_refused_takes_the_whole_batch_with_it(postgres_url, postgres):
    postgres.execute(
        "CREATE TABLE predictions (prediction_id text PRIMARY KEY,"
        " event_time timestamptz, prediction float CHECK (prediction < 5),"
        " probabilities text)"
    )
    many = rows(*(f"p{number}" for number in range(6_000)))
    with pytest.raises(StoreError, match=r"refuses a row.*Nothing of this batch was written"):
        send(postgres_url, pa.concat_tables([many, rows("bad", value=9.0)]))
    assert postgres.execute("SELECT count(*) FROM predictions").fetchone() == (0,)


def test_odd_names_are_only_names(url, run):
    schema = pa.schema([('k"e%y', pa.string()), ("va:lue (1)", pa.int64())])
    given = pa.Table.from_pylist([{'k"e%y': "a", "va:lue (1)": 7}], schema=schema)
    assert upsert(url, 'odd; "DROP', given, 'k"e%y') == 1
    assert upsert(url, 'odd; "DROP', given, 'k"e%y') == 1


def test_a_table_in_a_schema_is_made_there(postgres_url, postgres):
    with pytest.raises(StoreError, match="no such schema"):
        send(postgres_url, rows("a"), "shop.predictions")
    postgres.execute("CREATE SCHEMA shop")
    assert send(postgres_url, rows("a"), "shop.predictions") == 1
    assert send(postgres_url, rows("a"), "shop.predictions") == 1
    assert postgres.execute("SELECT count(*) FROM shop.predictions").fetchone() == (1,)


def test_lists_are_refused_by_name(url):
    given = pa.table({"k": ["a"], "v": [[1.0]]})
    with pytest.raises(StoreError, match=r"column 'v' cannot be written.*as text"):
        upsert(url, "t", given, "k")


def test_a_sink_that_is_down_is_named_without_its_password():
    with pytest.raises(StoreUnreachableError, match=r"the sink \$\{SHOP\} at postgresql") as raised:
        send("postgresql://me:s3cr3t@127.0.0.1:1/shop", rows("a"))
    assert "s3cr3t" not in repr(raised.value)


def test_who_fills_one_table_waits_and_who_fills_another_does_not(postgres_url, postgres):
    impatient = f"{postgres_url}?options=-c%20lock_timeout%3D200ms"
    send(postgres_url, rows("a"), "ours")
    send(postgres_url, rows("a"), "theirs")
    with postgres.transaction():
        postgres.execute("SELECT pg_advisory_xact_lock(%s)", [lock_of("ours")])
        assert send(impatient, rows("b"), "theirs") == 1
        with pytest.raises(StoreError, match="lock"):
            send(impatient, rows("b"), "public.ours")
    assert send(impatient, rows("b"), "public.ours") == 1
