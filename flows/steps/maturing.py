"""How soon the labels of a pipeline are known: read from the lake, within a bound of memory."""

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from components.faults import Fault, without_faulty
from components.maturity import (
    FAIR_SHARE,
    MaturityCurve,
    as_stated,
    describe,
    fair_age,
    maturity_curve,
    percent,
    short_age,
    status_curve,
)
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABELS,
    RECORD_ID,
    RECORDS,
    UTC_TIME,
    label_schema,
    to_frame,
)
from flows.steps.snapshots import with_entities
from monitoring.maturity import Asked, Usual
from monitoring.measurements import Measurement
from monitoring.windows import Window

if TYPE_CHECKING:
    from flows.steps.home import Home

CURVE_ROWS = 1_000_000
"""How soon labels come is measured on so many of the newest records."""

STRETCHES = 20
"""What is usual is what so many stretches had, each as wide as the window, just before it."""

_FIRST = pa.schema([(RECORD_ID, pa.string()), (KNOWN_TIME, UTC_TIME)])
_EVENT = pa.schema([(RECORD_ID, pa.string()), (EVENT_TIME, UTC_TIME)])
_TIMES = (EVENT_TIME, KNOWN_TIME)
_FIRST_KNOWN = """
select record_id, min(known_time) as known_time from this
where label is not null and known_time <= {as_of} {within} group by record_id"""
_WITH_LABEL = """
select seen.record_id, seen.event_time, labels.known_time from (
    select record_id, max_by(event_time, known_time) as event_time from this
    where known_time <= {as_of} {within} group by record_id
) as seen left join labels using (record_id)
order by seen.event_time desc, seen.record_id limit {most}"""
_EVENTS = """
select record_id, any_value(event_time) as event_time from this
where event_time is not null {within} group by record_id"""
_VERSIONS = """
select record_id, event_time, known_time, label from this where known_time <= {as_of} {within}
order by event_time desc, record_id, known_time, label limit {most}"""
_VERSIONS_APART = """
select record_id, records.event_time, known_time, label
from (select * exclude event_time from this where known_time <= {as_of}) as told
join records using (record_id)
order by event_time desc, record_id, known_time, label limit {most}"""


def maturity_of(
    home: "Home", pipeline: Pipeline, window: Window, *, as_of: pd.Timestamp
) -> Measurement:
    """Measure how soon labels are known: the share of them at the fair age, and the curve."""
    curve, method = measured_curve(home, pipeline, as_of=as_of)
    fair = fair_age(curve, pipeline)
    told = curve.labelled > 0
    stated = "as stated" if pipeline.mature_after else f"{percent(FAIR_SHARE)} of those that come"
    return Measurement(
        name="label_maturity",
        column=None,
        window=window,
        method=method,
        value=curve.share_at(fair) if told else None,
        threshold=None,
        direction="below",
        status="fine" if told else "cannot_tell",
        rows=curve.rows,
        reason=f"{describe(curve)}; a fair age is {short_age(fair)} ({stated})",
    )


def measured_curve(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp
) -> tuple[MaturityCurve, str]:
    """Measure the maturity curve, and name the method.

    Where labels say when they came, by their own times (``kaplan_meier``); where a delay is
    stated and none contradicts it, by who has one at this moment (``current_status``): a
    label that never came contradicts nothing.
    """
    rows = with_first_label(home, pipeline, as_of=as_of, most=CURVE_ROWS)
    if as_stated(rows, pipeline, as_of=as_of):
        there = rows[KNOWN_TIME].notna()
        return status_curve(rows[EVENT_TIME], there, as_of=as_of), "current_status"
    return maturity_curve(rows[EVENT_TIME], rows[KNOWN_TIME], as_of=as_of), "kaplan_meier"


def usual_before(
    home: "Home",
    pipeline: Pipeline,
    window: Window,
    *,
    as_of: pd.Timestamp,
    faults: Iterable[Fault] = (),
    age: timedelta | None = None,
) -> Asked:
    """Give a way to ask which share of the records before a moment has a label.

    It reads when it is asked: most windows have their labels, and nobody asks. With an `age`
    only labels known by that age count.
    """
    width = window.end - window.start

    def told(before: pd.Timestamp) -> Usual | None:
        since = before - STRETCHES * width
        rows = with_first_label(home, pipeline, as_of=as_of, since=since, until=before)
        rows = without_faulty(rows, faults)
        if rows.empty:
            return None
        stretch = (rows[EVENT_TIME] - since) // width
        has = rows[KNOWN_TIME].notna()
        if age is not None:
            has = rows[KNOWN_TIME] - rows[EVENT_TIME] <= pd.Timedelta(age)
        return Usual.of(has.groupby(stretch).mean().to_list())

    return told


def label_versions(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
    most: int = CURVE_ROWS,
) -> pd.DataFrame:
    """Read every version of the labels known by a moment, of the newest events first.

    Returns
    -------
    DataFrame of shape (n_versions, 4), or 5 where the pipeline has an entity
        `record_id`, `event_time` (that of the record, where labels have a table of their
        own), `known_time`, `label`, and whom the record is about; at most so many.

    """
    within = _within(since, until)
    from components.stores.lake.scratch import scratch

    with scratch("labels") as spill:
        labels, tables = home.lake.open(pipeline.name, LABELS), {}
        records = home.lake.open(pipeline.name, RECORDS)
        with labels.session(spill) as asked, records.session(spill) as told:
            sql, about = _VERSIONS, {"as_of": _moment(as_of), "within": within, "most": most}
            if pipeline.labels is not None:
                events = told.stream(_EVENTS.format(within=within))
                given = (batch.cast(_EVENT) for batch in events)
                tables = {"records": pa.RecordBatchReader.from_batches(_EVENT, given)}
                sql = _VERSIONS_APART
            found = asked.query(sql.format(**about), tables=tables)
    rows = _in_utc(to_frame(found.cast(label_schema(pipeline))))
    return with_entities(rows, home.lake, pipeline)


def reaching_back(
    home: "Home",
    pipeline: Pipeline,
    window: Window,
    newest: pd.DataFrame,
    *,
    as_of: pd.Timestamp,
) -> pd.DataFrame:
    """Give the newest label versions, or those up to a window that lies farther back.

    Else nothing would be known of what was known before such a window.
    """
    if len(newest) < CURVE_ROWS or window.start > newest[EVENT_TIME].min():
        return newest
    return label_versions(home, pipeline, as_of=as_of, until=window.end)


def with_first_label(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
    most: int = CURVE_ROWS,
) -> pd.DataFrame:
    """Read records and when the label of each was first known, by a moment.

    Returns
    -------
    DataFrame of shape (n_records, 3)
        `record_id`, `event_time`, `known_time` of the label (NaT where there is none), the
        newest events first, at most so many of them.

    """
    within = _within(since, until)
    # Labels of a table of their own have no event time: it is the record's.
    about = {"as_of": _moment(as_of), "within": "" if pipeline.labels else within}
    from components.stores.lake.scratch import scratch

    with scratch("waits") as spill:
        labels = home.lake.open(pipeline.name, LABELS)
        records = home.lake.open(pipeline.name, RECORDS)
        with labels.session(spill) as told, records.session(spill) as asked:
            first = told.stream(_FIRST_KNOWN.format(**about))
            reader = pa.RecordBatchReader.from_batches(_FIRST, (b.cast(_FIRST) for b in first))
            sql = _WITH_LABEL.format(**{**about, "within": within}, most=most)
            found = asked.query(sql, tables={"labels": reader})
    return _in_utc(to_frame(found))


def _in_utc(rows: pd.DataFrame) -> pd.DataFrame:
    times = {one: rows[one].dt.tz_convert("UTC").dt.as_unit("us") for one in _TIMES}
    return rows.assign(**times)


def _within(since: pd.Timestamp | None, until: pd.Timestamp | None) -> str:
    ends = ((">=", since), ("<", until))
    return "".join(
        f" and event_time {sign} {_moment(end)}" for sign, end in ends if end is not None
    )


def _moment(time: pd.Timestamp) -> str:
    return f"timestamptz '{time.isoformat()}'"
