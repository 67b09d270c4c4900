"""Run one step: as a flow run on a Prefect server that answers, else as plain steps here.

Without a server Prefect would start a temporary one for every command (17 s); the same steps
run without it, and the person is told.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from driftwheel.output import in_words, say
from flows.running import Run, begin, user
from flows.settings import Settings, hide_password
from flows.steps import everyday
from flows.steps.telling import decision_row, plain, watched_row
from flows.talking import run_flow, talking_to

if TYPE_CHECKING:
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
    if settings.prefect_api_url:
        named = hide_password(settings.prefect_api_url)
        say(f"The Prefect server {named} does not answer: running the step here without it.")
    done = _plainly(run, flow, pipeline, told, more)
    if not settings.prefect_api_url:
        say("(no Prefect server; `driftwheel up` starts one)", quietly=True)
    return done


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
        "score": lambda: everyday.score(
            run.home, run.home.pipeline(pipeline), as_of=run.as_of, clock=run.clock
        ),
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
    before = {one.request_id for one in run.home.ledger.decisions(pipeline)}
    decision = everyday.train(
        run.home,
        run.home.pipeline(pipeline),
        as_of=run.as_of,
        clock=run.clock,
        holder=run.holder,
        who=user(),
        told=told,
    )
    if decision is not None and decision.as_of != run.as_of:
        say(
            f"{decision.request_id}, as of {in_words(decision.as_of.isoformat())}, was waiting "
            f"and went first; say the command again to train as of "
            f"{in_words(run.as_of.isoformat())}."
        )
    elif decision is not None and decision.request_id in before:
        say(
            f"{pipeline} was trained as of {in_words(run.as_of.isoformat())} before: so it was "
            "decided. After a change of the pipeline file, train as of a later moment."
        )
    return decision


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
    from flows.steps.taking_charge import revert_aliases as revert

    run = begin(None, settings=settings)
    run.home.pipeline(pipeline)
    moved = revert(run.home, pipeline, who=user(), why=reason, as_of=run.as_of, clock=run.clock)
    return {"pipeline": pipeline, "reverted": moved, "who": user(), "why": reason}
