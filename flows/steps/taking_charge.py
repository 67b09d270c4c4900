"""What a person decides about the version in charge: roll back, promote, settle an alias."""

from typing import TYPE_CHECKING

import pandas as pd

from components.errors import InvalidInputError
from flows.steps.aliases import copy_aliases, moved_by_hand
from flows.steps.carding import card_decisions
from flows.steps.leasing import Clock
from flows.steps.proposing import require_approval, take_from_waiting
from flows.steps.rivals import open_package

if TYPE_CHECKING:
    from components.pipelines import Pipeline
    from components.stores.ledger import Decision
    from flows.steps.home import Home


def epoch_to_end(home: "Home", pipeline: str) -> int:
    """Say which epoch a rollback means when a person names none: the present one.

    Where that is a rollback already, it is the epoch that was taken back: saying it twice
    changes nothing, and going further back takes the number of the epoch.
    """
    champion = home.ledger.champion(pipeline)
    if champion is None:
        return 0
    return champion.rolled_back_epoch or champion.epoch


def roll_back(
    home: "Home",
    pipeline: "Pipeline",
    *,
    who: str,
    why: str,
    as_of: pd.Timestamp,
    clock: Clock,
    epoch: int,
) -> "Decision":
    """Put the version before `epoch` back in charge; twice on the same epoch changes nothing.

    Parameters
    ----------
    epoch : int
        The epoch to take back, named once before the first attempt (see :func:`epoch_to_end`):
        an attempt that comes again after a commit must not go further back.

    Raises
    ------
    StoreError
        If there is no previous version.
    PackageError
        If the previous version's package does not open; the champion stays.

    """
    previous = home.ledger.previous(pipeline.name)
    if previous is not None:
        open_package(home, pipeline, digest=previous.digest, uri=previous.package_uri)
    decision = home.ledger.roll_back(
        pipeline.name,
        who=who,
        why=why,
        as_of=as_of,
        now=clock(),
        expected_epoch=epoch,
    )
    copy_aliases(home, pipeline.name)
    card_decisions(home, pipeline.name)
    return decision


def promote_by_hand(
    home: "Home",
    pipeline: "Pipeline",
    *,
    version: str,
    who: str,
    why: str,
    as_of: pd.Timestamp,
    clock: Clock,
) -> "Decision":
    """Put a registered version in charge because a person says so.

    One that waits, for this word or in shadow, takes charge against the champion that it was
    trained against: where that one changed meanwhile the decision is ``superseded``, and to say
    it again is to promote it all the same.

    Raises
    ------
    InvalidInputError
        If the version was never registered by this home; or this person is no approver.
    PackageError
        If its package does not open.

    """
    from components.stores.ledger import NewPromotion, Outcome

    require_approval(pipeline, who)
    registered = {one.number: one for one in home.registry.versions(pipeline.name) if one.digest}
    chosen = registered.get(version)
    if chosen is None:
        known = ", ".join(registered) or "none yet"
        raise InvalidInputError(
            f"{pipeline.name} has no version {version!r} that this home registered. Known: {known}"
        )
    open_package(home, pipeline, digest=chosen.digest, uri=chosen.uri)
    waiting = home.ledger.waiting(pipeline.name)
    if waiting is not None and waiting.version == version:
        decision = take_from_waiting(home, waiting, who=who, why=why, as_of=as_of, clock=clock)
        copy_aliases(home, pipeline.name, by_hand=decision.what == "promoted")
        card_decisions(home, pipeline.name)
        return decision
    champion = home.ledger.champion(pipeline.name)
    outcome = Outcome(
        pipeline=pipeline.name,
        what="promoted",
        who=who,
        why=why,
        as_of=as_of,
        tested_version=version,
        served_version=version,
        first=champion is None,
    )
    promotion = NewPromotion(
        version=version,
        tested_version=version,
        digest=chosen.digest,
        package_uri=chosen.uri,
        expected_epoch=champion.epoch if champion else 0,
        who=who,
    )
    decision = home.ledger.promote(outcome, promotion=promotion, now=clock())
    copy_aliases(home, pipeline.name, by_hand=True)
    card_decisions(home, pipeline.name)
    return decision


def revert_aliases(
    home: "Home", pipeline: str, *, who: str, why: str, as_of: pd.Timestamp, clock: Clock
) -> list[str]:
    """Set MLflow's aliases back to what the ledger says, and write down who did and why.

    Nobody takes charge by it: the decision is a ``hold``. Where no alias was moved nothing is
    written.

    Returns
    -------
    list of str
        What had been moved, in words.

    """
    from components.stores.ledger import Outcome

    moved = [str(alias) for alias in moved_by_hand(home, pipeline)]
    copy_aliases(home, pipeline, by_hand=True)
    if moved:
        champion = home.ledger.champion(pipeline)
        outcome = Outcome(
            pipeline=pipeline,
            what="hold",
            who=who,
            why=f"{why} ({'; '.join(moved)}: set back)",
            as_of=as_of,
            served_version=champion.version if champion else None,
        )
        home.ledger.record(outcome, now=clock())
    return moved
