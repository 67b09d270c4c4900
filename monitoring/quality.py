"""How good the predictions of a window turned out, beside the naive baseline."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from components.answers import Answers
from components.intervals import metric_interval, widened
from components.metrics import RANKINGS, metric_value
from components.pipelines.spec import HIGHER_IS_BETTER, Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL
from monitoring.coverage import coverage_of
from monitoring.maturity import Asked, Seen, see, unknown, weights_of
from monitoring.measurements import Direction, Measurement, Status, status_of
from monitoring.windows import Window

LEAST_GROWTH = 0.1
"""Labels that come one by one are worth another look once so many of the rows have one more."""

LEVEL = 0.05
"""Both ends of the interval of a corrected number together miss the truth this often."""

LEAST_BLOCKS = 12
"""A window is cut into at least so many blocks of time for its interval."""

_ONE_NUMBER = ["window_start", "window_end", "name", "column", "model_version"]


def quality(
    made: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    pipeline: Pipeline,
    window: Window,
    as_known_at: pd.Timestamp,
    answer: Callable[[pd.DataFrame], tuple[pd.DataFrame, Answers]],
    naive: Callable[[pd.DataFrame], Answers],
    at_maturity: timedelta | None = None,
    usual: Asked = unknown,
) -> list[Measurement]:
    """Measure the predictions of a window by the labels known at a moment.

    The same moment asked again, however much later, gives the same numbers: nothing known
    after it is looked at.

    Parameters
    ----------
    made, labels, pipeline, window, as_known_at, at_maturity, usual
        As for :func:`monitoring.maturity.see`.
    answer : callable
        Gives predicted rows, in an order of its own, and the answers that they were.
    naive : callable
        Gives what the naive baseline answers to rows.

    Returns
    -------
    list of Measurement
        See :func:`measure_quality`.

    """
    seen = see(
        made,
        labels,
        pipeline=pipeline,
        window=window,
        as_known_at=as_known_at,
        at_maturity=at_maturity,
        usual=usual,
    )
    rows, answers = answer(seen.rows)
    beside = naive(rows) if len(rows) else None
    return measure_quality(rows, answers, beside, pipeline=pipeline, window=window, seen=seen)


@dataclass(frozen=True, slots=True)
class WindowQuality:
    """How good the predictions of a window turned out; numbers where there are any.

    Attributes
    ----------
    seen : Seen
        What the labels known say of the window, and in which state it is.
    score, naive : float or None
        In the pipeline's metric.
    interval : tuple of float or None
        95 %, of the score.

    """

    window: Window
    seen: Seen
    score: float | None
    interval: tuple[float, float] | None
    naive: float | None


def window_quality(
    made: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    pipeline: Pipeline,
    window: Window,
    as_known_at: pd.Timestamp,
    answer: Callable[[pd.DataFrame], tuple[pd.DataFrame, Answers]],
    naive: Callable[[pd.DataFrame], Answers],
    at_maturity: timedelta | None = None,
    usual: Asked = unknown,
) -> WindowQuality:
    """Measure the predictions of a window, always with the interval; see :func:`quality`."""
    seen = see(
        made,
        labels,
        pipeline=pipeline,
        window=window,
        as_known_at=as_known_at,
        at_maturity=at_maturity,
        usual=usual,
    )
    if seen.rows.empty:
        return WindowQuality(window, seen, None, None, None)
    rows, answers = answer(seen.rows)
    live = _measured(rows, answers, pipeline, window, with_interval=True)
    base = _measured(rows, naive(rows), pipeline, window)
    return WindowQuality(window, seen, live.value, live.bounds, base.value)


def measure_quality(
    labelled: pd.DataFrame,
    answers: Answers,
    naive: Answers | None,
    *,
    pipeline: Pipeline,
    window: Window,
    seen: Seen,
) -> list[Measurement]:
    """Measure predictions against their labels.

    Parameters
    ----------
    labelled : DataFrame of shape (n_rows, n_columns)
        The rows of `seen`, in any order. Not modified.
    answers : Answers of shape (n_rows,)
        What was predicted for them.
    naive : Answers of shape (n_rows,) or None
        What the naive baseline answered to the same rows; None: nothing to compare with.
    pipeline : Pipeline
        Its metric, and `least_rows` under `monitor`.
    window : Window
    seen : Seen
        What the labels known say of the window, and in which state it is.

    Returns
    -------
    list of Measurement
        ``live_error`` and ``naive_error`` in the pipeline's metric (`method`; for ``roc_auc``
        and ``accuracy`` higher is better, direction ``below``), where a live error no better
        than the naive one is a breach; ``labelled_share``, the share of rows with a known
        label; ``coverage``, where predictions carry intervals or sets (:func:`coverage_of`).
        `rows` counts the labels known; `reason` says whether the number is mature,
        corrected (with its 95 % interval) or waited for. Without a mature or corrected number
        there is none; with fewer labelled rows than `least_rows` the errors cannot tell,
        though the number stands.

    """
    metric = pipeline.resolved_metric
    live = _measured(labelled, answers, pipeline, window)
    base = None if naive is None else _measured(labelled, naive, pipeline, window)
    direction: Direction = "below" if metric in HIGHER_IS_BETTER else "above"
    least = pipeline.monitor.least_rows
    few = len(labelled) < least

    def error(name: str, found: _Error | None, threshold: float | None, said: str) -> Measurement:
        value = None if found is None else found.value
        status: Status = "cannot_tell"
        if found is not None and found.value is not None and found.sure and not few:
            status = status_of(found.value, threshold, direction)
        lacking = f"; {len(labelled)} labelled rows, fewer than {least}" if few else ""
        return Measurement(
            name=name,
            column=None,
            window=window,
            method=metric,
            value=value,
            threshold=threshold,
            direction=direction,
            status=status,
            rows=seen.known,
            reason=f"{said}{lacking}; {seen.said}",
        )

    limit = None if base is None else base.value
    return [
        error("live_error", live, limit, _beside(metric, live, limit)),
        error("naive_error", base, None, f"naive baseline: {metric} {_said(base)}"),
        _labelled_share(seen.known, seen.made, window),
        *coverage_of(labelled, pipeline, window),
    ]


@dataclass(frozen=True, slots=True)
class _Error:
    """A measured error; `bounds` are known where it was corrected."""

    value: float | None
    corrected: bool = False
    bounds: tuple[float, float] | None = None

    @property
    def sure(self) -> bool:
        """A corrected number counts only with its interval."""
        return self.bounds is not None or not self.corrected


def _measured(
    labelled: pd.DataFrame,
    answers: Answers,
    pipeline: Pipeline,
    window: Window,
    *,
    with_interval: bool = False,
) -> _Error:
    metric, truth = pipeline.resolved_metric, labelled[LABEL]
    if metric in RANKINGS and answers.probabilities is None:
        return _Error(None)
    weights, others = weights_of(labelled)
    quantile = pipeline.quantile
    value = metric_value(metric, truth, answers, weights, quantile=quantile)
    if not np.isfinite(value):
        return _Error(None)
    if weights is None and not with_interval:
        return _Error(value)
    # A day as a block leaves no interval within a window of a day.
    block = min(pipeline.gate.block, (window.end - window.start) / LEAST_BLOCKS)
    found = metric_interval(
        metric,
        truth,
        answers,
        labelled[EVENT_TIME],
        block=block,
        level=LEVEL / 2,
        weights=weights,
        quantile=quantile,
    )
    if weights is not None:
        values = (metric_value(metric, truth, answers, w, quantile=quantile) for w in others)
        parts = np.array(list(values))
        found = widened(found, parts, level=LEVEL / 2)
    known = np.isfinite(found.low) and np.isfinite(found.high)
    bounds = (found.low, found.high) if known else None
    return _Error(value, corrected=weights is not None, bounds=bounds)


def many_came_in(before: int, now: int, rows: int) -> bool:
    """Say whether enough labels came in since a window was measured to measure it again.

    >>> many_came_in(40, 49, 100), many_came_in(40, 50, 100), many_came_in(0, 0, 0)
    (False, True, False)
    """
    return now > before and now - before >= LEAST_GROWTH * rows


def filled_up(before: int, now: int, rows: int) -> bool:
    """Say whether at least half of the labels that a window lacked have come in since.

    >>> filled_up(90, 94, 100), filled_up(90, 95, 100), filled_up(100, 100, 100)
    (False, True, False)
    """
    return now > before and 2 * (now - before) >= rows - before


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


def _beside(metric: str, live: _Error, base: float | None) -> str:
    if live.value is None:
        return f"{metric} is not defined on these rows"
    if base is None:
        return f"{metric} {_said(live)}"
    better = live.value > base if metric in HIGHER_IS_BETTER else live.value < base
    beside = f"{'better' if better else 'no better'} than naive {base:.4g}"
    return f"{metric} {_said(live)}, {beside}"


def _said(found: _Error | None) -> str:
    if found is None or found.value is None:
        return "unknown"
    if not found.corrected:
        return f"{found.value:.4g}"
    if found.bounds is None:
        return f"{found.value:.4g} (with no interval, which needs more rows)"
    low, high = found.bounds
    return f"{found.value:.4g} (95 %: {low:.4g} to {high:.4g})"
