"""How good the predictions of a window turned out, beside the naive baseline."""

import numpy as np
import pandas as pd

from components.answers import Answers
from components.metrics import metric_value
from components.pipelines.spec import HIGHER_IS_BETTER, Pipeline
from monitoring.measurements import Direction, Measurement, Status, status_of
from monitoring.windows import Window


def measure_quality(
    scored: pd.DataFrame, naive: Answers, *, pipeline: Pipeline, window: Window
) -> list[Measurement]:
    """Measure predictions against the labels that are known by now.

    Parameters
    ----------
    scored : DataFrame of shape (n_rows, n_columns)
        The predicted rows of `window`, with columns `label` (null while not known) and
        `prediction`, for classes also `probabilities` (a list a row, or null). Not modified.
    naive : Answers of shape (n_rows,)
        What the naive baseline answered to the same rows; its `classes` are those of the
        probabilities.
    pipeline : Pipeline
        Its metric, and `least_rows` under `monitor`.
    window : Window

    Returns
    -------
    list of Measurement
        ``live_error`` and ``naive_error`` in the pipeline's metric (`method`; for ``roc_auc``
        and ``accuracy`` higher is better, direction ``below``), where a live error no better
        than the naive one is a breach; ``labelled_share``, the share of rows with a known
        label. With fewer labelled rows than `least_rows` the errors cannot tell, though the
        number stands.

    """
    known = scored["label"].notna().to_numpy()
    truth = scored.loc[known, "label"].reset_index(drop=True)
    metric = pipeline.resolved_metric
    live = _value(metric, truth, _answers(scored[known], naive.classes))
    base = _value(metric, truth, _only(naive, known))
    direction: Direction = "below" if metric in HIGHER_IS_BETTER else "above"
    few = len(truth) < pipeline.monitor.least_rows

    def error(name: str, value: float | None, threshold: float | None, reason: str) -> Measurement:
        unsure = few or value is None
        status: Status = "cannot_tell"
        if not unsure and value is not None:
            status = status_of(value, threshold, direction)
        said = f"{reason}; {len(truth)} labelled rows, fewer than {pipeline.monitor.least_rows}"
        return Measurement(
            name=name,
            column=None,
            window=window,
            method=metric,
            value=value,
            threshold=threshold,
            direction=direction,
            status=status,
            rows=len(truth),
            reason=said if few else reason,
        )

    return [
        error("live_error", live, base, _beside(metric, live, base)),
        error("naive_error", base, None, f"naive baseline: {metric} {_number(base)}"),
        _labelled_share(known, window),
    ]


def _labelled_share(known: np.ndarray, window: Window) -> Measurement:
    rows = len(known)
    return Measurement(
        name="labelled_share",
        column=None,
        window=window,
        method="share",
        value=float(known.mean()) if rows else None,
        threshold=None,
        direction="below",
        status="fine" if rows else "cannot_tell",
        rows=rows,
        reason=f"{int(known.sum())} of {rows} predicted rows have a known label",
    )


def _answers(scored: pd.DataFrame, classes: tuple[str, ...]) -> Answers:
    """Read the predictions back as answers; with a null among them, without probabilities."""
    if not classes:
        return Answers(scored["prediction"].to_numpy(dtype=float))
    values = scored["prediction"].to_numpy(dtype=object)
    given = scored.get("probabilities")
    if given is None or given.isna().any() or scored.empty:
        return Answers(values, None, classes)
    return Answers(values, np.stack([np.asarray(row, dtype=float) for row in given]), classes)


def _only(answers: Answers, kept: np.ndarray) -> Answers:
    probabilities = None if answers.probabilities is None else answers.probabilities[kept]
    return Answers(answers.values[kept], probabilities, answers.classes)


def _value(metric: str, truth: pd.Series, answers: Answers) -> float | None:
    if metric == "roc_auc" and answers.probabilities is None:
        return None
    value = metric_value(metric, truth, answers)
    return value if np.isfinite(value) else None


def _beside(metric: str, live: float | None, base: float | None) -> str:
    if live is None:
        return f"{metric} is not defined on these rows"
    if base is None:
        return f"{metric} {_number(live)}"
    better = live > base if metric in HIGHER_IS_BETTER else live < base
    return f"{metric} {_number(live)}, {'better' if better else 'no better'} than naive {_number(base)}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
