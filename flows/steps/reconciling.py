"""Find what events lost: requests that nobody took up, aliases that lag behind the ledger."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from flows.steps.aliases import MovedAlias, copy_aliases
from flows.steps.leasing import Clock

if TYPE_CHECKING:
    from components.stores.ledger import Request
    from flows.steps.home import Home

GRACE = timedelta(minutes=2)
"""A request is left to its event for so long before `reconcile` takes it up."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What a reconciliation found.

    Attributes
    ----------
    requests : tuple of Request
        Open, or with a dead holder, and older than the grace period.
    moved : tuple of MovedAlias
        Aliases that somebody moved in MLflow; a person settles them.

    """

    requests: "tuple[Request, ...]"
    moved: tuple[MovedAlias, ...]


def find_lost(home: "Home", pipeline: str, *, clock: Clock, grace: timedelta = GRACE) -> Lost:
    """Find requests without a worker and bring MLflow's aliases up to the ledger."""
    now = clock()
    waiting = home.ledger.pending(pipeline, now=now)
    lost = tuple(request for request in waiting if now - request.written_at >= grace)
    # Before the first promotion there is nothing to copy, and nothing to open MLflow for.
    moved = copy_aliases(home, pipeline) if home.ledger.champion(pipeline) else []
    return Lost(lost, tuple(moved))
