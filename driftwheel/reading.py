"""`status` and `history`: read the stores and say how things stand. Prefect is not needed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from components.errors import InvalidInputError
from components.pipelines import Pipeline, find_pipeline
from components.pipelines.durations import write_duration
from flows.opening import open_home
from flows.settings import Settings
from flows.steps.rivals import NAIVE
from flows.steps.telling import history_rows

if TYPE_CHECKING:
    from components.known_faults import KnownFault
    from flows.steps.home import Home

_TROUBLE = {"unreadable": 4, "failed": 3, "open": 2, "moved": 2, "never": 1}
_OPEN_FAULT = 3
_QUALITY = ("window_start", "window", "live_error", "naive_error", "drift_window", "drift")


@dataclass(frozen=True, slots=True)
class Standing:
    """How one pipeline stands; `trouble` sorts the worst first."""

    row: dict[str, Any]
    trouble: int


def history(settings: Settings, name: str | None) -> list[dict[str, Any]]:
    """Read every decision, oldest first.

    Raises
    ------
    UnknownPipelineError
        If a name is given that no pipeline has.

    """
    home = open_home(settings)
    if name is not None:
        find_pipeline(name, home.pipeline_folders)
    return history_rows(home, name) if home.begun else []


def status(settings: Settings, name: str | None) -> list[dict[str, Any]]:
    """Read how pipelines stand, the worst first.

    Raises
    ------
    UnknownPipelineError
        If a name is given that no pipeline has.

    """
    home = open_home(settings)
    if name is not None:
        return [_standing(home, home.pipeline(name)).row]
    standing = [_standing_or_problem(home, one) for one in home.pipelines()]
    return [one.row for one in sorted(standing, key=lambda one: -one.trouble)]


def _standing_or_problem(home: "Home", name: str) -> Standing:
    """Let a pipeline that cannot be read stand among the others, as the worst of them."""
    try:
        return _standing(home, home.pipeline(name))
    except InvalidInputError as problem:
        return Standing({"pipeline": name, "problem": str(problem)}, _TROUBLE["unreadable"])


def _standing(home: "Home", pipeline: Pipeline) -> Standing:
    if not home.begun:
        return Standing(_not_begun(pipeline), _TROUBLE["never"])
    champion = home.ledger.champion(pipeline.name)
    decisions = home.ledger.decisions(pipeline.name)
    waiting = [r for r in home.ledger.requests(pipeline.name) if r.state != "closed"]
    moved = _moved(home, pipeline.name) if champion else []
    last = decisions[-1] if decisions else None
    faults = [one for one in home.ledger.faults(pipeline.name) if one.state == "open"]
    row = {
        "pipeline": pipeline.name,
        "champion": champion.version if champion else NAIVE,
        "since": pd.Timestamp(champion.as_of).isoformat() if champion else None,
        "promoted_by": champion.who if champion else None,
        "metric": pipeline.resolved_metric,
        **_newest_quality(home, pipeline),
        "pending": [{"request_id": r.id, "cause": r.cause, "state": r.state} for r in waiting],
        "last_decision": (
            {"at": pd.Timestamp(last.at).isoformat(), "what": last.what, "why": last.why}
            if last
            else None
        ),
        "moved_by_hand": moved,
        "data_faults": [_fault(one) for one in faults],
    }
    trouble = max(
        _TROUBLE.get(last.what, 0) if last else _TROUBLE["never"],
        _OPEN_FAULT if faults else 0,
        _TROUBLE["open"] if waiting else 0,
        _TROUBLE["moved"] if moved else 0,
    )
    return Standing(row, trouble)


def _not_begun(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "pipeline": pipeline.name,
        "champion": NAIVE,
        "metric": pipeline.resolved_metric,
        **dict.fromkeys(("since", "promoted_by", *_QUALITY)),
        "pending": [],
        "last_decision": None,
        "moved_by_hand": [],
        "data_faults": [],
    }


def _fault(known: "KnownFault") -> dict[str, Any]:
    fault = known.fault
    return {
        "key": fault.key,
        "fault": fault.fault,
        "column": fault.column,
        "since": fault.since.isoformat(),
        "rows": fault.rows,
        "evidence": fault.evidence,
    }


def _moved(home: "Home", name: str) -> list[str]:
    from components.errors import StoreError
    from flows.steps.aliases import moved_by_hand

    try:
        return [str(alias) for alias in moved_by_hand(home, name)]
    except StoreError as problem:
        return [f"MLflow's aliases could not be read: {problem}"]


def _newest_quality(home: "Home", pipeline: Pipeline) -> dict[str, Any]:
    """Give the newest live error that can tell, beside the naive one; and the newest drift.

    Labels come late, so the two may be of different windows: each names its own.
    """
    found: dict[str, Any] = dict.fromkeys(_QUALITY)
    if not home.lake.exists(pipeline.name, "measurements"):
        return found
    from components.records import to_frame
    from monitoring.quality import last_known

    rows = last_known(to_frame(home.lake.read(pipeline.name, "measurements")))
    told = rows[(rows["name"] == "live_error") & (rows["status"] != "cannot_tell")]
    if len(told):
        beside = rows[rows["window_end"] == told["window_end"].max()]
        found["window_start"] = pd.Timestamp(beside["window_start"].iloc[0]).isoformat()
        found["window"] = pd.Timestamp(beside["window_end"].iloc[0]).isoformat()
        found["live_error"] = _value(beside, "live_error")
        found["naive_error"] = _value(beside, "naive_error")
    if len(rows):
        newest = rows[rows["window_end"] == rows["window_end"].max()]
        found["drift_window"] = pd.Timestamp(newest["window_end"].iloc[0]).isoformat()
        found["drift"] = _value(newest, "drift_share")
    return found


def _value(measured: pd.DataFrame, name: str) -> float | None:
    values = measured.loc[measured["name"] == name, "value"].dropna()
    return float(values.iloc[0]) if len(values) else None


def print_status(console: Console, rows: list[dict[str, Any]]) -> None:
    """Say how pipelines stand: a headline each, the facts below it."""
    for row in rows:
        if "problem" in row:
            console.print(f"[bold]{row['pipeline']}[/]  cannot be read")
            console.print(f"  {row['problem']}", markup=False, soft_wrap=True)
            continue
        since = f" since {row['since'][:10]}" if row["since"] else ""
        console.print(f"[bold]{row['pipeline']}[/]  version {row['champion']}{since}")
        for name, fact in _facts(row):
            console.print(f"  {name:<14}", end="")
            console.print(fact, markup=False, soft_wrap=True)


def _facts(row: dict[str, Any]) -> list[tuple[str, str]]:
    last = row["last_decision"]
    waits = ", ".join(f"{one['request_id']} ({one['cause']})" for one in row["pending"])
    return [
        ("live error", f"{_number(row['live_error'])} {row['metric']}{_window(row)}"),
        ("naive", f"{_number(row['naive_error'])} {row['metric']}"),
        ("drifted", _drift(row)),
        ("pending", waits or "-"),
        (
            "last decision",
            f"{last['at'][:10]} {last['what']}: {last['why']}"
            if last
            else f"none yet; `driftwheel train {row['pipeline']}` takes the first",
        ),
        *(("alias", moved) for moved in row["moved_by_hand"]),
        *(("data fault", _fault_in_words(one)) for one in row["data_faults"]),
    ]


def _fault_in_words(fault: dict[str, Any]) -> str:
    return (
        f"{fault['fault']} in {fault['column']} since {_moment(fault['since'])}: "
        f"{fault['evidence']} ({fault['rows']} rows set aside; {fault['key']})"
    )


def _window(row: dict[str, Any]) -> str:
    """Say which window the live error is of: its width and its end."""
    if row["window"] is None:
        return ""
    start, end = pd.Timestamp(row["window_start"]), pd.Timestamp(row["window"])
    return f", {write_duration(end - start)} to {_moment(row['window'])}"


def _drift(row: dict[str, Any]) -> str:
    if row["drift"] is None:
        return "-"
    return f"{row['drift']:.0%} of the columns, window to {_moment(row['drift_window'])}"


def _moment(time: str) -> str:
    """Write an ISO time without its midnight."""
    return time[:16].replace("T", " ").removesuffix(" 00:00")


def print_history(console: Console, rows: list[dict[str, Any]], *, every: bool) -> None:
    """List decisions: a headline each, the reason below it; holds only when asked for."""
    for row in rows:
        if row["what"] == "hold" and not every:
            continue
        console.print(f"[bold]{row['at'][:10]}  {row['pipeline']}  {row['what']}[/]", end="")
        console.print(f"  {_trace(row)}", markup=False, soft_wrap=True)
        console.print(Padding(Text(row["why"]), (0, 0, 0, 4)))


def _trace(row: dict[str, Any]) -> str:
    """Name version, person, request and flow run, as far as there are any."""
    version = row["served_version"] or row["tested_version"]
    parts = [
        f"version {version}" if version else "",
        "the first" if row["first"] and row["what"] == "promoted" else "",
        f"by {row['who']}",
        "taken up by reconcile" if row["by_reconcile"] else "",
        row["request_id"] or "",
        f"flow run {row['flow_run_id'][:8]}" if row["flow_run_id"] else "",
    ]
    return "  ".join(part for part in parts if part)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
