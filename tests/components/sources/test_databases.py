"""A database is a source: updated in place, with labels of their own, of any age."""

import sqlite3

import pandas as pd
import pytest

from components.errors import SourceError, StoreUnreachableError
from components.sources import columns_of, deliver, head, open_feed, read_source, resolve

ORDERS = """
CREATE TABLE orders (
    id bigint PRIMARY KEY, at timestamptz NOT NULL, price numeric(10, 2), town text,
    changed timestamp NOT NULL, count double precision
)
"""
FILL = """
INSERT INTO orders SELECT i, timestamptz '2011-01-01 00:00+00' + i * interval '1 hour', i / 4.0,
    CASE WHEN i % 2 = 0 THEN 'Linz' END, timestamp '2011-01-01' + i * interval '1 hour', NULL
FROM generate_series(0, 99) i
"""
TRUTH = "CREATE TABLE truth (order_id bigint, landed timestamptz, count text)"


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@pytest.fixture
def shop(postgres):
    postgres.execute(ORDERS)
    postgres.execute(FILL)
    postgres.execute(TRUTH)
    return postgres


@pytest.fixture
def over(postgres_url, pipeline_over):
    def making(source: dict | None = None, **changes):
        given = {"url": "${SHOP}", "table": "orders"} if source is None else source
        usual = {
            "places": {"SHOP": postgres_url},
            "task": "regression",
            "id": "id",
            "columns": {"price": "number", "town": "category"},
        }
        return pipeline_over(given, **{**usual, **changes})

    return making


def labels_of(pipeline, as_of: str) -> dict[str, list[float]]:
    labels = deliver(pipeline, as_of=utc(as_of)).labels.sort_values("known_time")
    return labels.groupby("record_id")["label"].apply(list).to_dict()


def test_a_table_and_a_query_deliver_the_same(shop, over):
    query = "SELECT * FROM orders WHERE count IS NULL -- all of them"
    for source in ({"table": "orders"}, {"query": query}):
        delivery = deliver(over({"url": "${SHOP}", **source}), as_of=utc("2011-01-02"))
        assert len(delivery.records) == 25
        assert delivery.records["price"].max() == 6.0
        assert delivery.quarantine.empty
        assert delivery.labels.empty


def test_columns_and_task_are_filled_from_a_database(shop, over):
    shop.execute("UPDATE orders SET count = id * 1.5 WHERE id < 40")
    pipeline = resolve(over(task=None, columns={}, exclude=["changed"]))
    assert {name: c.kind for name, c in pipeline.columns.items()} == {
        "price": "number",
        "town": "category",
    }
    assert pipeline.task == "regression"
    assert columns_of(pipeline.source, pipeline)[0] == "id"
    assert len(head(pipeline.source, pipeline, 7)) == 7


def test_a_target_that_is_filled_in_place_is_first_a_row_to_be_scored(shop, over):
    pipeline = over()
    assert labels_of(pipeline, "2011-01-04") == {}
    shop.execute("UPDATE orders SET count = 5 WHERE id = 3")
    assert labels_of(pipeline, "2011-01-02 02:00") == {}  # not known before its delay
    assert labels_of(pipeline, "2011-01-02 03:00") == {"3": [5.0]}


def test_a_row_that_is_updated_in_place_is_known_when_it_says(shop, over):
    pipeline = over(updated="changed")
    shop.execute("UPDATE orders SET price = 99, changed = timestamp '2011-02-01' WHERE id = 3")
    before = deliver(pipeline, as_of=utc("2011-01-31")).records
    after = deliver(pipeline, as_of=utc("2011-02-01")).records
    assert "3" not in set(before["record_id"])  # what it said before is gone from the source
    row = after[after["record_id"] == "3"].iloc[0]
    assert (row["price"], row["known_time"]) == (99.0, utc("2011-02-01"))


def test_a_label_that_an_update_fills_in_is_not_known_before_the_update(shop, over):
    pipeline = over(updated="changed")
    shop.execute("UPDATE orders SET count = 5, changed = timestamp '2011-02-01' WHERE id = 3")
    assert "3" not in labels_of(pipeline, "2011-01-31 23:00")
    found = deliver(pipeline, as_of=utc("2011-02-01")).labels.set_index("record_id")
    assert tuple(found.loc["3", ["known_time", "label"]]) == (utc("2011-02-01"), 5.0)


def test_labels_of_their_own_are_known_at_their_own_time_and_corrected(shop, over):
    pipeline = over(
        label_delay=None,
        labels={"url": "${SHOP}", "table": "truth", "id": "order_id", "time": "landed"},
    )
    shop.execute("ALTER TABLE orders DROP COLUMN count")
    assert labels_of(pipeline, "2011-03-01") == {}  # a table of labels may still be empty
    shop.execute(
        "INSERT INTO truth VALUES (3, '2011-01-05', '7'), (3, '2011-01-06', '7'),"
        " (3, '2011-01-09', '8'), (4, '2011-01-05', NULL), (5, '2011-01-05', 'seven'),"
        " (NULL, '2011-01-05', '1'), (6, NULL, '1'), (7, 'infinity', '1')"
    )
    assert labels_of(pipeline, "2011-01-04") == {}
    # An empty label with a time says that there is none from then on.
    assert str(labels_of(pipeline, "2011-01-08")) == "{'3': [7.0], '4': [nan]}"
    assert labels_of(pipeline, "2011-01-09")["3"] == [7.0, 8.0]
    delivery = deliver(pipeline, as_of=utc("2011-01-09"))
    assert delivery.labels["event_time"].isna().all()
    assert len(delivery.records) == 100
    broken = delivery.quarantine.set_index("column")["value"]
    assert sorted(broken.index) == ["count", "landed", "landed", "order_id"]
    assert broken["count"] == "seven"
    assert set(delivery.quarantine["source"]) == {"${SHOP} (truth)"}


def test_a_target_column_beside_a_table_of_labels_is_ignored(shop, over, tmp_path):
    (tmp_path / "pipelines" / "truth.csv").write_text(
        "order_id,landed,count\n3,2011-01-05,7.5\n4,2011-01-05,9.5\n"
    )
    shop.execute("UPDATE orders SET count = -1")
    pipeline = over(
        label_delay=None,
        columns={},
        task=None,
        labels={"path": "truth.csv", "id": "order_id", "time": "landed"},
    )
    resolved = resolve(pipeline)
    assert "count" not in resolved.columns
    assert resolved.task == "binary"
    assert deliver(pipeline, as_of=utc("2011-01-05")).labels["label"].to_list() == ["7.5", "9.5"]


# --- reading what is new ------------------------------------------------------------------------


def newer(pipeline, since: str, labels: bool = False) -> int:
    feed = open_feed(pipeline.labels if labels else pipeline.source, pipeline)
    parts = feed.parts(since=utc(since))
    return sum(batch.num_rows for part in parts for batch in part.batches())


def test_only_what_may_be_new_since_a_time_comes_and_no_lateness_is_subtracted_here(shop, over):
    for lateness in (None, "2h"):
        source = {"url": "${SHOP}", "table": "orders", "lateness": lateness}
        # The last is hour 99; a label may be filled in for a day.
        assert newer(over(source), "2011-01-05 01:00") == 99 - (97 - 24) + 1
        timed = {"label_delay": None, "label_time": "changed"}
        assert newer(over(source, **timed), "2011-01-05 01:00") == 3


def test_a_target_filled_in_within_the_delay_is_read_again(shop, over):
    pipeline = over({"url": "${SHOP}", "table": "orders", "lateness": "2h"}, updated="changed")
    before = newer(pipeline, "2011-02-01")
    shop.execute("UPDATE orders SET count = 5, changed = timestamp '2011-02-01' WHERE id = 3")
    assert (before, newer(pipeline, "2011-02-01")) == (0, 1)


def test_new_labels_are_those_of_a_later_time_or_of_none(shop, over):
    truth = {"url": "${SHOP}", "table": "truth", "id": "order_id", "time": "landed"}
    pipeline = over(label_delay=None, labels={**truth, "lateness": "1d"})
    shop.execute(
        "INSERT INTO truth VALUES (1, '2011-01-05', '1'), (2, '2011-01-08', '1'), (3, NULL, '1')"
    )
    assert newer(pipeline, "2011-01-07 12:00", labels=True) == 2


# --- when it goes wrong -------------------------------------------------------------------------


def test_a_connection_that_drops_half_way_delivers_nothing(postgres, over):
    postgres.execute(
        "CREATE TABLE orders AS SELECT i AS id, timestamptz '2011-01-01 00:00+00' AS at,"
        " 1.5 AS price, repeat('x', 200) AS town, 1.0 AS count"
        " FROM generate_series(1, 300000) i"
    )
    pipeline = over()
    (part,) = open_feed(pipeline.source, pipeline).parts()
    batches = part.batches()
    assert next(batches).num_rows == 100_000
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
        " application_name = 'driftwheel' AND datname = current_database()"
    )
    with pytest.raises(StoreUnreachableError, match=r"broke off after \d+0,000 rows; nothing of"):
        list(batches)


def test_an_address_that_is_not_known_is_asked_for(over):
    with pytest.raises(SourceError, match=r"export SHOP=… and try again"):
        read_source(over(places={}))


def test_a_misspelt_column_is_refused_with_the_nearest_one(shop, over):
    with pytest.raises(SourceError, match=r"'cuont' \(field 'target'.*did you mean count\?"):
        read_source(over(target="cuont"))


def test_no_password_is_in_any_message_or_repr(over):
    pipeline = over(places={"SHOP": "postgresql://me:s3cr3t@127.0.0.1:1/shop"})
    with pytest.raises(StoreUnreachableError) as raised:
        read_source(pipeline)
    feed = open_feed(pipeline.source, pipeline)
    assert "s3cr3t" not in f"{raised.value!r} {feed!r} {feed.shown} {pipeline!r}"


def test_sqlite_is_a_source_too(tmp_path, over):
    file = tmp_path / "shop.db"
    shop = sqlite3.connect(file)
    shop.execute("CREATE TABLE orders (id, at, price, town, count)")
    shop.execute(
        "INSERT INTO orders VALUES (1, '2011-01-01', 1.5, 'Linz', 1), (2, 0, 'x', NULL, 2)"
    )
    shop.commit()
    shop.close()
    delivery = deliver(over(places={"SHOP": f"sqlite:///{file}"}), as_of=utc("2012-01-01"))
    assert list(delivery.records["record_id"]) == ["1"]
    assert set(delivery.quarantine["column"]) == {"at", "price"}
