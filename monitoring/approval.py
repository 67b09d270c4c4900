"""Whether a promotion that the gate allows may be carried out now, or waits for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from monitoring.gate import Outcome


@dataclass(frozen=True, slots=True)
class Approval:
    """May it be carried out now, and if not, whom it waits for.

    Attributes
    ----------
    granted : bool
    waits_for : tuple of str
        Names of which any one will do; empty where it waits for nobody, or for anybody.
    reason : str
        In words.

    """

    granted: bool
    waits_for: tuple[str, ...]
    reason: str


def approve(
    outcome: Outcome,
    *,
    mode: Literal["auto", "propose", "watch"],
    approvers: Sequence[str],
    person: str | None,
) -> Approval:
    """Say whether a decision of the gate may change who is in charge.

    Parameters
    ----------
    outcome : Outcome
        What the gate said; only ``promoted`` can be carried out.
    mode, approvers
        Of the pipeline. Whoever is listed must be asked, in ``auto`` too; ``propose`` without
        a list waits for any person.
    person : str, optional
        Who approves by name; None where a schedule or an automation asks.

    Examples
    --------
    >>> approve("promoted", mode="propose", approvers=["ada"], person=None).reason
    'waits for the approval of ada'
    >>> approve("promoted", mode="propose", approvers=["ada"], person="ada").granted
    True

    """
    if outcome != "promoted":
        return Approval(
            granted=False,
            waits_for=(),
            reason=f"the gate said {outcome}: there is nothing to approve",
        )
    if mode == "watch":
        words = "the pipeline only watches (mode: watch): what would have been done is written"
        return Approval(granted=False, waits_for=(), reason=f"{words}, nothing changes")
    listed = tuple(approvers)
    if mode == "auto" and not listed:
        return Approval(
            granted=True, waits_for=(), reason="the pipeline promotes by itself (mode: auto)"
        )
    whom = " or ".join(listed) if listed else "a person (mode: propose)"
    if not person:
        return Approval(granted=False, waits_for=listed, reason=f"waits for the approval of {whom}")
    if listed and person not in listed:
        return Approval(
            granted=False,
            waits_for=listed,
            reason=f"{person} is no approver; waits for the approval of {whom}",
        )
    return Approval(granted=True, waits_for=(), reason=f"approved by {person}")
