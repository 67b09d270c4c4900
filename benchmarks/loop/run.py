"""Measure the loop: ``make bench NAME=loop`` prints a table and writes ``results.json``."""

import json
from pathlib import Path

from benchmarks.loop import reaction

GOALS = {
    "event_to_first_task_median_s": 5.0,
    "registered_s": 3.0,
    "served_rss_mb": 150.0,
}


def main() -> None:
    """Measure, print, write."""
    results = reaction.measure()
    print(f"{'measure':34s} {'value':>9s}   at most")
    for name, value in results.items():
        print(f"{name:34s} {value:9.3f}   {GOALS.get(name, '')}")
    file = Path(__file__).with_name("results.json")
    file.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")


if __name__ == "__main__":
    main()
