"""How good the predictions of a window turned out, beside the naive baseline."""

import numpy as np
import pandas as pd

from components.answers import Answers
from components.metrics import metric_value
from components.pipelines.spec import HIGHER_IS_BETTER, Pipeline
from components.records import KNOWN_TIME
from monitoring.measurements import Direction, Measurement, Status, status_of
from monitoring.windows import Window

LEAST_GROWTH = 0.1
"""Labels that come one by one are worth another look once so many of the rows have one more."""

_ONE_NUMBER = ["window_start", "window_end", "name", "column", "model_version"]


def measure_quality(
    labelled: pd.DataFrame,
    answers: Answers,
    naive: Answers | None,
    *,
    pipeline: Pipeline,
    window: Window,
    rows_made: int,
) -> list[Measurement]:
    """Measure predictions against the labels that are known by now.

    Parameters
    ----------
    labelled : DataFrame of shape (n_rows, n_columns)
        The predicted rows of `window` whose label is known, in a column `label`. Not modified.
    answers : Answers of shape (n_rows,)
        What was predicted for them.
    naive : Answers of shape (n_rows,) or None
        What the naive baseline answered to the same rows; None: nothing to compare with.
    pipeline : Pipeline
        Its metric, and `least_rows` under `monitor`.
    window : Window
    rows_made : int
        Predictions made in `window`, labelled or not.

    Returns
    -------
    list of Measurement
        ``live_error`` and ``naive_error`` in the pipeline's metric (`method`; for ``roc_auc``
        and ``accuracy`` higher is better, direction ``below``), where a live error no better
        than the naive one is a breach; ``labelled_share``, the share of rows with a known
        label. With fewer labelled rows than `least_rows` the errors cannot tell, though the
        number stands.

    """
    truth, metric = labelled["label"], pipeline.resolved_metric
    live = _value(metric, truth, answers)
    base = None if naive is None else _value(metric, truth, naive)
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
        _labelled_share(len(truth), rows_made, window),
    ]


def many_came_in(before: int, now: int, rows: int) -> bool:
    """Say whether enough labels came in since a window was measured to measure it again.

    >>> many_came_in(40, 49, 100), many_came_in(40, 50, 100), many_came_in(0, 0, 0)
    (False, True, False)
    """
    return now > before and now - before >= LEAST_GROWTH * rows


def last_known(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep of each number of a window the row known last, in the order given.

    Parameters
    ----------
    rows : DataFrame of shape (n_measurements, n_columns)
        Rows of the table `measurements`. Not modified. Of two known at the same moment, the
        one on more labels counts.

    """
    order = [KNOWN_TIME, "rows", "value"]  # `value` grows with the labels for labelled_share
    newest_last = rows.sort_values(order, kind="stable", na_position="first")
    return newest_last.drop_duplicates(_ONE_NUMBER, keep="last").sort_index()


def _labelled_share(known: int, rows: int, window: Window) -> Measurement:
    return Measurement(
        name="labelled_share",
        column=None,
        window=window,
        method="share",
        value=known / rows if rows else None,
        threshold=None,
        direction="below",
        status="fine" if rows else "cannot_tell",
        rows=rows,
        reason=f"{known} of {rows} predicted rows have a known label",
    )


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
    beside = f"{'better' if better else 'no better'} than naive {_number(base)}"
    return f"{metric} {_number(live)}, {beside}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"
