"""Send the event of a request, once it is safely in the ledger."""

from typing import TYPE_CHECKING

from components.failpoints import failpoint
from flows.running import Run

if TYPE_CHECKING:
    from components.stores.ledger import Request


def nudge(run: Run, request: "Request") -> str | None:
    """Send `driftwheel.retrain.requested` unless it was sent before; give the event's id.

    A request whose event cannot be sent stays open, and `reconcile` takes it up: None.
    """
    from prefect.settings import PREFECT_API_URL

    from components.errors import StoreUnreachableError
    from flows.events import emit_retrain_requested
    from flows.flow_run import logged
    from flows.steps.leasing import event_id

    if request.event_id or request.state == "closed":
        return request.event_id
    failpoint("before-event")
    try:
        sent = emit_retrain_requested(
            str(PREFECT_API_URL.value()),
            prefix=run.settings.prefix,
            pipeline=request.pipeline,
            request_id=request.id,
            flow_run_id=run.flow_run_id,
            event_id=event_id(run.home.ledger.ledger_id, request.id),
        )
    except StoreUnreachableError as problem:
        logged(str(problem))
        return None
    failpoint("event-sent")
    run.home.ledger.mark_sent(request.id, event_id=str(sent), now=run.clock())
    return str(sent)
