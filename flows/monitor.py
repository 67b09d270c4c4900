"""Look for data faults, measure the complete windows, judge the newest, ask for a retraining.

records + labels known --> faults --> measurements --> verdict --retrain--> request --> event
                                                          ├──data_fault--> written down, told
                                                          └──hold--> written down, nothing else
"""

from datetime import datetime
from typing import Any

from prefect import flow
from prefect.logging import get_run_logger

from flows.naming import run_name


@flow(name="monitor", flow_run_name=run_name)
def monitor(pipeline: str, as_of: datetime | None = None) -> dict[str, Any]:
    """Judge as of a moment; the request is written before its event is sent."""
    # Inside, not on top: the process of every run pays for what this module imports.
    from flows.artifacts import show_faults, show_monitor
    from flows.flow_run import this_run
    from flows.nudging import nudge
    from flows.stages import as_task
    from flows.steps import everyday
    from flows.steps.telling import watched_row

    run = this_run(as_of)
    spec = run.home.pipeline(pipeline)
    watched = everyday.monitor(
        run.home,
        spec,
        as_of=run.as_of,
        clock=run.clock,
        flow_run_id=run.flow_run_id,
        stage=as_task,
    )
    if watched.request is not None:
        as_task("send-event", nudge)(run, watched.request)
    if watched.verdict.action == "data_fault":
        get_run_logger().warning("data fault in %s: %s", pipeline, watched.verdict.reason)
        show_faults(spec, watched)
    for line in watched.alerts.lines:
        get_run_logger().warning(line)
    if watched.shadow is not None:
        get_run_logger().info("in shadow: %s", watched.shadow.said)
    show_monitor(spec, watched)
    return watched_row(spec, watched, as_of=run.as_of)
