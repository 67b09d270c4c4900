"""What a training leaves in MLflow: snapshot, seed, request, evaluation, gate, pages."""

import tempfile
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from flows.steps.rivals import Rival
from flows.steps.snapshots import Snapshot, digest_rows
from flows.steps.training import Evaluation, Prepared, Trained

if TYPE_CHECKING:
    from components.stores.registry import Run
    from flows.steps.home import Home
    from flows.steps.packaging import Packaged
    from flows.steps.retraining import Assignment
    from monitoring.gate import GateDecision


def open_run(home: "Home", assignment: "Assignment") -> "AbstractContextManager[Run]":
    """Open the MLflow run of a training, bound to its request and flow run."""
    request, pipeline = assignment.request, assignment.pipeline
    return home.registry.run(
        pipeline.name,
        name=f"{request.cause} {assignment.as_of.date()}",
        tags={
            "driftwheel.request": request.id,
            "driftwheel.cause": request.cause,
            "driftwheel.reason": request.reason,
            "driftwheel.flow_run": assignment.lease.flow_run_id or "none: no Prefect server",
            "driftwheel.event": request.event_id or "none",
            "driftwheel.who": assignment.who,
            "driftwheel.environment": home.environment,
        },
        params={
            "as_of": assignment.as_of.isoformat(),
            "seed": str(pipeline.seed),
            "candidates": ", ".join(pipeline.candidates),
            "windows": ", ".join(map(str, pipeline.windows)),
            "gate_margin": str(pipeline.gate.margin),
            "gate_level": str(pipeline.gate.level),
        },
    )


def record_snapshot(run: "Run", snapshot: Snapshot, prepared: Prepared) -> None:
    """Name the exact data in the run: table versions, moment, digest; what was set aside."""
    run.set_tags(
        {
            "driftwheel.snapshot": snapshot.name,
            "driftwheel.snapshot_digest": snapshot.digest,
            **{f"driftwheel.delta.{table}": str(n) for table, n in snapshot.versions.items()},
        }
    )
    source = _source(snapshot)
    for context, rows in (
        ("training", prepared.split.train),
        ("evaluation", prepared.split.holdout),
    ):
        if len(rows):
            run.log_snapshot(
                rows,
                name=snapshot.name,
                digest=digest_rows(rows)[:32],
                context=context,
                source=source,
            )


def _source(snapshot: Snapshot) -> dict[str, object]:
    """Name the tables as MLflow names a Delta table: path and version; labels beside."""
    return {
        "path": f"{snapshot.source}/records",
        "delta_table_version": snapshot.versions["records"],
        "labels": {
            "path": f"{snapshot.source}/labels",
            "delta_table_version": snapshot.versions["labels"],
        },
        "as_of": snapshot.as_of.isoformat(),
    }


def record_evaluation(
    run: "Run",
    home: "Home",
    assignment: "Assignment",
    twin: Trained,
    evaluation: Evaluation,
    rival: Rival,
) -> None:
    """Log metrics, trials, the pipeline file and, for a retraining, Evidently's page."""
    run.log_metrics(evaluation.metrics)
    run.set_tags({"driftwheel.recipe": str(twin.recipe), "driftwheel.naive": evaluation.naive_kind})
    run.log_file(assignment.pipeline.file)
    if twin.search is not None and twin.search.trials:
        lines = [
            f"{t.recipe}: {t.problem or f'loss {t.loss:.4f}'} ({t.seconds:.1f} s)"
            for t in twin.search.trials
        ]
        run.log_text("\n".join(lines) + "\n", "search.txt")
    if rival.reference is not None:
        _log_drift_page(run, home, assignment, rival)


def _log_drift_page(run: "Run", home: "Home", assignment: "Assignment", rival: Rival) -> None:
    """Show what moved since the champion learnt: its reference against the newest window."""
    from flows.steps.snapshots import records_known
    from monitoring.pages import drift_page

    if rival.reference is None:
        return
    pipeline = assignment.pipeline
    since = assignment.as_of - pipeline.monitor.window
    current = records_known(home.lake, pipeline, as_of=assignment.as_of, since=since)
    with tempfile.TemporaryDirectory(prefix="driftwheel-") as work:
        page = drift_page(
            rival.reference,
            current[list(pipeline.features)],
            pipeline,
            Path(work) / "drift.html",
        )
        run.log_file(page, "evidently")


def record_gate(
    run: "Run",
    decision: "GateDecision",
    tested_version: str | None,
    served: "tuple[str, Packaged] | None",
) -> None:
    """Log the gate's result with every number, and the versions that it concerned."""
    said = asdict(decision)
    numbers = {
        f"gate_{key}": float(value)
        for key, value in said.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    run.log_metrics({key: value for key, value in numbers.items() if value == value})  # noqa: PLR0124 - NaN is the one value unequal to itself
    run.set_tags(
        {
            "driftwheel.gate": decision.outcome,
            "driftwheel.gate_reason": decision.reason,
            "driftwheel.tested_version": tested_version or "none",
            "driftwheel.served_version": served[0] if served else "none",
        }
    )
