"""Rows whose record lacks only an impossible value: scored with what stands in for it.

A row in quarantine is no record: nothing is learnt from it. But somebody waits for its answer.
Where the row says which record it is, and when it happened and was known, and every column in
which it breaks a rule states a `fallback` that gives a value, it is scored with that value. The
others are counted, so that nobody takes their silence for an answer.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from components.checks import ABSENT
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABELS,
    PREDICTIONS,
    QUARANTINE,
    RECORD_ID,
    RECORDS,
    UTC_TIME,
    empty_frame,
    record_schema,
    to_arrow,
    to_frame,
)
from components.stores.lake.engine import spilling
from components.stores.lake.scratch import scratch
from components.values import parse_numbers, parse_text

if TYPE_CHECKING:
    from components.stores.lake import Reader
    from components.stores.lake.reading import Session
    from flows.steps.home import Home

_ID = pa.schema([(RECORD_ID, pa.string())])
_ID_AND_TIME = pa.schema([(RECORD_ID, pa.string()), (KNOWN_TIME, UTC_TIME)])
_PENDING_SCHEMA = pa.schema(
    [(RECORD_ID, pa.string()), *((one, UTC_TIME) for one in (EVENT_TIME, KNOWN_TIME, "labelled"))]
)
_GIVE_A_VALUE = ("last", "default")

# Every version of a row that was set aside, with the rules that it breaks. Lines about labels
# spare the record; those of a table of labels have another source.
_VERSIONS = """
, lines as (
    select given.* from (select *, {features} from this) as given join ours
    on (given.features is not null or given.source = ours.source)
        and given."column" is distinct from ours.target
    where known_time <= {as_of} and rule <> '{absent}'
), versions as (
    select record_id, known_time, "row", any_value(event_time) as event_time,
        any_value(features) as features,
        list("column" order by "column", rule) as columns,
        list(rule order by "column", rule) as rules,
        bool_and(features is not null) and not bool_or("column" in (select name from helpless))
            as answerable
    from lines group by record_id, known_time, "row"
)"""
# What waits for an answer; as with records, what was labelled by the first decision is history.
_WAITING = """
, waiting as (
    select versions.*, {labelled} as labelled
    from versions left join labelled on versions.record_id = labelled.record_id
    where versions.known_time >= {care}
        or (versions.record_id is not null and coalesce({labelled} > {care}, true))
)"""
_ANY = "select 1 from waiting limit 1"
_ALL_IDS = "select distinct record_id from versions where record_id is not null"
_WAITING_IDS = "select distinct record_id from waiting where record_id is not null"
_LABELLED = """
select record_id, min(known_time) as known_time from this semi join wanted using (record_id)
where known_time <= {as_of} and label is not null group by record_id"""
_RECORDED = """
select distinct record_id from this semi join wanted using (record_id)
where known_time <= {as_of}"""
_SCORED = """
select distinct record_id from this semi join wanted using (record_id) where channel <> 'shadow'"""
# The version known first, as with records: the first of those that can be answered.
_PENDING = """
select distinct on (record_id) record_id, event_time, known_time, labelled
from waiting anti join there using (record_id) where answerable
order by record_id, known_time, "row" """
_SILENT = """
, silent as (
    select coalesce(record_id, "row") as named, columns, rules
    from waiting where record_id is null or record_id not in (select record_id from there)
    qualify not bool_or(answerable) over (partition by named)
), reasons as (
    select named, unnest(columns) as "column", unnest(rules) as rule from silent
)
select (select count(distinct named) from silent) as quarantined, "column", rule,
    count(distinct named) as rows
from reasons group by "column", rule
order by "column" in (select name from helpless) desc, rows desc, "column", rule limit 1"""
_WANTED = """
select distinct on (record_id) record_id, event_time, known_time, features, columns, rules
from versions semi join wanted using (record_id, known_time) where answerable
order by record_id, "row" """


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Rows in quarantine that no score answers.

    Attributes
    ----------
    quarantined : int
        Rows that were set aside since the pipeline came under care, or whose label was not due
        by then; without those of which a good version was delivered.
    column, rule : str
        What most of them break; empty where there are none.
    rows : int
        How many break it.
    advice : str
        What to do.

    """

    quarantined: int = 0
    column: str = ""
    rule: str = ""
    rows: int = 0
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What waits in quarantine at a moment.

    Attributes
    ----------
    pending : DataFrame of shape (n_rows, 4)
        `record_id`, `event_time`, `known_time` and `labelled`, when the label was known; one
        row each record that can be answered and is not.
    unanswered : Unanswered

    """

    pending: pd.DataFrame
    unanswered: Unanswered


@dataclass(frozen=True, slots=True)
class Readable:
    """Rows of the quarantine as records.

    Attributes
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        The columns of :func:`components.records.record_schema`; impossible values are missing.
    rules : dict
        By record id and column: the rule that the value breaks.

    """

    rows: pd.DataFrame
    rules: dict[str, dict[str, str]]


def find_quarantined(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp, care: pd.Timestamp
) -> Quarantined:
    """Find the rows in quarantine that are to be scored, and count those that cannot be.

    What is compared passes through DuckDB, within a bound of memory; only what can be answered
    is held.

    Parameters
    ----------
    home : Home
    pipeline : Pipeline
        Resolved.
    as_of : Timestamp
        Only what was known by then is looked at.
    care : Timestamp
        The pipeline's first decision: rows that were labelled by then are history.

    """
    lake, name = home.lake, pipeline.name
    times = {"as_of": _moment(as_of), "care": _moment(care), "labelled": _labelled_by(pipeline)}
    with scratch("score") as made, spilling(made) as spill, ExitStack() as on:
        readers = {one: lake.open(name, one) for one in (QUARANTINE, RECORDS, PREDICTIONS, LABELS)}
        sessions = {one: on.enter_context(reader.session(spill)) for one, reader in readers.items()}
        aside = sessions[QUARANTINE]
        versions = _versions(readers[QUARANTINE], as_of)
        waiting = versions + _WAITING.format(**times)

        def of_them(table: str, sql: str, ids: str) -> Iterator[pa.RecordBatch]:
            """Ask a table about the records that a question to the quarantine names."""
            sessions[table].keep("wanted", _as_it_comes(aside.stream(ids), _ID))
            return sessions[table].stream(sql.format(**times))

        _tell(aside, pipeline)
        labelled: Iterator[pa.RecordBatch] = iter(())
        if pipeline.labels is not None:
            labelled = of_them(LABELS, _LABELLED, versions + _ALL_IDS)
        aside.keep("labelled", _as_it_comes(labelled, _ID_AND_TIME))
        if not aside.query(waiting + _ANY).num_rows:
            return Quarantined(empty_frame(_PENDING_SCHEMA), Unanswered())
        ids = waiting + _WAITING_IDS
        there = chain(of_them(RECORDS, _RECORDED, ids), of_them(PREDICTIONS, _SCORED, ids))
        aside.keep("there", _as_it_comes(there, _ID))
        pending = to_frame(aside.query(waiting + _PENDING).cast(_PENDING_SCHEMA))
        silent = aside.query(waiting + _SILENT).to_pylist()
    return Quarantined(pending, _unanswered(silent, pipeline))


def read_quarantined(
    home: "Home", pipeline: Pipeline, wanted: pa.Table, *, as_of: pd.Timestamp
) -> Readable:
    """Read rows of the quarantine that can be scored.

    Parameters
    ----------
    wanted : Table
        `record_id` and `known_time` as :func:`find_quarantined` gives them; others are left out.

    """
    reader = home.lake.open(pipeline.name, QUARANTINE)
    with reader.session() as session:
        _tell(session, pipeline)
        session.keep("wanted", wanted)
        found = session.query(_versions(reader, as_of) + _WANTED).to_pylist()
    rules = {one[RECORD_ID]: dict(zip(one["columns"], one["rules"], strict=True)) for one in found}
    rows = pd.DataFrame(
        [{key: one[key] for key in (RECORD_ID, EVENT_TIME, KNOWN_TIME)} for one in found],
        columns=[RECORD_ID, EVENT_TIME, KNOWN_TIME],
    )
    features = [json.loads(one["features"]) for one in found]
    schema = record_schema(pipeline)
    for field in schema:
        if field.name not in rows.columns:
            given = pd.Series([row.get(field.name) for row in features], dtype=object)
            # The column may have been of another kind when the row came.
            read = parse_numbers(given) if field.type == pa.float64() else parse_text(given)
            ours = [field.name not in rules[record] for record in rows[RECORD_ID]]
            rows[field.name] = read.values.where(pd.Series(ours, dtype=bool))
    return Readable(to_frame(to_arrow(rows, schema)), rules)


def _versions(reader: "Reader", as_of: pd.Timestamp) -> str:
    """Say in SQL what stands in quarantine; tables of older versions hold no features."""
    features = "features" if "features" in reader.schema.names else "null::varchar as features"
    return _VERSIONS.format(as_of=_moment(as_of), absent=ABSENT, features=features)


def _tell(session: "Session", pipeline: Pipeline) -> None:
    """Tell a session which lines are about rows of the source, and what nothing stands in for."""
    target = pipeline.target if pipeline.labels is None else None
    ours = {"source": [pipeline.source.shown], "target": pa.array([target], pa.string())}
    session.keep("ours", pa.table(ours))
    columns = pipeline.columns.items()
    helpless = [name for name, column in columns if column.fallback not in _GIVE_A_VALUE]
    session.keep("helpless", pa.table({"name": pa.array(helpless, pa.string())}))


def _labelled_by(pipeline: Pipeline) -> str:
    """Say in SQL when the label of a row that was set aside is known.

    What the row said of its own label was not kept: it counts as due, or as known with the row.
    """
    if pipeline.labels is not None:
        return "labelled.known_time"
    if pipeline.label_delay is None:
        return "versions.known_time"
    delay = pipeline.label_delay // timedelta(microseconds=1)
    return f"coalesce(versions.event_time + interval '{delay} microseconds', versions.known_time)"


def _unanswered(found: list[dict[str, Any]], pipeline: Pipeline) -> Unanswered:
    if not found:
        return Unanswered()
    (most,) = found
    name = most["column"]
    column = pipeline.columns.get(name)
    advice = f"mend {name} in the source"
    if column is not None and column.fallback is None:
        advice += f", or state `columns.{name}.fallback` (last or default) in {pipeline.file.name}"
    return Unanswered(**most, advice=advice)


def _as_it_comes(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(schema, (one.cast(schema) for one in batches))


def _moment(time: pd.Timestamp) -> str:
    return f"timestamptz '{time.isoformat()}'"
