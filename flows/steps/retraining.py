"""Carry out one retraining request, from its lease to a decision.

diagnose -> snapshot -> preprocess -> fit -> evaluate -> package -> register -> gate -> refit
                                       └──shadow: package, register, wait for labels    └─> promote

The champion changes only at the end, in one transaction of the ledger that checks the lease;
whatever goes wrong before leaves it in charge and closes the request with the reason.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from components.errors import LeaseLostError, TrainingError
from components.failpoints import failpoint
from components.faults import Fault
from components.known_faults import Faults, in_words
from components.pipelines import Pipeline
from components.records import LABEL
from components.written_faults import read_faults, write_faults
from flows.steps import training
from flows.steps.concluding import Result, close_as_failed, decide, put_off
from flows.steps.diagnosing import look_for_faults
from flows.steps.evaluating import examine, examine_for_gate
from flows.steps.footprints import compare_footprints
from flows.steps.leasing import Clock, kept_alive
from flows.steps.packaging import Packaged, package, register
from flows.steps.reconciling import REQUEST_TAG
from flows.steps.rivals import Rival, open_rival
from flows.steps.shadowing import nothing_held_out, stands_in_shadow
from flows.steps.snapshots import Snapshot, table_versions, take_snapshot
from flows.steps.stages import Stage, plain
from flows.steps.training_record import open_run, record_evaluation, record_gate, record_snapshot
from flows.steps.waiting import must_wait
from monitoring.policies import set_aside as set_aside_in_words

if TYPE_CHECKING:
    from components.stores.ledger import Decision, Lease, Request
    from components.stores.registry import Run
    from flows.steps.home import Home
    from monitoring.gate import GateDecision


@dataclass(frozen=True, slots=True)
class Assignment:
    """One request in the hands of one worker.

    Attributes
    ----------
    who : str
        The user, the schedule or the automation that had it carried out.
    as_of : Timestamp
        The moment whose knowledge is used; the request's own.

    """

    pipeline: Pipeline
    request: "Request"
    lease: "Lease"
    who: str
    as_of: pd.Timestamp
    by_reconcile: bool = False


def carry_out(
    home: "Home",
    assignment: Assignment,
    *,
    clock: Clock,
    stage: Stage = plain,
    told: Callable[[str], None] = lambda _: None,
) -> "Decision":
    """See a request through to a decision, and write it.

    Raises
    ------
    LeaseLostError
        If another worker took the request over meanwhile; nothing was changed here.
    DriftwheelError
        If the training failed; the request is closed as failed, the champion stays.

    Whoever is interrupted gives the lease back: the request waits for the next worker.
    """
    with kept_alive(home.ledger, assignment.lease, clock=clock):
        try:
            return _train_and_decide(home, assignment, clock=clock, stage=stage, told=told)
        except LeaseLostError:
            raise
        except Exception as problem:
            close_as_failed(home, assignment, problem, clock)
            raise
        except BaseException:
            home.ledger.release(assignment.lease)
            raise


def _train_and_decide(
    home: "Home",
    assignment: Assignment,
    *,
    clock: Clock,
    stage: Stage,
    told: Callable[[str], None],
) -> "Decision":
    told("looking for data faults")
    faults = stage("diagnose", bound_faults, network=True)(home, assignment, clock=clock)
    if faults.blocking:
        return put_off(home, assignment, faults.blocking, clock=clock)
    rival = open_rival(home, assignment.pipeline)
    # We hold the lease: whatever an earlier worker on this request left open is dead.
    home.registry.settle_left_behind(assignment.pipeline.name, REQUEST_TAG, assignment.request.id)
    with open_run(home, assignment) as run:
        result = _train(home, assignment, run, rival, faults.aside, stage=stage, told=told)
        record_gate(run, result.decision, result.tested_version, result.served)
        return decide(home, assignment, run, rival, result, clock=clock, told=told)


def _train(
    home: "Home",
    assignment: Assignment,
    run: "Run",
    rival: Rival,
    aside: tuple[Fault, ...],
    *,
    stage: Stage,
    told: Callable[[str], None],
) -> Result:
    pipeline = assignment.pipeline
    told("taking the snapshot")
    snapshot = stage("snapshot", bound_snapshot, network=True)(home, assignment, aside)
    failpoint("during-preprocess")
    prepared = stage("preprocess", training.preprocess)(snapshot, pipeline, rival)
    if pipeline.gate.mode == "shadow":
        prepared = nothing_held_out(prepared, snapshot)
    record_snapshot(run, snapshot, prepared)
    _record_aside(run, aside)
    waits = must_wait(prepared, pipeline, rival)
    if waits is not None:
        told("too few rows")
        return Result(waits)

    studies = home.root / "cache" / "studies"
    studies.mkdir(parents=True, exist_ok=True)
    twin = stage("fit", training.fit_twin)(
        prepared, pipeline, storage=studies / f"{pipeline.name}.journal", told=told
    )
    failpoint("mid-fit")
    _refuse_constant_target(twin, pipeline)
    if pipeline.gate.mode == "shadow":
        standing = stands_in_shadow(prepared, pipeline, rival)
        return _begin_shadow(
            home, assignment, run, standing, snapshot, twin, stage=stage, told=told
        )
    evaluation = stage("evaluate", training.evaluate)(prepared, twin, pipeline, rival, snapshot)
    examination = stage("examine", examine)(prepared, twin, evaluation, pipeline)
    record_evaluation(run, home, assignment, twin, evaluation, rival, examination)
    told("packaging and checking the twin")
    tested = stage("package", package, network=True)(
        home.registry, run, twin, pipeline, snapshot, role="tested"
    )
    watching = pipeline.mode == "watch"
    tested_version = (
        None if watching else _register(home, assignment, run, tested, "tested", stage, "register")
    )
    decision = _judge(home, assignment, rival, prepared, evaluation, tested, stage=stage)
    failpoint("after-gate")
    if decision.outcome != "promoted" or watching:
        return Result(decision, tested_version)

    told("refitting the winner on everything known")
    served = stage("refit", training.refit)(snapshot, twin, evaluation, prepared, pipeline)
    problem = training.disagreement(served, evaluation, prepared)
    if problem:
        return Result(replace(decision, outcome="refused", reason=problem), tested_version)
    packed = stage("package-refit", package, network=True)(
        home.registry, run, served, pipeline, snapshot, role="served"
    )
    version = _register(home, assignment, run, packed, "served", stage, "register-refit")
    return Result(decision, tested_version, (version, packed))


def _refuse_constant_target(twin: training.Trained, pipeline: Pipeline) -> None:
    """See that there was something to learn: a constant answers a stuck feed perfectly.

    Raises
    ------
    TrainingError
        If all labels are one and the same.

    """
    labels = twin.rows[LABEL]
    if (labels == labels.iloc[0]).all():
        raise TrainingError(
            f"{pipeline.name}: {pipeline.target} is {labels.iloc[0]} in all {len(labels)} rows "
            f"that {twin.recipe} learns from, so there is nothing to predict; look at what "
            f"delivers the labels, or widen the training window"
        )


def _judge(
    home: "Home",
    assignment: Assignment,
    rival: Rival,
    prepared: training.Prepared,
    evaluation: training.Evaluation,
    tested: Packaged,
    *,
    stage: Stage,
) -> "GateDecision":
    """Let the gate compare the twin with its rival, in all that it must not lose as well."""
    pipeline = assignment.pipeline
    latency, size = stage("weigh", compare_footprints, network=True)(home, pipeline, rival, tested)
    beside = examine_for_gate(prepared, evaluation, pipeline, rival)
    return stage("gate", training.gate)(
        evaluation,
        prepared,
        pipeline,
        rival,
        beside=replace(beside, latency=latency, size=size),
        earlier=[one.numbers for one in home.ledger.decisions(pipeline.name)],
        cause=assignment.request.cause,
    )


def _begin_shadow(
    home: "Home",
    assignment: Assignment,
    run: "Run",
    standing: "GateDecision",
    snapshot: Snapshot,
    challenger: training.Trained,
    *,
    stage: Stage,
    told: Callable[[str], None],
) -> Result:
    """Register a challenger that nothing can be said of yet; labels will judge it."""
    pipeline = assignment.pipeline
    run.set_tags({"driftwheel.recipe": str(challenger.recipe)})
    run.log_file(pipeline.file)
    told("packaging and checking the challenger")
    packed = stage("package", package, network=True)(
        home.registry, run, challenger, pipeline, snapshot, role="served"
    )
    if pipeline.mode == "watch":
        return Result(standing)
    version = _register(home, assignment, run, packed, "served", stage, "register")
    failpoint("after-gate")
    return Result(standing, version, (version, packed), in_shadow=True)


def bound_faults(home: "Home", assignment: Assignment, *, clock: Clock) -> Faults:
    """Look for data faults as of a request, once: what its first attempt saw holds for all."""
    name, mark = assignment.pipeline.name, f"faults:{assignment.request.id}"
    kept = home.ledger.mark(name, mark)
    if kept is not None:
        # Ids are in one place of the ledger only, where a person who is erased is found.
        ids = {
            one.key: seen.ids
            for one in home.ledger.faults(name)
            if (seen := one.at(assignment.as_of)) is not None
        }
        return Faults(*(_with_ids(read_faults(said), ids) for said in json.loads(kept)))
    faults = look_for_faults(
        home,
        assignment.pipeline,
        as_of=assignment.as_of,
        clock=clock,
        flow_run_id=assignment.lease.flow_run_id,
    )
    some = (faults.found, faults.blocking, faults.aside)
    said = [write_faults(replace(fault, ids=()) for fault in each) for each in some]
    home.ledger.set_mark(name, mark, json.dumps(said))
    return faults


def _with_ids(faults: tuple[Fault, ...], ids: Mapping[str, tuple[str, ...]]) -> tuple[Fault, ...]:
    return tuple(replace(fault, ids=ids.get(fault.key, ())) for fault in faults)


def _record_aside(run: "Run", aside: tuple[Fault, ...]) -> None:
    """Keep with the MLflow run what its model did not learn from: one line a fault."""
    if aside:
        lines = [
            f"{fault.key}  {fault.since:%Y-%m-%d %H:%M} to {fault.until:%Y-%m-%d %H:%M}  "
            f"{fault.rows} rows  {in_words(fault)}\n"
            for fault in aside
        ]
        run.set_tags({"driftwheel.set_aside": set_aside_in_words(aside)})
        run.log_text("".join(lines), "set_aside.txt")


def bound_snapshot(home: "Home", assignment: Assignment, aside: tuple[Fault, ...] = ()) -> Snapshot:
    """Take the snapshot of a request, at the table versions of its first attempt.

    The rows of `aside` are not in it: nothing is learnt from them, nor judged on them, and
    history features see nothing of what is faulty in them.

    Rows that came late meanwhile belong to the next request: one that is taken up again after
    a kill must come to the same model.
    """
    name, mark = assignment.pipeline.name, f"snapshot:{assignment.request.id}"
    kept = home.ledger.mark(name, mark)
    versions = json.loads(kept) if kept else table_versions(home.lake, assignment.pipeline)
    if not kept:
        home.ledger.set_mark(name, mark, json.dumps(versions))
    return take_snapshot(
        home.lake, assignment.pipeline, as_of=assignment.as_of, versions=versions, aside=aside
    )


def _register(
    home: "Home",
    assignment: Assignment,
    run: "Run",
    packed: Packaged,
    role: str,
    stage: Stage,
    name: str,
) -> str:
    return stage(name, register, network=True)(
        home.registry,
        run,
        packed,
        assignment.pipeline,
        request_id=assignment.request.id,
        role=role,
        description=f"{role} in {assignment.request.id} ({assignment.request.cause}), "
        f"as of {assignment.as_of.date()}",
    )
