"""Read the raw rows of a source as numbers, text and times, and name each record."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from components.checks.columns import LABEL_KNOWN
from components.checks.rules import A_NUMBER, A_TIME, MISSING, TEXT, Broken, Mask
from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID, record_ids
from components.values import Parsed, parse_numbers, parse_text, parse_times


@dataclass(frozen=True, slots=True)
class Times:
    """When each row happened, and when it was known."""

    event: Parsed
    known: Parsed

    def only(self, rows: Mask) -> "Times":
        """Keep some rows, numbered from 0."""
        event = self.event.only(rows)
        return Times(event, event if self.known is self.event else self.known.only(rows))


def parse_moments(raw: pd.DataFrame, pipeline: Pipeline) -> Times:
    """Read when each row happened, and when it was known: `updated`, else the event time."""
    event = parse_times(raw[pipeline.time])
    known = event if pipeline.updated is None else parse_times(raw[pipeline.updated])
    return Times(event, known)


def parse_rows(
    raw: pd.DataFrame, times: Times, pipeline: Pipeline
) -> tuple[pd.DataFrame, list[Broken]]:
    """Read every column.

    Parameters
    ----------
    raw : DataFrame of shape (n_rows, n_columns)
        With the index 0, 1, …; a feature may be absent, and is missing then.
    times : Times
        Of the same rows.
    pipeline : Pipeline
        Resolved.

    Returns
    -------
    rows : DataFrame of shape (n_rows, n_parsed)
        The columns of :func:`components.checks.schema.schema_of`.
    broken : list of Broken
        What cannot be read, and names and times that are missing.

    """
    broken = list(_broken_time(times.event, pipeline.time))
    if pipeline.updated is not None:
        broken += _broken_time(times.known, pipeline.updated)
    event_times = times.event.values
    ids, unnamed = _name_records(raw, event_times, pipeline)
    features = {}
    for name, column in pipeline.columns.items():
        given = raw[name] if name in raw.columns else _nothing(len(raw))
        number = column.kind == "number"
        parsed = parse_numbers(given) if number else parse_text(given)
        features[name] = parsed.values
        broken.append(Broken(name, A_NUMBER if number else TEXT, parsed.unreadable))
    keys = {RECORD_ID: ids, EVENT_TIME: event_times, KNOWN_TIME: times.known.values}
    if pipeline.entity and pipeline.entity not in features:
        features[pipeline.entity] = parse_text(raw[pipeline.entity]).values
    label, label_known, mislabelled = _read_labels(raw, times, pipeline)
    rows = pd.DataFrame({**keys, **features, LABEL: label, LABEL_KNOWN: label_known})
    return rows, [*broken, *unnamed, *mislabelled]


def missing(parsed: Parsed) -> Mask:
    """Mark the values that are missing, not those that cannot be read."""
    return parsed.values.isna().to_numpy(dtype=bool) & ~parsed.unreadable


def parse_answers(raw: pd.Series, pipeline: Pipeline) -> tuple[Parsed, str]:
    """Read labels: numbers in regression, else text; with the rule that others break."""
    if pipeline.resolved_task == "regression":
        return parse_numbers(raw), A_NUMBER
    return parse_text(raw), TEXT


def _broken_time(parsed: Parsed, column: str) -> Iterator[Broken]:
    yield Broken(column, A_TIME, parsed.unreadable)
    yield Broken(column, MISSING, missing(parsed))


def _name_records(
    raw: pd.DataFrame, event_times: pd.Series, pipeline: Pipeline
) -> tuple[pd.Series, list[Broken]]:
    """Give each row its record id: its own, else made of event time and entity."""
    column = pipeline.id or pipeline.entity
    named = None if column is None else parse_text(raw[column])
    if named is None or column is None:
        return record_ids(event_times), []
    broken = [Broken(column, MISSING, named.values.isna().to_numpy(dtype=bool))]
    if pipeline.id is not None:
        return named.values, broken
    return record_ids(event_times, named.values), broken


def _read_labels(
    raw: pd.DataFrame, times: Times, pipeline: Pipeline
) -> tuple[pd.Series, pd.Series, list[Broken]]:
    """Read labels and when they were known; a row without a label breaks no rule."""
    event_times = times.event.values
    if pipeline.labels is not None:  # they come by themselves
        kind = "float64" if pipeline.resolved_task == "regression" else "str"
        never = pd.Series(pd.NaT, index=raw.index, dtype="datetime64[us, UTC]")
        return pd.Series(np.nan, index=raw.index, dtype=kind), never, []
    parsed, rule = parse_answers(raw[pipeline.target], pipeline)
    broken = [Broken(pipeline.target, rule, parsed.unreadable, label_only=True)]
    given = parsed.values.notna().to_numpy(dtype=bool) | parsed.unreadable
    column = pipeline.label_time
    if column is None:
        return parsed.values, event_times + (pipeline.label_delay or timedelta()), broken
    known = parse_times(raw[column])
    broken += [
        Broken(column, A_TIME, known.unreadable & given, label_only=True),
        Broken(column, MISSING, missing(known) & given, label_only=True),
    ]
    # Where there is no label, and no time of its own, that is known with the row.
    return parsed.values, known.values.where(given, known.values.fillna(times.known.values)), broken


def _nothing(rows: int) -> pd.Series:
    return pd.Series(np.nan, index=pd.RangeIndex(rows), dtype=np.float64)
