"""Write broken rules down as lines of the quarantine table."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.checks.columns import LABEL_KNOWN
from components.checks.rules import ABSENT, Broken
from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, RECORD_ID, empty_frame, quarantine_schema
from components.values import is_missing

Places: TypeAlias = NDArray[np.intp]

_LONGEST_VALUE = 200


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a part was seen: its first and last event, its rows, its newest known time."""

    since: pd.Timestamp | None = None
    until: pd.Timestamp | None = None
    rows: int = 0
    newest: pd.Timestamp | None = None

    @classmethod
    def of(cls, event_times: pd.Series, known_times: pd.Series) -> "Extent":
        """Measure rows by their times; one without a time counts as a row."""
        first, last, newest = event_times.min(), event_times.max(), known_times.max()
        return cls(_given(first), _given(last), len(event_times), _given(newest))

    def joined(self, other: "Extent") -> "Extent":
        """Add the extent of other rows."""
        return Extent(
            min(filter(None, (self.since, other.since)), default=None),
            max(filter(None, (self.until, other.until)), default=None),
            self.rows + other.rows,
            max(filter(None, (self.newest, other.newest)), default=None),
        )


def quarantine_lines(
    raw: pd.DataFrame,
    rows: pd.DataFrame,
    broken: Sequence[Broken],
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp | None = None,
    source: str = "",
    features: Sequence[str] = (),
) -> pd.DataFrame:
    """Write down every broken rule.

    Parameters
    ----------
    raw : DataFrame of shape (n_rows, n_columns)
        As it stands in the source.
    rows : DataFrame of shape (n_rows, n_parsed)
        The same rows, parsed.
    broken : sequence of Broken
    pipeline : Pipeline
    as_of : Timestamp, optional
        When a line is known whose row has no known time.
    source : str
        What the lines name as their source; the pipeline's own by default.
    features : sequence of str
        Columns of `rows` to keep as they were read, for the rows of which it is known which
        record they are, and when it happened and was known: those may be scored all the same.

    Returns
    -------
    DataFrame
        Columns of :func:`components.records.quarantine_schema`, each line once.

    """
    found = [one for one in broken if one.rows.any()]
    if not found:
        return empty_frame(quarantine_schema())
    places = [np.flatnonzero(one.rows) for one in found]
    lines = _lines(raw, rows, found, places)
    lines["source"] = source or pipeline.source.shown
    lines["features"] = _features_as_json(rows, found, places, features)
    if as_of is not None:
        lines[KNOWN_TIME] = lines[KNOWN_TIME].fillna(as_of)
    return lines.drop_duplicates(ignore_index=True)


def absence_lines(
    absent: Mapping[str, str | None],
    extent: Extent,
    pipeline: Pipeline,
    *,
    part: str,
    as_of: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Write down the features that a part lacks: one line each, for all of its rows.

    Parameters
    ----------
    absent : mapping
        From :func:`components.checks.columns.absent_columns`.
    extent : Extent
        What was seen of the part; nothing is written where that is no row.
    pipeline : Pipeline
    part : str
        Its name.
    as_of : Timestamp, optional
        When the absence is known; the last event by default.

    """
    if not (absent and extent.rows):
        return empty_frame(quarantine_schema())
    about = {
        "part": part,
        "since": None if extent.since is None else extent.since.isoformat(),
        "until": None if extent.until is None else extent.until.isoformat(),
        "rows": extent.rows,
    }
    count = len(absent)
    known = extent.until if extent.until is not None else as_of
    times = {EVENT_TIME: extent.since, KNOWN_TIME: known}
    given = {
        name: pd.Series([time] * count, dtype="datetime64[us, UTC]") for name, time in times.items()
    }
    return pd.DataFrame(
        {
            RECORD_ID: pd.Series([None] * count, dtype="str"),
            **given,
            "column": pd.Series(list(absent), dtype="str"),
            "rule": ABSENT,
            "value": pd.Series(list(absent.values()), dtype="str"),
            "row": json.dumps(about, sort_keys=True),
            "source": pipeline.source.shown,
            "features": pd.Series([None] * count, dtype="str"),
        }
    )


def write_value(value: Any) -> str | None:
    """Write a raw value for people; missing is None, and no value is long."""
    if is_missing(value):
        return None
    text = str(value).encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _given(moment: Any) -> pd.Timestamp | None:
    return None if pd.isna(moment) else moment


def _lines(
    raw: pd.DataFrame, rows: pd.DataFrame, found: list[Broken], places: list[Places]
) -> pd.DataFrame:
    """Write one line for each place of each broken rule."""
    counts = [len(place) for place in places]
    every = np.concatenate(places)
    bad = rows[[RECORD_ID, EVENT_TIME, KNOWN_TIME]].iloc[every].reset_index(drop=True)
    if any(one.label_only for one in found):
        later = np.repeat([one.label_only for one in found], counts)
        label_known = rows[LABEL_KNOWN].iloc[every].reset_index(drop=True)
        bad[KNOWN_TIME] = bad[KNOWN_TIME].where(~later, label_known)
    values = [
        write_value(value)
        for one, place in zip(found, places, strict=True)
        for value in raw[one.column].iloc[place]
    ]
    return bad.assign(
        **{RECORD_ID: bad[RECORD_ID].astype("str")},
        column=np.repeat(np.array([one.column for one in found], dtype=object), counts),
        rule=np.repeat(np.array([one.rule for one in found], dtype=object), counts),
        value=pd.Series(values, dtype="str"),
        row=_rows_as_json(raw, every),
    )


def _features_as_json(
    rows: pd.DataFrame, found: list[Broken], places: list[Places], features: Sequence[str]
) -> pd.Series:
    """Write the features of rows in which no more than values is wrong; null for the others."""
    lines: list[str | None] = [None] * sum(map(len, places))
    if features:
        keys = rows[[RECORD_ID, EVENT_TIME, KNOWN_TIME]].notna().all(axis=1).to_numpy(dtype=bool)
        of_record = np.repeat([not one.label_only for one in found], list(map(len, places)))
        every = np.concatenate(places)
        kept = np.flatnonzero(of_record & keys[every])
        distinct, back = np.unique(every[kept], return_inverse=True)
        values = rows[list(features)].iloc[distinct].itertuples(index=False, name=None)
        written = [_as_json(dict(zip(features, row, strict=True))) for row in values]
        for line, place in zip(kept.tolist(), back.tolist(), strict=True):
            lines[line] = written[place]
    return pd.Series(lines, dtype="str")


def _as_json(values: Mapping[str, Any]) -> str:
    """Write parsed values that are there; no JSON holds an infinite one."""
    given = {
        name: value
        for name, value in values.items()
        if not (is_missing(value) or (isinstance(value, float) and math.isinf(value)))
    }
    return json.dumps(given, sort_keys=True, allow_nan=False)


def _rows_as_json(raw: pd.DataFrame, places: Places) -> list[str]:
    """Write rows, each once however many rules it broke."""
    distinct, back = np.unique(places, return_inverse=True)
    names = [str(name) for name in raw.columns]
    written = [
        json.dumps(dict(zip(names, map(write_value, row), strict=True)), sort_keys=True)
        for row in raw.iloc[distinct].itertuples(index=False, name=None)
    ]
    return [written[place] for place in back]
