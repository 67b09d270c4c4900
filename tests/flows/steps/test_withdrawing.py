"""A label that its row no longer gives is taken back: from then on, and for nobody before."""

import itertools
import runpy
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from components import sources as source
from components.pipelines import Pipeline
from components.records import to_frame
from components.stores.lake import Lake
from flows.steps.ingesting import ingest
from flows.steps.snapshots import labels_known, take_snapshot

AS_OF = pd.Timestamp("2011-06-01", tz="UTC")
SHARED_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - only faster
HEADER = "number,at,changed,temp,count"
MemoryLake = runpy.run_path(str(Path(__file__).with_name("memory_lake.py")))["MemoryLake"]
QUIET = {
    "phases": [Phase.generate],
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
}


def pipeline_of(folder: Path, *, updated: bool = True, label_time: bool = False) -> Pipeline:
    known = {"label_time": "counted"} if label_time else {"label_delay": "1d"}
    return Pipeline.model_validate(
        {
            "name": "bikes",
            "source": {"path": "days"},
            "time": "at",
            "id": "number",
            "updated": "changed" if updated else None,
            "target": "count",
            "task": "regression",
            **known,
            "columns": {"temp": {"kind": "number", "max": 50}},
            "history": [{"last": "label"}],
            "file": folder / "bikes.yaml",
        }
    )


def deliver(folder: Path, *files: list[str], header: str = HEADER) -> None:
    shutil.rmtree(folder / "days", ignore_errors=True)
    (folder / "days").mkdir()
    for number, lines in enumerate(files):
        if lines:
            text = "\n".join([header, *lines, ""])
            (folder / "days" / f"{number:02d}.csv").write_text(text, encoding="utf-8")


def at(day: int) -> pd.Timestamp:
    return pd.Timestamp(f"2011-01-{day:02d}", tz="UTC")


def content(lake: Lake, table: str) -> list[str]:
    return sorted(map(str, lake.read("bikes", table).to_pylist()))


def versions(lake: Lake) -> list[tuple[str, pd.Timestamp, float | None]]:
    return sorted_versions(to_frame(lake.read("bikes", "labels")))


def sorted_versions(rows: pd.DataFrame) -> list[tuple[str, pd.Timestamp, float | None]]:
    rows = rows.sort_values(["record_id", "known_time"])
    labels = [None if pd.isna(label) else label for label in rows["label"]]
    return list(zip(rows["record_id"], rows["known_time"], labels, strict=True))


@st.composite
def rows_of(draw: st.DrawFn) -> list[str]:
    """Versions of rows, each with its own label, a bad one, or none."""
    lines = []
    for number in range(1, draw(st.integers(1, 8)) + 1):
        for version in range(draw(st.integers(1, 4))):
            label = draw(st.sampled_from(["", "7", "8", "many"]))
            temp = draw(st.sampled_from(["1.5", "", "warm"]))
            changed = number + 3 * version
            lines.append(f"{number},2011-01-{number:02d},2011-01-{changed:02d},{temp},{label}")
    return lines


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    rows = draw(rows_of())
    shuffled = draw(st.permutations(rows + draw(st.lists(st.sampled_from(rows), max_size=3))))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=3)))
    return rows, [shuffled[a:b] for a, b in itertools.pairwise([0, *cuts, len(shuffled)])]


def compare(make: Callable[[str], Lake], rows: list[str], files: list[list[str]]) -> None:
    """Take some rows at once; then file by file, every second time all of them again."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as root:
        folder = Path(root)
        pipeline = pipeline_of(folder)
        at_once, in_turn = make(str(folder / "at_once")), make(str(folder / "in_turn"))
        deliver(folder, rows)
        ingest(at_once, pipeline, as_of=AS_OF)
        for upto in (*range(1, len(files) + 1), len(files)):
            if any(files[:upto]):
                deliver(folder, *files[:upto])
                ingest(in_turn, pipeline, as_of=AS_OF, again=upto % 2 == 0)
        for table in ("records", "labels", "quarantine"):
            assert content(at_once, table) == content(in_turn, table), table
        assert versions(at_once) == expected(rows)
        told = source.deliver(pipeline, as_of=AS_OF).labels
        assert sorted_versions(told) == changes(expected(rows)), "it is told so without a lake"


def changes(
    said: list[tuple[str, pd.Timestamp, float | None]],
) -> list[tuple[str, pd.Timestamp, float | None]]:
    """Leave out what says of a label what the version before it has said."""
    before = [(None, None, None), *said]
    return [one for was, one in zip(before, said, strict=False) if was[::2] != one[::2]]


@settings(max_examples=18, **QUIET)
@given(deliveries())
def test_labels_taken_back_in_any_order_leave_the_same_tables(
    made: tuple[list[str], list[list[str]]],
) -> None:
    compare(MemoryLake, *made)


@settings(max_examples=3, **QUIET)
@given(deliveries())
def test_on_disk_they_leave_the_same_too(made: tuple[list[str], list[list[str]]]) -> None:
    compare(Lake, *made)


def expected(rows: list[str]) -> list[tuple[str, pd.Timestamp, float | None]]:
    """Say in the plainest words what the table of labels has to hold."""
    said: list[tuple[str, pd.Timestamp, float | None]] = []
    for line in dict.fromkeys(rows):
        number, event, changed, temp, label = line.split(",")
        if temp == "warm" or label == "many":
            continue
        due, version = at(int(event[-2:]) + 1), at(int(changed[-2:]))
        said.append((number, max(due, version), float(label) if label else None))
    first = {
        number: min((k for n, k, label in said if n == number and label), default=AS_OF)
        for number, _, _ in said
    }
    kept = [one for one in said if one[2] is not None or one[1] > first[one[0]]]
    return sorted(kept, key=lambda one: one[:2])


def test_a_row_that_was_never_labelled_writes_nothing(tmp_path: Path) -> None:
    pipeline, lake = pipeline_of(tmp_path), Lake(str(tmp_path / "lake"))
    for changed in (1, 5, 9):
        deliver(tmp_path, [f"1,2011-01-01,2011-01-{changed:02d},1.5,"])
        ingest(lake, pipeline, as_of=at(10))
    assert versions(lake) == []


@pytest.mark.parametrize("dated", [True, False])
def test_it_is_learnt_until_it_is_taken_back_and_again_when_it_is_given_anew(
    tmp_path: Path, dated: bool
) -> None:
    pipeline, lake = pipeline_of(tmp_path, updated=dated), Lake(str(tmp_path / "lake"))
    other = "2,2011-01-02,2011-01-02,1.5,5"
    for day, label in ((3, "7"), (6, ""), (9, "8")):
        deliver(tmp_path, [f"1,2011-01-01,2011-01-{day:02d},1.5,{label}", other])
        for _ in range(2):
            ingest(lake, pipeline, as_of=at(day))
    known = at(3) if dated else at(2)
    first = [("1", known, 7.0), ("1", at(6), None), ("1", at(9), 8.0)]
    assert versions(lake) == [*first, ("2", at(3), 5.0)]
    for moment, label in ((5, [7.0]), (6, []), (8, []), (9, [8.0])):
        of_one = labels_known(lake, pipeline, as_of=at(moment)).set_index("record_id")["label"]
        assert of_one.get(["1"], pd.Series(dtype=float)).tolist() == label
        taken = take_snapshot(lake, pipeline, as_of=at(moment)).rows
        assert taken.loc[taken["record_id"] == "1", "label"].tolist() == label


def test_history_forgets_a_label_from_the_moment_it_is_gone(tmp_path: Path) -> None:
    pipeline, lake = pipeline_of(tmp_path), Lake(str(tmp_path / "lake"))
    later = [f"{n},2011-01-{n:02d},2011-01-{n:02d},1.5,1" for n in (4, 7)]
    gone = ["1,2011-01-01,2011-01-01,1.5,7", "1,2011-01-01,2011-01-06,1.5,"]
    deliver(tmp_path, [*gone, *later])
    ingest(lake, pipeline, as_of=at(9))
    rows = take_snapshot(lake, pipeline, as_of=at(9)).rows.set_index("record_id")["label_last"]
    assert rows["4"] == 7.0
    assert rows["7"] == 1.0
    deliver(tmp_path, gone, [later[1]])
    alone = Lake(str(tmp_path / "alone"))
    ingest(alone, pipeline, as_of=at(9))
    assert take_snapshot(alone, pipeline, as_of=at(9)).rows["label_last"].isna().all()


def test_a_copy_without_the_label_in_another_file_takes_nothing_back(tmp_path: Path) -> None:
    pipeline, lake = pipeline_of(tmp_path, updated=False), Lake(str(tmp_path / "lake"))
    full, bare = "1,2011-01-01,2011-01-01,1.5,7", "1,2011-01-01,2011-01-01,1.5,"
    deliver(tmp_path, [full])
    ingest(lake, pipeline, as_of=at(3))
    deliver(tmp_path, [full], [bare])
    for again in (False, True):
        ingest(lake, pipeline, as_of=at(5), again=again)
        assert versions(lake) == [("1", at(2), 7.0)]


def test_a_bad_label_takes_nothing_back(tmp_path: Path) -> None:
    pipeline, lake = pipeline_of(tmp_path), Lake(str(tmp_path / "lake"))
    for day, label in ((3, "7"), (6, "many")):
        deliver(tmp_path, [f"1,2011-01-01,2011-01-{day:02d},1.5,{label}"])
        ingest(lake, pipeline, as_of=at(day))
    assert versions(lake) == [("1", at(3), 7.0)]


def test_a_label_whose_time_is_gone_with_it_is_taken_back_when_the_row_changed(
    tmp_path: Path,
) -> None:
    pipeline, lake = pipeline_of(tmp_path, label_time=True), Lake(str(tmp_path / "lake"))
    header = f"{HEADER},counted"
    for day, label in ((3, "7,2011-01-02"), (6, ",")):
        deliver(tmp_path, [f"1,2011-01-01,2011-01-{day:02d},1.5,{label}"], header=header)
        ingest(lake, pipeline, as_of=at(day))
    assert versions(lake) == [("1", at(3), 7.0), ("1", at(6), None)]
