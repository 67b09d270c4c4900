"""Train now: a request of its own, carried out here.

request --> claim --> snapshot --> preprocess --> fit --> evaluate --> package --> register
                                                   promote or keep <-- refit <-- gate
"""

from datetime import datetime
from typing import Any

from prefect import flow

from flows.naming import run_name


@flow(name="train", flow_run_name=run_name)
def train(pipeline: str, as_of: datetime | None = None, who: str = "schedule") -> dict[str, Any]:
    """Train as of a moment and let the gate decide; the same moment twice trains once."""
    # Inside, not on top: the process of every run pays for what this module imports.
    from flows.artifacts import show_decision
    from flows.flow_run import logged, this_run
    from flows.stages import as_task
    from flows.steps import everyday
    from flows.steps.telling import decision_row

    run = this_run(as_of)
    decision = everyday.train(
        run.home,
        run.home.pipeline(pipeline),
        as_of=run.as_of,
        clock=run.clock,
        holder=run.holder,
        who=who,
        flow_run_id=run.flow_run_id,
        stage=as_task,
        told=logged,
    )
    if decision is None:
        return {"pipeline": pipeline, "what": "no-op", "why": "another worker is training"}
    show_decision(run, decision)
    return decision_row(decision)
