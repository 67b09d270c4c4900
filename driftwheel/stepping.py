"""Run one step: as a flow run on a Prefect server that answers, else as plain steps here.

Without a server Prefect would start a temporary one for every command (17 s); the same steps
run without it, and the person is told.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from components.faults import Fault
from components.known_faults import Ending, blocking, choose_open
from components.pipelines import Pipeline
from driftwheel.output import say
from flows.running import Run, begin, user
from flows.settings import Settings
from flows.steps import everyday
from flows.steps.telling import decision_row, fault_row, plain, watched_row
from flows.talking import run_flow, talking_to

if TYPE_CHECKING:
    import pandas as pd

    from components.stores.ledger import Decision

Told = Callable[[str], None]


def run_step(
    settings: Settings,
    flow: str,
    pipeline: str,
    as_of: datetime | None,
    *,
    told: Told = lambda _: None,
    **more: Any,
) -> dict[str, Any]:
    """Run a flow once, and give its result.

    Raises
    ------
    DriftwheelError
        Whatever the step raises, with or without a server.

    """
    from flows.servers import live_api

    run = begin(as_of, settings=settings)
    run.home.pipeline(pipeline)  # a misspelt name is said before anything starts
    if flow == "retrain":
        more = {"request_id": _waiting_or_new(run, pipeline)}
    if flow == "train":
        more = {"who": user()}
    api = live_api(settings)
    if api:
        with talking_to(api, settings):
            return run_flow(flow, pipeline=pipeline, as_of=run.as_of.to_pydatetime(), **more)
    say("No Prefect server answers: running the step here (`driftwheel up` starts one).")
    return _plainly(run, flow, pipeline, told, more)


def _waiting_or_new(run: Run, pipeline: str) -> str:
    """Name the request that waits for a worker; write one when none does."""
    waiting = run.home.ledger.pending(pipeline, now=run.clock())
    if waiting:
        return waiting[0].id
    spec = run.home.pipeline(pipeline)
    request = everyday.request_training(
        run.home, spec, as_of=run.as_of, clock=run.clock, who=user(), why=""
    )
    return request.id


def _plainly(
    run: Run, flow: str, pipeline: str, told: Told, more: dict[str, Any]
) -> dict[str, Any]:
    """Run the body of a flow without an orchestrator."""
    bodies: dict[str, Callable[[], dict[str, Any]]] = {
        "ingest": lambda: everyday.ingest(run.home, run.home.pipeline(pipeline), as_of=run.as_of),
        "score": lambda: everyday.score(run.home, run.home.pipeline(pipeline), as_of=run.as_of),
        "monitor": lambda: _monitor(run, pipeline),
        "train": lambda: _decision(pipeline, _train(run, pipeline, told)),
        "retrain": lambda: _decision(pipeline, _carry(run, pipeline, more["request_id"], told)),
        "reconcile": lambda: _reconcile(run, pipeline, told, more["grace_seconds"]),
        "maintain": lambda: _maintain(run, pipeline),
    }
    return bodies[flow]()


def _monitor(run: Run, pipeline: str) -> dict[str, Any]:
    spec = run.home.pipeline(pipeline)
    watched = everyday.monitor(run.home, spec, as_of=run.as_of, clock=run.clock)
    if watched.request is not None and watched.request.state == "open":
        say(f"{watched.request.id} waits: `driftwheel reconcile {pipeline}` carries it out.")
    return watched_row(spec, watched, as_of=run.as_of)


def _train(run: Run, pipeline: str, told: Told) -> "Decision | None":
    return everyday.train(
        run.home,
        run.home.pipeline(pipeline),
        as_of=run.as_of,
        clock=run.clock,
        holder=run.holder,
        who=user(),
        told=told,
    )


def _reconcile(run: Run, pipeline: str, told: Told, grace_seconds: float) -> dict[str, Any]:
    return everyday.reconcile(
        run.home,
        run.home.pipeline(pipeline),
        clock=run.clock,
        grace=timedelta(seconds=grace_seconds),
        carry=lambda request_id: _carry(run, pipeline, request_id, told, by_reconcile=True),
    )


def _maintain(run: Run, pipeline: str) -> dict[str, Any]:
    from flows.steps import maintaining

    return {
        "pipeline": pipeline,
        **plain(maintaining.maintain(run.home, run.home.pipeline(pipeline), as_of=run.as_of)),
    }


def _carry(
    run: Run, pipeline: str, request_id: str, told: Told, *, by_reconcile: bool = False
) -> "Decision | None":
    return everyday.retrain(
        run.home,
        run.home.pipeline(pipeline),
        request_id,
        clock=run.clock,
        holder=run.holder,
        who=user(),
        by_reconcile=by_reconcile,
        told=told,
    )


def _decision(pipeline: str, decision: "Decision | None") -> dict[str, Any]:
    if decision is None:
        return {"pipeline": pipeline, "what": "no-op", "why": "another worker has the request"}
    return decision_row(decision)


def run_rollback(
    settings: Settings,
    pipeline: str,
    reason: str,
    as_of: datetime | None,
    *,
    epoch: int | None = None,
) -> dict[str, Any]:
    """Roll back, as a flow run where a server answers."""
    from flows.servers import live_api
    from flows.steps.taking_charge import epoch_to_end, roll_back

    run = begin(as_of, settings=settings)
    spec = run.home.pipeline(pipeline)
    ended = epoch if epoch is not None else epoch_to_end(run.home, pipeline)
    api = live_api(settings)
    if api:
        with talking_to(api, settings):
            return run_flow(
                "rollback",
                epoch=ended,
                pipeline=pipeline,
                reason=reason,
                who=user(),
                as_of=run.as_of.to_pydatetime(),
            )
    decision = roll_back(
        run.home,
        spec,
        who=user(),
        why=reason,
        as_of=run.as_of,
        clock=run.clock,
        epoch=ended,
    )
    return decision_row(decision)


def promote_version(
    settings: Settings, pipeline: str, version: str, reason: str, as_of: datetime | None
) -> dict[str, Any]:
    """Put a version in charge because the person at the terminal says so."""
    from flows.steps.taking_charge import promote_by_hand

    run = begin(as_of, settings=settings)
    decision = promote_by_hand(
        run.home,
        run.home.pipeline(pipeline),
        version=version,
        who=user(),
        why=reason,
        as_of=run.as_of,
        clock=run.clock,
    )
    return decision_row(decision)


def revert_aliases(settings: Settings, pipeline: str, reason: str) -> dict[str, Any]:
    """Set MLflow's aliases back to what the ledger says."""
    from flows.steps.aliases import copy_aliases, moved_by_hand

    run = begin(None, settings=settings)
    run.home.pipeline(pipeline)
    moved = [str(alias) for alias in moved_by_hand(run.home, pipeline)]
    copy_aliases(run.home, pipeline, by_hand=True)
    return {"pipeline": pipeline, "reverted": moved, "who": user(), "why": reason}


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

    Without `as_of` a word on rows (accepted, discarded) holds from the newest look on. To read
    the source again, the moment is now; where the loop lives in a time of its own, as with
    history that is ingested step by step, it is that of the newest look.
    """
    from flows.steps import diagnosing

    run = begin(as_of, settings=settings)
    spec = run.home.pipeline(pipeline)
    choose_open(run.home.ledger.faults(pipeline), pipeline, named)
    last = diagnosing.last_look(run.home, spec, as_of=run.as_of) or run.as_of
    if how == "reingested":
        own_time = as_of is None and run.as_of - last > spec.monitor.window
        moments = [last, run.as_of] if own_time else [run.as_of]
        return _reingest(settings, run, spec, named, reason, moments)
    one = run.home.ledger.end_fault(
        pipeline,
        named,
        how=cast("Ending", how),
        who=user(),
        why=reason,
        as_of=(run.as_of if as_of is not None else last).to_pydatetime(),
        now=run.clock(),
    )
    return {"pipeline": pipeline, **fault_row(one.fault, one)}


def _reingest(
    settings: Settings,
    run: Run,
    pipeline: Pipeline,
    named: str,
    reason: str,
    moments: "list[pd.Timestamp]",
) -> dict[str, Any]:
    """Read the source again and look again, at one moment after the other until it is gone."""
    from flows.steps.diagnosing import read_again

    row: dict[str, Any] = {}
    for moment in moments:
        done = run_step(settings, "ingest", pipeline.name, moment.to_pydatetime())
        one, gone = read_again(
            run.home,
            pipeline,
            named,
            who=user(),
            why=reason,
            as_of=moment,
            clock=run.clock,
        )
        row = {"pipeline": pipeline.name, **fault_row(one.fault, one), "ingested": done}
        if gone:
            break
    return row
