"""The present flow run: its id, and its log."""

from datetime import datetime

from flows.running import Run, begin


def this_run(as_of: datetime | None) -> Run:
    """Begin the run of the flow that is being executed."""
    from prefect.runtime import flow_run

    return begin(as_of, flow_run_id=str(flow_run.id or ""))


def logged(message: str) -> None:
    """Say something in the log of the present flow run."""
    from prefect.logging import get_run_logger

    get_run_logger().info(message)
