"""How far the rows of a window have moved from what the champion learnt from.

Every column is measured on its own, so that one broken column cannot hide the others. Its
score is that of Evidently's own test, named with method, threshold and direction; called
directly it takes 1 ms a column, inside a report with its plots 28 ms. Missing values, new
categories and the row count are measured apart: Evidently drops nulls and infinities before
it compares, and half a column turned null is no drift to it.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from components.pipelines.possible import NUMBERS_ONLY
from components.pipelines.spec import DriftTest, Pipeline
from monitoring.columns import (
    DIRECTIONS,
    absence,
    change_in_words,
    drift_test,
    usable_values,
)
from monitoring.measurements import Direction, Measurement, Status, status_of
from monitoring.windows import Window

MORE_NULLS = 0.05
"""A share of missing values this much above the reference is a breach."""
NEW_CATEGORIES = 0.05
"""A share of rows with categories that the reference lacks, from which on it is a breach."""
CHANCE_DRAWS, CHANCE_REACH = 20, 3.0
"""A score must lie 3 standard deviations above what 20 samples of the reference itself show."""


def measure_drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    pipeline: Pipeline,
    *,
    window: Window,
    seed: int,
    most_rows: int = 5_000,
) -> list[Measurement]:
    """Compare the rows of a window with the reference, column by column.

    Parameters
    ----------
    reference : DataFrame of shape (n_reference, n_columns)
        What the champion learnt from. Not modified.
    current : DataFrame of shape (n_rows, n_columns)
        The rows of `window`. Not modified; columns may be absent, null, constant or of
        another type, which becomes a measurement and never an error.
    pipeline : Pipeline
        Its columns and kinds, its tests and `least_rows` under `monitor`, and the share of
        drifted columns that its policy acts on.
    window : Window
    seed : int
        Draws the sample of a column with more than `most_rows` values.
    most_rows : int
        Bounds the cost of each column, on either side.

    Returns
    -------
    list of Measurement
        ``rows`` for the table; ``nulls`` and ``drift`` for each column, for a category also
        ``new_categories``; last ``drift_share``, the share of drifted columns among those
        that could be judged (``cannot_tell`` when that is less than half of them). A
        threshold of ``drift`` that so few rows reach by chance is raised.

    """
    sides = _Sides(reference, current, pipeline, window, seed, most_rows)
    found = [_measure_rows(sides)]
    for name in pipeline.features:
        found += _measure_column(sides, name)
    return [*found, _measure_share(sides, [one for one in found if one.name == "drift"])]


def evidently_score(reference: pd.Series, current: pd.Series, kind: str, test: DriftTest) -> float:
    """Ask Evidently how far `current` is from `reference`, by the named test.

    Parameters
    ----------
    reference, current : Series
        Values as :func:`usable_values` gives them; copied, for some tests change them.
    kind : str
        ``number`` or ``category``.

    """
    score, _ = _evidently(reference, current, kind, test)
    return score


def _evidently(
    reference: pd.Series, current: pd.Series, kind: str, test: DriftTest
) -> tuple[float, bool]:
    """Give Evidently's score and its own verdict, the one that our direction must agree with."""
    run = _registered(test.method, kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy says when it falls back to the asymptotic test
        score, drifted = run(reference.copy(), current.copy(), test.threshold)
    return float(score), bool(drifted)


@lru_cache(maxsize=16)
def _registered(
    method: str, kind: str
) -> Callable[[pd.Series, pd.Series, float], tuple[float, bool]]:
    """Find Evidently's test; the first call imports Evidently, which takes 3 s and is noisy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently.legacy.calculations.stattests import get_stattest
        from evidently.legacy.core import ColumnType
    column_type = ColumnType.Numerical if kind == "number" else ColumnType.Categorical
    empty = pd.Series(dtype=float)
    test = get_stattest(empty, empty, column_type, method)

    def run(reference: pd.Series, current: pd.Series, threshold: float) -> tuple[float, bool]:
        found = test(reference, current, column_type, threshold)
        return found.drift_score, found.drifted

    return run


@dataclass(frozen=True, slots=True)
class _Sides:
    reference: pd.DataFrame
    current: pd.DataFrame
    pipeline: Pipeline
    window: Window
    seed: int
    most_rows: int

    def measurement(
        self,
        name: str,
        column: str | None,
        method: str,
        value: float,
        reason: str,
        *,
        threshold: float | None,
        direction: Direction = "above",
        status: Status | None = None,
        rows: int | None = None,
    ) -> Measurement:
        """Make a measurement of this window; a value that is no number cannot tell."""
        known = bool(np.isfinite(value))
        judged = status_of(value, threshold, direction) if known else "cannot_tell"
        return Measurement(
            name=name,
            column=column,
            window=self.window,
            method=method,
            value=float(value) if known else None,
            threshold=threshold,
            direction=direction,
            status=status or judged,
            rows=len(self.current) if rows is None else rows,
            reason=reason,
        )

    def sample(self, values: pd.Series) -> pd.Series:
        if len(values) <= self.most_rows:
            return values
        return values.sample(self.most_rows, random_state=self.seed).reset_index(drop=True)


def _measure_rows(sides: _Sides) -> Measurement:
    least = sides.pipeline.monitor.least_rows
    count = len(sides.current)
    few = f"{count} rows, fewer than the {least} that a verdict needs"
    return sides.measurement(
        "rows",
        None,
        "count",
        count,
        few if count < least else f"{count} rows",
        threshold=least,
        direction="below",
        status="breach" if count < least else "fine",
    )


def _measure_column(sides: _Sides, name: str) -> list[Measurement]:
    kind = sides.pipeline.columns[name].kind
    before, missing_before = usable_values(sides.reference, name, kind)
    now, missing_now = usable_values(sides.current, name, kind)
    found = [_measure_nulls(sides, name, missing_before, missing_now)]
    if kind == "category":
        found.append(_measure_new_categories(sides, name, before, now))
    return [*found, _measure_distance(sides, name, before, now)]


def _measure_nulls(sides: _Sides, name: str, before: float, now: float) -> Measurement:
    """Compare shares of missing values; a chance excess of 3 standard deviations is allowed."""
    usual = 0.0 if np.isnan(before) else before
    chance = 3 * float(np.sqrt(usual * (1 - usual) / max(len(sides.current), 1)))
    threshold = min(usual + max(MORE_NULLS, chance), 1.0)
    said = absence(sides.current, name) or (
        f"{now:.1%} of the values are missing or unusable, {usual:.1%} in the reference"
    )
    if np.isnan(now):
        said = "no rows in the window"
    only_nulls_before = usual >= 1.0
    return sides.measurement(
        "nulls",
        name,
        "share",
        now,
        said,
        threshold=threshold,
        status="cannot_tell" if only_nulls_before or np.isnan(now) else None,
    )


def _measure_new_categories(
    sides: _Sides, name: str, before: pd.Series, now: pd.Series
) -> Measurement:
    new = now[~now.isin(before.unique())]
    share = len(new) / len(now) if len(now) and len(before) else float("nan")
    some = ", ".join(repr(value) for value in new.value_counts().index[:3])
    reason = f"{share:.1%} of the values are new: {some}" if len(new) else "no new category"
    if np.isnan(share):
        reason = f"no values to compare: {len(before)} in the reference, {len(now)} in the window"
    return sides.measurement(
        "new_categories",
        name,
        "share",
        share,
        reason,
        threshold=NEW_CATEGORIES,
        rows=len(now),
    )


def _measure_distance(sides: _Sides, name: str, before: pd.Series, now: pd.Series) -> Measurement:
    kind = sides.pipeline.columns[name].kind
    test = drift_test(sides.pipeline, name)
    score, threshold = float("nan"), test.threshold
    reason = _obstacle(sides, name, before, now, test)
    if not reason:
        score, threshold, reason = _score(sides, before, now, kind, test)
    return sides.measurement(
        "drift",
        name,
        test.method,
        score,
        reason,
        threshold=threshold,
        direction=DIRECTIONS[test.method],
        rows=len(now),
    )


def _score(
    sides: _Sides, before: pd.Series, now: pd.Series, kind: str, test: DriftTest
) -> tuple[float, float, str]:
    """Give the score, the threshold it is held against, and both in words."""
    threshold, side = test.threshold, DIRECTIONS[test.method]
    reference, current = sides.sample(before), sides.sample(now)
    try:
        score = evidently_score(reference, current, kind, test)
        if side == "above" and score >= threshold:
            threshold = max(threshold, _chance(reference, len(current), kind, test, sides.seed))
    except Exception as problem:  # noqa: BLE001 - a column that fails must not hide the others
        return float("nan"), threshold, f"{test.method} failed: {type(problem).__name__}: {problem}"
    if not np.isfinite(score):
        return float("nan"), threshold, f"{test.method} gave no number"
    past = status_of(score, threshold, side) == "breach"
    where = f"{'at or ' if past else 'not '}{side} {threshold:.3g}"
    if threshold > test.threshold:
        where += f", which chance reaches with {len(current)} rows"
    return (
        score,
        threshold,
        f"{test.method} {score:.3g}, {where}: {change_in_words(before, now, kind)}",
    )


def _chance(reference: pd.Series, rows: int, kind: str, test: DriftTest, seed: int) -> float:
    """Estimate the score that so few rows reach by chance, without any drift.

    Distances grow as rows get fewer: of windows of 30 rows without any drift, three in ten
    had one of three columns above the default thresholds; against this estimate, 2 %. Drawn
    only for a score above its threshold.
    """
    chance = np.random.default_rng(seed)
    drawn = (reference.iloc[chance.integers(0, len(reference), rows)] for _ in range(CHANCE_DRAWS))
    scores = [evidently_score(reference, draw.reset_index(drop=True), kind, test) for draw in drawn]
    own = (1 + rows / len(reference)) ** 0.5  # the reference is a sample, too
    return float(own * (np.mean(scores) + CHANCE_REACH * np.std(scores, ddof=1)))


def _obstacle(sides: _Sides, name: str, before: pd.Series, now: pd.Series, test: DriftTest) -> str:
    """Say why a column cannot be compared; empty when it can."""
    kind, least = sides.pipeline.columns[name].kind, sides.pipeline.monitor.least_rows
    if test.method in NUMBERS_ONLY and kind == "category":
        return f"{test.method} compares numbers; use jensenshannon, psi or hellinger"
    for words, frame, values in (
        ("reference", sides.reference, before),
        ("window", sides.current, now),
    ):
        if absent := absence(frame, name):
            return f"{absent} in the {words}"
        if len(values) < least:
            return f"{len(values)} usable values in the {words}, fewer than {least}"
    return ""


def _measure_share(sides: _Sides, columns: Sequence[Measurement]) -> Measurement:
    judged = [one for one in columns if one.status != "cannot_tell"]
    drifted = [one.column for one in judged if one.status == "breach"]
    enough = bool(judged) and 2 * len(judged) >= len(columns)
    said = f"{len(drifted)} of {len(judged)} columns drifted"
    if drifted:
        said += f": {', '.join(map(str, drifted))}"
    if not enough:
        said = f"only {len(judged)} of {len(columns)} columns could be judged"
    return sides.measurement(
        "drift_share",
        None,
        "share of columns",
        len(drifted) / len(judged) if enough else float("nan"),
        said,
        threshold=sides.pipeline.policy.share,
    )
