"""What a flow run leaves to look at in Prefect's UI: tables, and the way to MLflow.

All of it is told elsewhere too: what cannot be shown is logged, and the flow has still done
its work.
"""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from components.pipelines import Pipeline
from flows.running import Run
from flows.settings import hide_password, without_login

if TYPE_CHECKING:
    from components.stores.ledger import Decision
    from flows.steps.watching import Watched

P = ParamSpec("P")


def _not_needed(show: Callable[P, None]) -> Callable[P, None]:
    """Log, as a warning, that something could not be shown; the flow goes on."""

    @wraps(show)
    def shown(*arguments: P.args, **named: P.kwargs) -> None:
        try:
            show(*arguments, **named)
        # Prefect, httpx, MLflow and pydantic each raise their own here, and whatever it is,
        # what was decided and written stands: a flow called failed would tell otherwise.
        except Exception as problem:  # noqa: BLE001 - said above
            get_run_logger().warning(
                "%s left nothing to look at in Prefect (%s: %s); the flow's work is done",
                show.__name__,
                type(problem).__name__,
                hide_password(str(problem)),
            )

    return shown


@_not_needed
def show_ingest(done: dict[str, Any]) -> None:
    """Show how many rows came in, and how many were set aside."""
    create_table_artifact(key="ingested", table=[_flat(done)], description="Rows taken in")


@_not_needed
def show_score(done: dict[str, Any]) -> None:
    """Show how many records each version scored."""
    rows = [{"version": v, "rows": n} for v, n in done["by_version"].items()]
    said = {"stand-ins for faulty values": "stood_in", "waiting, not to be scored": "refused"}
    rows += [{"version": words, "rows": done[n]} for words, n in said.items() if done.get(n)]
    if silent := done["unanswered"]["quarantined"]:
        rows.append({"version": "in quarantine, without an answer", "rows": silent})
    create_table_artifact(
        key="scored", table=rows or [{"version": "-", "rows": 0}], description="Records scored"
    )


@_not_needed
def show_monitor(pipeline: Pipeline, watched: "Watched") -> None:
    """Show the measurements of the newest window, and the verdict on them."""
    rows = [
        {
            "measurement": m.name,
            "column": m.column or "",
            "value": m.value,
            "threshold": m.threshold,
            "bad side": m.direction,
            "status": m.status,
            "method": m.method,
            "rows": m.rows,
            "reason": m.reason,
        }
        for m in watched.measurements
    ]
    create_table_artifact(
        key=_key("measurements", pipeline.name),
        table=rows or [{"measurement": "no complete window yet"}],
        description=f"**{watched.verdict.action}**: {watched.verdict.reason}",
    )


@_not_needed
def show_faults(pipeline: Pipeline, watched: "Watched") -> None:
    """Show the data faults that stand, those that stop training first."""
    faults = watched.faults
    rows = [
        {
            "fault": fault.fault,
            "column": fault.column,
            "since": f"{fault.since:%Y-%m-%d %H:%M}",
            "until": f"{fault.until:%Y-%m-%d %H:%M}",
            "rows": fault.rows,
            "stops training": "yes" if fault in faults.blocking else "no",
            "evidence": fault.evidence,
            "key": fault.key,
        }
        for fault in sorted(faults.aside, key=lambda one: (one not in faults.blocking, one))
    ]
    create_table_artifact(
        key=_key("data-faults", pipeline.name),
        table=rows,
        description=f"**data fault**: {watched.verdict.reason}. Say what it is: "
        f"`driftwheel resolve {pipeline.name} KEY --reingest|--accept|--discard --reason …`",
    )


@_not_needed
def show_decision(run: Run, decision: "Decision") -> None:
    """Show a decision with its numbers, and link the MLflow run that holds the rest."""
    said = {k: v for k, v in decision.numbers.items() if v is not None and k != "limits"}
    numbers = "\n".join(f"| {k} | {v} |" for k, v in said.items())
    limits = "".join(f"- {one['sentence']}\n" for one in decision.numbers.get("limits") or ())
    create_markdown_artifact(
        key=_key("decision", decision.pipeline),
        markdown=f"## {decision.what}\n\n{decision.why}\n\n| number | value |\n| --- | --- |\n"
        f"{numbers}\n\n{limits}\nMLflow run: `{decision.mlflow_run_id or 'none'}`\n",
        description=f"{decision.pipeline}: {decision.what}",
    )
    address = _mlflow_address(run, decision)
    if address:
        create_link_artifact(
            key=_key("mlflow", decision.pipeline), link=address, link_text="The MLflow run"
        )


def _mlflow_address(run: Run, decision: "Decision") -> str:
    """Say where MLflow shows a run: on the server named, or the one that `up` started."""
    from flows.servers import live_mlflow

    server = live_mlflow(run.settings)
    if not (server and decision.mlflow_run_id):
        return ""
    experiment = run.home.registry.experiment_id(decision.pipeline)
    return f"{without_login(server)}/#/experiments/{experiment}/runs/{decision.mlflow_run_id}"


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: str(value) if isinstance(value, dict | list) else value for key, value in row.items()
    }


def _key(kind: str, pipeline: str) -> str:
    """Make an artifact key: lower case, digits and dashes are all that Prefect takes."""
    return f"{kind}-{pipeline}".replace("_", "-")
