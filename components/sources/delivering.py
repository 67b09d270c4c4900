"""Say what a source held at a moment, checked."""

from dataclasses import dataclass

import pandas as pd

from components.checks import (
    LABEL_KNOWN,
    Checked,
    CheckedBatch,
    Extent,
    RowChecks,
    absence_lines,
    absent_columns,
    check_labels,
    require_columns,
    settle,
    unreadable_times,
)
from components.errors import SourceError
from components.pipelines import Labels, Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID, carried
from components.sources.completing import resolve
from components.sources.feeds import open_feed, together
from components.sources.parts import frame_of

_EMPTY = "{} is empty: it has no rows; check what writes it"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a source held, as known at a moment, checked.

    Attributes
    ----------
    records : DataFrame
        `record_id`, `event_time`, `known_time`, then the features.
    labels : DataFrame
        `record_id`, `event_time` (missing where labels have a table of their own),
        `known_time`, `label`.
    quarantine : DataFrame
        One line a broken rule.

    """

    records: pd.DataFrame
    labels: pd.DataFrame
    quarantine: pd.DataFrame


def read_source(pipeline: Pipeline) -> pd.DataFrame:
    """Read the whole source, of any kind.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The columns that the pipeline file names, all where it names no features. CSV comes
        as text, so that `007` stays `007`; everything else keeps its types.

    Raises
    ------
    SourceError
        If the source is missing, unreadable or empty, or lacks a column.
    StoreUnreachableError
        If it is a database that does not answer.

    """
    feed = open_feed(pipeline.source, pipeline)
    frames = []
    for part in feed.parts():
        require_columns(part.columns, pipeline, part=part.name)
        frames += [frame_of(batch) for batch in part.batches()]
    if not frames:
        raise SourceError(_EMPTY.format(feed.shown))
    return together(frames)


def deliver(pipeline: Pipeline, *, as_of: pd.Timestamp) -> Delivery:
    """Say what the source held as known at a moment, checked.

    Parameters
    ----------
    pipeline : Pipeline
        Completed by :func:`resolve` where it is not yet.
    as_of : Timestamp
        UTC. A record is known at its `updated` column, else at its event time; a label at
        its own time, else at event time plus label delay, but not before its record's version.

    Returns
    -------
    Delivery
        Everything known by `as_of`, what was known exactly then included.

    Raises
    ------
    SourceError
        If the source cannot be read or is not of the shape that the pipeline file states.
    StoreUnreachableError
        If it is a database that does not answer.

    """
    pipeline = resolve(pipeline)
    checked = _check_records(pipeline, as_of)
    records = checked.good[[RECORD_ID, EVENT_TIME, KNOWN_TIME, *carried(pipeline)]]
    if pipeline.labels is None:
        return Delivery(records, _labels(checked.good), checked.quarantine)
    raw = _read_labels(pipeline.labels, pipeline)
    labels, refused = check_labels(raw, pipeline, as_of=as_of)
    both = [lines for lines in (checked.quarantine, refused) if len(lines)]
    quarantine = together(both or [checked.quarantine])
    return Delivery(records, _changes(labels), quarantine)


def _check_records(pipeline: Pipeline, as_of: pd.Timestamp) -> Checked:
    """Check the whole source part by part: a feature may be absent from one of them only."""
    checks = RowChecks(pipeline, as_of)
    feed = open_feed(pipeline.source, pipeline)
    batches: list[CheckedBatch] = []
    lines: list[pd.DataFrame] = []
    for part in feed.parts():
        require_columns(part.columns, pipeline, part=part.name)
        extent = Extent()
        for batch in part.batches():
            checked = checks.check(frame_of(batch))
            extent = extent.joined(checked.extent)
            batches.append(checked)
        absent = absent_columns(part.columns, pipeline)
        lines.append(absence_lines(absent, extent, pipeline, part=part.name, as_of=as_of))
    if not batches:
        raise SourceError(_EMPTY.format(feed.shown))
    if not any(checked.readable for checked in batches):
        raise unreadable_times(pipeline, "", batches[0].first_time)
    settled = settle(together([checked.good for checked in batches]), pipeline)
    lines = [*(checked.quarantine for checked in batches), settled.quarantine, *lines]
    return Checked(settled.rows, together([part for part in lines if len(part)] or lines[:1]))


def _read_labels(source: Labels, pipeline: Pipeline) -> pd.DataFrame:
    """Read the whole table of labels; it may be empty: then no truth is known yet."""
    names: list[str] = []
    frames = []
    for part in open_feed(source, pipeline).parts():
        names += part.columns
        frames += [frame_of(batch) for batch in part.batches()]
    return together(frames) if frames else pd.DataFrame(columns=list(dict.fromkeys(names)))


def _labels(good: pd.DataFrame) -> pd.DataFrame:
    """Take the labels of all record versions, each value once.

    What a version says of the label is known when both are: the label, and the version. So a
    label that was filled in later was not known before, whatever its delay; a later version
    that changes it is a correction, and one that has none any more takes it back.
    """
    key = [RECORD_ID, KNOWN_TIME]
    # A row that gives no label, and no bad one either, says from when on it has none.
    rows = good[good[LABEL].notna() | good[LABEL_KNOWN].notna()].sort_values(key, kind="stable")
    said = rows[LABEL].notna()
    count = said.groupby(rows[RECORD_ID]).cumsum()
    rows, said, first = rows[count > 0], said[count > 0], (said & (count == 1))[count > 0]
    before = rows[LABEL].shift()
    changed = ~first & (rows[LABEL] != before) & (said | before.notna())
    rows = rows.assign(**{KNOWN_TIME: rows[[LABEL_KNOWN, KNOWN_TIME]].max(axis=1)})
    kept = rows.loc[first | changed, [RECORD_ID, EVENT_TIME, KNOWN_TIME, LABEL]]
    kept = kept[kept[LABEL].notna() | ~kept.duplicated(key, keep=False)]
    return kept.drop_duplicates(key, keep="last").sort_index()


def _changes(labels: pd.DataFrame) -> pd.DataFrame:
    """Keep of a label that is said again and again when it was first known, and every change."""
    rows = labels.sort_values([RECORD_ID, KNOWN_TIME], kind="stable")
    again = rows.duplicated(RECORD_ID) & (rows[LABEL] == rows[LABEL].shift())
    return rows.loc[~again, [RECORD_ID, EVENT_TIME, KNOWN_TIME, LABEL]].sort_index()
