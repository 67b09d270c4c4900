"""What the pipeline file keeps out of a fault's stretch, and what to write there to let it in."""

from typing import TYPE_CHECKING

import pandas as pd

from components.checks.rules import A_NUMBER, FINITE, MISSING, TEXT
from components.errors import InvalidInputError
from components.faults import Fault
from components.known_faults import in_words
from components.pipelines import Pipeline
from components.records import QUARANTINE, RECORD_ID, RECORDS, to_frame

if TYPE_CHECKING:
    from flows.steps.home import Home

_BOUNDS = {"min": "must be at least", "max": "must be at most"}
_SHOWN = 3


def require_rows_let_in(
    home: "Home", pipeline: Pipeline, fault: Fault, *, as_of: pd.Timestamp
) -> None:
    """See that no row of a fault is kept in quarantine by what the pipeline file says of values.

    Such rows are no records: to accept the fault would bring none of them back.

    Raises
    ------
    InvalidInputError
        Names the fields of the pipeline file, the values that were found, and what to write.

    """
    lines = kept_out(home, pipeline, fault, as_of=as_of)
    if lines.empty:
        return
    changes = "; ".join(dict.fromkeys(_changes(lines, pipeline)))
    count = lines[RECORD_ID].nunique()
    raise InvalidInputError(
        f"{fault.fault} in {fault.column} cannot be accepted yet: {count} of its rows stand in "
        f"quarantine, for {pipeline.file} calls their values impossible, "
        f"and accepting it would not bring them back. There, {changes}; then give the same "
        "command again, which reads these rows in. Or --discard, and they stay out "
        f"({in_words(fault)})"
    )


def kept_out(
    home: "Home", pipeline: Pipeline, fault: Fault, *, as_of: pd.Timestamp
) -> pd.DataFrame:
    """Read the lines of a fault's stretch whose rows are not among the records.

    Returns
    -------
    DataFrame
        Of the quarantine's columns; lines about features, in the fault's column where that is
        one.

    """
    where = (
        "known_time <= $as_of and event_time >= $since and event_time < $until "
        "and record_id is not null"
    )
    params = {"as_of": as_of, "since": fault.since, "until": fault.until}
    lines = to_frame(home.lake.read(pipeline.name, QUARANTINE, where=where, params=params))
    about = [fault.column] if fault.column in pipeline.columns else list(pipeline.columns)
    rules = lines["rule"].map(str)
    by_file = rules.str.startswith((*_BOUNDS.values(), A_NUMBER, TEXT, FINITE, MISSING))
    lines = lines[lines["column"].isin(about) & by_file & fault.concerns(lines)]
    if lines.empty:
        return lines
    there = to_frame(home.lake.read(pipeline.name, RECORDS, columns=[RECORD_ID]))
    return lines[~lines[RECORD_ID].isin(there[RECORD_ID])]


def _changes(lines: pd.DataFrame, pipeline: Pipeline) -> list[str]:
    """Say what to write for each column and rule."""
    said = []
    for (column, rule), group in lines.groupby(["column", "rule"], sort=True):
        said.append(_change(str(column), str(rule), group["value"].dropna(), pipeline))
    return said


def _change(column: str, rule: str, values: pd.Series, pipeline: Pipeline) -> str:
    stated = pipeline.columns[column]
    numbers = pd.to_numeric(values, errors="coerce").dropna()
    for field, words in _BOUNDS.items():
        if rule.startswith(words) and len(numbers):
            farthest = numbers.max() if field == "max" else numbers.min()
            now = getattr(stated, field)
            was = f" (it is {now:g})" if now is not None else ""
            return (
                f"set `columns.{column}.{field}` to {farthest:.6g} or "
                f"{'more' if field == 'max' else 'less'}{was}: the rows hold "
                f"{numbers.min():.6g} to {numbers.max():.6g}"
            )
    shown = ", ".join(repr(value) for value in list(dict.fromkeys(values))[:_SHOWN])
    if rule.startswith(MISSING):
        return f"set `columns.{column}.nulls` to true: the rows hold nothing there"
    if rule.startswith(A_NUMBER):
        return (
            f"set `columns.{column}.kind` to category, if words are what it is to hold from now "
            f"on: the rows hold {shown}"
        )
    return f"let `columns.{column}` hold {shown}, of which it says that it {rule}"
