"""Carry out one retraining request, and promote only what wins.

request --taken by another, or closed--> done, recorded
   |
 claim --> snapshot --> preprocess --> fit --> evaluate --> package --> register
                                  promote or keep <-- refit <-- gate
"""

from datetime import datetime
from typing import Any

from prefect import flow

from flows.naming import run_name


@flow(name="retrain", flow_run_name=run_name)
def retrain(
    request_id: str,
    pipeline: str,
    as_of: datetime | None = None,
    by_reconcile: bool = False,
) -> dict[str, Any]:
    """Take the lease of a request and see it through to a decision.

    A request is carried out as of its own moment; `as_of` only names the run.
    """
    # Inside, not on top: the process of every run pays for what this module imports.
    from flows.artifacts import show_decision
    from flows.flow_run import logged, this_run
    from flows.stages import as_task
    from flows.steps import everyday
    from flows.steps.leasing import AUTOMATION
    from flows.steps.telling import decision_row

    run = this_run(as_of)
    decision = everyday.retrain(
        run.home,
        run.home.pipeline(pipeline),
        request_id,
        clock=run.clock,
        holder=run.holder,
        who="reconcile" if by_reconcile else AUTOMATION,
        flow_run_id=run.flow_run_id,
        by_reconcile=by_reconcile,
        stage=as_task,
        told=logged,
    )
    if decision is None:
        logged(f"no-op: {request_id} is closed, or another worker has it")
        return {"pipeline": pipeline, "request_id": request_id, "what": "no-op"}
    show_decision(run, decision)
    return decision_row(decision)
