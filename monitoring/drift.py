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

from components.pipelines.spec import DriftTest, Pipeline
from monitoring.measurements import Direction, Measurement, Status, status_of
from monitoring.windows import Window

DIRECTIONS: dict[str, Direction] = {
    "wasserstein": "above",
    "jensenshannon": "above",
    "psi": "above",
    "hellinger": "above",
    "ks": "below",  # a p-value
}
NUMBERS_ONLY = frozenset({"wasserstein", "ks"})
MORE_NULLS = 0.05
"""A share of missing values this much above the reference is a breach."""
NEW_CATEGORIES = 0.05
"""A share of rows with categories that the reference lacks, from which on it is a breach."""

Score = Callable[[pd.Series, pd.Series, str, DriftTest], float]


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
        that could be judged (``cannot_tell`` when that is less than half of them).

    """
    sides = _Sides(reference, current, pipeline, window, seed, most_rows)
    found = [_measure_rows(sides)]
    for name in pipeline.features:
        found += _measure_column(sides, name)
    return [*found, _measure_share(sides, [one for one in found if one.name == "drift"])]


def drift_test(pipeline: Pipeline, column: str) -> DriftTest:
    """Name the test of a column: its own, else that of its kind."""
    kind = pipeline.columns[column].kind
    monitor = pipeline.monitor
    return monitor.columns.get(column, monitor.number if kind == "number" else monitor.category)


def usable_values(frame: pd.DataFrame, column: str, kind: str) -> tuple[pd.Series, float]:
    """Take the values of a column that can be compared, and the share that cannot.

    Returns
    -------
    Series of shape (n_usable,)
        float64 without nulls and infinities for a number, text for a category.
    float
        Share of rows that are null, infinite or not of the kind; 1.0 for an absent column
        or one that stands twice, NaN without rows.

    """
    given = frame[column] if column in frame else pd.Series(dtype=object)
    if column not in frame or isinstance(given, pd.DataFrame):
        return pd.Series(dtype=float if kind == "number" else object), 1.0
    kept = values_with_nulls(given, kind).dropna().reset_index(drop=True)
    return kept, 1.0 - len(kept) / len(given) if len(given) else float("nan")


def values_with_nulls(given: pd.Series, kind: str) -> pd.Series:
    """Read a column as its kind; what is not of that kind is null, and every row stays."""
    return _numbers(given) if kind == "number" else _texts(given)


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
    said = _absence(sides.current, name) or (
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
    score, reason = float("nan"), _obstacle(sides, name, before, now, test)
    if not reason:
        score, reason = _score(sides, before, now, kind, test)
    return sides.measurement(
        "drift",
        name,
        test.method,
        score,
        reason,
        threshold=test.threshold,
        direction=DIRECTIONS[test.method],
        rows=len(now),
    )


def _score(
    sides: _Sides, before: pd.Series, now: pd.Series, kind: str, test: DriftTest
) -> tuple[float, str]:
    try:
        score = evidently_score(sides.sample(before), sides.sample(now), kind, test)
    except Exception as problem:  # noqa: BLE001 - a column that fails must not hide the others
        return float("nan"), f"{test.method} failed: {type(problem).__name__}: {problem}"
    if not np.isfinite(score):
        return float("nan"), f"{test.method} gave no number"
    side = DIRECTIONS[test.method]
    past = status_of(score, test.threshold, side) == "breach"
    where = f"{'at or ' if past else 'not '}{side} {test.threshold:g}"
    return score, f"{test.method} {score:.3g}, {where}: {_change(before, now, kind)}"


def _obstacle(sides: _Sides, name: str, before: pd.Series, now: pd.Series, test: DriftTest) -> str:
    """Say why a column cannot be compared; empty when it can."""
    kind, least = sides.pipeline.columns[name].kind, sides.pipeline.monitor.least_rows
    if test.method in NUMBERS_ONLY and kind == "category":
        return f"{test.method} compares numbers; use jensenshannon, psi or hellinger"
    for words, frame, values in (
        ("reference", sides.reference, before),
        ("window", sides.current, now),
    ):
        if absent := _absence(frame, name):
            return f"{absent} in the {words}"
        if len(values) < least:
            return f"{len(values)} usable values in the {words}, fewer than {least}"
    return ""


def _absence(frame: pd.DataFrame, name: str) -> str:
    count = int((frame.columns == name).sum())
    if count == 1:
        return ""
    return f"column {name} {'is absent' if not count else f'stands {count} times'}"


def _change(before: pd.Series, now: pd.Series, kind: str) -> str:
    if kind == "number":
        return f"mean {before.mean():.4g} in the reference, {now.mean():.4g} now"
    shares = pd.DataFrame(
        {"before": before.value_counts(normalize=True), "now": now.value_counts(normalize=True)}
    ).fillna(0.0)
    moved = (shares["now"] - shares["before"]).abs().idxmax()
    was, is_now = shares.loc[[moved]].to_numpy()[0]
    return f"{moved!r} {was:.1%} in the reference, {is_now:.1%} now"


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


def _numbers(given: pd.Series) -> pd.Series:
    """Read numbers; what is no number, or infinite, is missing."""
    read = given if pd.api.types.is_numeric_dtype(given) else pd.to_numeric(given, errors="coerce")
    return read.astype(float).replace([np.inf, -np.inf], np.nan)


def _texts(given: pd.Series) -> pd.Series:
    """Read categories as text; null and empty text are missing."""
    text = given.astype(object)
    return text.where(text.isna(), text.map(str)).replace("", None)
