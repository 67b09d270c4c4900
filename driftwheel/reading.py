"""`status` and `history`: read the stores and say how things stand. Prefect is not needed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.table import Table

from components.pipelines import Pipeline
from driftwheel.output import table
from flows.opening import open_home
from flows.settings import Settings
from flows.steps.rivals import NAIVE
from flows.steps.telling import history_rows

if TYPE_CHECKING:
    from flows.steps.home import Home

_TROUBLE = {"failed": 3, "data_fault": 3, "open": 2, "moved": 2, "never": 1}


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
        home.pipeline(name)
    return history_rows(home, name)


def status(settings: Settings, name: str | None) -> list[dict[str, Any]]:
    """Read how pipelines stand, the worst first.

    Raises
    ------
    UnknownPipelineError
        If a name is given that no pipeline has.

    """
    home = open_home(settings)
    names = [name] if name is not None else home.pipelines()
    standing = [_standing(home, home.pipeline(one)) for one in names]
    return [one.row for one in sorted(standing, key=lambda one: -one.trouble)]


def _standing(home: "Home", pipeline: Pipeline) -> Standing:
    champion = home.ledger.champion(pipeline.name)
    decisions = home.ledger.decisions(pipeline.name)
    waiting = [r for r in home.ledger.requests(pipeline.name) if r.state != "closed"]
    moved = _moved(home, pipeline.name) if champion else []
    last = decisions[-1] if decisions else None
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
    }
    trouble = max(
        _TROUBLE.get(last.what, 0) if last else _TROUBLE["never"],
        _TROUBLE["open"] if waiting else 0,
        _TROUBLE["moved"] if moved else 0,
    )
    return Standing(row, trouble)


def _moved(home: "Home", name: str) -> list[str]:
    from components.errors import StoreError
    from flows.steps.aliases import moved_by_hand

    try:
        return [str(alias) for alias in moved_by_hand(home, name)]
    except StoreError as problem:
        return [f"MLflow's aliases could not be read: {problem}"]


def _newest_quality(home: "Home", pipeline: Pipeline) -> dict[str, Any]:
    """Give the newest window's live error beside the naive baseline's."""
    found: dict[str, Any] = {"window": None, "live_error": None, "naive_error": None, "drift": None}
    if not home.lake.exists(pipeline.name, "measurements"):
        return found
    from components.records import to_frame

    rows = to_frame(home.lake.read(pipeline.name, "measurements"))
    if rows.empty:
        return found
    newest = rows[rows["window_end"] == rows["window_end"].max()]
    found["window"] = pd.Timestamp(newest["window_end"].iloc[0]).isoformat()
    for name, key in (
        ("live_error", "live_error"),
        ("naive_error", "naive_error"),
        ("drift_share", "drift"),
    ):
        values = newest.loc[newest["name"] == name, "value"].dropna()
        found[key] = float(values.iloc[0]) if len(values) else None
    return found


def status_table(rows: list[dict[str, Any]]) -> Table:
    """Lay the standing of pipelines out for a person."""
    made = table("Pipelines, worst first", "pipeline", "champion", "since", "live error",
                 "naive", "drifted", "pending", "last decision")  # fmt: skip
    for row in rows:
        last = row["last_decision"]
        made.add_row(
            row["pipeline"],
            row["champion"],
            (row["since"] or "-")[:10],
            _number(row["live_error"], row["metric"]),
            _number(row["naive_error"]),
            "-" if row["drift"] is None else f"{row['drift']:.0%} of columns",
            ", ".join(one["request_id"] for one in row["pending"]) or "-",
            f"{last['at'][:10]} {last['what']}" if last else "none yet: driftwheel train",
        )
    return made


def history_table(rows: list[dict[str, Any]], *, every: bool) -> Table:
    """Lay decisions out for a person; verdicts to hold only when asked for."""
    made = table("Decisions, oldest first", "at", "pipeline", "what", "version", "who", "why",
                 "request", "flow run")  # fmt: skip
    for row in rows:
        if row["what"] == "hold" and not every:
            continue
        made.add_row(
            row["at"][:10],
            row["pipeline"],
            f"{row['what']}{' (first)' if row['first'] and row['what'] == 'promoted' else ''}",
            row["served_version"] or row["tested_version"] or "-",
            f"{row['who']}{' (reconcile)' if row['by_reconcile'] else ''}",
            row["why"],
            row["request_id"] or "-",
            (row["flow_run_id"] or "-")[:8],
        )
    return made


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.4g} {unit}".strip()
