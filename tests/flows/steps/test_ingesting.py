"""Ingesting twice changes nothing, and nobody's past is rewritten."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.checks import ABSENT
from components.errors import DriftwheelError, SourceError
from components.pipelines import Pipeline, read_pipeline
from components.records import to_frame
from components.stores.lake import Lake
from flows.steps.ingesting import Ingested, ingest
from flows.steps.snapshots import labels_known

CLONE = Path(__file__).resolve().parents[3]
TABLES = ("records", "labels", "predictions", "quarantine", "measurements")
JUNE = pd.Timestamp("2011-06-01", tz="UTC")

INGEST = """
import sys
from pathlib import Path
import pandas as pd
from components.failpoints import arm
from components.pipelines import read_pipeline
from components.stores.lake import Lake
from flows.steps.ingesting import ingest
from flows.steps.snapshots import labels_known
file, root, as_of, point, visit = sys.argv[1:]
arm({point: int(visit)})
ingest(Lake(root), read_pipeline(Path(file)), as_of=pd.Timestamp(as_of, tz="UTC"))
"""


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def bikeshare() -> Pipeline:
    return read_pipeline(CLONE / "pipelines" / "bikeshare.yaml")


class Feed:
    """A small source whose rows a test can change."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.path = folder / "bikes.csv"
        given = {
            "name": "bikes",
            "source": {"path": "bikes.csv"},
            "time": "at",
            "target": "count",
            "task": "regression",
            "label_delay": "1d",
            "columns": {"temp": "number", "weather": "category"},
            "file": folder / "bikes.yaml",
            **changes,
        }
        self.pipeline = Pipeline.model_validate(given)

    def hold(self, *rows: str, header: str = "at,temp,weather,count") -> None:
        self.path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(tmp_path)


def content(lake: Lake, name: str, table: str) -> pd.DataFrame:
    rows = to_frame(lake.read(name, table))
    return rows.sort_values(["record_id", "known_time"], ignore_index=True)


def versions(lake: Lake, name: str) -> list[int]:
    return [lake.version(name, table) for table in TABLES]


# --- twice, at once, in parts -------------------------------------------------------------------


def test_the_same_twice_changes_nothing(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,1,Clear,5", "2011-01-02,2,,6", "2011-01-03,hot,,7", "2011-01-04,4,,many")
    first = ingest(lake, feed.pipeline, as_of=JUNE)
    assert first == Ingested(records=3, labels=2, quarantined=2, already=0)
    before = versions(lake, "bikes")
    again = ingest(lake, feed.pipeline, as_of=JUNE)
    assert again == Ingested(records=0, labels=0, quarantined=0, already=3)
    assert versions(lake, "bikes") == before


def test_day_by_day_ends_where_all_at_once_does(
    lake: Lake, bikeshare: Pipeline, tmp_path: Path
) -> None:
    ingest(lake, bikeshare, as_of=utc("2011-04-02"))
    for day in pd.date_range("2011-04-03", "2011-04-07", tz="UTC"):
        grown = ingest(lake, bikeshare, as_of=day)
        assert (grown.records, grown.labels) == (24, 24)
    at_once = Lake(str(tmp_path / "other"))
    ingest(at_once, bikeshare, as_of=utc("2011-04-07"))
    for table in ("records", "labels", "quarantine"):
        pd.testing.assert_frame_equal(
            content(lake, "bikeshare", table), content(at_once, "bikeshare", table)
        )


def test_four_ingests_at_once_end_as_one(lake: Lake, bikeshare: Pipeline) -> None:
    ingest(lake, bikeshare, as_of=utc("2011-02-01"))
    command = [sys.executable, "-c", INGEST, str(bikeshare.file), lake.root]
    days = ("2011-03-01", "2011-03-10", "2011-03-10", "2011-03-09")
    children = [
        subprocess.Popen([*command, day, "nowhere", "1"], cwd=CLONE, stderr=subprocess.PIPE)
        for day in days
    ]
    for child in children:
        _, complaint = child.communicate(timeout=120)
        assert child.returncode == 0, complaint
    records = content(lake, "bikeshare", "records")
    assert not records["record_id"].duplicated().any()
    assert records["event_time"].max() == utc("2011-03-10")
    ingest(lake, bikeshare, as_of=utc("2011-03-10"))
    assert len(content(lake, "bikeshare", "records")) == len(records)


@pytest.mark.parametrize("point", ["before-commit", "after-commit"])
@pytest.mark.parametrize("visit", ["1", "2"], ids=["first table", "second table"])
def test_a_kill_leaves_one_copy_after_a_rerun(
    lake: Lake, bikeshare: Pipeline, point: str, visit: str
) -> None:
    arguments = [str(bikeshare.file), lake.root, "2011-01-03", point, visit]
    killed = subprocess.run([sys.executable, "-c", INGEST, *arguments], cwd=CLONE, check=False)
    assert killed.returncode == -9
    ingest(lake, bikeshare, as_of=utc("2011-01-03"))
    for table, rows in (("records", 48), ("labels", 25)):
        found = content(lake, "bikeshare", table)
        assert len(found) == found["record_id"].nunique() == rows


def test_repeating_an_older_day_changes_nothing(lake: Lake, bikeshare: Pipeline) -> None:
    ingest(lake, bikeshare, as_of=utc("2011-02-01"))
    before = versions(lake, "bikeshare")
    assert ingest(lake, bikeshare, as_of=utc("2011-01-15")).records == 0
    assert versions(lake, "bikeshare") == before


def test_all_five_tables_exist_afterwards(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,1,Clear,5")
    ingest(lake, feed.pipeline, as_of=JUNE)
    assert [lake.exists("bikes", table) for table in TABLES] == [True] * 5


def test_nothing_known_yet_is_no_fault(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,1,Clear,5")
    assert ingest(lake, feed.pipeline, as_of=utc("2010-01-01")) == Ingested(0, 0, 0, 0)


def test_the_flow_run_is_noted_in_the_commit(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,1,Clear,5")
    ingest(lake, feed.pipeline, as_of=JUNE, flow_run_id="run-7")
    assert lake.commits("bikes", "records")[0]["flow_run_id"] == "run-7"


# --- corrections --------------------------------------------------------------------------------


def test_a_changed_row_is_a_later_version_and_the_past_stays(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,1,Clear,5")
    ingest(lake, feed.pipeline, as_of=utc("2011-01-10"))
    feed.hold("2011-01-01,9,Clear,6")
    corrected = ingest(lake, feed.pipeline, as_of=utc("2011-01-20"))
    assert (corrected.records, corrected.labels) == (1, 1)
    records, labels = content(lake, "bikes", "records"), content(lake, "bikes", "labels")
    assert list(records["temp"]) == [1.0, 9.0]
    assert list(records["known_time"]) == [utc("2011-01-01"), utc("2011-01-20")]
    assert list(labels["label"]) == [5.0, 6.0]
    assert list(labels["known_time"]) == [utc("2011-01-02"), utc("2011-01-20")]
    before = versions(lake, "bikes")
    ingest(lake, feed.pipeline, as_of=utc("2011-01-20"))
    ingest(lake, feed.pipeline, as_of=utc("2011-01-25"))
    ingest(lake, feed.pipeline, as_of=utc("2011-01-05"))
    assert versions(lake, "bikes") == before


def test_a_row_that_changes_back_is_corrected_back(lake: Lake, feed: Feed) -> None:
    for temp, day in ((1, "10"), (9, "11"), (1, "12")):
        feed.hold(f"2011-01-01,{temp},Clear,5")
        ingest(lake, feed.pipeline, as_of=utc(f"2011-01-{day}"))
    assert list(content(lake, "bikes", "records")["temp"]) == [1.0, 9.0, 1.0]


def test_a_row_that_changes_twice_within_one_moment_keeps_its_order(lake: Lake, feed: Feed) -> None:
    for temp in (1, 9, 3):
        feed.hold(f"2011-01-01,{temp},Clear,5")
        ingest(lake, feed.pipeline, as_of=utc("2011-01-10"))
    records = content(lake, "bikes", "records")
    assert list(records["temp"]) == [1.0, 9.0, 3.0]
    assert records["known_time"].is_unique


def test_a_value_that_goes_missing_is_a_correction_too(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,1,Clear,5")
    ingest(lake, feed.pipeline, as_of=utc("2011-01-10"))
    feed.hold("2011-01-01,1,,5")
    assert ingest(lake, feed.pipeline, as_of=utc("2011-01-11")).records == 1
    assert ingest(lake, feed.pipeline, as_of=utc("2011-01-12")).records == 0


def test_with_an_updated_column_a_correction_is_known_when_the_source_says(
    lake: Lake, tmp_path: Path
) -> None:
    feed = Feed(tmp_path, updated="changed")
    header = "at,temp,weather,count,changed"
    feed.hold("2011-01-01,1,Clear,5,2011-01-01", header=header)
    ingest(lake, feed.pipeline, as_of=JUNE)
    feed.hold("2011-01-01,9,Clear,5,2011-01-07", header=header)
    assert ingest(lake, feed.pipeline, as_of=JUNE).records == 1
    records = content(lake, "bikes", "records")
    assert list(records["known_time"]) == [utc("2011-01-01"), utc("2011-01-07")]


def test_versions_that_a_source_keeps_side_by_side_all_come_in_once(
    lake: Lake, tmp_path: Path
) -> None:
    feed = Feed(tmp_path, updated="changed")
    rows = [f"2011-01-01,{day},Clear,5,2011-01-0{day}" for day in (3, 1, 2)]
    feed.hold(*rows, header="at,temp,weather,count,changed")
    ingest(lake, feed.pipeline, as_of=utc("2011-01-02"))
    ingest(lake, feed.pipeline, as_of=JUNE)
    again = ingest(lake, feed.pipeline, as_of=JUNE)
    assert again.records == 0
    assert list(content(lake, "bikes", "records")["temp"]) == [1.0, 2.0, 3.0]


def test_a_late_row_comes_in_with_the_moment_the_data_gives(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-05,1,Clear,5")
    ingest(lake, feed.pipeline, as_of=utc("2011-01-10"))
    feed.hold("2011-01-05,1,Clear,5", "2011-01-03,2,Clear,5")
    assert ingest(lake, feed.pipeline, as_of=utc("2011-01-10")).records == 1


def test_a_feature_that_is_added_later_fills_the_past_without_rewriting_it(
    lake: Lake, feed: Feed, tmp_path: Path
) -> None:
    feed.hold("2011-01-01,1,Clear,5", "2011-01-02,2,Mist,5")
    ingest(lake, feed.pipeline, as_of=utc("2011-01-10"))
    columns = {"temp": "number", "weather": "category", "wind": "number"}
    wider = Feed(tmp_path, columns=columns)
    header = "at,temp,weather,count,wind"
    wider.hold("2011-01-01,1,Clear,5,30", "2011-01-02,9,Mist,5,40", header=header)
    assert ingest(lake, wider.pipeline, as_of=utc("2011-01-20")).records == 2
    assert ingest(lake, wider.pipeline, as_of=utc("2011-01-21")).records == 0
    newest = content(lake, "bikes", "records").drop_duplicates("record_id", keep="last")
    assert list(newest["wind"]) == [30.0, 40.0]
    only_filled, also_changed = newest["known_time"]
    assert only_filled == utc("2011-01-01") + pd.Timedelta("1us")
    assert also_changed == utc("2011-01-20")


# --- what was taken before ----------------------------------------------------------------------


def test_a_file_that_was_taken_whole_is_not_read_again_under_any_name(
    lake: Lake, tmp_path: Path
) -> None:
    feed = Feed(tmp_path, source={"path": "days"})
    (tmp_path / "days").mkdir()
    feed.path = tmp_path / "days" / "monday.csv"
    feed.hold("2011-01-01,1,Clear,5", "2011-01-02,hot,Clear,5")
    assert ingest(lake, feed.pipeline, as_of=JUNE) == Ingested(1, 1, 1, 0)
    feed.path.rename(tmp_path / "days" / "moved.csv")
    before = versions(lake, "bikes"), lake.version("bikes", "ingests")
    assert ingest(lake, feed.pipeline, as_of=JUNE + pd.Timedelta("1D")).already == 1
    assert (versions(lake, "bikes"), lake.version("bikes", "ingests")) == before
    assert ingest(lake, feed.pipeline, as_of=JUNE, again=True).already == 1
    noted = lake.read("bikes", "ingests").sort_by("number").to_pylist()
    assert [(row["part"], row["rows"], row["new"]) for row in noted] == [
        ("monday.csv", 2, 1),
        ("moved.csv", 2, 0),
    ]


def test_a_file_of_which_something_was_not_known_yet_is_read_again(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,1,Clear,5", "2011-01-05,2,Clear,5")
    assert ingest(lake, feed.pipeline, as_of=utc("2011-01-01")).records == 1
    label_is_out = ingest(lake, feed.pipeline, as_of=utc("2011-01-02"))
    assert (label_is_out.records, label_is_out.labels) == (0, 1)
    assert ingest(lake, feed.pipeline, as_of=utc("2011-01-05")).records == 1
    assert ingest(lake, feed.pipeline, as_of=utc("2011-01-06")).labels == 1


def test_a_file_is_read_again_when_the_pipeline_file_reads_it_otherwise(
    lake: Lake, feed: Feed, tmp_path: Path
) -> None:
    feed.hold("2011-01-01,99,Clear,5")
    stricter = Feed(tmp_path, columns={"temp": {"kind": "number", "max": 50}})
    assert ingest(lake, stricter.pipeline, as_of=JUNE).quarantined == 1
    assert ingest(lake, feed.pipeline, as_of=JUNE).records == 1


def test_late_rows_are_counted(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-05,1,Clear,5")
    assert ingest(lake, feed.pipeline, as_of=utc("2011-01-10")).late == 0
    feed.hold("2011-01-05,1,Clear,5", "2011-01-03,2,Clear,5", "2011-01-11,2,Clear,5")
    done = ingest(lake, feed.pipeline, as_of=utc("2011-01-12"))
    assert (done.records, done.late, done.already) == (2, 1, 1)
    newest = lake.read("bikes", "ingests").sort_by("number").to_pylist()[-1]
    assert (newest["new"], newest["late"], newest["already"]) == (2, 1, 1)


def test_rows_that_come_later_than_stated_are_set_aside_and_stay_there(
    lake: Lake, tmp_path: Path
) -> None:
    feed = Feed(tmp_path, source={"path": "bikes.csv", "lateness": "3d"})
    feed.hold("2011-01-09,1,Clear,5")
    ingest(lake, feed.pipeline, as_of=utc("2011-01-10"))
    held = ["2011-01-09,1,Clear,5", "2011-01-08,2,Clear,5", "2011-01-02,3,Clear,5"]
    feed.hold(*held)
    done = ingest(lake, feed.pipeline, as_of=utc("2011-01-12"))
    assert (done.records, done.labels, done.late, done.quarantined) == (1, 1, 1, 1)
    line = content(lake, "bikes", "quarantine").iloc[0]
    assert line["rule"] == "must arrive within 3d of being known"
    assert line["record_id"] == "2011-01-02T00:00:00Z"


def test_what_an_outage_held_back_is_not_late(lake: Lake, tmp_path: Path) -> None:
    feed = Feed(tmp_path, source={"path": "bikes.csv", "lateness": "3d"})
    feed.hold("2011-01-09,1,Clear,5")
    for moment in ("2011-01-10", "2011-01-15", "2011-01-20"):  # nothing comes for ten days
        ingest(lake, feed.pipeline, as_of=utc(moment))
    feed.hold("2011-01-09,1,Clear,5", "2011-01-10,1,Clear,5", "2011-01-18,1,Clear,5")
    done = ingest(lake, feed.pipeline, as_of=utc("2011-01-21"))
    assert (done.records, done.quarantined) == (2, 0)


# --- labels in a table of their own -------------------------------------------------------------


def test_labels_of_their_own_table_come_with_their_own_times(lake: Lake, tmp_path: Path) -> None:
    truth = {"path": "truth.csv", "id": "trip", "time": "landed"}
    feed = Feed(tmp_path, label_delay=None, labels=truth, id="trip")
    feed.hold("1,2011-01-01,1,Clear", "2,2011-01-02,2,Clear", header="trip,at,temp,weather")
    lines = ["trip,landed,count", "1,2011-01-03,5", "2,2011-01-04,many", "2,2011-01-05,6", ",?,7"]
    (tmp_path / "truth.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    done = ingest(lake, feed.pipeline, as_of=utc("2011-01-04"))
    assert (done.records, done.labels) == (2, 1)
    done = ingest(lake, feed.pipeline, as_of=JUNE)
    assert (done.records, done.labels) == (0, 1)
    labels = content(lake, "bikes", "labels")
    assert list(labels["label"]) == [5.0, 6.0]
    assert labels["event_time"].isna().all()
    aside = content(lake, "bikes", "quarantine")
    assert set(aside["source"]) == {"truth.csv"}
    assert sorted(aside["column"]) == ["count", "landed", "trip"]


def test_a_label_that_its_table_empties_later_is_withdrawn_from_then_on(
    lake: Lake, tmp_path: Path
) -> None:
    truth = {"path": "truth.csv", "id": "trip", "time": "landed"}
    feed = Feed(tmp_path, label_delay=None, labels=truth, id="trip")
    feed.hold("1,2011-01-01,1,Clear", "2,2011-01-02,2,Clear", header="trip,at,temp,weather")
    table = tmp_path / "truth.csv"
    table.write_text("trip,landed,count\n1,2011-01-03,5\n2,,\n", encoding="utf-8")
    assert ingest(lake, feed.pipeline, as_of=utc("2011-01-04")).labels == 1
    table.write_text("trip,landed,count\n1,2011-01-05,\n2,,\n", encoding="utf-8")
    ingest(lake, feed.pipeline, as_of=utc("2011-01-06"))
    ingest(lake, feed.pipeline, as_of=utc("2011-01-06"), again=True)
    assert len(content(lake, "bikes", "labels")) == 2
    for moment, known in (("2011-01-04", 1), ("2011-01-06", 0)):
        assert len(labels_known(lake, feed.pipeline, as_of=utc(moment))) == known


# --- what is set aside --------------------------------------------------------------------------


def test_a_bad_row_is_in_quarantine_with_its_reason_and_nowhere_else(
    lake: Lake, feed: Feed
) -> None:
    feed.hold("2011-01-01,1,Clear,5", "2011-01-02,hot,Clear,6")
    ingest(lake, feed.pipeline, as_of=JUNE)
    aside = content(lake, "bikes", "quarantine").iloc[0]
    assert (aside["column"], aside["rule"], aside["value"]) == ("temp", "must be a number", "hot")
    assert aside["record_id"] == "2011-01-02T00:00:00Z"
    for table in ("records", "labels"):
        assert list(content(lake, "bikes", table)["record_id"]) == ["2011-01-01T00:00:00Z"]


def test_a_row_without_a_readable_time_is_set_aside_once(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,1,Clear,5", "someday,2,Clear,6")
    assert ingest(lake, feed.pipeline, as_of=utc("2011-02-01")).quarantined == 1
    assert ingest(lake, feed.pipeline, as_of=utc("2011-03-01")).quarantined == 0
    assert list(content(lake, "bikes", "quarantine")["known_time"]) == [utc("2011-02-01")]


def test_a_row_that_is_mended_in_the_source_comes_in(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,hot,Clear,5")
    ingest(lake, feed.pipeline, as_of=JUNE)
    feed.hold("2011-01-01,30,Clear,5")
    assert ingest(lake, feed.pipeline, as_of=JUNE).records == 1
    assert len(content(lake, "bikes", "quarantine")) == 1


def test_an_unreadable_source_leaves_the_tables_alone(lake: Lake, feed: Feed) -> None:
    feed.hold("2011-01-01,1,Clear,5")
    ingest(lake, feed.pipeline, as_of=JUNE)
    before = versions(lake, "bikes")
    feed.hold("2011-01-01,1", header="at,temp")
    with pytest.raises(SourceError, match="'count'"):
        ingest(lake, feed.pipeline, as_of=JUNE)
    assert versions(lake, "bikes") == before


def test_a_feature_that_a_file_lacks_is_null_and_one_line_says_so(
    lake: Lake, tmp_path: Path
) -> None:
    feed = Feed(tmp_path, source={"path": "days"})
    (tmp_path / "days").mkdir()
    feed.path = tmp_path / "days" / "1.csv"
    feed.hold("2011-01-01,1,Clear,5")
    feed.path = tmp_path / "days" / "2.csv"
    feed.hold("2011-01-02,1,Clear,5", "2011-01-03,1,Mist,5", header="at,tempp,weather,count")
    done = ingest(lake, feed.pipeline, as_of=JUNE)
    assert (done.records, done.quarantined) == (3, 0), "its rows came in"
    assert (done.lines, done.absent) == (1, ("temp",))
    assert list(content(lake, "bikes", "records")["temp"].isna()) == [False, True, True]
    line = content(lake, "bikes", "quarantine").iloc[0]
    assert (line["column"], line["rule"], line["value"]) == ("temp", ABSENT, "tempp")
    assert ingest(lake, feed.pipeline, as_of=JUNE, again=True).lines == 0


def test_a_row_is_counted_once_whatever_it_broke_and_however_many_lines_it_takes(
    lake: Lake, tmp_path: Path
) -> None:
    limits = {"temp": {"kind": "number", "max": 50}, "wind": "number", "weather": "category"}
    feed = Feed(tmp_path, columns=limits)
    header = "at,temp,wind,weather,count"
    feed.hold(
        '2011-01-01,1,2,"Clear\nafter\nrain",5',
        '2011-01-02,hot,calm,"Mist\nat\nnight",many',
        "2011-01-03,99,2,Clear,7",
        "2011-01-04,4,2,Clear,many",
        "someday,4,2,Clear,8",
        header=header,
    )
    done = ingest(lake, feed.pipeline, as_of=JUNE)
    assert (done.records, done.labels) == (2, 1)
    assert (done.quarantined, done.lines, done.absent) == (4, 6, ())
    noted = lake.read("bikes", "ingests").to_pylist()[0]
    assert (noted["rows"], noted["good"], noted["new"]) == (5, 2, 2)
    again = ingest(lake, feed.pipeline, as_of=JUNE, again=True)
    assert (again.quarantined, again.lines) == (0, 0)


def test_a_source_that_ends_half_way_commits_nothing(lake: Lake, tmp_path: Path) -> None:
    feed = Feed(tmp_path, source={"path": "days"})
    (tmp_path / "days").mkdir()
    feed.path = tmp_path / "days" / "1.csv"
    feed.hold("2011-01-01,1,Clear,5")
    ingest(lake, feed.pipeline, as_of=JUNE)
    before = versions(lake, "bikes"), lake.version("bikes", "ingests")
    feed.path = tmp_path / "days" / "2.csv"
    feed.hold("2011-01-02,1,Clear,5")
    good = pa.table({"at": ["2011-01-03"], "temp": [1], "weather": ["Mist"], "count": [1]})
    pq.write_table(good, tmp_path / "days" / "3.parquet")
    whole = (tmp_path / "days" / "3.parquet").read_bytes()
    (tmp_path / "days" / "3.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DriftwheelError, match=r"3\.parquet"):
        ingest(lake, feed.pipeline, as_of=JUNE)
    assert (versions(lake, "bikes"), lake.version("bikes", "ingests")) == before
    (tmp_path / "days" / "3.parquet").write_bytes(whole)
    assert ingest(lake, feed.pipeline, as_of=JUNE).records == 2


def test_columns_named_like_words_of_the_query_do_no_harm(lake: Lake, tmp_path: Path) -> None:
    names = ["given", "this", "same", "stored", 'odd "name', "select", "delivered.x", "{rest}"]
    header = "at,count," + ",".join('"' + name.replace('"', '""') + '"' for name in names)
    feed = Feed(tmp_path, columns=dict.fromkeys(names, "number"))
    values = ",".join(str(number) for number in range(len(names)))
    feed.hold(f"2011-01-01,5,{values}", header=header)
    assert ingest(lake, feed.pipeline, as_of=JUNE).records == 1
    assert ingest(lake, feed.pipeline, as_of=JUNE).records == 0
    stored: pa.Table = lake.read("bikes", "records", columns=names)
    assert stored.to_pylist() == [{name: float(i) for i, name in enumerate(names)}]
