"""A commit of 1,000 rows, exactly once, beside a bare append of the same rows.

Both tables hold as many commits, and the two take turns, so that what else the machine does
meets both.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from components.records import UTC_TIME
from components.stores.lake import Lake

ROWS, COLUMNS = 1_000, 12
SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("event_time", UTC_TIME),
        ("known_time", UTC_TIME),
        *((f"x{number}", pa.float64()) for number in range(COLUMNS)),
    ]
)


def measure(*, before: int = 500, turns: int = 40) -> dict[str, float]:
    """Measure on empty tables, and on tables of `before` commits; medians in milliseconds."""
    results = {}
    for commits in (0, before):
        with tempfile.TemporaryDirectory(prefix="driftwheel-bench-") as folder:
            ours, bare = _measure(Path(folder), commits, turns)
        results |= {
            f"commit_ms_at_{commits}": ours,
            f"bare_append_ms_at_{commits}": bare,
            f"commit_over_bare_at_{commits}": ours / bare,
        }
    return results


def _measure(folder: Path, commits: int, turns: int) -> tuple[float, float]:
    lake, plain = Lake(str(folder / "lake")), folder / "plain"
    lake.create("bench", "records", SCHEMA)
    # Opening reads every commit since the last checkpoint: as many for both.
    write_deltalake(plain, SCHEMA.empty_table(), configuration={"delta.checkpointInterval": "50"})
    tiny = _rows(0).slice(0, 1)
    for number in range(commits):
        lake.commit("bench", "records", tiny, producer="fill", version=number)
        write_deltalake(plain, tiny, mode="append")
    ours, bare = [], []
    for number in range(turns):
        rows = _rows(number)
        ours.append(_took(lambda r=rows, n=number: _commit(lake, r, n)))
        bare.append(_took(lambda r=rows: write_deltalake(plain, r, mode="append")))
    assert lake.read("bench", "records", columns=["x0"]).num_rows == commits + turns * ROWS
    return statistics.median(ours), statistics.median(bare)


def _commit(lake: Lake, rows: pa.Table, number: int) -> None:
    lake.commit("bench", "records", rows, producer="bench", version=number)


def _took(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def _rows(number: int) -> pa.Table:
    rng = np.random.default_rng(number)
    times = pa.array(np.arange(ROWS) + number * ROWS, pa.int64()).cast(UTC_TIME)
    ids = pa.array([f"{number}-{row}" for row in range(ROWS)])
    numbers = [pa.array(rng.normal(size=ROWS)) for _ in range(COLUMNS)]
    return pa.Table.from_arrays([ids, times, times, *numbers], schema=SCHEMA)
