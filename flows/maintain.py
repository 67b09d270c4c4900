"""Keep the tables quick to read: merge small files. Nothing is removed."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from prefect import flow

from flows.naming import run_name


@flow(name="maintain", flow_run_name=run_name)
def maintain(pipeline: str, as_of: datetime | None = None) -> dict[str, Any]:
    """Compact the tables of a pipeline; `as_of` only names the run."""
    # Inside, not on top: the process of every run pays for what this module imports.
    from flows.flow_run import this_run
    from flows.stages import as_task
    from flows.steps import maintaining

    run = this_run(as_of)
    spec = run.home.pipeline(pipeline)
    done = as_task("compact", maintaining.maintain, network=True)(run.home, spec)
    return {"pipeline": pipeline, **asdict(done)}
