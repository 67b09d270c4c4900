"""Take what a source holds into the lake, so that taking it twice changes nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    LABEL,
    LABELS,
    QUARANTINE,
    RECORDS,
    label_schema,
    quarantine_schema,
    record_schema,
    table_schemas,
    to_arrow,
)
from components.sources import deliver
from components.stores.lake import Lake, Reader, quote

PRODUCER = "ingest"

# Beside a stored row of the same record the newest delivered one is
# - nothing new, when it says the same as the newest stored one;
# - the next version, when it is known later, or at a moment of which nothing is stored;
# - a correction, when it says otherwise and the source gives no later moment: it was first
#   known now, so it becomes a row known as of now, and who reads the past still sees the past.
# A record that was corrected after `as_of` is left alone: this ingest repeats the past.
_NEWS = """
, given as (
    select *,
        row_number() over (partition by record_id order by known_time desc) = 1 as _dw_is_newest
    from delivered
), stored as (
    select record_id, known_time as _dw_stored_time, {content}
    from this semi join delivered using (record_id)
), newest as (
    select * from stored
    qualify row_number() over (partition by record_id order by _dw_stored_time desc) = 1
), compared as (
    select given.*, newest._dw_stored_time,
        ({same}) as _dw_same,
        ({same_before}) as _dw_same_before,
        exists (
            from stored where stored.record_id = given.record_id
            and stored._dw_stored_time = given.known_time
        ) as _dw_is_stored
    from given left join newest on newest.record_id = given.record_id
), settled as (
    select *, case
        when _dw_stored_time is null or known_time > _dw_stored_time then known_time
        when not _dw_is_newest or _dw_stored_time > $as_of then if(_dw_is_stored, null, known_time)
        when _dw_same then null
        when _dw_same_before then _dw_stored_time + interval 1 microsecond
        else greatest($as_of, _dw_stored_time + interval 1 microsecond)
    end as _dw_settled_time
    from compared
)
select record_id, event_time, _dw_settled_time as known_time, {rest}
from settled where _dw_settled_time is not null
order by event_time, record_id, known_time
"""

_NEW_FAULTS = """
select delivered.* from delivered anti join this
on delivered.record_id = this.record_id and delivered."column" = this."column"
    and delivered.rule = this.rule and delivered."row" = this."row"
order by delivered.known_time, delivered.record_id
"""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest added.

    Attributes
    ----------
    records, labels, quarantined : int
        Rows that are new in the tables.
    already : int
        Records that were delivered and stood there before.

    """

    records: int
    labels: int
    quarantined: int
    already: int


def create_tables(lake: Lake, pipeline: Pipeline) -> None:
    """Make the five tables of a pipeline where they are absent; add columns that are new."""
    for table, schema in table_schemas(pipeline).items():
        lake.create(pipeline.name, table, schema)


def ingest(
    lake: Lake, pipeline: Pipeline, *, as_of: pd.Timestamp, flow_run_id: str = ""
) -> Ingested:
    """Append what the source held as known at a moment and the lake does not hold yet.

    Doing it twice changes nothing, nor do two at once. A row that has changed in the source
    is appended as a later version: at its own later known time, else known as of now.

    Parameters
    ----------
    lake : Lake
    pipeline : Pipeline
        Resolved.
    as_of : Timestamp
        UTC.
    flow_run_id : str
        Noted in the commits.

    Raises
    ------
    SourceError
        If the source cannot be read; the tables stay as they are.
    StoreError
        If the lake fails; what was written stays, and running it again completes it.

    """
    delivery = deliver(pipeline, as_of=as_of)
    create_tables(lake, pipeline)
    about = {"flow_run_id": flow_run_id} if flow_run_id else {}

    def append(table: str, rows: Callable[[Reader], pa.Table]) -> int:
        return lake.commit(pipeline.name, table, rows, producer=PRODUCER, about=about).rows

    # Quarantine first: a row that is set aside is never missing from both.
    faults = to_arrow(delivery.quarantine, quarantine_schema())
    quarantined = append(QUARANTINE, lambda table: _faults(table, faults))
    records = to_arrow(delivery.records, record_schema(pipeline))
    features = [EVENT_TIME, *pipeline.features]
    new = append(RECORDS, lambda table: _news(table, records, features, as_of))
    labels = to_arrow(delivery.labels, label_schema(pipeline))
    labelled = append(LABELS, lambda table: _news(table, labels, [EVENT_TIME, LABEL], as_of))
    return Ingested(new, labelled, quarantined, already=records.num_rows - new)


def _news(
    table: Reader, delivered: pa.Table, content: Sequence[str], as_of: pd.Timestamp
) -> pa.Table:
    """Select what a delivery adds to a table; `content` is what two versions may differ in."""
    if not delivered.num_rows:
        return delivered
    # A column without any value is new in the pipeline file. Filling it corrects nothing: the
    # row stays known when it was, one microsecond later, so that it is the newer version.
    before = _columns_with_values(table, content)
    sql = _NEWS.format(
        content=_list(content),
        rest=_list([name for name in content if name != EVENT_TIME]),
        same=_same(content),
        same_before=_same(before) if len(before) < len(content) else "false",
    )
    found = table.query(sql, params={"as_of": as_of}, tables={"delivered": delivered})
    return found.select(delivered.column_names).cast(delivered.schema)


def _faults(table: Reader, delivered: pa.Table) -> pa.Table:
    if not delivered.num_rows:
        return delivered
    return table.query(_NEW_FAULTS, tables={"delivered": delivered}).cast(delivered.schema)


def _columns_with_values(table: Reader, names: Sequence[str]) -> list[str]:
    counts = ", ".join(f"count({quote(name)})" for name in names)
    counted = table.query(f"select {counts} from this")  # noqa: S608 - names are quoted
    return [name for name, column in zip(names, counted.columns, strict=True) if column[0].as_py()]


def _same(names: Sequence[str]) -> str:
    pairs = (f"given.{quote(n)} is not distinct from newest.{quote(n)}" for n in names)
    return " and ".join(pairs) or "true"


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(quote, names))
