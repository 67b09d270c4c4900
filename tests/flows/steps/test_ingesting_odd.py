"""Frames that nobody should send: taken in, or refused in words with nothing changed."""

import itertools
import runpy
import tempfile
from pathlib import Path
from unittest import mock

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from components.errors import DriftwheelError
from components.pipelines import Pipeline
from components.sources.functions import FunctionFeed, _table_of
from components.stores.lake import Lake
from flows.steps.ingesting import create_tables, ingest

pytestmark = pytest.mark.slow

HERE = Path(__file__)
odd_frames = runpy.run_path(str(HERE.parents[2] / "components/checks/test_odd_frames.py"))[
    "odd_frames"
]
MemoryLake = runpy.run_path(str(HERE.with_name("memory_lake.py")))["MemoryLake"]
AS_OF = pd.Timestamp("2011-06-01", tz="UTC")
SHARED_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - only faster
QUIET = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
    "phases": [Phase.generate],
}
ASKED = list(
    itertools.product(["function", "csv", "parquet"], ["regression", "multiclass"], [True, False])
)
FRAMES_AT_ONCE = 10
GIVEN = (odd_frames(FRAMES_AT_ONCE), st.integers(0, len(ASKED) - 1))


def pipeline_of(folder: Path, kind: str, task: str, *, updated: bool) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "bikes",
            "source": {"python": "odd:rows"} if kind == "function" else {"path": f"odd.{kind}"},
            "time": "at",
            "target": "count",
            "task": task,
            "label_delay": "1d",
            "updated": "changed" if updated else None,
            "columns": {
                "temp": {"kind": "number", "min": -40, "max": 60, "nulls": False},
                "weather": {"kind": "category"},
            },
            "file": folder / "bikes.yaml",
        }
    )


def write(frame: pd.DataFrame, folder: Path, kind: str) -> str:
    """Write a frame where its kind can hold it; says what it became."""
    try:
        if kind == "csv":
            frame.to_csv(folder / "odd.csv", index=False, errors="replace")
        elif kind == "parquet":
            pq.write_table(_table_of(frame), folder / "odd.parquet")
    except (pa.ArrowException, ValueError, ArithmeticError):  # nobody can write it so
        return "function"
    return kind


def take_in(make, frame: pd.DataFrame, kind: str, task: str, *, updated: bool) -> None:
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as root:
        folder = Path(root)
        pipeline = pipeline_of(folder, write(frame, folder, kind), task, updated=updated)
        lake = make(str(folder / "lake"))
        create_tables(lake, pipeline)
        before = state(lake)
        with mock.patch.object(FunctionFeed, "_load", return_value=mock.Mock(return_value=[frame])):
            try:
                done = ingest(lake, pipeline, as_of=AS_OF)
            except DriftwheelError as problem:
                said = str(problem)
                assert len(said) > 20
                assert "Traceback" not in said
                assert state(lake) == before, "nothing of a source that was refused is kept"
                return
            after = state(lake)
            assert done.records == len(lake.read("bikes", "records")) <= len(frame)
            again = ingest(lake, pipeline, as_of=AS_OF, again=True)
            assert (again.records, again.labels, again.quarantined) == (0, 0, 0)
            assert state(lake)[:3] == after[:3]


def state(lake: Lake) -> list[int]:
    return [lake.version("bikes", table) for table in ("records", "labels", "quarantine")]


@settings(max_examples=300 // FRAMES_AT_ONCE, **QUIET)
@given(*GIVEN)
def test_an_odd_frame_is_taken_in_once_or_refused_in_words(frames, first) -> None:
    for place, frame in enumerate(frames, first):
        kind, task, updated = ASKED[place % len(ASKED)]
        take_in(MemoryLake, frame, kind, task, updated=updated)


@settings(max_examples=2, **QUIET)
@given(*GIVEN)
def test_so_it_is_on_disk(frames, first) -> None:
    for place, frame in enumerate(frames, first):
        kind, task, updated = ASKED[place % len(ASKED)]
        take_in(Lake, frame, kind, task, updated=updated)
