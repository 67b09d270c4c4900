"""Measure the loop: ``make bench NAME=loop`` prints a table and writes ``results.json``."""

import json
from pathlib import Path

from benchmarks.loop import history, reaction, real

GOALS = {
    "event_to_first_task_median_s": 5.0,
    "training_overhead_s": 5.0,
    "registered_s": 3.0,
    "served_rss_mb": 150.0,
}
HERE = Path(__file__).parent


def main() -> None:
    """Measure, print, write."""
    standins = {f"standins_{name}": value for name, value in reaction.measure().items()}
    results = {
        "registered_s": standins.pop("standins_registered_s"),
        **real.measure(),
        **history.measure(HERE / "bikeshare.png"),
        **standins,
    }
    print(f"{'measure':40s} {'value':>10s}   at most")
    for name, value in results.items():
        print(f"{name:40s} {value:10.3f}   {GOALS.get(name, '')}")
    file = HERE / "results.json"
    rounded = {name: round(value, 4) for name, value in results.items()}
    file.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")


if __name__ == "__main__":
    main()
