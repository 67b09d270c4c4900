"""Find what events lost: requests that nobody took up, aliases that lag behind the ledger."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from flows.steps.aliases import MovedAlias, copy_aliases
from flows.steps.carding import card_decisions
from flows.steps.leasing import Clock

if TYPE_CHECKING:
    from components.stores.ledger import Request
    from flows.steps.home import Home

REQUEST_TAG = "driftwheel.request"
"""Names the request on the MLflow run of its training."""

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
    """Find requests without a worker; bring MLflow's aliases and cards up to the ledger."""
    now = clock()
    waiting = home.ledger.pending(pipeline, now=now)
    lost = tuple(request for request in waiting if now - request.written_at >= grace)
    if not home.ledger.requests(pipeline):
        return Lost((), ())  # nothing was ever asked for: no need to open MLflow
    _end_dead_runs(home, pipeline, {request.id for request in waiting})
    moved = copy_aliases(home, pipeline) if home.ledger.champion(pipeline) else []
    card_decisions(home, pipeline)
    return Lost(lost, tuple(moved))


def _end_dead_runs(home: "Home", pipeline: str, waiting: set[str]) -> None:
    """End MLflow runs whose worker is dead: of requests closed, or waiting for a worker."""
    for request_id in home.registry.running(pipeline, REQUEST_TAG):
        request = home.ledger.find(request_id)
        if request is None or request.state == "closed" or request_id in waiting:
            home.registry.settle_left_behind(pipeline, REQUEST_TAG, request_id)
