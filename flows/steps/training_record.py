"""What a training leaves in MLflow: snapshot, seed, request, evaluation, gate, pages."""

import json
import re
import tempfile
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from components.pipelines import Pipeline
from components.records import EVENT_TIME
from flows.steps.evaluating import SIDES, Examination, plain
from flows.steps.rivals import Rival
from flows.steps.snapshots import Snapshot, digest_rows
from flows.steps.training import Evaluation, Prepared, Trained

if TYPE_CHECKING:
    from components.search import Search
    from components.stores.registry import Run
    from flows.steps.home import Home
    from flows.steps.packaging import Packaged
    from flows.steps.retraining import Assignment
    from monitoring.gate import GateDecision

EVALUATION = "evaluation.json"
"""What was found on the held-out rows, whole; the model card is made of it."""

_LAYOUT = 1
_MOST_SLICES = 20
_NOT_IN_A_NAME = re.compile(r"[^\w\-. /]+")


def open_run(home: "Home", assignment: "Assignment") -> "AbstractContextManager[Run]":
    """Open the MLflow run of a training, bound to its request and flow run."""
    request, pipeline = assignment.request, assignment.pipeline
    return home.registry.run(
        pipeline.name,
        name=f"{request.cause} {assignment.as_of.date()}",
        tags={
            "driftwheel.pipeline": pipeline.name,
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
    examination: Examination,
) -> None:
    """Log every measure, trials, pictures, the pipeline file; for a retraining Evidently's page."""
    pipeline, recipe = assignment.pipeline, twin.recipe
    run.log_metrics({**named_metrics(examination), **evaluation.metrics})
    settings = {f"setting_{name}": str(value) for name, value in recipe.params}
    run.log_params({"family": recipe.family, "training_window": str(recipe.window), **settings})
    run.set_tags({"driftwheel.recipe": str(recipe), "driftwheel.naive": evaluation.naive_kind})
    run.log_file(pipeline.file)
    said = evaluation_json(twin, evaluation, examination)
    run.log_text(json.dumps(said, indent=1, allow_nan=False) + "\n", EVALUATION)
    if twin.search is not None and twin.search.trials:
        run.log_text(search_table(twin.search), "search.csv")
        run.log_text(search_text(twin.search), "search.txt")
    _log_plots(run, pipeline, examination)
    if rival.reference is not None:
        _log_drift_page(run, home, assignment, rival)


def named_metrics(examination: Examination) -> dict[str, float]:
    """Name every number so that versions can be compared by it; what is not known is left out.

    ``holdout_mae`` with ``_low`` and ``_high``, ``_rival`` and ``_naive``;
    ``slice/branch north`` and ``fairness/branch/selection_rate``.
    """
    found: dict[str, float | None] = {}
    for side, suffix in zip(SIDES, ("", "_rival", "_naive"), strict=True):
        for one in examination.measures[side]:
            found[f"holdout_{one.name}{suffix}"] = one.value
    for one in examination.measures["model"]:
        found |= {f"holdout_{one.name}_low": one.low, f"holdout_{one.name}_high": one.high}
    for part in examination.slices[:_MOST_SLICES]:
        found[f"slice/{part.name}"] = part.loss.mean
    for groups in examination.fairness["model"]:
        for rate, difference in groups.differences.items():
            found[f"fairness/{groups.column}/{rate}"] = difference
    found |= {
        "holdout_negative_flips": examination.flips.negative.mean,
        "holdout_positive_flips": examination.flips.positive.mean,
        "holdout_covered": examination.coverage.covered,
    }
    if examination.curve is not None:
        found["learning_gap"] = examination.curve.gap
    return {
        _metric_name(name): float(value)
        for name, value in found.items()
        if plain(value) is not None and value is not None
    }


def _metric_name(name: str) -> str:
    """Keep the signs that MLflow allows in the name of a metric."""
    return " ".join(_NOT_IN_A_NAME.sub(" ", name).split())[:200]


def evaluation_json(
    twin: Trained, evaluation: Evaluation, examination: Examination
) -> dict[str, object]:
    """Put together what :data:`EVALUATION` holds."""
    search, times = twin.search, twin.rows[EVENT_TIME]
    tried = None
    if search is not None:
        tried = {
            "trials": [
                {"recipe": str(t.recipe), "loss": plain(t.loss), "problem": t.problem}
                for t in search.trials
            ],
            "folds": list(search.folds),
            "said": list(search.said),
            "dropped": dict(search.dropped),
        }
    return {
        "layout": _LAYOUT,
        "recipe": twin.recipe.as_dict(),
        "naive": evaluation.naive_kind,
        "learnt": {
            "rows": len(twin.rows),
            "from": times.min().isoformat(),
            "until": times.max().isoformat(),
        },
        "search": tried,
        **examination.to_dict(),
    }


def search_table(search: "Search") -> str:
    """Write the trials of a search as CSV, in the order in which they were made."""
    rows = [
        {
            "trial": place,
            "family": trial.recipe.family,
            "window": str(trial.recipe.window),
            "settings": ", ".join(f"{name} {value}" for name, value in trial.recipe.params),
            "without": ", ".join(trial.recipe.dropped),
            "loss": plain(trial.loss),
            "losses": " ".join(f"{loss:.6g}" for loss in trial.losses),
            "seconds": round(trial.seconds, 3),
            "problem": trial.problem,
        }
        for place, trial in enumerate(search.trials, start=1)
    ]
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")


def search_text(search: "Search") -> str:
    """Write a search for people: trials, folds, features left out and why, what else to know."""
    lines = [
        f"{trial.recipe}: {trial.problem or f'loss {trial.loss:.4f}'} ({trial.seconds:.1f} s)"
        for trial in search.trials
    ]
    lines += [f"judged on {fold}" for fold in search.folds]
    lines += [f"left out: {name} ({why})" for name, why in sorted(search.dropped.items())]
    return "\n".join([*lines, *search.said, f"best: {search.best}"]) + "\n"


def _log_plots(run: "Run", pipeline: Pipeline, examination: Examination) -> None:
    from monitoring import model_plots as plots

    name, loss = pipeline.name, examination.loss
    with tempfile.TemporaryDirectory(prefix="driftwheel-") as work:
        to = Path(work)
        drawn = [
            plots.draw_importance(
                examination.importance,
                to / "importance.png",
                title=f"{name}: what each feature is worth on held-out rows",
                loss=loss,
            ),
            plots.draw_error_over_time(
                examination.over_time(pipeline),
                to / "error_over_time.png",
                title=f"{name}: {loss} on held-out rows",
                loss=loss,
            ),
        ]
        overall = examination.mean_loss(pipeline)
        if parts := (*examination.slices, *examination.found):
            title = f"{name}: parts of the held-out rows, named and found"
            file = to / "slices.png"
            drawn.append(plots.draw_slices(parts, overall, file, title=title, loss=loss))
        if examination.curve is not None:
            title, file = f"{name}: would more rows help?", to / "learning_curve.png"
            drawn.append(plots.draw_learning_curve(examination.curve, file, title=title, loss=loss))
        if (reliable := examination.reliability.get("model")) is not None:
            title, file = f"{name}: what was said and what came", to / "reliability.png"
            drawn.append(plots.draw_reliability(reliable, file, title=title))
        for file in drawn:
            run.log_file(file, "plots")


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
    numbers |= {
        f"limit/{limit.name}": float(value)
        for limit in decision.limits
        if not limit.name.startswith("slice ")
        and (value := limit.worse_by if limit.challenger is None else limit.challenger) is not None
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
