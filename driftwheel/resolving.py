"""Diagnose and resolve for the command line: what stands, and what a person says to it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from components.faults import Fault
from components.known_faults import blocking
from driftwheel.output import say
from flows.running import Run, begin, moment, user
from flows.settings import Settings
from flows.steps.telling import fault_row


def diagnose_now(settings: Settings, pipeline: str, as_of: datetime | None) -> dict[str, Any]:
    """Look for data faults: in what the lake holds, else in the source itself."""
    from components.records import RECORDS
    from flows.steps import diagnosing

    run = begin(as_of, settings=settings)
    spec = run.home.pipeline(pipeline)
    window = spec.monitor.window
    if not run.home.lake.exists(pipeline, RECORDS):
        say(f"{pipeline}: nothing was ingested yet, so the source itself is looked at.")
        found = diagnosing.look_at_source(spec, as_of=run.as_of)
        stopping = blocking(found, run.as_of, window=window)
        return _diagnosis(run, pipeline, [fault_row(one) for one in found], stopping, [])
    faults = diagnosing.look_for_faults(run.home, spec, as_of=run.as_of, clock=run.clock)
    rows: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for one in run.home.ledger.faults(pipeline):
        if (seen := one.at(run.as_of)) is not None:
            rows[one.state_at(run.as_of) == "open"].append(fault_row(seen, one))
    return _diagnosis(run, pipeline, rows[True], faults.blocking, rows[False])


def _diagnosis(
    run: Run,
    pipeline: str,
    faults: list[dict[str, Any]],
    stopping: Sequence[Fault],
    ended: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "pipeline": pipeline,
        "as_of": run.as_of.isoformat(),
        "verdict": "data_fault" if faults else "ok",
        "blocking": bool(stopping),
        "faults": faults,
        "ended": ended,
    }


def resolve_fault(
    settings: Settings, pipeline: str, named: str, how: str, reason: str, as_of: datetime | None
) -> dict[str, Any]:
    """End a data fault because the person at the terminal says what it is.

    Without `as_of` it ends at the moment that the data stands at: where the loop lives in a time
    of its own, as with history that is ingested step by step, that is not now.
    """
    from flows.steps import resolving

    run = begin(None, settings=settings)
    spec = run.home.pipeline(pipeline)
    said: dict[str, Any] = {
        "who": user(),
        "why": reason,
        "as_of": None if as_of is None else moment(as_of),
        "now": run.as_of,
        "clock": run.clock,
    }
    if how == "reingested":
        done = resolving.read_again(run.home, spec, named, **said)
        return {
            "pipeline": pipeline,
            **fault_row(done.known.fault, done.known),
            "ingested": {
                "as_of": done.as_of.isoformat(),
                "records": done.records,
                "corrected": done.corrected,
                "labels": done.labels,
                "said": done.in_words(),
            },
        }
    end = resolving.accept if how == "accepted" else resolving.discard
    one = end(run.home, spec, named, **said)
    return {"pipeline": pipeline, **fault_row(one.fault, one)}
