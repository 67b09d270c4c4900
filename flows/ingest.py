"""Read what is new in a pipeline's source, check it, append it to the lake.

source --bad rows--> quarantine
   └──good rows--> records, labels
"""

from datetime import datetime
from typing import Any

from prefect import flow

from flows.naming import run_name


@flow(name="ingest", flow_run_name=run_name)
def ingest(pipeline: str, as_of: datetime | None = None) -> dict[str, Any]:
    """Take what the source held as known by `as_of`; twice changes nothing."""
    # Inside, not on top: the process of every run pays for what this module imports.
    from flows.artifacts import show_ingest
    from flows.flow_run import this_run
    from flows.stages import as_task
    from flows.steps import everyday

    run = this_run(as_of)
    done = everyday.ingest(
        run.home,
        run.home.pipeline(pipeline),
        as_of=run.as_of,
        flow_run_id=run.flow_run_id,
        stage=as_task,
    )
    show_ingest(done)
    return done
