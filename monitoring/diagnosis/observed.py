"""What is judged: records, labels and refused rows in one order, in arrays.

A batch that came in another unit may have been refused row by row, since its values were out of
bounds. So the rows in quarantine are read back from their JSON and judged beside the others.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID
from components.values import parse_numbers, parse_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Mask = NDArray[np.bool_]

ONE_ROW = "must be claimed by one row"
_FLAGS: dict[str, object] = {"true": 1.0, "false": 0.0}
NEVER = np.iinfo(np.int64).min
"""Stands for a time that is missing."""
_KEYS = [RECORD_ID, EVENT_TIME, KNOWN_TIME, "_refused"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of all rows, as codes of its distinct values, and as numbers if it is one.

    Attributes
    ----------
    codes : ndarray of int64, shape (n_rows,)
        Position in `distinct`; -1 where the value is missing or unreadable.
    distinct : ndarray
        The values that occur: float64, or text.
    numbers : ndarray of float64, shape (n_rows,), or None
        NaN where missing; None for a category.

    """

    codes: "Whole"
    distinct: "NDArray[Any]"
    numbers: "Floats | None"

    @property
    def missing(self) -> "Mask":
        """Mark the rows without a readable value."""
        return np.asarray(self.codes < 0)


@dataclass(frozen=True, slots=True)
class Observed:
    """All rows in the order of event time; times are microseconds since 1970, UTC.

    Attributes
    ----------
    ids : ndarray of object
    time, known : ndarray of int64
    columns : dict of str to Column
        The features of the pipeline file, in its order.
    entity : ndarray of int64
        Whom the row is about; 0 everywhere where the pipeline names none.
    label : ndarray of float64
        The label as a number, or the position of its class; NaN where it is not known.
    label_known : ndarray of int64
        When the label was known; `NEVER` where it is not.
    classes : tuple of str
        The classes, in the order of their positions; empty in regression.
    refused : ndarray of bool
        Rows that stand in quarantine, and not among the records.
    raw : dict of str to ndarray of object
        The values of the refused rows as they came, None elsewhere; empty where none is.

    """

    ids: "NDArray[np.object_]"
    time: "Whole"
    known: "Whole"
    columns: dict[str, Column]
    entity: "Whole"
    label: "Floats"
    label_known: "Whole"
    classes: tuple[str, ...]
    refused: "Mask"
    raw: "dict[str, NDArray[np.object_]]"


def observe(
    records: pd.DataFrame,
    labels: pd.DataFrame,
    quarantine: pd.DataFrame,
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    begin: pd.Timestamp | None,
) -> Observed:
    """Bring what was known by `as_of` of events since `begin` into one order.

    Parameters
    ----------
    records, labels, quarantine : DataFrame
        Of any shape: a column that they lack is missing in every row. Not modified.
    begin : Timestamp, optional
        By default everything.

    """
    rows = _known(records, as_of, begin)
    parts = [rows.assign(_refused=False)]
    if len(quarantine):
        parts.append(_refused(_known(quarantine, as_of, begin), rows, pipeline))
    parts = [part for part in parts if len(part)] or parts[:1]
    keys = pd.concat([part[_KEYS] for part in parts], ignore_index=True)
    order = _order(keys)
    keys = keys.iloc[order].reset_index(drop=True)
    came_back = keys["_refused"].to_numpy(dtype=bool)
    ids = keys[RECORD_ID].astype(object).to_numpy()
    # Records are typed already, refused rows are not: together every value would be read anew.
    columns = {
        name: _column([series(part, name) for part in parts], column.kind == "number", order)
        for name, column in pipeline.columns.items()
    }
    label, label_known, classes = _labels(labels, ids, pipeline, as_of)
    whose = [series(part, pipeline.entity) for part in parts] if pipeline.entity else None
    return Observed(
        ids=ids,
        time=micros(keys[EVENT_TIME]),
        known=micros(keys[KNOWN_TIME]),
        columns=columns,
        entity=np.zeros(len(keys), np.int64) if whose is None else _factors(whose, order)[0],
        label=label,
        label_known=label_known,
        classes=classes,
        refused=came_back,
        raw=_raw(parts, order, came_back, pipeline) if came_back.any() else {},
    )


def series(frame: pd.DataFrame, name: str) -> pd.Series:
    """Take a column; one that is absent or stands twice is missing in every row."""
    if list(frame.columns).count(name) == 1:
        return frame[name]
    return pd.Series(np.full(len(frame), None, dtype=object), index=frame.index)


def times(given: pd.Series) -> pd.Series:
    """Read times as UTC; what is none is NaT."""
    if isinstance(given.dtype, pd.DatetimeTZDtype):
        read: pd.Series = given.dt.tz_convert("UTC")
    elif given.dtype.kind != "M" and not _worded(given):
        read = pd.Series(pd.NaT, index=given.index, dtype="datetime64[us, UTC]")
    else:
        read = pd.to_datetime(given, utc=True, errors="coerce", format="mixed")
    in_micros: pd.Series = read.dt.as_unit("us")
    return in_micros


def micros(moments: pd.Series) -> "Whole":
    """Count UTC times in microseconds since 1970."""
    return np.asarray(moments.dt.tz_localize(None).to_numpy("datetime64[us]").view(np.int64))


def micro(moment: pd.Timestamp) -> int:
    """Count one UTC time in microseconds since 1970."""
    return int(micros(times(pd.Series([moment])))[0])


def _worded(given: pd.Series) -> bool:
    return given.dtype == object or isinstance(given.dtype, pd.StringDtype)


def _known(frame: pd.DataFrame, as_of: pd.Timestamp, begin: pd.Timestamp | None) -> pd.DataFrame:
    """Take what was known by `as_of` of events since `begin`; the newest version of a record."""
    event, known = times(series(frame, EVENT_TIME)), times(series(frame, KNOWN_TIME))
    seen = event.notna() & ~(known > as_of)
    if begin is not None:
        seen &= event >= begin
    keys = {EVENT_TIME: event, KNOWN_TIME: known.fillna(event)}
    rest = [name for name in dict.fromkeys(frame.columns) if name not in keys]
    single = [name for name in rest if list(frame.columns).count(name) == 1]
    taken = frame.loc[seen.to_numpy(), single].reset_index(drop=True)
    for name, values in keys.items():
        taken[name] = values[seen].reset_index(drop=True)
    taken[RECORD_ID] = _words(series(taken, RECORD_ID))
    if "rule" in taken.columns or not taken[RECORD_ID].duplicated().any():
        return taken
    newest = taken.sort_values(KNOWN_TIME, kind="stable")[RECORD_ID]
    kept = newest.isna() | ~newest.duplicated(keep="last")
    return taken[kept.sort_index()].reset_index(drop=True)


def _refused(lines: pd.DataFrame, rows: pd.DataFrame, pipeline: Pipeline) -> pd.DataFrame:
    """Read refused rows back from their JSON; those whose record got in after all are left out."""
    nothing = pd.DataFrame({RECORD_ID: [], "_refused": np.zeros(0, bool)})
    nothing[EVENT_TIME] = nothing[KNOWN_TIME] = pd.Series([], dtype="datetime64[us, UTC]")
    if lines.empty or "rule" not in lines.columns or "row" not in lines.columns:
        return nothing
    claimed = series(lines, "rule").map(str).str.startswith(ONE_ROW)
    in_records = lines[RECORD_ID].isin(rows[RECORD_ID])
    lines = lines[lines[RECORD_ID].notna() & ~claimed & ~in_records]
    if lines.empty:
        return nothing
    keys = [RECORD_ID, KNOWN_TIME]
    columns = series(lines, "column").map(str)
    blamed = set(zip(lines[RECORD_ID], lines[KNOWN_TIME], columns, strict=True))
    lines = lines.drop_duplicates(keys)
    read = [_json(text) for text in lines["row"]]
    names = [*pipeline.columns, *([pipeline.entity] if pipeline.entity else [])]
    taken = {name: [row.get(name) for row in read] for name in names}
    whose = list(zip(lines[RECORD_ID], lines[KNOWN_TIME], strict=True))
    for name, column in pipeline.columns.items():
        if column.kind == "number":
            taken[name] = [
                value if (*row, name) in blamed else _number_of(value)
                for row, value in zip(whose, taken[name], strict=True)
            ]
    found = pd.DataFrame(taken, index=lines.index, dtype=object)
    given = lines[[RECORD_ID, EVENT_TIME, KNOWN_TIME]]
    return pd.concat([given, found], axis=1).assign(_refused=True)


def _number_of(value: object) -> object:
    """Read a flag that the checks took for a number: as text it is none."""
    word = value.strip().lower() if isinstance(value, str) else ""
    return _FLAGS.get(word, value)


def _json(text: object) -> dict[str, Any]:
    try:
        read = json.loads(text) if isinstance(text, str) else {}
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _order(rows: pd.DataFrame) -> "NDArray[np.intp]":
    """Sort by event time, then known time, then id, whatever order the rows came in."""
    ids = rows[RECORD_ID]
    numbered = parse_numbers(ids.astype("str")).values
    if numbered.isna().any():
        ranks = pd.factorize(ids.map(str), sort=True)[0].astype(np.float64)
    else:
        ranks = numbered.to_numpy(dtype=np.float64)
    return np.lexsort((ranks, micros(rows[KNOWN_TIME]), micros(rows[EVENT_TIME])))


def _column(parts: list[pd.Series], is_number: bool, order: "NDArray[np.intp]") -> Column:
    if not is_number:
        codes, distinct = _factors(parts, order)
        return Column(codes, distinct, None)
    numbers = np.concatenate([_numbers(part) for part in parts])[order]
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    codes, found = pd.factorize(numbers)
    return Column(codes.astype(np.int64), np.asarray(found), numbers)


def _numbers(given: pd.Series) -> "Floats":
    if given.dtype != np.float64:
        given = parse_numbers(given).values
    return given.to_numpy(dtype=np.float64)


def _factors(parts: list[pd.Series], order: "NDArray[np.intp]") -> "tuple[Whole, NDArray[Any]]":
    texts = [
        part if isinstance(part.dtype, pd.StringDtype) else parse_text(part).values
        for part in parts
    ]
    given = texts[0] if len(texts) == 1 else pd.concat(texts, ignore_index=True)
    codes, found = pd.factorize(given.iloc[order])
    return codes.astype(np.int64), np.asarray(found, dtype=object)


def _labels(
    labels: pd.DataFrame, ids: "NDArray[np.object_]", pipeline: Pipeline, as_of: pd.Timestamp
) -> "tuple[Floats, Whole, tuple[str, ...]]":
    """Give each row its newest label known by `as_of`, and when it was first known."""
    row, wanted = pd.factorize(ids)
    known = times(series(labels, KNOWN_TIME))
    seen = np.flatnonzero((known <= as_of).to_numpy())
    order = seen[np.argsort(micros(known)[seen], kind="stable")]
    claims = _words(series(labels, RECORD_ID).iloc[order])
    whose = pd.Index(wanted, dtype=object).get_indexer(pd.Index(claims, dtype=object))
    order, whose = order[whose >= 0], whose[whose >= 0]
    values, classes = _answers(series(labels, LABEL).iloc[order], pipeline)
    # One more, which is nobody's: a row without an id has the code -1.
    newest, first = np.full(len(wanted) + 1, np.nan), np.full(len(wanted) + 1, NEVER)
    newest[whose] = values  # of several the last one stays
    first[whose[::-1]] = micros(known)[order[::-1]]
    return newest[row], first[row], classes


def _words(given: pd.Series) -> pd.Series:
    """Write ids as text; one that is missing stays so."""
    if isinstance(given.dtype, pd.StringDtype):
        return given.astype(object)
    return given.map(str, na_action="ignore").astype(object)


def _answers(given: pd.Series, pipeline: Pipeline) -> "tuple[Floats, tuple[str, ...]]":
    if pipeline.task == "regression":
        numbers = parse_numbers(given).values.to_numpy(dtype=np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan), ()
    codes, found = pd.factorize(parse_text(given).values, sort=True)
    return np.where(codes < 0, np.nan, codes.astype(np.float64)), tuple(map(str, found))


def _raw(
    parts: list[pd.DataFrame], order: "NDArray[np.intp]", refused: "Mask", pipeline: Pipeline
) -> "dict[str, NDArray[np.object_]]":
    kept = {}
    for name in pipeline.columns:
        given = [series(part, name).astype(object).to_numpy(copy=True) for part in parts]
        values = np.concatenate(given)[order]
        values[~refused] = None
        kept[name] = values
    return kept
