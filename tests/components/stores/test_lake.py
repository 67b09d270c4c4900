"""Delta tables that are written exactly once and stay readable."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from components.errors import CommitConflictError, SettingsError, StoreError
from components.records import UTC_TIME
from components.stores.lake import Lake, Reader, places, quote, tables

SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("known_time", UTC_TIME),
        ("x", pa.float64()),
        ("weather", pa.string()),
        ("probabilities", pa.list_(pa.float64())),
    ]
)
NOON = pd.Timestamp("2011-04-02 12:00", tz="UTC")

PRELUDE = """
import sys
import pyarrow as pa
from components.failpoints import arm
from components.stores.lake import Lake
lake = Lake(sys.argv[1])
def batch(*names):
    return pa.table({"record_id": list(names)})
"""


def batch(*names: str, at: pd.Timestamp = NOON) -> pa.Table:
    rows = [{"record_id": name, "known_time": at, "x": None} for name in names]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def ids(lake: Lake, *, version: int | None = None) -> list[str]:
    found = lake.read("bikes", "records", columns=["record_id"], version=version)
    return sorted(found["record_id"].to_pylist())


def start(code: str, root: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, str(root), *more],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(children: Sequence[subprocess.Popen[str]]) -> list[int]:
    ended = []
    for child in children:
        out, err = child.communicate(timeout=120)
        ended.append(child.returncode)
        assert child.returncode in (0, -9), f"{out}\n{err}"
    return ended


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(str(tmp_path / "lake"))
    made.create("bikes", "records", SCHEMA)
    return made


# --- exactly once -------------------------------------------------------------------------------


def test_a_batch_that_is_committed_again_lands_once(lake: Lake) -> None:
    first = lake.commit("bikes", "records", batch("a", "b"), producer="score", version=1)
    again = lake.commit("bikes", "records", batch("a", "b"), producer="score", version=1)
    assert (first.rows, first.skipped) == (2, False)
    assert (again.rows, again.skipped) == (0, True)
    assert again.version == first.version
    assert ids(lake) == ["a", "b"]


def test_the_same_batch_from_two_processes_lands_once(lake: Lake) -> None:
    code = """
lake.commit("bikes", "records", batch("a", "b", "c"), producer="score", version=7)
"""
    assert finish([start(code, Path(lake.root)) for _ in range(2)]) == [0, 0]
    assert ids(lake) == ["a", "b", "c"]


def test_an_older_version_after_a_newer_one_is_skipped(lake: Lake) -> None:
    lake.commit("bikes", "records", batch("new"), producer="score", version=5)
    late = lake.commit("bikes", "records", batch("old"), producer="score", version=4)
    assert late.skipped
    assert ids(lake) == ["new"]


def test_after_a_restart_a_repeated_batch_is_still_one_copy(lake: Lake) -> None:
    lake.commit("bikes", "records", batch("a"), producer="score", version=1)
    restarted = Lake(lake.root)
    assert restarted.commit("bikes", "records", batch("a"), producer="score", version=1).skipped
    assert ids(restarted) == ["a"]


def test_what_a_producer_has_written_is_remembered_across_checkpoints(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tables._CONFIGURATION, "delta.checkpointInterval", "3")
    lake.create("bikes", "labels", SCHEMA)
    lake.commit("bikes", "labels", batch("first"), producer="old", version=1)
    for number in range(8):
        lake.commit("bikes", "labels", batch(f"{number}"), producer="new", version=number)
    lake.compact("bikes", "labels")
    assert list(Path(lake.root).rglob("*.checkpoint.parquet"))
    assert lake.commit("bikes", "labels", batch("first"), producer="old", version=1).skipped
    assert lake.read("bikes", "labels").num_rows == 9


def test_producers_count_apart_from_each_other(lake: Lake) -> None:
    lake.commit("bikes", "records", batch("a"), producer="score", version=3)
    lake.commit("bikes", "records", batch("b"), producer="endpoint", version=1)
    assert ids(lake) == ["a", "b"]


@pytest.mark.parametrize("point", ["before-commit", "after-commit"])
def test_a_kill_around_the_commit_leaves_one_copy_after_a_rerun(lake: Lake, point: str) -> None:
    code = """
arm({sys.argv[2]: 1})
lake.commit("bikes", "records", batch("a", "b"), producer="score", version=1)
"""
    assert finish([start(code, Path(lake.root), point)]) == [-9]
    assert finish([start(code, Path(lake.root), "nowhere")]) == [0]
    assert ids(lake) == ["a", "b"]


def test_a_stream_of_batches_is_written_as_it_comes(lake: Lake) -> None:
    def stream(_: Reader) -> pa.RecordBatchReader:
        batches = (batch(f"{number}").to_batches()[0] for number in range(5))
        return pa.RecordBatchReader.from_batches(SCHEMA, batches)

    done = lake.commit("bikes", "records", stream, producer="ingest")
    assert (done.rows, done.skipped) == (5, False)
    assert ids(lake) == ["0", "1", "2", "3", "4"]


def test_a_stream_without_rows_commits_nothing(lake: Lake) -> None:
    def stream(_: Reader) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(SCHEMA, iter(()))

    before = lake.version("bikes", "records")
    assert lake.commit("bikes", "records", stream, producer="ingest").skipped
    assert lake.version("bikes", "records") == before


def test_a_stream_that_breaks_commits_nothing_and_says_why(lake: Lake) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield batch("a").to_batches()[0]
        raise StoreError("the disk is full")

    def stream(_: Reader) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(SCHEMA, batches())

    before = lake.version("bikes", "records")
    with pytest.raises(StoreError, match="the disk is full"):
        lake.commit("bikes", "records", stream, producer="ingest")
    assert lake.version("bikes", "records") == before
    assert ids(lake) == []


def test_three_writers_at_once_lose_nothing(lake: Lake) -> None:
    code = """
for number in range(8):
    name = f"{sys.argv[2]}-{number}"
    lake.commit("bikes", "records", batch(name), producer=sys.argv[2], version=number)
"""
    assert finish([start(code, Path(lake.root), name) for name in "abc"]) == [0, 0, 0]
    assert ids(lake) == sorted(f"{name}-{number}" for name in "abc" for number in range(8))


def test_processes_that_work_out_what_is_missing_write_it_once(lake: Lake) -> None:
    code = """
def missing(table):
    there = set(table.read(columns=["record_id"])["record_id"].to_pylist())
    return batch(*sorted({f"r{n}" for n in range(int(sys.argv[2]))} - there))
lake.commit("bikes", "records", missing, producer="ingest")
"""
    assert finish([start(code, Path(lake.root), size) for size in ("5", "9", "7")]) == [0] * 3
    assert ids(lake) == [f"r{number}" for number in range(9)]


# --- conflicts ----------------------------------------------------------------------------------


def test_after_a_conflict_the_rows_are_worked_out_again(lake: Lake) -> None:
    seen = []

    def rows(table: Reader) -> pa.Table:
        seen.append(table.read(columns=["record_id"])["record_id"].to_pylist())
        if len(seen) == 1:  # somebody else is faster
            lake.commit("bikes", "records", batch("theirs"), producer="other", version=1)
        return batch("ours")

    done = lake.commit("bikes", "records", rows, producer="ingest")
    assert seen == [[], ["theirs"]]
    assert done.rows == 1
    assert ids(lake) == ["ours", "theirs"]


def test_one_producer_in_two_places_writes_its_version_once(lake: Lake) -> None:
    def rows(table: Reader) -> pa.Table:
        lake.commit("bikes", "records", batch("a"), producer="ingest", version=1)
        return batch("a")

    assert lake.commit("bikes", "records", rows, producer="ingest", version=1).skipped
    assert ids(lake) == ["a"]


def test_a_writer_who_never_wins_says_that_nothing_was_written(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ATTEMPTS", 3)

    def rows(table: Reader) -> pa.Table:
        lake.commit("bikes", "records", batch("x"), producer="fast", version=table.version)
        return batch("slow")

    with pytest.raises(CommitConflictError, match="won all 3 attempts of 'ingest'"):
        lake.commit("bikes", "records", rows, producer="ingest")
    assert "slow" not in ids(lake)


def test_appending_a_numbered_batch_does_not_conflict_with_other_producers(lake: Lake) -> None:
    reader = lake.open("bikes", "records")
    lake.commit("bikes", "records", batch("theirs"), producer="other", version=1)
    tables._commit_once(reader, batch("ours"), "records:score", 1, {})
    assert ids(lake) == ["ours", "theirs"]


# --- what is refused ----------------------------------------------------------------------------


def test_nothing_to_write_makes_no_version(lake: Lake) -> None:
    before = lake.version("bikes", "records")
    assert lake.commit("bikes", "records", batch(), producer="score", version=1).skipped
    assert lake.commit("bikes", "records", lambda _: None, producer="ingest").skipped
    assert lake.version("bikes", "records") == before


def test_rows_without_a_number_are_refused(lake: Lake) -> None:
    with pytest.raises(StoreError, match="would land twice"):
        lake.commit("bikes", "records", batch("a"), producer="score")


def test_a_missing_table_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="driftwheel ingest bikes"):
        Lake(str(tmp_path)).read("bikes", "records")
    assert not (tmp_path / "bikes").exists()


def test_a_column_that_the_table_does_not_know_is_refused(lake: Lake) -> None:
    odd = pa.table({"record_id": ["a"], "wether": ["Clear"]})
    with pytest.raises(StoreError, match="no column wether"):
        lake.commit("bikes", "records", odd, producer="score", version=1)
    with pytest.raises(StoreError, match="no column 'wether'"):
        lake.read("bikes", "records", columns=["wether"])


def test_values_that_do_not_fit_are_refused(lake: Lake) -> None:
    odd = pa.table({"x": ["not a number"]})
    with pytest.raises(StoreError, match="do not fit"):
        lake.commit("bikes", "records", odd, producer="score", version=1)


def test_a_lost_file_is_said_in_words(lake: Lake) -> None:
    lake.commit("bikes", "records", batch("a"), producer="score", version=1)
    next(Path(lake.root).rglob("part-*.parquet")).unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        lake.read("bikes", "records")


def test_a_version_that_was_never_written_is_said_in_words(lake: Lake) -> None:
    with pytest.raises(StoreError, match="could not be opened at version 99"):
        lake.read("bikes", "records", version=99)


@pytest.mark.parametrize("name", ["a[b]", "50%", "a|b", "a#b", "what?"])
def test_a_folder_that_the_table_format_cannot_take_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot lie in"):
        Lake(str(tmp_path / name))


@pytest.mark.parametrize("name", ["with space", "naïve 日本", "a=b;c,d (1)", "it's"])
def test_a_folder_of_any_other_name_works(tmp_path: Path, name: str) -> None:
    lake = Lake(str(tmp_path / name))
    lake.create("bikes", "records", SCHEMA)
    lake.commit("bikes", "records", batch("a"), producer="score", version=1)
    assert ids(lake) == ["a"]
    assert ids(Lake((tmp_path / name).as_uri())) == ["a"]
    assert [folder.name for folder in tmp_path.iterdir()] == [name]


def test_an_object_store_is_left_to_its_address() -> None:
    assert Lake("s3://bucket/lake/").root == "s3://bucket/lake"
    assert places.is_remote("s3://bucket/lake")


# --- reading ------------------------------------------------------------------------------------


def test_an_empty_table_is_read_with_its_columns(lake: Lake) -> None:
    assert lake.read("bikes", "records").schema == SCHEMA
    assert lake.read("bikes", "records", columns=["x"]).column_names == ["x"]


def test_a_column_without_values_keeps_its_type(lake: Lake) -> None:
    nothing = pa.table({"record_id": ["a"], "x": pa.nulls(1), "weather": pa.nulls(1)})
    lake.commit("bikes", "records", nothing, producer="score", version=1)
    assert lake.open("bikes", "records").schema == SCHEMA
    assert lake.read("bikes", "records").schema == SCHEMA
    assert lake.read("bikes", "records", where="x is null").num_rows == 1


def test_a_condition_takes_its_values_by_name(lake: Lake) -> None:
    lake.commit("bikes", "records", batch("early"), producer="score", version=1)
    later = batch("late", at=NOON + timedelta(microseconds=1))
    lake.commit("bikes", "records", later, producer="score", version=2)
    odd_name = batch("it's; drop table this --")
    lake.commit("bikes", "records", odd_name, producer="score", version=3)

    def names(where: str, **params: object) -> list[str]:
        found = lake.read("bikes", "records", where=where, params=params)
        return sorted(found["record_id"].to_pylist())

    assert names("known_time <= $as_of", as_of=NOON) == ["early", "it's; drop table this --"]
    assert names("record_id = $id", id="it's; drop table this --") == ["it's; drop table this --"]
    assert names("known_time > $as_of", as_of=NOON.tz_convert("Asia/Tokyo")) == ["late"]


def test_an_old_version_is_read_as_it_was(lake: Lake) -> None:
    first = lake.commit("bikes", "records", batch("a"), producer="score", version=1)
    lake.commit("bikes", "records", batch("b"), producer="score", version=2)
    assert ids(lake, version=first.version) == ["a"]
    assert ids(lake) == ["a", "b"]


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "year=2011"))
    lake.create("bikes", "records", SCHEMA)
    lake.commit("bikes", "records", batch("a"), producer="score", version=1)
    assert lake.read("bikes", "records").schema == SCHEMA


def test_a_query_can_join_with_a_table_at_hand(lake: Lake) -> None:
    lake.commit("bikes", "records", batch("a", "b"), producer="score", version=1)
    wanted = pa.table({"record_id": ["b", "c"]})
    found = lake.open("bikes", "records").query(
        f"select wanted.* from wanted anti join this using ({quote('record_id')})",
        tables={"wanted": wanted},
    )
    assert found.to_pylist() == [{"record_id": "c"}]


def test_twenty_short_processes_that_read_end_well(lake: Lake) -> None:
    names = ("records", "labels", "predictions", "quarantine", "measurements")
    for name in names:
        lake.create("bikes", name, SCHEMA)
        lake.commit("bikes", name, batch("a"), producer="score", version=1)
    code = """
for name in sys.argv[2:]:
    assert lake.read("bikes", name).num_rows == 1
"""
    for _ in range(5):
        assert finish([start(code, Path(lake.root), *names) for _ in range(4)]) == [0] * 4


# --- creating and tending -----------------------------------------------------------------------


def test_creating_a_table_again_changes_nothing(lake: Lake) -> None:
    lake.commit("bikes", "records", batch("a"), producer="score", version=1)
    before = lake.version("bikes", "records")
    lake.create("bikes", "records", SCHEMA)
    assert lake.version("bikes", "records") == before


def test_processes_that_create_the_same_table_at_once_make_one(tmp_path: Path) -> None:
    code = """
schema = pa.schema([("record_id", pa.string())])
lake.create("bikes", "records", schema)
wider = schema.append(pa.field("x", pa.float64()))
lake.create("bikes", "records", wider)
lake.commit("bikes", "records", batch(sys.argv[2]), producer=sys.argv[2], version=1)
"""
    assert finish([start(code, tmp_path, name) for name in "abcd"]) == [0] * 4
    lake = Lake(str(tmp_path))
    assert ids(lake) == list("abcd")
    assert lake.open("bikes", "records").schema.names == ["record_id", "x"]


def test_a_column_that_is_added_later_is_null_in_what_stood_before(lake: Lake) -> None:
    lake.commit("bikes", "records", batch("a"), producer="score", version=1)
    lake.create("bikes", "records", SCHEMA.append(pa.field("wind", pa.float64())))
    assert lake.read("bikes", "records", columns=["wind"])["wind"].to_pylist() == [None]
    added = pa.table({"record_id": ["b"], "wind": [3.0]})
    lake.commit("bikes", "records", added, producer="score", version=2)
    assert sorted(lake.read("bikes", "records")["wind"].to_pylist(), key=str) == [3.0, None]


def test_a_column_that_changes_its_type_is_refused(lake: Lake) -> None:
    with pytest.raises(StoreError, match="'x' as double, and string is asked for"):
        lake.create("bikes", "records", pa.schema([("x", pa.string())]))


def test_old_versions_are_kept_for_longer_than_any_model_lives(lake: Lake) -> None:
    kept = DeltaTable(f"{lake.root}/bikes/records").metadata().configuration
    assert kept["delta.enableExpiredLogCleanup"] == "false"
    assert kept["delta.logRetentionDuration"] == "interval 36500 days"
    assert kept["delta.deletedFileRetentionDuration"] == "interval 36500 days"


def test_compacting_joins_files_and_changes_no_row(lake: Lake) -> None:
    for number in range(5):
        lake.commit("bikes", "records", batch(str(number)), producer="score", version=number)
    assert lake.compact("bikes", "records") == 5
    assert lake.compact("bikes", "records") == 0
    assert ids(lake) == list("01234")
    assert len(DeltaTable(f"{lake.root}/bikes/records").file_uris()) == 1


def test_a_kept_version_stays_readable_when_others_are_cleared_away(lake: Lake) -> None:
    for number in range(4):
        lake.commit("bikes", "records", batch(str(number)), producer="score", version=number)
    lake.compact("bikes", "records")
    lake.commit("bikes", "records", batch("4"), producer="score", version=4)
    lake.compact("bikes", "records")
    at_once = timedelta(0)
    assert lake.vacuum("bikes", "records", keep_versions=[2], older_than=at_once) > 0
    assert ids(lake, version=2) == ["0", "1"]
    assert ids(lake) == list("01234")
    assert lake.vacuum("bikes", "records", keep_versions=[2], older_than=at_once) == 0


def test_files_that_were_replaced_a_moment_ago_stay_for_their_readers(lake: Lake) -> None:
    for number in range(3):
        lake.commit("bikes", "records", batch(str(number)), producer="score", version=number)
    reading = lake.open("bikes", "records")
    lake.compact("bikes", "records")
    assert lake.vacuum("bikes", "records", keep_versions=[]) == 0
    assert reading.read().num_rows == 3


def test_a_file_that_is_about_to_be_committed_is_not_cleared_away(lake: Lake) -> None:
    lake.commit("bikes", "records", batch("a"), producer="score", version=1)
    written = Path(lake.root) / "bikes" / "records" / "part-00000-inflight.snappy.parquet"
    written.write_bytes(b"written, not yet committed")
    lake.vacuum("bikes", "records", keep_versions=[], older_than=timedelta(0))
    assert written.exists()


def test_clearing_away_refuses_to_keep_what_never_was(lake: Lake) -> None:
    with pytest.raises(StoreError, match=r"cannot keep \[7\]. Nothing was deleted"):
        lake.vacuum("bikes", "records", keep_versions=[0, 7])


def test_a_commit_notes_what_it_was_told(lake: Lake) -> None:
    lake.commit(
        "bikes", "records", batch("a"), producer="score", version=1, about={"flow_run_id": "f-1"}
    )
    newest = lake.commits("bikes", "records")[0]
    assert newest["flow_run_id"] == "f-1"
