"""The schema of a pipeline's rows, made from the pipeline file, and the rows that break it.

What cannot be read at all (`warm` where a number belongs) is found while reading, in
:mod:`components.checks.parsing`; the schema judges what was read: types, missing values,
ranges, finite numbers.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from components.checks.columns import LABEL_KNOWN
from components.checks.rules import A_TIME, FINITE, MISSING, Broken, Mask, at_least, at_most
from components.pipelines import Column, Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID
from components.values import EARLIEST, LATEST

if TYPE_CHECKING:
    from pandera.pandas import Check, DataFrameSchema

# Which rows keep a rule; `True` says all of them: no series is made of that, and none looked at.
Kept: TypeAlias = "pd.Series | bool"

_TIME = "datetime64[us, UTC]"
_TYPES = {"number": "float64", "category": "str"}


def schema_of(pipeline: Pipeline) -> "DataFrameSchema":
    """Make the schema of the parsed rows of a pipeline.

    Parameters
    ----------
    pipeline : Pipeline
        Resolved: with its columns and task.

    Returns
    -------
    DataFrameSchema
        Of `record_id`, `event_time`, `known_time`, the features, the entity, `label` and
        `label_known_time`. The name of each check is the rule in words. A missing value
        breaks no rule but the one that asks for a value, an infinite one none but
        ``must be finite``.

    Examples
    --------
    >>> pipeline = Pipeline(
    ...     name="bikes", source={"path": "bikes.csv"}, time="at", target="count",
    ...     task="regression", label_delay="1d", columns={"hour": {"kind": "number", "max": 23}},
    ... )
    >>> [check.error for check in schema_of(pipeline).columns["hour"].checks]
    ['must be finite', 'must be at most 23']

    """
    # Importing pandera costs a second; only who checks rows pays for it.
    import pandera.pandas as pa

    within = _check(_within_centuries, A_TIME)
    # A key that is missing was found while reading: which column it is made of, only that knows.
    columns = {
        RECORD_ID: pa.Column("str", nullable=True),
        EVENT_TIME: pa.Column(_TIME, checks=[within], nullable=True),
        KNOWN_TIME: pa.Column(_TIME, checks=[within], nullable=True),
    }
    for name, column in pipeline.columns.items():
        columns[name] = pa.Column(
            _TYPES[column.kind], checks=list(_checks_of(column)), nullable=column.nulls
        )
    if pipeline.entity and pipeline.entity not in columns:
        columns[pipeline.entity] = pa.Column("str", nullable=True)
    number = pipeline.resolved_task == "regression"
    finite = [_check(_finite, FINITE)] if number else []
    columns[LABEL] = pa.Column("float64" if number else "str", checks=finite, nullable=True)
    columns[LABEL_KNOWN] = pa.Column(_TIME, nullable=True)
    return pa.DataFrameSchema(columns, name=pipeline.name, strict=True)


def breaches(rows: pd.DataFrame, schema: "DataFrameSchema") -> list[Broken]:
    """Find the rows that break a schema.

    Runs the schema's own checks, but leaves the writing of reports to us: `validate` spends
    5 ms on a check that fails, and 466 s where 989 columns of 1,000 are broken (measured,
    pandera 0.35). Types are for :func:`require_types`.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        Parsed; not modified.
    schema : DataFrameSchema

    Returns
    -------
    list of Broken
        In the order of the columns and of their checks.

    """
    found = []
    for name, column in schema.columns.items():
        values = rows[name]
        if not column.nullable:
            missing = values.isna().to_numpy(dtype=bool)
            found.append(Broken(name, MISSING, missing))
        for check in column.checks:
            result = check(values)
            if not result.check_passed:
                kept = np.asarray(result.check_output, dtype=bool)
                found.append(Broken(name, str(check.error), ~kept))
    return [one for one in found if one.rows.any()]


def require_types(rows: pd.DataFrame, schema: "DataFrameSchema") -> None:
    """See that parsed rows have the columns and types of a schema, whatever stands in them.

    Raises
    ------
    pandera.errors.SchemaErrors
        If they have not: then no row is to blame, but the code that read them.

    """
    from pandera.engines.pandas_engine import Engine

    types = {name: Engine.dtype(rows[name].dtype) for name in rows.columns}
    if list(types) == list(schema.columns) and all(
        column.dtype.check(types[name]) for name, column in schema.columns.items()
    ):
        return
    schema.validate(rows.head(0), lazy=True)  # for its words: it costs 5 ms, the look 0.1 ms


def _checks_of(column: Column) -> Iterator["Check"]:
    if column.kind != "number":
        return
    yield _check(_finite, FINITE)
    if column.min is not None:
        yield _check(_Bound(least=column.min), at_least(column.min))
    if column.max is not None:
        yield _check(_Bound(most=column.max), at_most(column.max))


def _check(keeps: Callable[[pd.Series], Kept], rule: str) -> "Check":
    """Make a check of whole columns; missing values keep every rule of ours by themselves."""
    import pandera.pandas as pa

    return pa.Check(keeps, error=rule, name=rule, ignore_na=False)


class _Bound:
    """A bound that infinities do not break a second time."""

    def __init__(self, *, least: float = -np.inf, most: float = np.inf) -> None:
        self.least, self.most = least, most
        self.__name__ = "bound"  # pandera asks every check for it

    def __call__(self, values: pd.Series) -> Kept:
        """Mark the values that keep the bound."""
        numbers = values.to_numpy()
        beyond = (numbers < self.least) | (numbers > self.most)
        return True if not beyond.any() else _marked(~beyond | np.isinf(numbers), values)


def _finite(values: pd.Series) -> Kept:
    infinite = np.isinf(values.to_numpy())
    return True if not infinite.any() else _marked(~infinite, values)


def _within_centuries(values: pd.Series) -> Kept:
    if not len(values) or (values.min() >= EARLIEST and values.max() <= LATEST):
        return True
    return ~((values < EARLIEST) | (values > LATEST))


def _marked(kept: Mask, values: pd.Series) -> pd.Series:
    return pd.Series(kept, values.index)
