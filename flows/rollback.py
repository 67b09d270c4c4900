"""Put the previous version back in charge, because a person says so.

champion, previous --> ledger (a new epoch) --> MLflow's aliases follow
"""

from datetime import datetime
from typing import Any

from prefect import flow

from flows.naming import run_name


@flow(name="rollback", flow_run_name=run_name)
def rollback(
    pipeline: str,
    reason: str,
    who: str = "",
    as_of: datetime | None = None,
    epoch: int | None = None,
) -> dict[str, Any]:
    """Roll back once; saying it again changes nothing, unless an earlier epoch is named."""
    # Inside, not on top: the process of every run pays for what this module imports.
    from flows.artifacts import show_decision
    from flows.flow_run import this_run
    from flows.stages import as_task
    from flows.steps import taking_charge
    from flows.steps.telling import decision_row

    run = this_run(as_of)
    ended = epoch if epoch is not None else taking_charge.epoch_to_end(run.home, pipeline)
    decision = as_task("rollback", taking_charge.roll_back, network=True)(
        run.home,
        run.home.pipeline(pipeline),
        who=who or "unnamed",
        why=reason,
        as_of=run.as_of,
        clock=run.clock,
        epoch=ended,
    )
    show_decision(run, decision)
    return decision_row(decision)
