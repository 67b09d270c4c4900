"""Tables for people, and flat numbers for ``results.json``."""

from collections.abc import Iterable, Sequence

from benchmarks.faults.clean import UNSEEN, Trainings, Windows
from benchmarks.faults.injecting import Case
from benchmarks.faults.learning import Learning, Moment
from benchmarks.faults.scoring import COVERED, SPILLED, Outcome

GOALS = {
    "detected_held_out": ">= 0.95",
    "detected_column_held_out": ">= 0.95",
    "detected_rows_held_out": ">= 0.95",
    "false_windows_share": "<= 0.005",
    "models_late_with_faulty_rows": "0",
    "moments_clean_trained": "1",
    "clean_trainings_share": "1",
}
_Levels = tuple[int, int, int]


def detection(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Print detection by fault, severity and set; give the rates."""
    sets = list(dict.fromkeys(one.data for one in outcomes))
    rows = f">= {COVERED:.0%} of the injected, <= {SPILLED:.0%} of the clean"
    print(f"\ndetected by name / also column / also rows ({rows}), of injections")
    print(f"{'fault':18s}{'severity':28s}" + "".join(f"{name:>20s}" for name in sets))
    results: dict[str, float] = {}
    for case in dict.fromkeys(one.case for one in outcomes):
        cells = []
        for name in sets:
            group = [one for one in outcomes if one.case == case and one.data == name]
            cells.append(_cell(group))
            if group:
                key = _key(case, name)
                results[f"found_{key}"] = _levels(group)[0] / len(group)
                results[f"found_rows_{key}"] = _levels(group)[2] / len(group)
        print(f"{case.fault:18s}{case.severity:28s}" + "".join(f"{cell:>20s}" for cell in cells))
    for name, part in _parts(outcomes):
        results[f"injections_{name}"] = len(part)
        results[f"detected_{name}"] = _rate(one.found == "yes" for one in part)
        results[f"detected_column_{name}"] = _rate(one.placed for one in part)
        results[f"detected_rows_{name}"] = _rate(one.whole for one in part)
        results[f"detected_or_other_name_{name}"] = _rate(one.found != "no" for one in part)
    _print_misses(outcomes)
    return results | _rows(outcomes)


def _cell(group: Sequence[Outcome]) -> str:
    if not group:
        return "-"
    return "/".join(map(str, _levels(group))) + f" of {len(group)}"


def _levels(group: Sequence[Outcome]) -> _Levels:
    named = sum(one.found == "yes" for one in group)
    return named, sum(one.placed for one in group), sum(one.whole for one in group)


def _key(case: Case, data: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in f"{case.fault}_{case.severity}_{data}")


def _parts(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, list[Outcome]]]:
    yield "all", list(outcomes)
    yield "held_out", [one for one in outcomes if one.held_out]
    yield "after_a_day", [one for one in outcomes if one.asked == "a day"]
    yield "after_a_week", [one for one in outcomes if one.asked == "a week"]
    for data in dict.fromkeys(one.data for one in outcomes):
        yield data, [one for one in outcomes if one.data == data]


def _rate(hits: Iterable[bool]) -> float:
    counted = list(hits)
    return sum(counted) / len(counted) if counted else float("nan")


def _rows(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Count the rows set aside, whatever the fault was called."""
    counted = [one for one in outcomes if one.spoiled]
    spoiled = max(sum(one.spoiled for one in counted), 1)
    return {
        "injected_rows_set_aside": sum(one.inside for one in counted) / spoiled,
        "clean_rows_set_aside_per_injected_row": sum(one.clean for one in counted) / spoiled,
        "injections_with_all_rows_set_aside": _rate(o.inside >= 0.99 * o.spoiled for o in counted),
    }


def _print_misses(outcomes: Sequence[Outcome]) -> None:
    print("\nnot found by name, column and rows:")
    for one in outcomes:
        if not one.whole:
            print(f"  {one.data} {one.moment} {one.case.fault}, {one.case.severity}, "
                  f"after {one.asked}: {', '.join(one.names) or 'nothing'}{_why(one)}")  # fmt: skip


def _why(one: Outcome) -> str:
    if not one.placed:
        return ""
    return f" ({one.covered:.0%} of the injected, {one.spilled:.1%} of the clean rows)"


def learnt(replays: Sequence[Learning]) -> dict[str, float]:
    """Print what was learnt beside faults; give the counts."""
    print("\nmodels trained around a fault: faulty rows learnt, moments put off")
    results: dict[str, float] = {"replays": len(replays)}
    for name in ("", *dict.fromkeys(f"_{one.data}" for one in replays)):
        part = [one for one in replays if name in {"", f"_{one.data}"}]
        results |= {f"{key}{name}": value for key, value in _counted(part).items()}
    for one in replays:
        for moment in one.moments:
            if wrong := _wrong(moment):
                print(f"  {one.data} {one.moment} {one.case.fault}, {one.case.severity}, "
                      f"as of {moment.at:%Y-%m-%d %H:%M}: {wrong}; known then: "
                      f"{', '.join(moment.names) or 'nothing'}")  # fmt: skip
    return results


def _counted(replays: Sequence[Learning]) -> dict[str, float]:
    moments = [moment for one in replays for moment in one.moments]
    early = [one for one in moments if one.fitted and not one.late]
    late = [one for one in moments if one.fitted and one.late]
    clean = [one for one in moments if one.state == "clean"]
    stands = [one for one in moments if one.state == "stands"]
    return {
        "models_late": len(late),
        "models_late_with_faulty_rows": sum(one.learnt > 0 for one in late),
        "faulty_rows_late_due": sum(one.due for one in late),
        "faulty_rows_late_learnt": sum(one.learnt for one in late),
        "models_early": len(early),
        "models_early_with_faulty_rows": sum(one.learnt > 0 for one in early),
        "faulty_rows_early_learnt": sum(one.learnt for one in early),
        "moments_clean": len(clean),
        "moments_clean_trained": _rate(one.fitted for one in clean),
        "moments_fault_stands": len(stands),
        "moments_fault_stands_put_off": _rate(not one.fitted for one in stands),
    }


def _wrong(moment: Moment) -> str:
    if moment.late and moment.learnt:
        return f"learnt {moment.learnt} of {moment.due} faulty rows"
    if moment.state == "clean" and not moment.fitted:
        return "put off, though no faulty row is in the newest window"
    if moment.state == "stands" and moment.fitted:
        return f"trained while the fault stands, without its {moment.due} rows"
    return ""


def clean_feeds(windows: Sequence[Windows], trainings: Sequence[Trainings]) -> dict[str, float]:
    """Count clean windows, and those that a fault was found in; and trainings put off."""
    print("\nclean data:")
    results: dict[str, float] = {}
    for one in windows:
        results[f"clean_windows_{one.name}"] = one.count
        results[f"false_windows_{one.name}"] = one.touched
        for fault in one.wrong:
            print(f"  false in {one.name}: {fault.fault}:{fault.column} {fault.since:%Y-%m-%d} "
                  f"{fault.evidence}")  # fmt: skip
    for suffix, unseen in (("", False), ("_unseen", True)):
        part = [one for one in windows if (UNSEEN in one.name) == unseen]
        total = sum(one.count for one in part)
        results[f"clean_windows{suffix}"] = total
        results[f"false_windows_share{suffix}"] = sum(one.touched for one in part) / max(total, 1)
    for kept in trainings:
        results[f"clean_trainings_{kept.name}"] = kept.due
        results[f"clean_trainings_put_off_{kept.name}"] = len(kept.put_off)
        for words in kept.put_off:
            print(f"  {kept.name}: put off for nothing: {words}")
    due = sum(kept.due for kept in trainings)
    put_off = sum(len(kept.put_off) for kept in trainings)
    return results | {"clean_trainings_share": (due - put_off) / max(due, 1)}
