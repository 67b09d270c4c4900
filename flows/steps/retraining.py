"""Carry out one retraining request, from its lease to a decision.

diagnose -> snapshot -> preprocess -> fit -> evaluate -> package -> register -> gate -> refit
-> promote

The champion changes only at the end, in one transaction of the ledger that checks the lease;
whatever goes wrong before leaves it in charge and closes the request with the reason.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.errors import DriftwheelError, LeaseLostError, StoreError
from components.failpoints import failpoint
from components.faults import Fault
from components.known_faults import Faults, in_words
from components.pipelines import Pipeline
from components.written_faults import read_faults, write_faults
from flows.steps import training
from flows.steps.aliases import copy_aliases
from flows.steps.diagnosing import look_for_faults
from flows.steps.leasing import AUTOMATION, Clock, event_id, kept_alive
from flows.steps.packaging import Packaged, package, register
from flows.steps.reconciling import REQUEST_TAG
from flows.steps.rivals import Rival, open_rival
from flows.steps.snapshots import Snapshot, table_versions, take_snapshot
from flows.steps.stages import Stage, plain
from flows.steps.training_record import open_run, record_evaluation, record_gate, record_snapshot
from flows.steps.waiting import must_wait
from monitoring.policies import blocked
from monitoring.policies import set_aside as set_aside_in_words

if TYPE_CHECKING:
    from components.stores.ledger import Decision, Lease, NewPromotion, Outcome, Request
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


@dataclass(frozen=True, slots=True)
class Result:
    """What a training came to, before it is written."""

    decision: "GateDecision"
    tested_version: str | None = None
    served: "tuple[str, Packaged] | None" = None


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
            _close_as_failed(home, assignment, problem, clock)
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
        return _put_off(home, assignment, faults.blocking, clock=clock)
    rival = open_rival(home, assignment.pipeline.name)
    # We hold the lease: whatever an earlier worker on this request left open is dead.
    home.registry.settle_left_behind(assignment.pipeline.name, REQUEST_TAG, assignment.request.id)
    with open_run(home, assignment) as run:
        result = _train(home, assignment, run, rival, faults.aside, stage=stage, told=told)
        record_gate(run, result.decision, result.tested_version, result.served)
        return _decide(home, assignment, run, rival, result, clock=clock, told=told)


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
    record_snapshot(run, snapshot, prepared)
    _record_aside(run, aside)
    waits = must_wait(prepared, pipeline, rival)
    if waits is not None:
        told("too few rows")
        return Result(waits)

    twin = stage("fit", training.fit_twin)(prepared, pipeline, told=told)
    failpoint("mid-fit")
    evaluation = stage("evaluate", training.evaluate)(prepared, twin, pipeline, rival, snapshot)
    record_evaluation(run, home, assignment, twin, evaluation, rival)
    told("packaging and checking the twin")
    tested = stage("package", package, network=True)(
        home.registry, run, twin, pipeline, snapshot, role="tested"
    )
    tested_version = _register(home, assignment, run, tested, "tested", stage, "register")
    decision = stage("gate", training.gate)(evaluation, prepared, pipeline, rival)
    failpoint("after-gate")
    if decision.outcome != "promoted":
        return Result(decision, tested_version)

    told("refitting the winner on everything known")
    served = stage("refit", training.refit)(snapshot, twin, pipeline)
    problem = training.disagreement(served, evaluation, prepared)
    if problem:
        return Result(replace(decision, outcome="refused", reason=problem), tested_version)
    packed = stage("package-refit", package, network=True)(
        home.registry, run, served, pipeline, snapshot, role="served"
    )
    version = _register(home, assignment, run, packed, "served", stage, "register-refit")
    return Result(decision, tested_version, (version, packed))


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


def _put_off(
    home: "Home", assignment: Assignment, faults: tuple[Fault, ...], *, clock: Clock
) -> "Decision":
    """Close a request because a data fault stands in the newest window; the champion stays."""
    outcome = _outcome(
        home,
        assignment,
        what="data_fault",
        why=blocked(faults, assignment.pipeline.name),
        first=home.ledger.champion(assignment.pipeline.name) is None,
        numbers={},
    )
    return home.ledger.conclude(assignment.lease, outcome, promotion=None, now=clock())


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


def _decide(
    home: "Home",
    assignment: Assignment,
    run: "Run",
    rival: Rival,
    result: Result,
    *,
    clock: Clock,
    told: Callable[[str], None],
) -> "Decision":
    """Write the decision and, with it, the promotion; then let MLflow's aliases follow."""
    outcome = _outcome(
        home,
        assignment,
        what=result.decision.outcome,
        why=result.decision.reason,
        tested_version=result.tested_version,
        served_version=result.served[0] if result.served else None,
        first=rival.model is None,
        numbers=result.decision.numbers,
        mlflow_run_id=run.id,
    )
    promotion = _promotion(assignment, rival, result)
    decision = home.ledger.conclude(assignment.lease, outcome, promotion=promotion, now=clock())
    failpoint("after-cas-before-alias")
    try:
        copy_aliases(home, assignment.pipeline.name)
    except StoreError as problem:
        # The decision stands in the ledger; MLflow's aliases are its copy.
        told(f"decided, but MLflow's aliases lag behind until the next reconcile: {problem}")
    failpoint("after-alias")
    return decision


def _promotion(assignment: Assignment, rival: Rival, result: Result) -> "NewPromotion | None":
    from components.stores.ledger import NewPromotion

    if result.served is None:
        return None
    version, packed = result.served
    return NewPromotion(
        version=version,
        tested_version=result.tested_version,
        digest=packed.manifest.digest,
        package_uri=packed.uri,
        expected_epoch=rival.epoch,
        who=assignment.who,
    )


def _outcome(home: "Home", assignment: Assignment, **said: Any) -> "Outcome":
    from components.stores.ledger import Outcome

    request = home.ledger.find(assignment.request.id) or assignment.request
    return Outcome(
        pipeline=assignment.pipeline.name,
        who=assignment.who,
        as_of=assignment.as_of,
        request_id=request.id,
        event_id=request.event_id or _event_heard(home, assignment),
        flow_run_id=assignment.lease.flow_run_id,
        by_reconcile=assignment.by_reconcile,
        **said,
    )


def _event_heard(home: "Home", assignment: Assignment) -> str | None:
    """Name the event that started this, where its sender died before it could note it."""
    if assignment.who != AUTOMATION:
        return None
    return str(event_id(home.ledger.ledger_id, assignment.request.id))


def _close_as_failed(
    home: "Home", assignment: Assignment, problem: Exception, clock: Clock
) -> None:
    """Close the request with the cause in plain words; a lost lease leaves it to its taker."""
    words = str(problem) if isinstance(problem, DriftwheelError) else repr(problem)
    outcome = _outcome(
        home,
        assignment,
        what="failed",
        why=f"training failed, the champion stays: {words}",
        tested_version=None,
        served_version=None,
        first=home.ledger.champion(assignment.pipeline.name) is None,
        numbers={},
        mlflow_run_id="",
    )
    try:
        home.ledger.conclude(assignment.lease, outcome, promotion=None, now=clock())
    except LeaseLostError as lost:
        problem.add_note(f"the request was left open: {lost}")
