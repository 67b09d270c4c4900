"""Predict new records with the version in charge, and log every prediction.

records --not yet scored--> champion (or naive) --> predictions
"""

from datetime import datetime
from typing import Any

from prefect import flow, get_run_logger

from flows.naming import run_name


@flow(name="score", flow_run_name=run_name)
def score(pipeline: str, as_of: datetime | None = None) -> dict[str, Any]:
    """Score what is known by `as_of` and not scored yet; each record once."""
    # Inside, not on top: the process of every run pays for what this module imports.
    from flows.artifacts import show_score
    from flows.flow_run import this_run
    from flows.stages import as_task
    from flows.steps import everyday

    run = this_run(as_of)
    done = everyday.score(
        run.home,
        run.home.pipeline(pipeline),
        as_of=run.as_of,
        clock=run.clock,
        flow_run_id=run.flow_run_id,
        stage=as_task,
    )
    show_score(done)
    if done["shadow"] is not None and done["shadow"]["said"]:
        get_run_logger().warning("in shadow: %s", done["shadow"]["said"])
    for line in done["alerts"]["lines"]:
        get_run_logger().warning(line)
    return done
