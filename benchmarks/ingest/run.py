"""Measure the front of the loop: ``make bench NAME=ingest``; smaller with ``--rows 1000000``."""

import argparse
import importlib
import importlib.util
import json
from pathlib import Path

from benchmarks.ingest import commits, ingesting

GOALS = {
    "ingest_over_bare": 3.0,
    "ingest_peak_mb": 1500.0,
    "join_over_duckdb": 1.5,
}
HERE = Path(__file__).parent


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the large file")
    parser.add_argument("--repeats", type=int, default=3, help="pairs of copy and ingest")
    parser.add_argument("--commits", type=int, default=500, help="before the commits are timed")
    asked = parser.parse_args()
    results = ingesting.measure(asked.rows, repeats=asked.repeats)
    results |= commits.measure(before=asked.commits)
    if importlib.util.find_spec("benchmarks.ingest.joining") is not None:
        joining = importlib.import_module("benchmarks.ingest.joining")
        results |= joining.measure(asked.rows)
    print(f"{'measure':40s} {'value':>12s}   at most")
    for name, value in results.items():
        print(f"{name:40s} {value:12.3f}   {GOALS.get(name, '')}")
    file = HERE / "results.json"
    rounded = {name: round(value, 4) for name, value in results.items()}
    file.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")


if __name__ == "__main__":
    main()
