"""Tell Prefect that a retraining is asked for, and know that it arrived.

Prefect's own `emit_event` hands the event to a thread that may lose it in silence: of 20
events sent while the server was away, or by a process killed at once, none was stored. Here
the event is posted, and its acceptance waited for. It is still only a nudge: the request
stands in the ledger before, and `reconcile` takes up what was lost after all.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from components.errors import StoreUnreachableError
from flows.deployments import RETRAIN_EVENT, resource_id
from flows.settings import hide_password

_PATIENCE = 10.0  # seconds for the server to take the event


def emit_retrain_requested(
    api_url: str,
    *,
    prefix: str,
    pipeline: str,
    request_id: str,
    flow_run_id: str = "",
    event_id: UUID | None = None,
    patience: float = _PATIENCE,
) -> UUID:
    """Send ``driftwheel.retrain.requested``; on return the server has taken it.

    Parameters
    ----------
    api_url : str
        The Prefect server (…/api).
    prefix, pipeline : str
        Name the resource, ``driftwheel.pipeline.{prefix}{pipeline}``.
    request_id : str
        The request in the ledger; handed to `retrain`.
    flow_run_id : str
        The flow run that asks, if one does; shown beside the event.
    event_id : UUID, optional
        Sent again within minutes under the same id, the event counts once.
    patience : float
        Seconds for the server to take it.

    Returns
    -------
    UUID
        Id of the event.

    Raises
    ------
    StoreUnreachableError
        If the server did not take it; then it may or may not have arrived.

    """
    sent = event_id or uuid4()
    body = _event(sent, resource_id(prefix, pipeline), pipeline, request_id, flow_run_id)
    try:
        _post(api_url, body, patience)
    except OSError as problem:
        raise StoreUnreachableError(
            f"the Prefect server at {hide_password(api_url)} did not take the event for request "
            f"{request_id} ({hide_password(str(problem))}); the request stands in the ledger, "
            f"`driftwheel reconcile {pipeline}` takes it up"
        ) from problem
    return sent


def _event(
    event_id: UUID, resource: str, pipeline: str, request_id: str, flow_run_id: str
) -> dict[str, Any]:
    run = {
        "prefect.resource.id": f"prefect.flow-run.{flow_run_id}",
        "prefect.resource.role": "flow-run",
    }
    return {
        "id": str(event_id),
        "occurred": datetime.now(UTC).isoformat(),
        "event": RETRAIN_EVENT,
        "resource": {"prefect.resource.id": resource, "prefect.resource.name": pipeline},
        "related": [run] if flow_run_id else [],
        "payload": {"request_id": request_id, "pipeline": pipeline},
    }


def _post(api_url: str, event: dict[str, Any], patience: float) -> None:
    """Post one event with the user's own credentials; any failure is an OSError."""
    import httpx
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_KEY,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    auth = PREFECT_API_AUTH_STRING.value()
    client = SyncPrefectClient(
        api_url,
        api_key=PREFECT_API_KEY.value(),
        auth_string=auth.get_secret_value() if auth else None,
        httpx_settings={"timeout": patience},
    )
    try:
        # Prefect would try five times more, over two minutes; `reconcile` is quicker.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}), client:
            client.request("POST", "/events", json=[event])
    except httpx.HTTPError as problem:
        raise ConnectionError(str(problem) or type(problem).__name__) from problem
