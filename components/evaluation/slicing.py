"""Cutting rows into slices: by the values of a column, or by a tree grown on losses."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

MOST_VALUES = 10
"""The commonest values of a category become slices of their own; the rest share one."""

QUARTERS = 4
DEPTH = 3
"""A slice found by the data is described by at most so many conditions."""

OTHERS, MISSING = "(others)", "(missing)"


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Some of the rows, and what they have in common.

    Attributes
    ----------
    name : str
        In words, such as ``season = winter`` or ``temp below 4.2``.
    rows : ndarray of bool, shape (n_rows,)

    """

    name: str
    rows: np.ndarray


def slices_of(rows: pd.DataFrame, column: str, kind: str) -> tuple[Slice, ...]:
    """Cut rows by one column, so that each row is in exactly one slice.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
    column : str
    kind : {"number", "category"}
        A number of at most ten distinct values is cut by value, else into quarters.

    Examples
    --------
    >>> found = slices_of(pd.DataFrame({"size": ["s", "l", "s"]}), "size", "category")
    >>> [(one.name, int(one.rows.sum())) for one in found]
    [('size = l', 1), ('size = s', 2)]

    """
    names = groups_of(rows[column], kind)
    joiner = " = " if kind == "category" or rows[column].nunique() <= MOST_VALUES else " "
    return tuple(
        Slice(f"{column}{joiner}{name}", np.asarray(names == name)) for name in _in_order(names)
    )


def groups_of(values: pd.Series, kind: str) -> np.ndarray:
    """Name the group of each value: itself, or its quarter; others and missing ones have theirs.

    Returns
    -------
    ndarray of shape (n_rows,), object

    """
    missing = values.isna().to_numpy(dtype=bool)
    if kind == "number" and values.nunique() > MOST_VALUES:
        names = _quarters(values.to_numpy(dtype=float, na_value=np.nan))
    else:
        given = values.astype(object).map(lambda value: _plain(value, kind))
        common = set(given[~missing].value_counts().index[:MOST_VALUES])
        # A rest of one value is that value.
        common |= rest if len(rest := set(given[~missing]) - common) == 1 else set()
        names = given.where(given.isin(common), OTHERS).to_numpy(dtype=object)
    return np.where(missing, MISSING, names).astype(object)


def _plain(value: Any, kind: str) -> str:
    return f"{float(value):g}" if kind == "number" and not pd.isna(value) else str(value)


def _quarters(values: np.ndarray) -> np.ndarray:
    edges = np.unique(np.nanquantile(values, np.arange(1, QUARTERS) / QUARTERS))
    place = np.searchsorted(edges, values, side="right")
    words = [f"{edge:.4g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(words)]
    names = [f"below {words[0]}", *between, f"from {words[-1]}"]
    return np.array(names, dtype=object)[place]


def _in_order(names: np.ndarray) -> list[str]:
    """Sort names of values; others and missing come last."""
    return sorted(set(names), key=lambda name: (name in {OTHERS, MISSING}, name))


def grown_slices(
    grown_on: pd.DataFrame,
    losses: np.ndarray,
    rows: pd.DataFrame,
    *,
    kinds: Mapping[str, str],
    least_rows: int,
    seed: int,
) -> tuple[Slice, ...]:
    """Grow a shallow tree on the losses of some rows, and cut others by its leaves.

    Parameters
    ----------
    grown_on : DataFrame of shape (n_grown, n_columns)
    losses : ndarray of shape (n_grown,)
        Finite.
    rows : DataFrame of shape (n_rows, n_columns)
        The rows to cut.
    kinds : mapping of str to {"number", "category"}
    least_rows : int
        No leaf is grown on fewer.
    seed : int

    Returns
    -------
    tuple of Slice
        One a leaf; empty when the losses cannot be parted.

    """
    if len(grown_on) < 2 * least_rows or not kinds:
        return ()
    from sklearn.tree import DecisionTreeRegressor

    known, tests = _tests(grown_on, kinds)
    asked, _ = _tests(rows, kinds, like=tests)
    tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=least_rows, random_state=seed)
    grown = tree.fit(known, losses).tree_
    if grown.node_count == 1:
        return ()
    leaf = tree.apply(asked) if len(rows) else np.empty(0, dtype=int)
    leaves = np.flatnonzero(grown.children_left < 0)
    missed = {name for name in kinds if grown_on[name].isna().any()}
    return tuple(Slice(_path(grown, int(one), tests, missed), leaf == one) for one in leaves)


_Test = tuple[str, str | None]
"""A column as a number, or one value of a category."""


def _tests(
    rows: pd.DataFrame, kinds: Mapping[str, str], like: list[_Test] | None = None
) -> tuple[np.ndarray, list[_Test]]:
    """Write rows as the numbers that a tree may ask about; missing numbers stay missing."""
    if like is None:
        like = []
        for name, kind in kinds.items():
            if kind == "number":
                like.append((name, None))
            else:
                common = rows[name].dropna().astype(str).value_counts().index[:MOST_VALUES]
                like += [(name, value) for value in sorted(common)]
    columns = [
        rows[name].to_numpy(dtype=np.float32, na_value=np.nan)
        if value is None
        else (rows[name].astype(str) == value).to_numpy(dtype=np.float32)
        for name, value in like
    ]
    numbers = np.column_stack(columns) if columns else np.zeros((len(rows), 1), np.float32)
    return np.where(np.isinf(numbers), np.nan, numbers), like


def _path(tree: Any, leaf: int, tests: list[_Test], missed: set[str]) -> str:
    """Say in words what leads to a leaf, column by column."""
    steps: dict[str, list[_Step]] = {}
    node = leaf
    while node:
        left, right = tree.children_left == node, tree.children_right == node
        parent = int(np.flatnonzero(left | right)[0])
        above = bool(right[parent])
        name, value = tests[tree.feature[parent]]
        missing = bool(tree.missing_go_to_left[parent]) != above
        steps.setdefault(name, []).append((value, float(tree.threshold[parent]), above, missing))
        node = parent
    said = [
        f"{name} {_in_words(path)}{_or_missing(path) if name in missed else ''}"
        for name, path in reversed(steps.items())
    ]
    return " and ".join(said)


_Step = tuple[str | None, float, bool, bool]
"""The value asked for, or the cut; whether a row lies above it; whether missing ones do too."""


def _in_words(path: list[_Step]) -> str:
    if path[0][0] is not None:
        is_, others = ([step[0] for step in path if step[2] is above] for above in (True, False))
        return f"= {is_[0]}" if is_ else f"≠ {', '.join(map(str, reversed(others)))}"
    low = max((cut for _, cut, above, _ in path if above), default=None)
    high = min((cut for _, cut, above, _ in path if not above), default=None)
    if low is None:
        return f"up to {high:.4g}"
    return f"above {low:.4g}" if high is None else f"above {low:.4g} up to {high:.4g}"


def _or_missing(path: list[_Step]) -> str:
    of_number = path[0][0] is None  # no value of a category is a missing one
    return " or missing" if of_number and all(missing for *_, missing in path) else ""
