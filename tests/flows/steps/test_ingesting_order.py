"""In whatever files, order and repetition the same rows come, the tables end the same."""

import itertools
import shutil
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.pipelines import Pipeline
from components.records import to_frame
from components.stores.lake import Lake
from flows.steps.ingesting import ingest

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
    for number in range(draw(st.integers(1, 6))):
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


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(st.data(), st.booleans())
def test_any_split_order_and_repetition_gives_the_same_tables(
    data: st.DataObject, updated: bool
) -> None:
    rows = data.draw(rows_of(updated=updated))
    shuffled = data.draw(st.permutations(rows + data.draw(st.lists(st.sampled_from(rows)))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=3)))
    edges = [0, *cuts, len(shuffled)]
    files = [shuffled[a:b] for a, b in itertools.pairwise(edges)]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        pipeline = pipeline_of(folder, updated=updated)
        at_once, in_turn = Lake(str(folder / "at_once")), Lake(str(folder / "in_turn"))
        deliver(folder, [rows])
        ingest(at_once, pipeline, as_of=AS_OF)
        deliver(folder, files)
        together = Lake(str(folder / "together"))
        ingest(together, pipeline, as_of=AS_OF)
        for upto in (*range(1, len(files) + 1), len(files)):  # the last one twice
            some = files[:upto]
            if any(some):
                deliver(folder, some)
                ingest(in_turn, pipeline, as_of=AS_OF)
        for other in (together, in_turn):
            for ours, theirs in zip(content(at_once), content(other), strict=True):
                pd.testing.assert_frame_equal(ours, theirs)


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
