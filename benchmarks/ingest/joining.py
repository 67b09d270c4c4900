"""The as-of join of predictions with labels, against the same join written in DuckDB.

Each side runs in a process of its own, over the same Parquet files, and drains its rows in
batches; sides take turns, and the smallest time of each counts.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

REPEATS = 3
_START = 1_577_836_800  # 2020-01-01
_STEP = 3  # seconds from one event to the next
_CORRECTED = 20  # every so many labels come again, two days later

_PREDICTIONS = """copy (
    select 'p-' || i as prediction_id, 'r-' || i as record_id,
        to_timestamp({start} + {step} * i) as event_time,
        to_timestamp({start} + {step} * i) as known_time,
        '7' as model_version, random() as prediction
    from range({rows}) as numbers(i)) to '{file}'"""
_LABELS = """copy (
    select 'r-' || i as record_id, to_timestamp({start} + {step} * i) as event_time,
        to_timestamp({start} + 86400 + {step} * i) as known_time, random() as label
    from range({rows}) as numbers(i)
    union all select 'r-' || i, to_timestamp({start} + {step} * i),
        to_timestamp({start} + 259200 + {step} * i), random()
    from range({rows}) as numbers(i) where i % {corrected} = 0) to '{file}'"""
_DIRECT = """
    select made.*, said.label, said.label_known_time
    from read_parquet('{predictions}') as made left join (
        select record_id, arg_max(label, known_time) as label, max(known_time) as label_known_time
        from read_parquet('{labels}') where known_time <= $as_of group by record_id
    ) as said using (record_id) where made.known_time <= $as_of"""


def measure(rows: int) -> dict[str, float]:
    """Join so many predictions with their labels, both ways; seconds, a ratio, megabytes."""
    with tempfile.TemporaryDirectory(prefix="driftwheel-joining-") as folder:
        _write(Path(folder), rows)
        found: dict[str, list[dict[str, float]]] = {"ours": [], "direct": []}
        for _ in range(REPEATS):
            for side, runs in found.items():
                runs.append(_run(side, folder, rows))
    for runs in found.values():
        assert {run["rows"] for run in runs} == {rows}
    assert found["ours"][0]["labelled"] == found["direct"][0]["labelled"]
    ours, direct = (min(run["seconds"] for run in runs) for runs in found.values())
    return {
        "join_s": ours,
        "join_direct_s": direct,
        "join_over_duckdb": ours / direct,
        "join_peak_mb": max(run["peak_mb"] for run in found["ours"]),
        "join_direct_peak_mb": max(run["peak_mb"] for run in found["direct"]),
    }


def _write(folder: Path, rows: int) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        for name, made in (("predictions", _PREDICTIONS), ("labels", _LABELS)):
            file = folder / f"{name}.parquet"
            asked = made.format(
                rows=rows, file=file, start=_START, step=_STEP, corrected=_CORRECTED
            )
            connection.execute(asked)


def _run(side: str, folder: str, rows: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.ingest.joining", side, folder, str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _join(side: str, folder: Path, rows: int) -> None:
    """Join in this process, and print what it took."""
    import resource
    import time

    import duckdb
    import pandas as pd
    import pyarrow.compute as pc

    from components.joins import label_predictions

    # The end of the events: every prediction is made, the labels of the last day are to come.
    as_of = pd.Timestamp(_START + _STEP * rows, unit="s", tz="UTC")
    files = [str(folder / f"{name}.parquet") for name in ("predictions", "labels")]
    if side == "ours":
        begun = time.perf_counter()
        batches = label_predictions(files[:1], files[1:], as_of=as_of)
    else:
        spill = str(folder / "spill")
        connection = duckdb.connect(config={"memory_limit": "1GB", "temp_directory": spill})
        connection.execute("set enable_progress_bar = false")
        begun = time.perf_counter()
        sql = _DIRECT.format(predictions=files[0], labels=files[1])
        asked = connection.sql(sql, params={"as_of": as_of})
        batches = asked.to_arrow_reader(100_000)
    joined = labelled = 0
    for batch in batches:
        joined += batch.num_rows
        labelled += batch.num_rows - pc.sum(pc.is_null(batch["label"])).as_py()
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - begun,
                "rows": joined,
                "labelled": labelled,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    _join(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
