"""Decisions, verdicts, data faults as rows: what is printed, what flows return and show."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.faults import Fault
from components.known_faults import KnownFault
from components.pipelines import Pipeline
from components.written_faults import as_plain

if TYPE_CHECKING:
    from components.stores.ledger import Decision
    from flows.steps.home import Home
    from flows.steps.watching import Watched

POLICY = "policy"
"""Who said it, where a verdict to hold stands among the decisions."""

DECISION_FIELDS = (
    "at",
    "pipeline",
    "what",
    "who",
    "why",
    "request_id",
    "event_id",
    "flow_run_id",
    "by_reconcile",
    "tested_version",
    "served_version",
    "first",
)


def decision_row(decision: "Decision") -> dict[str, Any]:
    """Lay a decision out as `history` shows it; `at` is the moment it was taken for."""
    said = {name: getattr(decision, name) for name in DECISION_FIELDS}
    return {
        **said,
        "at": pd.Timestamp(decision.at).isoformat(),
        "recorded_at": pd.Timestamp(decision.recorded_at).isoformat(),
        "mlflow_run_id": decision.mlflow_run_id,
        "numbers": decision.numbers,
    }


def history_rows(home: "Home", pipeline: str | None = None) -> list[dict[str, Any]]:
    """List every decision, oldest first; verdicts to hold stand among them as `hold`."""
    decided = [decision_row(decision) for decision in home.ledger.decisions(pipeline)]
    held = [
        {
            **dict.fromkeys(DECISION_FIELDS),
            "at": pd.Timestamp(verdict.as_of).isoformat(),
            "pipeline": verdict.pipeline,
            "what": "hold",
            "who": POLICY,
            "why": verdict.reason,
            "by_reconcile": False,
            "first": False,
            "recorded_at": pd.Timestamp(verdict.written_at).isoformat(),
        }
        for name in ([pipeline] if pipeline else home.pipelines())
        for verdict in home.ledger.verdicts(name)
        if verdict.action == "hold"
    ]
    return sorted([*decided, *held], key=lambda row: (row["at"], row["recorded_at"]))


def watched_row(pipeline: Pipeline, watched: "Watched", *, as_of: pd.Timestamp) -> dict[str, Any]:
    """Lay out what a monitoring run found."""
    return {
        "pipeline": pipeline.name,
        "as_of": as_of.isoformat(),
        "verdict": watched.verdict.action,
        "reason": watched.verdict.reason,
        "cause": watched.verdict.cause,
        "request_id": watched.request.id if watched.request else None,
        "windows": watched.windows,
        "measurements": [m.as_row() for m in watched.measurements],
        "faults": [fault_row(fault) for fault in watched.faults.aside],
        "alerts": asdict(watched.alerts),
        "shadow": None if watched.shadow is None else asdict(watched.shadow),
    }


def fault_row(fault: Fault, known: KnownFault | None = None) -> dict[str, Any]:
    """Lay a data fault out as `diagnose` shows it; `known` says what became of it."""
    row = {name: value for name, value in as_plain(fault).items() if name not in ("ids", "marks")}
    if known is None:
        return {**row, "state": "open"}
    return {
        **row,
        "key": known.key,
        "found_as_of": known.found_as_of.isoformat(),
        "state": known.state,
        "ended_as_of": None if known.ended_as_of is None else known.ended_as_of.isoformat(),
        "who": known.who or None,
        "why": known.why or None,
    }


def plain(value: Any) -> Any:
    """Make a value fit for JSON: dataclasses, timestamps and NaN become plain."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if hasattr(value, "__dataclass_fields__"):
        return plain(asdict(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON knows neither NaN nor infinity
    return value
