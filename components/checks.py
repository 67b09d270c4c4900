"""Check what a source holds against the columns of the pipeline file, row by row.

A bad row goes to quarantine with the column, the rule and the value; a bad label takes only
the label there, for the record itself can still be scored.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.errors import PipelineFileError, SourceError
from components.pipelines import Column, Pipeline, nearest
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    RECORD_ID,
    empty_frame,
    quarantine_schema,
    record_ids,
)
from components.values import Parsed, is_missing, parse_numbers, parse_text, parse_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

LABEL_KNOWN = "label_known_time"
OWN_PREFIX = "_dw_"
"""Columns that start so are ours, for the length of a query."""

_MISSING = "must not be missing"
_A_TIME = "must be a time between 1900 and 2261, in ISO: 2026-01-31 05:00:00"
_ONE_ROW = "must be claimed by one row, not by rows that differ"
_ONE_LABEL = "must be one value for a record, not several"
_LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows that passed, and what did not.

    Attributes
    ----------
    good : DataFrame
        `record_id`, `event_time`, `known_time`, the features, `label` and
        `label_known_time`; the label is missing where it is unknown or bad.
    quarantine : DataFrame
        One line a broken rule; columns of :func:`components.records.quarantine_schema`.

    """

    good: pd.DataFrame
    quarantine: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Broken:
    """Rows that broke one rule; `label_only` spares the record."""

    column: str
    rule: str
    rows: "Mask"
    label_only: bool = False


def check_rows(
    raw: pd.DataFrame, pipeline: Pipeline, *, as_of: pd.Timestamp | None = None
) -> Checked:
    """Check rows, as far as they were known at a moment.

    Parameters
    ----------
    raw : DataFrame of shape (n_rows, n_columns)
        As read from the source, of any types. Not modified.
    pipeline : Pipeline
        Resolved: with its columns and task.
    as_of : Timestamp, optional
        Leave out what was not known by then: later rows, later labels, and whether those
        are good or bad. By default everything is looked at.

    Raises
    ------
    SourceError
        If a column is missing or stands twice, or no row has a readable time.

    Examples
    --------
    >>> from datetime import timedelta
    >>> pipeline = Pipeline(
    ...     name="bikes", source={"path": "bikes.csv"}, time="at", target="count",
    ...     task="regression", label_delay=timedelta(days=1),
    ...     columns={"hour": {"kind": "number", "max": 23}},
    ... )
    >>> raw = pd.DataFrame({"at": ["2011-01-01", "2011-01-02"], "hour": [5, 99], "count": [1, 2]})
    >>> checked = check_rows(raw, pipeline)
    >>> len(checked.good), checked.quarantine.loc[0, ["column", "rule", "value"]].to_list()
    (1, ['hour', 'must be at most 23', '99'])

    """
    require_names(pipeline)
    require_columns(raw.columns, pipeline)
    raw = raw.loc[:, needed_columns(pipeline)].reset_index(drop=True)
    event, known = _read_times(raw, pipeline)
    if as_of is not None:
        seen = (~(known.values > as_of)).to_numpy(dtype=bool)
        raw, event, known = raw[seen].reset_index(drop=True), event.only(seen), known.only(seen)
    rows, broken = _parse(raw, event, known, pipeline)
    if as_of is not None:
        rows, broken = _forget_later_labels(rows, broken, as_of)
    good = ~_any(broken, len(rows), label_only=False)
    broken += _claimed_twice(rows, good, pipeline)
    bad_label = _any(broken, len(rows), label_only=True)
    rows[LABEL] = rows[LABEL].where(~bad_label)
    good = ~_any(broken, len(rows), label_only=False)
    kept = rows[good].reset_index(drop=True)
    return Checked(_without_copies(kept), _quarantine(raw, rows, broken, pipeline, as_of))


def needed_columns(pipeline: Pipeline) -> list[str]:
    """Name the columns of the source that a resolved pipeline reads, each once."""
    return list(dict.fromkeys([*_roles(pipeline), *pipeline.columns]))


def require_columns(present: Iterable[object], pipeline: Pipeline) -> None:
    """See that a source has the columns that the pipeline file names.

    Raises
    ------
    SourceError
        If one is missing or stands twice; names the column, the file and the nearest one.

    """
    names = list(present)
    for column, field in {**dict.fromkeys(pipeline.columns, "columns"), **_roles(pipeline)}.items():
        if names.count(column) == 1:
            continue
        where = f"column {column!r} (field {field!r} of {pipeline.file.name or pipeline.name})"
        if column in names:
            raise SourceError(f"{where} stands twice in {pipeline.source.path}; rename one of them")
        known = [str(name) for name in names]
        raise SourceError(
            f"{where} is not in {pipeline.source.path}{nearest(column, known) or '.'} "
            f"It has: {', '.join(known) or 'no columns'}"
        )


def require_names(pipeline: Pipeline) -> None:
    """See that the features can stand as columns beside the keys of the tables.

    Raises
    ------
    PipelineFileError
        If one has the name of a key, or differs from another in case only.

    """
    seen = dict.fromkeys((RECORD_ID, EVENT_TIME, KNOWN_TIME, LABEL, LABEL_KNOWN), "a key")
    for name in pipeline.columns:
        other = seen.get(name.lower(), "a reserved word" if name.startswith(OWN_PREFIX) else "")
        if other or not name.strip():
            raise PipelineFileError(
                f"pipeline {pipeline.name}: feature {name!r} has the name of "
                f"{other or 'nothing'} in our tables (case does not count); rename the column, "
                "or put it under 'exclude'"
            )
        seen[name.lower()] = f"feature {name!r}"


def _roles(pipeline: Pipeline) -> dict[str, str]:
    """Columns that serve as more than a feature, with the field that names them."""
    fields = ("time", "target", "id", "entity", "updated", "label_time")
    named = ((getattr(pipeline, field), field) for field in fields)
    return {column: field for column, field in named if column is not None}


def _read_times(raw: pd.DataFrame, pipeline: Pipeline) -> tuple[Parsed, Parsed]:
    """Read when each row happened, and when it was known."""
    event = parse_times(raw[pipeline.time])
    if len(raw) and event.values.isna().all():
        raise SourceError(
            f"no row of {pipeline.source.path} has a readable time: column {pipeline.time!r} "
            f"{_A_TIME}. The first is {_write(raw[pipeline.time].iloc[0])!r}"
        )
    return event, event if pipeline.updated is None else parse_times(raw[pipeline.updated])


def _parse(
    raw: pd.DataFrame, event: Parsed, known: Parsed, pipeline: Pipeline
) -> tuple[pd.DataFrame, list[_Broken]]:
    """Read every column; `rows` has the shape of `Checked.good`, one row for each of `raw`."""
    broken = list(_broken_time(event, pipeline.time))
    if pipeline.updated is not None:
        broken += _broken_time(known, pipeline.updated)
    ids, unnamed = _name_records(raw, event.values, pipeline)
    features = {}
    for name, column in pipeline.columns.items():
        parsed = parse_numbers(raw[name]) if column.kind == "number" else parse_text(raw[name])
        features[name] = parsed.values
        broken += _broken_feature(parsed, name, column)
    label, label_known, mislabelled = _read_labels(raw, event.values, pipeline)
    keys = {RECORD_ID: ids, EVENT_TIME: event.values, KNOWN_TIME: known.values}
    rows = pd.DataFrame({**keys, **features, LABEL: label, LABEL_KNOWN: label_known})
    return rows, [*broken, *unnamed, *mislabelled]


def _broken_time(parsed: Parsed, column: str) -> Iterator[_Broken]:
    yield _Broken(column, _A_TIME, parsed.unreadable)
    missing = parsed.values.isna().to_numpy(dtype=bool) & ~parsed.unreadable
    yield _Broken(column, _MISSING, missing)


def _name_records(
    raw: pd.DataFrame, event_times: pd.Series, pipeline: Pipeline
) -> tuple[pd.Series, list[_Broken]]:
    """Give each row its record id: its own, else made of event time and entity."""
    column = pipeline.id or pipeline.entity
    named = None if column is None else parse_text(raw[column])
    if named is None or column is None:
        return record_ids(event_times), []
    missing = named.values.isna().to_numpy(dtype=bool)
    broken = [_Broken(column, _MISSING, missing)]
    if pipeline.id is not None:
        return named.values, broken
    return record_ids(event_times, named.values), broken


def _broken_feature(parsed: Parsed, name: str, column: Column) -> Iterator[_Broken]:
    kind = "a number" if column.kind == "number" else "text"
    yield _Broken(name, f"must be {kind}", parsed.unreadable)
    missing = parsed.values.isna().to_numpy(dtype=bool) & ~parsed.unreadable
    if not column.nulls:
        yield _Broken(name, _MISSING, missing)
    if column.kind != "number":
        return
    values = parsed.values.to_numpy()
    yield _Broken(name, "must be finite", np.isinf(values))
    values = np.where(np.isinf(values), np.nan, values)
    if column.min is not None:
        yield _Broken(name, f"must be at least {column.min:g}", values < column.min)
    if column.max is not None:
        yield _Broken(name, f"must be at most {column.max:g}", values > column.max)


def _read_labels(
    raw: pd.DataFrame, event_times: pd.Series, pipeline: Pipeline
) -> tuple[pd.Series, pd.Series, list[_Broken]]:
    """Read labels and when they were known; a row without a label breaks no rule."""
    target = pipeline.target
    if pipeline.resolved_task == "regression":
        parsed = parse_numbers(raw[target])
        infinite = np.isinf(parsed.values.to_numpy())
        broken = [
            _Broken(target, "must be a number", parsed.unreadable, label_only=True),
            _Broken(target, "must be finite", infinite, label_only=True),
        ]
    else:
        parsed = parse_text(raw[target])
        broken = [_Broken(target, "must be text", parsed.unreadable, label_only=True)]
    given = parsed.values.notna().to_numpy(dtype=bool) | parsed.unreadable
    column = pipeline.label_time
    if column is None:
        return parsed.values, event_times + (pipeline.label_delay or timedelta()), broken
    known = parse_times(raw[column])
    timeless = known.values.isna().to_numpy(dtype=bool) & ~known.unreadable & given
    broken += [
        _Broken(column, _A_TIME, known.unreadable & given, label_only=True),
        _Broken(column, _MISSING, timeless, label_only=True),
    ]
    return parsed.values, known.values, broken


def _forget_later_labels(
    rows: pd.DataFrame, broken: list[_Broken], as_of: pd.Timestamp
) -> tuple[pd.DataFrame, list[_Broken]]:
    """Drop labels, and complaints about labels, that nobody knew of by `as_of`."""
    later = (rows[LABEL_KNOWN] > as_of).to_numpy(dtype=bool)
    rows[LABEL] = rows[LABEL].where(~later)
    return rows, [
        _Broken(b.column, b.rule, b.rows & ~later, b.label_only) if b.label_only else b
        for b in broken
    ]


def _claimed_twice(rows: pd.DataFrame, good: "Mask", pipeline: Pipeline) -> list[_Broken]:
    """Find rows that claim the same record and differ.

    The first known claim stands if it is undisputed, whatever comes later, so that taking
    the rows in day by day ends where taking them in at once does. With an `updated` column
    a later row of another content is a correction, and only equal known times can clash.
    """
    key = [RECORD_ID] if pipeline.updated is None else [RECORD_ID, KNOWN_TIME]
    content = [EVENT_TIME, *pipeline.columns]
    disputed = _disputed(rows, good, key, content, KNOWN_TIME)
    labelled = good & ~disputed & rows[LABEL].notna().to_numpy(dtype=bool)
    mislabelled = _disputed(rows, labelled, key, [LABEL], LABEL_KNOWN)
    return [
        _Broken(pipeline.id or pipeline.time, _ONE_ROW, disputed),
        _Broken(pipeline.target, _ONE_LABEL, mislabelled, label_only=True),
    ]


def _disputed(
    rows: pd.DataFrame, among: "Mask", key: list[str], content: list[str], order: str
) -> "Mask":
    disputed = np.zeros(len(rows), dtype=bool)
    some = rows[among]
    some = some[some.duplicated(key, keep=False)]
    if some.empty:
        return disputed
    said = pd.util.hash_pandas_object(some[content], index=False)
    facts = pd.DataFrame({"said": said, "at": some[order]})
    of_key = [some[name] for name in key]
    first = facts["at"].groupby(of_key).transform("min")
    early = facts["said"].where(facts["at"] == first)
    accepted = early.groupby(of_key).transform("first")
    clash = (early.groupby(of_key).transform("nunique") > 1) | (facts["said"] != accepted)
    disputed[some.index[clash]] = True
    return disputed


def _without_copies(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep each record version once, with its label if any copy has it."""
    repeated = rows.duplicated([RECORD_ID, KNOWN_TIME], keep=False)
    if not repeated.any():
        return rows
    order = (
        rows[repeated]
        .assign(_unlabelled=rows[LABEL].isna())
        .sort_values([RECORD_ID, KNOWN_TIME, "_unlabelled", LABEL_KNOWN], kind="stable")
    )
    surplus = order.index[order.duplicated([RECORD_ID, KNOWN_TIME])]
    return rows.drop(index=surplus).reset_index(drop=True)


def _any(broken: list[_Broken], count: int, *, label_only: bool) -> "Mask":
    found = np.zeros(count, dtype=bool)
    for one in broken:
        if one.label_only == label_only:
            found |= one.rows
    return found


def _quarantine(
    raw: pd.DataFrame,
    rows: pd.DataFrame,
    broken: list[_Broken],
    pipeline: Pipeline,
    as_of: pd.Timestamp | None,
) -> pd.DataFrame:
    """Write down every broken rule; what has no known time is known as of now."""
    parts = [_lines(raw, rows, one, pipeline) for one in broken if one.rows.any()]
    if not parts:
        return empty_frame(quarantine_schema())
    lines = pd.concat(parts, ignore_index=True)
    if as_of is not None:
        lines[KNOWN_TIME] = lines[KNOWN_TIME].fillna(as_of)
    return lines.drop_duplicates().reset_index(drop=True)


def _lines(raw: pd.DataFrame, rows: pd.DataFrame, one: _Broken, pipeline: Pipeline) -> pd.DataFrame:
    bad = rows[one.rows]
    written = [
        json.dumps(dict(zip(raw.columns, map(_write, row), strict=True)), sort_keys=True)
        for row in raw[one.rows].itertuples(index=False, name=None)
    ]
    known = bad[LABEL_KNOWN if one.label_only else KNOWN_TIME]
    return pd.DataFrame(
        {
            RECORD_ID: bad[RECORD_ID].astype("str"),
            EVENT_TIME: bad[EVENT_TIME],
            KNOWN_TIME: known.astype("datetime64[us, UTC]"),
            "column": one.column,
            "rule": one.rule,
            "value": [_write(value) for value in raw.loc[one.rows, one.column]],
            "row": written,
            "source": pipeline.source.path,
        }
    )


def _write(value: Any) -> str | None:
    """Write a raw value for people; missing is None, and no value is long."""
    if is_missing(value):
        return None
    text = str(value).encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
