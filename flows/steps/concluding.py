"""Write what a training came to: one decision, with the promotion or the wait that it brings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.errors import DriftwheelError, LeaseLostError, StoreError
from components.failpoints import failpoint
from components.faults import Fault
from flows.steps.aliases import copy_aliases
from flows.steps.carding import card_decisions
from flows.steps.leasing import AUTOMATION, Clock, event_id
from flows.steps.proposing import Ruling, rule
from flows.steps.rivals import Rival
from monitoring.policies import blocked

if TYPE_CHECKING:
    from components.stores.ledger import Decision, NewChallenger, NewPromotion, Outcome
    from components.stores.registry import Run
    from flows.steps.home import Home
    from flows.steps.packaging import Packaged
    from flows.steps.retraining import Assignment
    from monitoring.gate import GateDecision


@dataclass(frozen=True, slots=True)
class Result:
    """What a training came to, before it is written.

    `served` is what may take charge: its version and package; `in_shadow` says that it answers
    beside the champion until there are labels to judge it by.
    """

    decision: "GateDecision"
    tested_version: str | None = None
    served: "tuple[str, Packaged] | None" = None
    in_shadow: bool = False

    @property
    def served_version(self) -> str | None:
        """The version that takes charge, or would."""
        return self.served[0] if self.served else None


def decide(
    home: "Home",
    assignment: "Assignment",
    run: "Run",
    rival: Rival,
    result: Result,
    *,
    clock: Clock,
    told: Callable[[str], None],
) -> "Decision":
    """Write the decision and, with it, the promotion; then let MLflow's aliases follow."""
    pipeline = assignment.pipeline
    ruling = (
        Ruling("wait", result.decision.reason, "labels")
        if result.in_shadow
        else rule(result.decision, pipeline, result.served_version)
    )
    outcome = _outcome(
        home,
        assignment,
        what=ruling.what,
        why=ruling.why,
        tested_version=result.tested_version,
        served_version=result.served_version,
        first=rival.model is None,
        numbers=result.decision.numbers,
        mlflow_run_id=run.id,
    )
    decision = home.ledger.conclude(
        assignment.lease,
        outcome,
        promotion=_promotion(assignment, rival, result) if ruling.what == "promoted" else None,
        challenger=_challenger(ruling, rival, result),
        now=clock(),
    )
    failpoint("after-cas-before-alias")
    if pipeline.mode != "watch":
        follow(home, pipeline.name, told=told)
    failpoint("after-alias")
    return decision


def follow(home: "Home", name: str, *, told: Callable[[str], None]) -> None:
    """Let MLflow's aliases and model card follow a decision that stands, else at a reconcile."""
    try:
        copy_aliases(home, name)
    except StoreError as problem:
        # The decision stands in the ledger; MLflow's aliases are its copy.
        told(f"decided, but MLflow's aliases lag behind until the next reconcile: {problem}")
    card_decisions(home, name, told=told)


def put_off(
    home: "Home", assignment: "Assignment", faults: tuple[Fault, ...], *, clock: Clock
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


def close_as_failed(
    home: "Home", assignment: "Assignment", problem: Exception, clock: Clock
) -> None:
    """Close the request with the cause in plain words; a lost lease leaves it to its taker."""
    outcome = _outcome(
        home,
        assignment,
        what="failed",
        why=f"training failed, the champion stays: {_in_words(problem)}",
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


def _in_words(problem: Exception) -> str:
    if isinstance(problem, MemoryError):
        return "out of memory; choose a shorter window or a smaller family"
    return str(problem) if isinstance(problem, DriftwheelError) else repr(problem)


def _promotion(assignment: "Assignment", rival: Rival, result: Result) -> "NewPromotion | None":
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


def _challenger(ruling: Ruling, rival: Rival, result: Result) -> "NewChallenger | None":
    from components.stores.ledger import NewChallenger

    if ruling.awaits is None or result.served is None:
        return None
    version, packed = result.served
    return NewChallenger(
        awaits=ruling.awaits,
        version=version,
        tested_version=result.tested_version,
        digest=packed.manifest.digest,
        package_uri=packed.uri,
        expected_epoch=rival.epoch,
    )


def _outcome(home: "Home", assignment: "Assignment", **said: Any) -> "Outcome":
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


def _event_heard(home: "Home", assignment: "Assignment") -> str | None:
    """Name the event that started this, where its sender died before it could note it."""
    if assignment.who != AUTOMATION:
        return None
    return str(event_id(home.ledger.ledger_id, assignment.request.id))
