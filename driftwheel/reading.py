"""`status` and `history`: read the stores and say how things stand. Prefect is not needed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console

from components.errors import InvalidInputError
from components.known_faults import aside_in_words
from components.pipelines import Pipeline, find_pipeline
from components.pipelines.durations import write_duration
from components.records import RECORDS
from driftwheel.output import hang, in_words
from flows.opening import open_home
from flows.settings import Settings
from flows.steps.proposing import is_stale, promote_command
from flows.steps.rivals import NAIVE
from flows.steps.telling import POLICY, history_rows

if TYPE_CHECKING:
    from components.known_faults import KnownFault
    from flows.steps.home import Home

_TROUBLE = {"unreadable": 4, "failed": 3, "open": 2, "moved": 2, "never": 1, "unused": -1}
_OPEN_FAULT = 3
_QUALITY = (
    "window_start",
    "window",
    "live_error",
    "naive_error",
    "answered_by",
    "live_error_why",
    "drift_window",
    "drift",
)
_NOTHING_SCORED = "nothing was scored yet; `driftwheel score {name}` does"
_NOTHING_MEASURED = "nothing was measured yet; `driftwheel monitor {name}` does"


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
        found = _standing(home, home.pipeline(name))
    except InvalidInputError as problem:
        return Standing({"pipeline": name, "problem": str(problem)}, _TROUBLE["unreadable"])
    if found.row["shipped"] and not found.row["in_use"]:
        return Standing(found.row, _TROUBLE["unused"])
    return found


def _shipped(home: "Home", pipeline: Pipeline) -> bool:
    """Say whether a pipeline is an example that came with the tool, and is not of this home."""
    return home.root / "pipelines" not in pipeline.file.parents


def _standing(home: "Home", pipeline: Pipeline) -> Standing:
    shipped = _shipped(home, pipeline)
    if not home.begun:
        return Standing({**_not_begun(pipeline), "shipped": shipped}, _TROUBLE["never"])
    champion = home.ledger.champion(pipeline.name)
    decisions = home.ledger.decisions(pipeline.name)
    waiting = [r for r in home.ledger.requests(pipeline.name) if r.state != "closed"]
    moved = _moved(home, pipeline.name) if champion else []
    # What was found in the data stands below by itself, and hides no training that failed.
    trained = [one for one in decisions if one.request_id or one.what != "data_fault"]
    told = trained or decisions
    last = told[-1] if told else None
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
        "waiting": _waiting(home, pipeline),
        "moved_by_hand": moved,
        "data_faults": [_fault(one) for one in faults],
        "shipped": shipped,
        "in_use": bool(decisions or waiting) or home.lake.exists(pipeline.name, RECORDS),
    }
    trouble = max(
        _TROUBLE.get(last.what, 0) if last else _TROUBLE["never"],
        _OPEN_FAULT if faults else 0,
        _TROUBLE["open"] if waiting or row["waiting"] else 0,
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
        "waiting": None,
        "last_decision": None,
        "moved_by_hand": [],
        "data_faults": [],
        "live_error_why": _NOTHING_SCORED.format(name=pipeline.name),
        "in_use": False,
    }


def _waiting(home: "Home", pipeline: Pipeline) -> dict[str, Any] | None:
    """Say which version waits, for a person or for labels, and how a person puts it in charge."""
    one = home.ledger.waiting(pipeline.name)
    if one is None:
        return None
    return {
        "version": one.version,
        "awaits": one.awaits,
        "since": pd.Timestamp(one.as_of).isoformat(),
        "request_id": one.request_id,
        "approvers": list(pipeline.approvers),
        "stale": is_stale(home, one),
        "command": promote_command(pipeline.name, one.version),
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

    Labels come late, so the two may be of different windows: each names its own. Where there
    is no live error, or none of the newest window, `live_error_why` says why.
    """
    found: dict[str, Any] = dict.fromkeys(_QUALITY)
    if not home.lake.exists(pipeline.name, "measurements"):
        scored = home.lake.exists(pipeline.name, "predictions")
        why = _NOTHING_MEASURED if scored else _NOTHING_SCORED
        return {**found, "live_error_why": why.format(name=pipeline.name)}
    from components.records import to_frame
    from monitoring.quality import last_known

    rows = last_known(to_frame(home.lake.read(pipeline.name, "measurements")))
    live = rows[rows["name"] == "live_error"]
    told = live[live["status"] != "cannot_tell"]
    if len(told):
        beside = rows[rows["window_end"] == told["window_end"].max()]
        found["window_start"] = pd.Timestamp(beside["window_start"].iloc[0]).isoformat()
        found["window"] = pd.Timestamp(beside["window_end"].iloc[0]).isoformat()
        found["live_error"] = _value(beside, "live_error")
        found["naive_error"] = _value(beside, "naive_error")
        found["answered_by"] = beside.loc[beside["name"] == "live_error", "model_version"].iloc[0]
        live = live[live["window_end"] > told["window_end"].max()]
    if len(live) or not len(told):
        found["live_error_why"] = _why_not(live, pipeline)
    if len(rows):
        newest = rows[rows["window_end"] == rows["window_end"].max()]
        found["drift_window"] = pd.Timestamp(newest["window_end"].iloc[0]).isoformat()
        found["drift"] = _value(newest, "drift_share")
    return found


def _why_not(live: pd.DataFrame, pipeline: Pipeline) -> str:
    """Say why windows have no live error that can tell: what was said of the newest of them."""
    if live.empty:
        return _NOTHING_MEASURED.format(name=pipeline.name)
    newest = live.sort_values("window_end", kind="stable").iloc[-1]
    end = in_words(pd.Timestamp(newest["window_end"]).isoformat())
    return f"the window to {end} cannot tell: {newest['reason']}"


def _value(measured: pd.DataFrame, name: str) -> float | None:
    values = measured.loc[measured["name"] == name, "value"].dropna()
    return float(values.iloc[0]) if len(values) else None


def print_status(console: Console, rows: list[dict[str, Any]]) -> None:
    """Say how pipelines stand: a headline each, the facts below it."""
    for row in rows:
        if "problem" in row:
            hang(console, f"{row['pipeline']}  ", f"cannot be read: {row['problem']}", style="bold")
            continue
        hang(console, f"{row['pipeline']}  ", _headline(row), style="bold")
        if row["shipped"] and not row["in_use"]:
            continue
        for name, fact in _facts(row):
            hang(console, f"  {name:<15}", fact)


def _headline(row: dict[str, Any]) -> str:
    if row["shipped"] and not row["in_use"]:
        return "shipped as an example, not in use here"
    if row["since"] is None:
        return "no model is in charge, the naive baseline answers"
    return f"version {row['champion']} since {in_words(row['since'])}, by {row['promoted_by']}"


def _facts(row: dict[str, Any]) -> list[tuple[str, str]]:
    last = row["last_decision"]
    return [
        *_errors(row),
        ("drifted", _drift(row)),
        ("pending", _pending(row)),
        *_waits(row),
        (
            "last decision",
            f"{in_words(last['at'])} {last['what']}: {last['why']}"
            if last
            else f"none yet; `driftwheel train {row['pipeline']}` takes the first",
        ),
        *(("alias", moved) for moved in row["moved_by_hand"]),
        *_faults(row),
    ]


def _errors(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Give the error of whoever answered beside the naive baseline's, or say why there is none."""
    if row["live_error"] is None:
        return [("live error", f"unknown: {row['live_error_why'] or 'it was not measured'}")]
    live = f"{_number(row['live_error'])} {row['metric']}{_window(row)}"
    later = [("", row["live_error_why"])] if row["live_error_why"] else []
    if row["answered_by"] == NAIVE:
        return [("live error", f"{live}: the naive baseline's own, no model in charge"), *later]
    return [
        ("live error", f"{live}, by version {row['answered_by']}"),
        ("naive error", f"{_number(row['naive_error'])} {row['metric']} on the same rows"),
        *later,
    ]


def _pending(row: dict[str, Any]) -> str:
    said = [
        f"{one['request_id']} ({one['cause']}) "
        + ("is being carried out" if one["state"] == "leased" else "waits for a worker")
        for one in row["pending"]
    ]
    if any(one["state"] == "open" for one in row["pending"]):
        said.append(f"`driftwheel reconcile {row['pipeline']}` carries it out")
    return "; ".join(said) or "nothing"


def _waits(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Tell the version that waits, and for whom or what."""
    one = row["waiting"]
    if one is None:
        return []
    since = f"version {one['version']} since {in_words(one['since'])}"
    stale = "; the champion has changed since: a new training compares anew" if one["stale"] else ""
    if one["awaits"] == "labels":
        return [("in shadow", f"{since}, judged once labels have come{stale}")]
    whom = " or ".join(one["approvers"]) or "a person"
    return [("proposed", f"{since}, waits for {whom}: `{one['command']}`{stale}")]


def _faults(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Tell the data faults that stand, each by its key, and how a person ends one."""
    found = row["data_faults"]
    if not found:
        return []
    told = [("data fault", _fault_in_words(one)) for one in found]
    name = row["pipeline"]
    ways = (
        f"`driftwheel resolve {name} KEY --accept|--discard|--reingest --reason …` ends one; "
        f"`driftwheel diagnose {name}` looks again"
    )
    return [*told, ("", ways)]


def _fault_in_words(fault: dict[str, Any]) -> str:
    rows = aside_in_words(fault["fault"], fault["rows"])
    return (
        f"{fault['key']}  {fault['fault']} in {fault['column']} since {in_words(fault['since'])}, "
        f"{rows}: {fault['evidence']}"
    )


def _window(row: dict[str, Any]) -> str:
    """Say which window the live error is of: its width and its end."""
    start, end = pd.Timestamp(row["window_start"]), pd.Timestamp(row["window"])
    return f" over the {write_duration(end - start)} to {in_words(row['window'])}"


def _drift(row: dict[str, Any]) -> str:
    if row["drift"] is not None:
        return f"{row['drift']:.0%} of the columns, window to {in_words(row['drift_window'])}"
    if row["since"] is None:
        return "unknown: no model is in charge, so there is nothing to drift from"
    if row["drift_window"] is None:
        return f"unknown: nothing measured yet; `driftwheel monitor {row['pipeline']}` does"
    return f"unknown: the window to {in_words(row['drift_window'])} cannot tell"


def print_history(console: Console, rows: list[dict[str, Any]], *, every: bool) -> None:
    """List decisions: a headline each, the reason below it.

    Verdicts of the policy to hold only when asked for; a person's word always.
    """
    for row in rows:
        if row["what"] == "hold" and row["who"] == POLICY and not every:
            continue
        head = f"{in_words(row['at'])}  {row['pipeline']}  {row['what']}  "
        hang(console, head, _trace(row), style="bold")
        hang(console, "    ", row["why"])


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
