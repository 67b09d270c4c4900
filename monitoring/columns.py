"""A column as the monitor reads it: its kind, its test, what is missing, what changed in words."""

import numpy as np
import pandas as pd

from components.pipelines.spec import DriftTest, Pipeline
from monitoring.measurements import Direction

DIRECTIONS: dict[str, Direction] = {
    "wasserstein": "above",
    "jensenshannon": "above",
    "psi": "above",
    "hellinger": "above",
    "ks": "below",  # a p-value
}


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


def absence(frame: pd.DataFrame, name: str) -> str:
    """Say why a frame has not one column of this name; empty when it has."""
    count = int((frame.columns == name).sum())
    if count == 1:
        return ""
    return f"column {name} {'is absent' if not count else f'stands {count} times'}"


def change_in_words(before: pd.Series, now: pd.Series, kind: str) -> str:
    """Say what moved: the mean of a number, the share of a category."""
    if kind == "number":
        with np.errstate(over="ignore"):
            return f"mean {before.mean():.4g} in the reference, {now.mean():.4g} now"
    shares = pd.DataFrame(
        {"before": before.value_counts(normalize=True), "now": now.value_counts(normalize=True)}
    ).fillna(0.0)
    moved = (shares["now"] - shares["before"]).abs().idxmax()
    was, is_now = shares.loc[[moved]].to_numpy()[0]
    return f"{moved!r} {was:.1%} in the reference, {is_now:.1%} now"


def _numbers(given: pd.Series) -> pd.Series:
    """Read numbers; what is no number, or infinite, is missing."""
    read = given if pd.api.types.is_numeric_dtype(given) else pd.to_numeric(given, errors="coerce")
    return read.astype(float).replace([np.inf, -np.inf], np.nan)


def _texts(given: pd.Series) -> pd.Series:
    """Read categories as text; null and empty text are missing."""
    text = given.astype(object)
    return text.where(text.isna(), text.map(str)).replace("", None)
