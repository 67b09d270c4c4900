"""What the quarantine tells: `column_missing`, `column_renamed`, `type_changed`, `id_burst`."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.checks.rules import ABSENT
from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, RECORD_ID
from monitoring.diagnosis.look import HOUR, LEAST_PERIODS, Found, Look
from monitoring.diagnosis.observed import ONE_ROW, micros, series, times
from monitoring.diagnosis.words import moment_in_words, number_in_words, share_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

_KIND = ("must be a number", "must be text")
_A_TIME = "must be a time"
_LEAST_ROWS = 8
_MUCH = 0.25
_BURST = 20
_CLAIMS = 10
"""Fewer than in a burst: rows that claim an id with equal content leave one line."""
_NOTHING = np.zeros(0, np.int64)


def known_lines(quarantine: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Take the lines of the quarantine that were known by a moment, as text and microseconds.

    Returns
    -------
    DataFrame of shape (n_lines, 6)
        `column`, `rule`, `value`, `row` and `record_id` as objects, `at` in microseconds.

    """
    if quarantine.empty:
        return pd.DataFrame()
    event, known = (times(series(quarantine, name)) for name in (EVENT_TIME, KNOWN_TIME))
    kept = {
        name: series(quarantine, name).astype(object)
        for name in ("column", "rule", "value", "row", RECORD_ID)
    }
    lines = pd.DataFrame(kept, index=quarantine.index)
    lines["at"] = micros(event.fillna(known))
    lines["dated"] = event.notna()
    lines["known"] = micros(known.fillna(event))
    seen = (known.isna() | (known <= as_of)) & lines["at"].ne(np.iinfo(np.int64).min)
    return lines[seen.to_numpy()].reset_index(drop=True)


def find_absent(look: Look, lines: pd.DataFrame) -> list[Found]:
    """Read which parts came without a column, and whether it only has another name."""
    found = []
    for column, value, row, at in _cells(lines[lines["rule"] == ABSENT]):
        told = _part(row)
        since, until = _moment(told.get("since"), at), _moment(told.get("until"), at)
        low, high = np.searchsorted(look.rows.time, [since, until + 1])
        rows = np.arange(low, high)
        if str(column) in look.names and len(rows):
            missing = look.columns[look.names.index(str(column))].missing
            rows = rows[missing[rows]]
            if not len(rows):
                continue  # the part came again, with the column
            since, until = int(look.rows.time[rows[0]]), int(look.rows.time[rows[-1]])
        count = len(rows) or told.get("rows", 0)
        name = "column_renamed" if isinstance(value, str) and value else "column_missing"
        likely = f"; {value!r} stands there instead" if name == "column_renamed" else ""
        evidence = (
            f"the column is not in {told.get('part', 'the source')}, {count} rows from "
            f"{moment_in_words(since)} on{likely}"
        )
        found.append(Found(name, str(column), evidence, rows, (since, until + 1)))
    return found


def _cells(lines: pd.DataFrame) -> Iterator[tuple[Any, Any, Any, int]]:
    ordered = lines.sort_values("at", kind="stable")
    yield from zip(ordered["column"], ordered["value"], ordered["row"], ordered["at"], strict=True)


def _part(row: object) -> dict[str, Any]:
    try:
        told = json.loads(row) if isinstance(row, str) else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _moment(written: object, otherwise: int) -> int:
    read = times(pd.Series([written], dtype=object))
    return otherwise if read.isna().any() else int(micros(read)[0])


def unreadable_lines(look: Look, lines: pd.DataFrame) -> pd.DataFrame:
    """Take the values that are not of their column's kind, each with its period."""
    rule = lines["rule"].map(str)
    kept = lines[rule.str.startswith(_KIND) & lines["dated"]]
    period = np.searchsorted(look.start, kept["at"].to_numpy(np.int64), side="right") - 1
    return kept.assign(period=period)


def find_types(look: Look, period: int, unreadable: pd.DataFrame) -> list[Found]:
    """Find the columns of which much of a period cannot be read."""
    if unreadable.empty:
        return []
    here = unreadable[unreadable["period"] == period]
    span = look.span(period)
    found = []
    for name, lines in here.groupby(here["column"].map(str), sort=True):
        if len(lines) < max(_LEAST_ROWS, _MUCH * (span.stop - span.start)):
            continue
        rows = span.start + np.flatnonzero(np.isin(look.rows.ids[span], list(lines[RECORD_ID])))
        label = name == look.pipeline.target
        shown = ", ".join(
            number_in_words(value) for value in list(dict.fromkeys(lines["value"]))[:3]
        )
        evidence = (
            f"{len(lines)} of {span.stop - span.start} values from "
            f"{moment_in_words(int(lines['at'].min()))} are no {_wanted(look.pipeline, str(name))} "
            f"({shown}); single ones at most before"
        )
        found.append(Found("labels_broken" if label else "type_changed", str(name), evidence, rows))
    return found


def _wanted(pipeline: Pipeline, name: str) -> str:
    column = pipeline.columns.get(name)
    return "text" if column is not None and column.kind == "category" else "number"


def find_unreadable_times(look: Look, lines: pd.DataFrame) -> list[Found]:
    """Find a time column that turned unreadable: its rows lie in no period."""
    wrong = lines[lines["rule"].map(str).str.startswith(_A_TIME) & ~lines["dated"]]
    wrong = wrong[wrong["column"].map(str) == look.pipeline.time]
    if len(wrong) < 3 * _LEAST_ROWS or not len(look.rows.time):
        return []
    at = int(wrong["known"].max())
    since = min(int(look.rows.time[-1]) + 1, at)
    shown = ", ".join(number_in_words(value) for value in list(dict.fromkeys(wrong["value"]))[:3])
    evidence = f"{len(wrong)} times cannot be read ({shown})"
    return [Found("type_changed", look.pipeline.time, evidence, _NOTHING, (since, at + 1))]


def find_bursts(look: Look, lines: pd.DataFrame) -> list[Found]:
    """Find ids that many differing rows claim."""
    rule = lines["rule"].map(str)
    claims = lines[rule.str.startswith(ONE_ROW) & lines["dated"] & lines[RECORD_ID].notna()]
    found = []
    for named, group in claims.groupby(claims[RECORD_ID].map(str), sort=True):
        if len(group) < _CLAIMS:
            continue
        since, until = int(group["at"].min()), int(group["at"].max())
        rows = np.flatnonzero(look.rows.ids == named)
        others = claims[claims[RECORD_ID].map(str) != named]
        evidence = (
            f"{len(group)} differing rows claim the id {number_in_words(named)} from "
            f"{moment_in_words(since)} on; of other ids, at most "
            f"{others.groupby(others[RECORD_ID].map(str)).size().max() if len(others) else 1} do"
        )
        column = look.pipeline.id or look.pipeline.time
        claimed = (str(named),)
        found.append(Found("id_burst", column, evidence, rows, (since, until + 1), ids=claimed))
    return found


def find_busy_entity(look: Look, period: int) -> list[Found]:
    """Find an entity with far more rows in a period than any had on a clean day before."""
    past, span = look.clean(period), look.span(period)
    if look.pipeline.entity is None or len(past) < LEAST_PERIODS:
        return []
    whose = look.rows.entity[span]
    values, counts = np.unique(whose[whose >= 0], return_counts=True)
    if not len(counts) or counts.max() < _BURST:
        return []
    most = max(
        int(np.unique(look.rows.entity[look.span(int(p))], return_counts=True)[1].max())
        for p in past
    )
    found = []
    for value, count in zip(values, counts, strict=True):
        if count < max(_BURST, 10 * most):
            continue
        rows = span.start + np.flatnonzero(whose == value)
        time = look.rows.time[rows]
        evidence = (
            f"{count} rows of one entity within {(time[-1] - time[0]) / HOUR:.1f} hours from "
            f"{moment_in_words(int(time[0]))}, {share_in_words(count / len(whose))} of all; in the "
            f"{len(past)} periods before no entity had more than {most}"
        )
        found.append(Found("id_burst", look.pipeline.entity, evidence, rows))
    return found
