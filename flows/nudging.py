"""Send the event of a request, once it is safely in the ledger."""

from typing import TYPE_CHECKING

from components.failpoints import failpoint
from flows.running import Run

if TYPE_CHECKING:
    from components.stores.ledger import Request


def nudge(run: Run, request: "Request") -> str:
    """Send `driftwheel.retrain.requested` unless it was sent before; give the event's id.

    A request whose event cannot be sent stays open, and `reconcile` takes it up.
    """
    from flows.events import emit_retrain_requested

    if request.event_id:
        return request.event_id
    failpoint("before-event")
    event_id = emit_retrain_requested(run.settings, request.pipeline, request.id)
    run.home.ledger.mark_sent(request.id, event_id=event_id, now=run.clock())
    failpoint("after-event")
    return event_id
