"""Evidently's own page of a window: one joint report of the columns that can be compared."""

import html
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from components.pipelines.possible import NUMBERS_ONLY
from components.pipelines.spec import Pipeline
from monitoring.columns import drift_test, usable_values, values_with_nulls


def drift_page(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    pipeline: Pipeline,
    to: Path,
    *,
    seed: int = 0,
    most_rows: int = 5_000,
) -> Path:
    """Write Evidently's HTML report of the usable columns.

    A page holds about 4 MB, most of it the plotting code: keep it for alarms and retrainings.

    Parameters
    ----------
    reference, current : DataFrame
        As for :func:`monitoring.drift.measure_drift`. Not modified.
    pipeline : Pipeline
    to : Path
        The file to write; its folder must exist.
    seed, most_rows : int
        A longer side is sampled, which bounds time and memory.

    Returns
    -------
    Path
        `to`. With no usable column it says so instead of a report.

    """
    before, now = _sample(reference, seed, most_rows), _sample(current, seed, most_rows)
    usable = [name for name in pipeline.features if _is_usable(before, now, pipeline, name)]
    if not usable:
        to.write_text(_empty_page(pipeline, len(reference), len(current)), encoding="utf-8")
        return to
    _report(_typed(before, pipeline, usable), _typed(now, pipeline, usable), pipeline, usable, to)
    return to


def _sample(frame: pd.DataFrame, seed: int, most_rows: int) -> pd.DataFrame:
    return frame if len(frame) <= most_rows else frame.sample(most_rows, random_state=seed)


def _is_usable(before: pd.DataFrame, now: pd.DataFrame, pipeline: Pipeline, name: str) -> bool:
    kind = pipeline.columns[name].kind
    if kind == "category" and drift_test(pipeline, name).method in NUMBERS_ONLY:
        return False
    return all(len(usable_values(side, name, kind)[0]) for side in (before, now))


def _typed(frame: pd.DataFrame, pipeline: Pipeline, usable: list[str]) -> pd.DataFrame:
    """Give each column the type of its kind, nulls kept, and text that cannot act as HTML.

    Evidently writes names and categories into a script as they are, and both come with
    the data.
    """
    kinds = {name: pipeline.columns[name].kind for name in usable}
    typed = {name: values_with_nulls(frame[name], kinds[name]) for name in usable}
    safe = {
        _safe(name): values if kinds[name] == "number" else values.map(_safe, na_action="ignore")
        for name, values in typed.items()
    }
    return pd.DataFrame(safe).reset_index(drop=True)


def _safe(text: str) -> str:
    return html.escape(text, quote=False)


def _report(
    before: pd.DataFrame, now: pd.DataFrame, pipeline: Pipeline, usable: list[str], to: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Evidently and what it imports warn about themselves
        from evidently import DataDefinition, Dataset, Report

        kinds = {name: pipeline.columns[name].kind for name in usable}
        definition = DataDefinition(
            numerical_columns=[_safe(name) for name in usable if kinds[name] == "number"],
            categorical_columns=[_safe(name) for name in usable if kinds[name] == "category"],
        )
        sides = [Dataset.from_pandas(side, definition) for side in (now, before)]
        Report(_metrics(pipeline, usable)).run(*sides).save_html(str(to))


def _metrics(pipeline: Pipeline, usable: list[str]) -> list[Any]:
    from evidently.metrics import DriftedColumnsCount, ValueDrift

    tests = {_safe(name): drift_test(pipeline, name) for name in usable}
    return [
        DriftedColumnsCount(
            columns=list(tests),
            drift_share=pipeline.policy.share,
            per_column_method={name: test.method for name, test in tests.items()},
            per_column_threshold={name: test.threshold for name, test in tests.items()},
        ),
        *(
            ValueDrift(column=name, method=test.method, threshold=test.threshold)
            for name, test in tests.items()
        ),
    ]


def _empty_page(pipeline: Pipeline, before: int, now: int) -> str:
    return (
        "<!doctype html><meta charset='utf-8'><title>Drift</title>"
        f"<h1>{html.escape(pipeline.name)}: no column could be compared</h1>"
        f"<p>{before} rows in the reference, {now} in the window.</p>"
    )
