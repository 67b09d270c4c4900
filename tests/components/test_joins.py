"""A prediction is joined with the label that was known then, however late labels are."""

import os
from datetime import timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import StoreError
from components.joins import label_predictions, labelled_query
from components.stores.lake import Lake
from components.stores.lake.scratch import scratch_folders

START = pd.Timestamp("2024-01-01", tz="UTC")


def day(number: float) -> pd.Timestamp:
    return START + pd.Timedelta(number, unit="D")


def table(rows: list[tuple], *names: str) -> pa.Table:
    frame = pd.DataFrame(rows, columns=list(names))
    for name in ("event_time", "known_time"):
        if name in frame:
            frame[name] = pd.to_datetime(frame[name].map(day), utc=True).astype(
                "datetime64[us, UTC]"
            )
    kinds = {"label": pa.float64(), "record_id": pa.string()}
    made = pa.Table.from_pandas(frame, preserve_index=False)
    for name, kind in kinds.items():
        if name in made.column_names:
            place = made.column_names.index(name)
            made = made.set_column(place, name, made[name].cast(kind))
    return made


def predictions(*rows: tuple) -> pa.Table:
    return table(list(rows), "record_id", "event_time", "known_time")


def labels(*rows: tuple) -> pa.Table:
    return table(list(rows), "record_id", "known_time", "label")


def joined(made: pa.Table, said: pa.Table, **asked) -> dict[str, float | None]:
    rows = label_predictions(made, said, **asked).read_all().to_pylist()
    assert len(rows) == len({row["record_id"] for row in rows})
    return {row["record_id"]: row["label"] for row in rows}


MADE = predictions(("a", 0, 0), ("b", 1, 1), ("c", 2, 5))
SAID = labels(("a", 1, 1.0), ("a", 3, 2.0), ("b", 9, 4.0), ("x", 0, 7.0))


def test_a_moment_sees_the_label_that_was_the_newest_then() -> None:
    assert joined(MADE, SAID, as_of=day(2)) == {"a": 1.0, "b": None}
    assert joined(MADE, SAID, as_of=day(9)) == {"a": 2.0, "b": 4.0, "c": None}


def test_at_maturity_each_event_has_had_the_same_time() -> None:
    assert joined(MADE, SAID, age=timedelta(days=2)) == {"a": 1.0, "b": None, "c": None}
    assert joined(MADE, SAID, age=timedelta(days=8)) == {"a": 2.0, "b": 4.0, "c": None}
    assert joined(MADE, SAID, age=timedelta(days=8), as_of=day(8)) == {
        "a": 2.0,
        "b": None,
        "c": None,
    }


def test_a_label_that_was_taken_back_hides_the_one_before() -> None:
    said = labels(("a", 1, 1.0), ("a", 2, None))
    assert joined(MADE, said, as_of=day(1))["a"] == 1.0
    assert joined(MADE, said, as_of=day(9))["a"] is None
    assert joined(MADE, said, age=timedelta(days=5))["a"] is None


def test_the_time_at_which_the_label_was_known_comes_along() -> None:
    rows = label_predictions(MADE, SAID, as_of=day(3)).read_all().to_pylist()
    assert {row["record_id"]: row["label_known_time"] for row in rows} == {"a": day(3), "b": None}


def test_files_and_batches_are_joined_as_tables_are(tmp_path) -> None:
    pq.write_table(SAID, tmp_path / "said.parquet")
    files = [str(tmp_path / "said.parquet")]
    reader = MADE.to_reader()
    assert joined(reader, files, as_of=day(9)) == joined(MADE, SAID, as_of=day(9))


def test_the_same_join_asks_the_lake(tmp_path) -> None:
    lake = Lake(str(tmp_path))
    lake.create("p", "predictions", MADE.schema)
    lake.commit("p", "predictions", MADE, producer="t", version=1)
    sql, params = labelled_query(as_of=day(9))
    found = lake.open("p", "predictions").query(sql, params=params, tables={"labels": SAID})
    rows = {row["record_id"]: row["label"] for row in found.to_pylist()}
    assert rows == joined(MADE, SAID, as_of=day(9))


def test_a_join_that_cannot_be_made_leaves_nothing_behind(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(StoreError, match="needs record_id"):
        label_predictions(MADE, pa.table({"other": [1]}))
    label_predictions(MADE, SAID).read_all()
    assert list(tmp_path.iterdir()) == []


def test_an_open_join_waits_in_a_folder_that_names_its_process(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    reader = label_predictions(MADE, SAID)
    assert [pid for _, pid in scratch_folders()] == [os.getpid()]
    reader.read_all()
    assert list(scratch_folders()) == []


ids = st.sampled_from("abc")
said_rows = st.lists(
    st.tuples(ids, st.integers(0, 8), st.one_of(st.none(), st.sampled_from([1.0, 2.0]))),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(
    said_rows,
    st.dictionaries(ids, st.integers(0, 4), min_size=1),
    st.one_of(st.none(), st.integers(0, 9)),
    st.one_of(st.none(), st.integers(0, 9)),
)
def test_the_join_is_what_the_plainest_words_say(said, made, as_of, age) -> None:
    expected = {}
    for name, event in made.items():
        limit = min(99 if as_of is None else as_of, 99 if age is None else event + age)
        known = [row for row in said if row[0] == name and row[1] <= limit]
        known.sort(key=lambda row: (row[1], 9.0 if row[2] is None else row[2]))
        if as_of is None or event <= as_of:
            expected[name] = known[-1][2] if known else None
    found = joined(
        predictions(*((name, event, event) for name, event in made.items())),
        labels(*said),
        as_of=None if as_of is None else day(as_of),
        age=None if age is None else timedelta(days=age),
    )
    assert found == expected
