"""In whatever files, order and repetition the same rows come, the tables end the same."""

import itertools
import runpy
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.pipelines import Pipeline
from components.records import to_frame
from components.stores.lake import Lake
from flows.steps.ingesting import ingest

SHARED_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - only faster
MemoryLake = runpy.run_path(str(Path(__file__).with_name("memory_lake.py")))["MemoryLake"]
AS_OF = pd.Timestamp("2011-06-01", tz="UTC")
HEADER = "number,at,changed,temp,weather,count"
TABLES = ("records", "labels", "quarantine")


def pipeline_of(folder: Path, *, updated: bool) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "bikes",
            "source": {"path": "days"},
            "time": "at",
            "id": "number",
            "updated": "changed" if updated else None,
            "target": "count",
            "task": "regression",
            "label_delay": "1d",
            "columns": {"temp": {"kind": "number", "max": 50}, "weather": "category"},
            "file": folder / "bikes.yaml",
        }
    )


@st.composite
def rows_of(draw: st.DrawFn, *, updated: bool) -> list[str]:
    """Rows that do not contradict each other; some of them break a rule."""
    lines = []
    for number in range(draw(st.integers(1, 12))):
        versions = draw(st.integers(1, 3)) if updated else 1
        label = draw(st.sampled_from(["", "7", "many"]))
        for version in range(versions):
            temp = draw(st.sampled_from(["1.5", "", "99", "warm"]))
            weather = draw(st.sampled_from(["Clear", "NA", ""]))
            changed = f"2011-01-{1 + number + 3 * version:02d}"
            lines.append(f"{number},2011-01-{1 + number:02d},{changed},{temp},{weather},{label}")
    return lines


def deliver(folder: Path, files: list[list[str]]) -> None:
    shutil.rmtree(folder / "days", ignore_errors=True)
    (folder / "days").mkdir()
    for number, lines in enumerate(files):
        if lines:
            text = "\n".join([HEADER, *lines, ""])
            (folder / "days" / f"{number:02d}.csv").write_text(text, encoding="utf-8")


def content(lake: Lake) -> list[pd.DataFrame]:
    found = []
    for table in TABLES:
        rows = to_frame(lake.read("bikes", table))
        found.append(rows.sort_values(list(rows.columns), ignore_index=True))
    return found


@st.composite
def deliveries_of(draw: st.DrawFn, *, updated: bool) -> tuple[list[str], list[list[str]]]:
    """Rows, and the same in some files, in any order, some of them again."""
    rows = draw(rows_of(updated=updated))
    shuffled = draw(st.permutations(rows + draw(st.lists(st.sampled_from(rows), max_size=8))))
    cuts = sorted(draw(st.lists(st.integers(0, len(shuffled)), max_size=2)))
    edges = [0, *cuts, len(shuffled)]
    return rows, [shuffled[a:b] for a, b in itertools.pairwise(edges)]


DELIVERED = st.booleans().flatmap(
    lambda updated: st.tuples(st.just(updated), deliveries_of(updated=updated), st.booleans())
)
Given: TypeAlias = tuple[bool, tuple[list[str], list[list[str]]], bool]
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


def compare(make: Callable[[str], Lake], given: Given) -> None:
    """Take some rows at once; then in their files, all together or one after another."""
    updated, (rows, files), in_turn = given
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as root:
        folder = Path(root)
        pipeline = pipeline_of(folder, updated=updated)
        ours, theirs = make(str(folder / "ours")), make(str(folder / "theirs"))
        deliver(folder, [rows])
        ingest(ours, pipeline, as_of=AS_OF)
        for upto in range(1 if in_turn else len(files), len(files) + 1):
            if any(files[:upto]):
                deliver(folder, files[:upto])
                # Every second time all of it, though it was taken before.
                ingest(theirs, pipeline, as_of=AS_OF, again=upto % 2 == 0)
        for table in TABLES:
            one, other = (sorted_rows(lake, table) for lake in (ours, theirs))
            assert one == other, table


def sorted_rows(lake: Lake, table: str) -> list[str]:
    return sorted(map(str, lake.read("bikes", table).to_pylist()))


@settings(max_examples=60, **QUIET)
@given(DELIVERED)
def test_any_split_order_and_repetition_gives_the_same_tables(given_: Given) -> None:
    compare(MemoryLake, given_)


@settings(max_examples=6, **QUIET)
@given(DELIVERED)
def test_on_disk_it_ends_the_same_too(given_: Given) -> None:
    compare(Lake, given_)


def test_an_older_version_that_comes_after_a_newer_one_takes_its_place(tmp_path: Path) -> None:
    pipeline, lake = pipeline_of(tmp_path, updated=True), Lake(str(tmp_path / "lake"))
    deliver(tmp_path, [["1,2011-01-01,2011-01-09,9,Clear,5"]])
    ingest(lake, pipeline, as_of=AS_OF)
    deliver(tmp_path, [["1,2011-01-01,2011-01-02,2,Clear,5"]])
    assert ingest(lake, pipeline, as_of=AS_OF).records == 1
    assert ingest(lake, pipeline, as_of=AS_OF, again=True).records == 0
    records = content(lake)[0].sort_values("known_time")
    assert list(records["temp"]) == [2.0, 9.0]
    assert records["known_time"].max() == pd.Timestamp("2011-01-09", tz="UTC")


@pytest.mark.parametrize("updated", [True, False])
def test_rows_that_contradict_each_other_do_so_within_one_delivery_only(
    tmp_path: Path, *, updated: bool
) -> None:
    pipeline = pipeline_of(tmp_path, updated=updated)
    files = [["1,2011-01-01,2011-01-01,1,Clear,5"], ["1,2011-01-01,2011-01-01,2,Clear,5"]]
    at_once, in_turn = Lake(str(tmp_path / "at once")), Lake(str(tmp_path / "in turn"))
    deliver(tmp_path, files)
    assert ingest(at_once, pipeline, as_of=AS_OF).quarantined == 2
    assert content(at_once)[0].empty
    deliver(tmp_path, files[:1])
    ingest(in_turn, pipeline, as_of=AS_OF)
    deliver(tmp_path, files)
    assert ingest(in_turn, pipeline, as_of=AS_OF + pd.Timedelta(1, unit="D")).quarantined == 0
    records = content(in_turn)[0].sort_values("known_time")
    assert list(records["temp"]) == [1.0, 2.0]
    known = [pd.Timestamp("2011-01-01", tz="UTC"), AS_OF + pd.Timedelta(1, unit="D")]
    assert list(records["known_time"]) == known


@pytest.mark.parametrize("most", [1, 2, 1_000])
def test_the_size_of_a_batch_changes_nothing(
    tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.steps import arriving

    monkeypatch.setattr(arriving, "_MOST_ROWS", most)
    monkeypatch.setattr(arriving, "_LEAST_ROWS", 1)
    monkeypatch.setattr(arriving, "_ROWS_SETTLED_AT_ONCE", most)
    lines = [f"{n % 4},2011-01-0{1 + n % 4},2011-01-05,{n % 4},Clear,{n % 3}" for n in range(12)]
    pipeline, lake = pipeline_of(tmp_path, updated=False), Lake(str(tmp_path / "lake"))
    deliver(tmp_path, [lines])
    done = ingest(lake, pipeline, as_of=AS_OF)
    # Each record stands three times, alike but for its label.
    assert (done.records, done.labels, done.quarantined) == (4, 0, 12)
    assert list(content(lake)[0]["temp"]) == [0.0, 1.0, 2.0, 3.0]
