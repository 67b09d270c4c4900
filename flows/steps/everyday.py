"""The body of each flow: stores in, a plain result out, with or without an orchestrator."""

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.errors import InvalidInputError
from components.pipelines import Pipeline
from flows.steps.alerting import tell
from flows.steps.in_charge import version_before
from flows.steps.leasing import Clock, claim
from flows.steps.stages import Stage, plain
from flows.steps.watching import Watched, request_key

if TYPE_CHECKING:
    from components.stores.ledger import Decision, Request
    from flows.steps.home import Home


def ingest(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    flow_run_id: str = "",
    stage: Stage = plain,
) -> dict[str, Any]:
    """Read what is new in the source, check it, append it."""
    from flows.steps import ingesting

    done = stage("ingest", ingesting.ingest, network=True)(
        home.lake, pipeline, as_of=as_of, flow_run_id=flow_run_id
    )
    return {"pipeline": pipeline.name, "as_of": as_of.isoformat(), **asdict(done)}


def score(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    clock: Clock,
    flow_run_id: str = "",
    stage: Stage = plain,
) -> dict[str, Any]:
    """Predict the records that nobody has scored; then bring the answers to the sink.

    Data faults are looked for first: a column that has just gone wrong is stood in for, or
    refused, as its `fallback` says, already in the delivery that brought it.
    """
    from flows.steps import diagnosing, scoring, shadowing, sinking

    stage("diagnose", diagnosing.look_for_faults, network=True)(
        home, pipeline, as_of=as_of, clock=clock, flow_run_id=flow_run_id
    )
    done = stage("score", scoring.score, network=True)(
        home, pipeline, as_of=as_of, flow_run_id=flow_run_id
    )
    said = {"pipeline": pipeline.name, "as_of": as_of.isoformat(), **asdict(done)}
    if pipeline.sink is not None:
        # The lake has them: a sink that is down gets them with the next run.
        said["sent"] = stage("sink", sinking.push_predictions, network=True)(home, pipeline)
    shadow = stage("shadow", shadowing.answer_beside)(
        home, pipeline, as_of=as_of, flow_run_id=flow_run_id
    )
    said["shadow"] = None if shadow is None else asdict(shadow)
    said["alerts"] = asdict(stage("alert", tell)(home, pipeline, clock=clock))
    return said


def monitor(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    clock: Clock,
    flow_run_id: str = "",
    stage: Stage = plain,
) -> Watched:
    """Measure the complete windows, judge the newest, tell people what they must know."""
    from flows.steps import shadowing, watching

    watched = stage("monitor", watching.watch, network=True)(
        home, pipeline, as_of=as_of, clock=clock, flow_run_id=flow_run_id
    )
    shadow = stage("judge-shadow", shadowing.judge_beside, network=True)(
        home, pipeline, as_of=as_of, clock=clock, flow_run_id=flow_run_id
    )
    alerts = stage("alert", tell)(home, pipeline, clock=clock)
    return replace(watched, shadow=shadow, alerts=alerts)


def request_training(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp, clock: Clock, who: str, why: str
) -> "Request":
    """Write the request of a training that a person or a calendar asks for.

    The same moment and champion give the same request, unless that one failed, or was put off
    by a data fault that has ended since; one that is in flight is joined.
    """
    from flows.steps.diagnosing import faults_now

    # Who was in charge before that moment: a promotion that the same training led to must not
    # make it another request.
    version = version_before(home.ledger.promotions(pipeline.name), as_of)
    base = request_key(pipeline.name, "manual", as_of, version)
    for attempt in count(1):
        request, _ = home.ledger.request(
            pipeline=pipeline.name,
            cause="manual",
            reason=why or f"asked for by {who}",
            key=base if attempt == 1 else f"{base}|attempt {attempt}",
            as_of=as_of,
            champion=version,
            evidence={"who": who},
            now=clock(),
        )
        put_off = request.outcome == "data_fault"
        over = put_off and not faults_now(home, pipeline, as_of=as_of).blocking
        if request.outcome != "failed" and not over:
            break
    return request


def retrain(
    home: "Home",
    pipeline: Pipeline,
    request_id: str,
    *,
    clock: Clock,
    holder: str,
    who: str,
    flow_run_id: str = "",
    by_reconcile: bool = False,
    stage: Stage = plain,
    told: Callable[[str], None] = lambda _: None,
) -> "Decision | None":
    """Take the lease of a request and see it through; None when another has it.

    Raises
    ------
    InvalidInputError
        If there is no such request for this pipeline.

    """
    from flows.steps.retraining import Assignment, carry_out

    request = home.ledger.find(request_id)
    if request is None or request.pipeline != pipeline.name:
        raise InvalidInputError(
            f"{pipeline.name} has no retraining request {request_id!r}; "
            f"`driftwheel history {pipeline.name}` lists what was decided"
        )
    lease = stage("claim", claim)(
        home.ledger,
        request_id,
        holder=holder,
        clock=clock,
        flow_run_id=flow_run_id,
        by_reconcile=by_reconcile,
    )
    if lease is None:
        return None
    assignment = Assignment(
        pipeline=pipeline,
        request=request,
        lease=lease,
        who=who,
        as_of=pd.Timestamp(request.as_of),
        by_reconcile=by_reconcile,
    )
    decision = carry_out(home, assignment, clock=clock, stage=stage, told=told)
    for line in stage("alert", tell)(home, pipeline, clock=clock).lines:
        told(line)
    return decision


def train(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    clock: Clock,
    holder: str,
    who: str,
    flow_run_id: str = "",
    stage: Stage = plain,
    told: Callable[[str], None] = lambda _: None,
) -> "Decision | None":
    """Train now: write a request and carry it out here.

    Returns the decision; the one there is when this moment was trained before, None when
    another worker is at it.
    """
    request = request_training(home, pipeline, as_of=as_of, clock=clock, who=who, why="")
    if request.as_of != as_of:
        told(f"joined {request.id}, which is in flight: as of {request.as_of.isoformat()}")
    decision = retrain(
        home,
        pipeline,
        request.id,
        clock=clock,
        holder=holder,
        who=who,
        flow_run_id=flow_run_id,
        stage=stage,
        told=told,
    )
    return decision or home.ledger.decision_on(request.id)


def reconcile(
    home: "Home",
    pipeline: Pipeline,
    *,
    clock: Clock,
    grace: timedelta,
    carry: Callable[[str], "Decision | None"],
    stage: Stage = plain,
) -> dict[str, Any]:
    """Take up what events lost; `carry` sees one request through, by its id."""
    from flows.steps.reconciling import find_lost

    lost = stage("find-lost", find_lost, network=True)(
        home, pipeline.name, clock=clock, grace=grace
    )
    carried = [(request.id, carry(request.id)) for request in lost.requests]
    alerts = stage("alert", tell)(home, pipeline, clock=clock)
    return {
        "pipeline": pipeline.name,
        "taken_up": [
            {"request_id": request_id, "what": decision.what if decision else "taken by another"}
            for request_id, decision in carried
        ],
        "moved_by_hand": [str(alias) for alias in lost.moved],
        "alerts": asdict(alerts),
    }
