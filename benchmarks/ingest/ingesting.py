"""Ingest with every check, beside a bare copy of the same Parquet file to Delta.

Each run is a fresh process, pairs alternate, and the peak is what the system says of the
process. The file holds an id, a time, a target, 12 numbers and 5 categories.
"""

import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CLONE = Path(__file__).resolve().parents[2]
NUMBERS, CATEGORIES = 12, 5
START = np.datetime64("2020-01-01", "us")
AS_OF = "2030-01-01"
_GROUP = 131_072


def make_file(path: Path, rows: int, *, first: int = 0, seed: int = 0) -> None:
    """Write a Parquet file of made rows, one a second, in row groups."""
    rng = np.random.default_rng([seed, first])
    with pq.ParquetWriter(path, _batch(rng, 0, 1).schema) as writer:
        for start in range(first, first + rows, _GROUP):
            writer.write_table(_batch(rng, start, min(_GROUP, first + rows - start)))


def append_rows(path: Path, before: Path, rows: int, more: int) -> None:
    """Write what `before` holds, and `more` rows after it."""
    rng = np.random.default_rng([1, rows])
    with pq.ParquetFile(before) as old, pq.ParquetWriter(path, old.schema_arrow) as writer:
        for batch in old.iter_batches(_GROUP):
            writer.write_batch(batch)
        writer.write_table(_batch(rng, rows, more))


def _batch(rng: np.random.Generator, start: int, rows: int) -> pa.Table:
    ids = np.arange(start, start + rows)
    columns: dict[str, pa.Array] = {
        "id": pa.array(ids),
        "at": pa.array(START + ids.astype("timedelta64[s]"), pa.timestamp("us", "UTC")),
        "target": pa.array(rng.integers(0, 2, rows)),
    }
    for number in range(NUMBERS):
        columns[f"x{number}"] = pa.array(rng.normal(size=rows).round(3))
    for number in range(CATEGORIES):
        levels = pa.array([f"level-{level}" for level in range(10 * (number + 1))])
        codes = pa.array(rng.integers(0, len(levels), rows, dtype=np.int32))
        columns[f"c{number}"] = pa.DictionaryArray.from_arrays(codes, levels).dictionary_decode()
    return pa.table(columns)


def copy_barely(file: str, folder: str) -> dict[str, float]:
    """Copy a Parquet file to a new Delta table, batch by batch, unchecked."""
    from deltalake import write_deltalake

    start = time.perf_counter()
    with pq.ParquetFile(file) as opened:
        batches = opened.iter_batches(_GROUP)
        write_deltalake(folder, pa.RecordBatchReader.from_batches(opened.schema_arrow, batches))
    return {"seconds": time.perf_counter() - start}


def ingest_file(file: str, folder: str) -> dict[str, float]:
    """Ingest a Parquet file as anybody would, imports left out."""
    import pandas as pd
    import pandera.pandas  # noqa: F401 - its import is no work on rows

    from components.pipelines import Pipeline
    from components.stores.lake import Lake
    from flows.steps.ingesting import ingest

    features = {
        **{f"x{n}": {"kind": "number", "min": -100, "max": 100} for n in range(NUMBERS)},
        **{f"c{n}": "category" for n in range(CATEGORIES)},
    }
    pipeline = Pipeline.model_validate(
        {
            "name": "rows",
            "source": {"path": file},
            "time": "at",
            "id": "id",
            "target": "target",
            "task": "binary",
            "label_delay": "1h",
            "columns": features,
            "file": Path(file).with_suffix(".yaml"),
        }
    )
    start = time.perf_counter()
    done = ingest(Lake(folder), pipeline, as_of=pd.Timestamp(AS_OF, tz="UTC"))
    return {"seconds": time.perf_counter() - start, "records": done.records}


WORKERS: dict[str, Callable[[str, str], dict[str, float]]] = {
    "bare": copy_barely,
    "ingest": ingest_file,
}


def in_a_process(worker: str, file: Path, folder: Path) -> dict[str, float]:
    """Run one worker in a fresh process; adds its peak memory in MB."""
    command = [sys.executable, "-m", "benchmarks.ingest.ingesting", worker, str(file), str(folder)]
    done = subprocess.run(command, cwd=CLONE, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(rows: int, *, repeats: int = 3) -> dict[str, float]:
    """Measure at `rows` and at a quarter of it.

    Parameters
    ----------
    rows : int
        Of the large file.
    repeats : int
        Pairs of a bare copy and an ingest of the large file; the median ratio counts.

    """
    results: dict[str, float] = {"rows": rows}
    with tempfile.TemporaryDirectory(prefix="driftwheel-bench-") as made:
        home = Path(made)
        quarter, whole, grown = (home / f"{name}.parquet" for name in ("quarter", "rows", "grown"))
        make_file(quarter, rows // 4)
        small = in_a_process("ingest", quarter, home / "small")
        results |= {"quarter_s": small["seconds"], "quarter_peak_mb": small["peak_mb"]}
        make_file(whole, rows)
        pairs = [_pair(whole, home, rows) for _ in range(repeats)]
        bare, ours = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        ratios = [o["seconds"] / b["seconds"] for b, o in pairs]
        results |= {
            "bare_s": statistics.median(one["seconds"] for one in bare),
            "ingest_s": statistics.median(one["seconds"] for one in ours),
            "ingest_over_bare": statistics.median(ratios),
            "bare_cpu_s": statistics.median(one["cpu_s"] for one in bare),
            "ingest_cpu_s": statistics.median(one["cpu_s"] for one in ours),
            "bare_peak_mb": max(one["peak_mb"] for one in bare),
            "ingest_peak_mb": max(one["peak_mb"] for one in ours),
            "peak_growth_mb": max(one["peak_mb"] for one in ours) - small["peak_mb"],
        }
        again = in_a_process("ingest", whole, home / "lake")
        append_rows(grown, whole, rows, rows // 100)
        shutil.move(grown, whole)
        more = in_a_process("ingest", whole, home / "lake")
        assert (again["records"], more["records"]) == (0, rows // 100)
        results |= {
            "again_s": again["seconds"],
            "appended_s": more["seconds"],
            "appended_peak_mb": more["peak_mb"],
        }
    return results


def _pair(file: Path, home: Path, rows: int) -> tuple[dict[str, float], dict[str, float]]:
    for folder in ("bare", "lake"):
        shutil.rmtree(home / folder, ignore_errors=True)
    bare = in_a_process("bare", file, home / "bare")
    shutil.rmtree(home / "bare")
    ours = in_a_process("ingest", file, home / "lake")
    assert ours["records"] == rows
    return bare, ours


if __name__ == "__main__":
    found = WORKERS[sys.argv[1]](sys.argv[2], sys.argv[3])
    used = resource.getrusage(resource.RUSAGE_SELF)
    found |= {"peak_mb": used.ru_maxrss / 1024, "cpu_s": used.ru_utime + used.ru_stime}
    print(json.dumps(found))
