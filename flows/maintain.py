"""Keep the tables quick to read, and no longer than `retain:` says."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from prefect import flow

from flows.naming import run_name


@flow(name="maintain", flow_run_name=run_name)
def maintain(pipeline: str, as_of: datetime | None = None) -> dict[str, Any]:
    """Merge small files, delete what is too old by `as_of`, remove files that nothing needs."""
    # Inside, not on top: the process of every run pays for what this module imports.
    from flows.flow_run import this_run
    from flows.stages import as_task
    from flows.steps import maintaining

    run = this_run(as_of)
    spec = run.home.pipeline(pipeline)
    step = as_task("maintain", maintaining.maintain, network=True)
    done = step(run.home, spec, as_of=run.as_of)
    return {"pipeline": pipeline, **asdict(done)}
