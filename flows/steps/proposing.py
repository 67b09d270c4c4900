"""What becomes of a promotion that the gate allows: carried out, only written, or proposed.

``mode: auto`` carries it out, ``watch`` writes what would have been done, ``propose`` registers
the version and waits for a person; so does a list of `approvers`, in ``auto`` too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from components.errors import InvalidInputError
from components.pipelines import Pipeline
from flows.steps.leasing import Clock
from monitoring.approval import approve

if TYPE_CHECKING:
    from components.stores.ledger import Awaits, Challenger, Decision, What
    from flows.steps.home import Home
    from monitoring.gate import GateDecision


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is written of a gate's decision, and what its challenger waits for, if it does."""

    what: "What"
    why: str
    awaits: "Awaits | None" = None


def rule(decision: "GateDecision", pipeline: Pipeline, version: str | None) -> Ruling:
    """Say what becomes of a gate's decision under the pipeline's mode and approvers.

    Parameters
    ----------
    version : str or None
        Who would take charge; None where nothing was registered.

    """
    if decision.outcome != "promoted":
        return Ruling(decision.outcome, decision.reason)
    # Nobody approves by having started a training.
    asked = approve(decision.outcome, mode=pipeline.mode, approvers=pipeline.approvers, person=None)
    if asked.granted:
        return Ruling("promoted", decision.reason)
    if pipeline.mode == "watch":
        return Ruling("hold", f"would have been promoted: {decision.reason}; {asked.reason}")
    command = promote_command(pipeline.name, version or "N")
    return Ruling(
        "wait", f"{decision.reason}; version {version} {asked.reason}: `{command}`", "approval"
    )


def promote_command(name: str, version: str) -> str:
    """Give the command that carries a proposal out."""
    return f"driftwheel promote {name} --version {version} --reason …"


def require_approval(pipeline: Pipeline, person: str) -> None:
    """Let only a person promote whom the pipeline file lets.

    Raises
    ------
    InvalidInputError
        If others have to approve, or the pipeline only watches.

    """
    asked = approve("promoted", mode=pipeline.mode, approvers=pipeline.approvers, person=person)
    if not asked.granted:
        raise InvalidInputError(
            f"{pipeline.name}: nobody was promoted: {asked.reason} "
            f"(mode and approvers of {pipeline.file.name or 'its pipeline file'})"
        )


def is_stale(home: "Home", challenger: "Challenger") -> bool:
    """Say whether the champion is no longer the one that a challenger stands against."""
    champion = home.ledger.champion(challenger.pipeline)
    return (champion.epoch if champion else 0) != challenger.expected_epoch


def proposal(home: "Home", name: str) -> "Challenger | None":
    """Read the version that waits for a person; None where nobody has to say anything."""
    waiting = home.ledger.waiting(name)
    return waiting if waiting is not None and waiting.awaits == "approval" else None


def take_from_waiting(
    home: "Home",
    challenger: "Challenger",
    *,
    who: str,
    why: str,
    as_of: pd.Timestamp,
    clock: Clock,
) -> "Decision":
    """Put a challenger that waits in charge, because a person says so.

    Where the champion changed since the gate compared the two, the decision is
    ``superseded`` and nobody is promoted: said again, it is a promotion by hand.
    """
    from components.stores.ledger import Outcome

    waited = decision_of(home, challenger)
    outcome = Outcome(
        pipeline=challenger.pipeline,
        what="promoted",
        who=who,
        why=why,
        as_of=as_of,
        tested_version=challenger.tested_version,
        served_version=challenger.version,
        first=challenger.expected_epoch == 0,
        mlflow_run_id=waited.mlflow_run_id,
    )
    return home.ledger.settle(challenger, outcome, now=clock())


def decision_of(home: "Home", challenger: "Challenger") -> "Decision":
    """Read the decision that a challenger waits by."""
    made = home.ledger.decisions(challenger.pipeline)
    return next(one for one in made if one.id == challenger.decision_id)
