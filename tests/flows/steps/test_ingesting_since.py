"""What a database or a function is asked for again: what may be new, and all of it when due."""

from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from components.ingests import OVERLAP, Taken, Watermark
from components.pipelines import Pipeline
from components.records import to_frame
from components.stores import sql
from components.stores.lake import Lake
from flows.steps.ingesting import ingest

HOUR = pd.Timedelta("1h")
ORDERS = """
CREATE TABLE orders (id bigint PRIMARY KEY, at timestamptz, price float, changed timestamptz,
    count float);
INSERT INTO orders SELECT i, at, i, at, 1
FROM generate_series(0, 239) i, LATERAL (SELECT timestamptz '2011-01-01 00:00+00'
    + i * interval '1 hour' AS at) moments
"""


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


def pipeline_of(folder: Path, source: dict, places: dict | None = None, **changes) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "shop",
            "source": source,
            "time": "at",
            "id": "id",
            "target": "count",
            "task": "regression",
            "label_delay": "1d",
            "columns": {"price": "number"},
            "file": folder / "pipelines" / "shop.yaml",
            "places": places or {},
            **changes,
        }
    )


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def over(postgres, postgres_url, tmp_path):
    """Give a pipeline over a table of 240 hours, of which each row says when it changed."""
    postgres.execute(ORDERS)

    def making(lateness: str | None = None, updated: str | None = "changed") -> Pipeline:
        source = {"url": "${SHOP}", "table": "orders", "lateness": lateness}
        return pipeline_of(tmp_path, source, {"SHOP": postgres_url}, updated=updated)

    return making


@pytest.fixture
def asked(monkeypatch) -> list[dict[str, pd.Timestamp]]:
    """Collect what the database is asked for: from which time on, by column."""
    read, found = sql.read_query, []

    def noting(*given, since, **more):
        found.append({one.column: one.time for one in since})
        return read(*given, since=since, **more)

    monkeypatch.setattr(sql, "read_query", noting)
    return found


def test_lateness_is_subtracted_once(over, lake, asked) -> None:
    pipeline = over("2h")
    for day in ("2011-01-05", "2011-01-08"):
        ingest(lake, pipeline, as_of=utc(day))
    cut = utc("2011-01-04")  # the labels of the last day were left for later
    assert asked == [{}, {"changed": cut + HOUR, "at": cut + HOUR - pd.Timedelta("1D")}]
    ingest(lake, pipeline.model_copy(update={"label_delay": None, "label_time": "at"}),
           as_of=utc("2011-01-08"))  # fmt: skip
    assert asked.pop() == {}, "it is read otherwise"
    ingest(lake, pipeline.model_copy(update={"label_delay": None, "label_time": "at"}),
           as_of=utc("2011-01-09"))  # fmt: skip
    # Hour 00:00 of the 8th was the last that was taken, 01:00 the first that was left.
    assert set(asked.pop().values()) == {utc("2011-01-07 22:00")}


def test_without_a_stated_lateness_only_every_week_all_of_it_is_read(over, lake, asked) -> None:
    pipeline = over()
    for day in ("2011-01-09", "2011-01-10", "2011-01-15 23:00", "2011-01-16", "2011-01-17"):
        ingest(lake, pipeline, as_of=utc(day))
    assert [bool(one) for one in asked] == [False, True, True, False, True]
    assert asked[1]["changed"] == utc("2011-01-09") - OVERLAP
    # Its newest row is hour 239, whenever it was asked.
    assert asked[-1]["changed"] == utc("2011-01-10 23:00") - OVERLAP


def test_read_so_it_ends_as_read_whole(over, lake, asked, tmp_path, postgres) -> None:
    pipeline = over()
    ingest(lake, pipeline, as_of=utc("2011-01-09"))
    postgres.execute("UPDATE orders SET price = 99, changed = '2011-01-09 02:00+00' WHERE id = 3")
    postgres.execute("UPDATE orders SET count = 7, changed = '2011-01-09 03:00+00' WHERE id = 5")
    done = ingest(lake, pipeline, as_of=utc("2011-01-10"))
    assert (done.records, done.labels) == (24 + 2, 24 + 2)
    again = ingest(lake, pipeline, as_of=utc("2011-01-10"))
    assert (again.records, again.labels) == (0, 0)
    assert again.already < 240
    assert len(asked[-1]) == 2
    ingest(lake, pipeline, as_of=utc("2011-01-10"), again=True)
    assert asked[-1] == {}
    labels = to_frame(lake.read("shop", "labels")).sort_values("known_time")
    assert labels.loc[labels["record_id"] == "5", "label"].to_list() == [1.0, 7.0]
    assert (labels["record_id"] == "3").sum() == 2, "a version of its own, saying the same"


def test_an_update_of_old_data_is_found_however_late_the_ingest_was(over, lake, postgres) -> None:
    pipeline = over()
    ingest(lake, pipeline, as_of=utc("2026-01-01"))
    postgres.execute("UPDATE orders SET price = 99, changed = '2011-02-01' WHERE id = 3")
    assert ingest(lake, pipeline, as_of=utc("2026-01-02")).records == 1


def test_a_row_of_any_age_is_found_within_a_week(over, lake, postgres) -> None:
    pipeline = over()
    ingest(lake, pipeline, as_of=utc("2011-01-10"))
    postgres.execute("INSERT INTO orders VALUES (900, '2010-01-01', 1, '2010-01-01', 1)")
    found = [ingest(lake, pipeline, as_of=utc(day)).late for day in ("2011-01-11", "2011-01-17")]
    assert found == [0, 1]


def test_rows_changed_in_place_without_a_word_are_found_by_reading_all(
    over, lake, asked, postgres
) -> None:
    pipeline = over(updated=None)
    ingest(lake, pipeline, as_of=utc("2011-01-09"))
    postgres.execute("UPDATE orders SET price = 99 WHERE id = 3")
    assert ingest(lake, pipeline, as_of=utc("2011-01-10")).records == 24 + 1
    assert asked == [{}, {}]


def test_with_a_stated_lateness_such_rows_are_found_within_a_week(
    over, lake, asked, postgres
) -> None:
    pipeline = over("1h", updated=None)
    ingest(lake, pipeline, as_of=utc("2011-01-09"))
    postgres.execute("UPDATE orders SET price = 99 WHERE id = 3")
    assert ingest(lake, pipeline, as_of=utc("2011-01-10")).records == 24
    assert ingest(lake, pipeline, as_of=utc("2011-01-16")).records == 24 - 1 + 1
    assert [sorted(one) for one in asked] == [[], ["at"], []]


FUNCTION = """
import pandas as pd
asked = []
def rows(since):
    with open({file!r}, "a") as note:
        note.write(f"{{since}}\\n")
    at = pd.date_range("2011-01-01", periods=240, freq="h", tz="UTC")
    frame = pd.DataFrame({{"id": range(240), "at": at, "price": 1.0, "count": 1}})
    yield frame if since is None else frame[frame["at"] >= since]
"""


def test_a_function_is_asked_for_what_is_new(tmp_path, lake) -> None:
    (tmp_path / "code").mkdir()
    note = tmp_path / "asked.txt"
    (tmp_path / "code" / "feed.py").write_text(FUNCTION.format(file=str(note)))
    make = partial(pipeline_of, tmp_path)
    days = ("2011-01-09", "2011-01-10", "2011-01-16")
    counts = [ingest(lake, make({"python": "feed:rows"}), as_of=utc(day)).records for day in days]
    assert counts == [193, 24, 23]
    waits = OVERLAP + pd.Timedelta("1D")
    assert note.read_text().splitlines() == ["None", str(utc("2011-01-09") - waits), "None"]


def taken(as_of: str, *, newest: str | None, since: str | None = None, left: str | None = None):
    moments = [None if one is None else utc(one) for one in (newest, since, left)]
    return Taken("s", "p", "", "r", utc(as_of), moments[2], 1, 1, 1, 0, (), *moments[:2])


@pytest.mark.parametrize(
    ("lateness", "dated", "as_of", "expected"),
    [
        ("2h", True, "2030-01-01", "2024-01-09 22:00"),
        ("2h", False, "2024-01-11", "2024-01-09 22:00"),
        ("2h", False, "2024-01-17", None),
        (None, True, "2024-01-11", "2024-01-03"),
        (None, True, "2024-01-17", None),
    ],
)
def test_from_when_on_a_source_is_read_again(lateness, dated, as_of, expected) -> None:
    mark = Watermark([taken("2024-01-10", newest="2024-01-10")], "r")
    span = None if lateness is None else pd.Timedelta(lateness).to_pytimedelta()
    found = mark.since(span, as_of=utc(as_of), dated=dated)
    assert found == (None if expected is None else utc(expected))


def test_what_an_older_home_noted_is_read_whole_once() -> None:
    mark = Watermark([taken("2024-01-10", newest=None)], "r")
    assert mark.since(OVERLAP, as_of=utc("2024-01-11")) is None


def test_what_was_left_for_later_is_read_again() -> None:
    mark = Watermark([taken("2024-01-10", newest="2024-01-10", left="2023-05-01")], "r")
    assert mark.since(OVERLAP, as_of=utc("2024-01-11")) == utc("2023-05-01")
