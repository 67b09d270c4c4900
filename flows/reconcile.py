"""Take up what events lost: requests without a worker, aliases behind the ledger.

ledger --open, nobody at it--> retrain, marked
   └──alias behind--> set; alias moved by hand--> reported
"""

from datetime import datetime
from typing import Any

from prefect import flow

from flows.naming import run_name


@flow(name="reconcile", flow_run_name=run_name)
def reconcile(
    pipeline: str, as_of: datetime | None = None, grace_seconds: float = 120.0
) -> dict[str, Any]:
    """Carry out requests older than the grace period whose event started nothing."""
    # Inside, not on top: the process of every run pays for what this module imports.
    from datetime import timedelta

    from flows.flow_run import logged, this_run
    from flows.stages import as_task
    from flows.steps import everyday

    run = this_run(as_of)
    spec = run.home.pipeline(pipeline)
    done = everyday.reconcile(
        run.home,
        spec,
        clock=run.clock,
        grace=timedelta(seconds=grace_seconds),
        carry=lambda request_id: everyday.retrain(
            run.home,
            spec,
            request_id,
            clock=run.clock,
            holder=run.holder,
            who="reconcile",
            flow_run_id=run.flow_run_id,
            by_reconcile=True,
            stage=as_task,
            told=logged,
        ),
        stage=as_task,
    )
    for line in (*done["moved_by_hand"], *done["alerts"]["lines"]):
        logged(line)
    return done
