"""Labels that are gone from their rows: a version without a value, known later, takes them back.

Tables are append-only, so a label that its source no longer gives is hidden by a later version
that holds none. Only what was known is taken back: a row that never had a label writes nothing.
Who reads labels takes the newest version known, and then leaves out those without a value.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.checks import LABEL_KNOWN
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    QUARANTINE,
    RECORD_ID,
    RECORDS,
    label_schema,
    to_arrow,
    to_frame,
)
from components.stores.lake import Lake, Reader
from components.values import parse_times
from flows.steps.arriving import Delivered
from flows.steps.news import Claims

_KEYS = [RECORD_ID, EVENT_TIME, KNOWN_TIME]
_STEP = pd.Timedelta(1, unit="us")

# A source that dates its versions says when the label was gone; a version of the same moment
# that has a label wins over a copy that has none, in whatever order they come.
_DATED = """
, said as (
    select record_id, known_time, label is not null as has_label from this
    where record_id in (select record_id from empty_rows)
    union all select record_id, known_time, true from fresh
)
select distinct on (record_id, known_time) record_id, event_time, known_time
from empty_rows
where exists (
    select 1 from said where said.record_id = empty_rows.record_id
    and said.has_label and said.known_time < empty_rows.known_time
) and not exists (
    select 1 from said where said.record_id = empty_rows.record_id
    and said.known_time = empty_rows.known_time
)
order by event_time, record_id, known_time
"""
# One that does not: what was there by an earlier look is gone as of this one.
_UNDATED = """
, newest as (
    select record_id, known_time as _dw_last, label from this
    where record_id in (select record_id from empty_rows)
    qualify row_number() over (
        partition by record_id order by known_time desc, label is null desc) = 1
)
select distinct on (record_id) record_id, event_time,
    case when known_time > _dw_last then known_time
    else greatest(timestamptz '{as_of}', _dw_last + interval 1 microsecond) end as known_time
from empty_rows join newest using (record_id)
where newest.label is not null and newest._dw_last <= timestamptz '{as_of}'
order by event_time, record_id
"""
_KEYS_OF = "select record_id, event_time, known_time from {rows} semi join wanted using (record_id)"
_OF = _KEYS_OF.format(rows="this")
_DELIVERED = _KEYS_OF.format(rows="delivered")
_LINES = 'select record_id, "row" from this semi join wanted using (record_id)'
_NEVER = pd.Timestamp("2262-01-01", tz="UTC")


@dataclass
class Withdrawals:
    """What a delivery takes back of the labels of a pipeline.

    Attributes
    ----------
    lake, pipeline, as_of
        Of the ingest.
    delivered : Delivered
        Rows of the source, which hold the labels.
    claims : Claims
        What they say of `labels`.
    watermark : Timestamp, optional
        Up to which known time earlier ingests have read.
    spill : Path
        A folder for what does not fit into memory.

    """

    lake: Lake
    pipeline: Pipeline
    as_of: pd.Timestamp
    delivered: Delivered
    claims: Claims
    watermark: pd.Timestamp | None
    spill: Path
    _late: list[pa.Table] = field(default_factory=list)
    _beside: dict[str, Reader] = field(default_factory=dict)

    def after(self, news: pa.RecordBatchReader, table: Reader) -> pa.RecordBatchReader:
        """Pass new labels on, then the versions that take labels back.

        Parameters
        ----------
        news : RecordBatchReader
            New rows of the table of labels.
        table : Reader
            That table, without them.

        """
        schema = label_schema(self.pipeline)
        name = self.pipeline.name
        # Opened here: no table can be opened while another one is being written.
        self._beside = {each: self.lake.open(name, each) for each in (RECORDS, QUARANTINE)}

        def batches() -> Iterator[pa.RecordBatch]:
            self._late.clear()
            for batch in news:
                self._note_late(batch)
                yield batch
            for gone in self._gone(table):
                nothing = pa.nulls(gone.num_rows, schema.field(LABEL).type)
                columns = [*(gone.column(name) for name in _KEYS), nothing]
                table_of = pa.table(columns, names=[*_KEYS, LABEL]).select(schema.names)
                yield from table_of.cast(schema).to_batches()

        return pa.RecordBatchReader.from_batches(schema, batches())

    def _note_late(self, batch: pa.RecordBatch) -> None:
        """Keep the new labels that an earlier ingest could have seen: newer rows may be empty."""
        if self.watermark is None or not self.claims.dated:
            return
        known = batch.column(KNOWN_TIME)
        late = batch.filter(pc.less_equal(known, pa.scalar(self.watermark, known.type)))
        if late.num_rows:
            self._late.append(pa.Table.from_batches([late.select(_KEYS)]))

    def _gone(self, table: Reader) -> Iterator[pa.RecordBatch]:
        """Find what is taken back: ids, event times, and when."""
        dated, empty = self.claims.dated, not table.handle.file_uris()
        if empty and not (dated and self.delivered.repeated.size):
            return  # nothing was known, and no record comes twice
        if not (dated or self._is_whole):
            return
        late = pa.concat_tables(self._late) if self._late else None
        overtaken = [] if late is None else self._overtaken(late, table).to_batches()
        with table.session(self.spill) as session:
            session.keep("empty_rows", self._keys(chain(self._without_label(), overtaken)))
            beside = self.claims.rows(self.delivered.repeated)
            known = (batch.select(_KEYS) for batch in beside)
            session.keep(
                "fresh", self._keys(chain(known, [] if late is None else late.to_batches()))
            )
            sql = _DATED if dated else _UNDATED.format(as_of=self.as_of.isoformat())
            yield from session.stream(sql)

    @property
    def _is_whole(self) -> bool:
        """Whether all of the source was read: no part that was left out may have the label."""
        return not self.delivered.before and self.pipeline.source.python is None

    def _without_label(self) -> Iterator[pa.RecordBatch]:
        """Read the rows that hold no label, and no bad one either."""
        for batch in self.delivered.batches([*_KEYS, LABEL, LABEL_KNOWN]):
            moment = batch.column(LABEL_KNOWN)
            bare = batch.filter(pc.and_(pc.is_null(batch.column(LABEL)), pc.is_valid(moment)))
            if bare.num_rows:
                label, version = bare.column(LABEL_KNOWN), bare.column(KNOWN_TIME)
                known = pc.if_else(pc.greater(label, version), label, version)
                yield bare.set_column(_KEYS.index(KNOWN_TIME), KNOWN_TIME, known).select(_KEYS)

    def _keys(self, batches: Iterable[pa.RecordBatch]) -> pa.RecordBatchReader:
        schema = label_schema(self.pipeline)
        named = pa.schema([schema.field(name) for name in _KEYS])
        return pa.RecordBatchReader.from_batches(named, (one.cast(named) for one in batches))

    def _overtaken(self, late: pa.Table, table: Reader) -> pa.Table:
        """Find rows without a label that came before the older label that they take back.

        They stand among the records only: a version of theirs that says nothing of the label,
        where no bad label was set aside. What we made of a version ourselves, one microsecond
        later, says nothing.
        """
        wanted = {"wanted": late.select([RECORD_ID]).group_by(RECORD_ID).aggregate([])}
        records = to_frame(self._beside[RECORDS].query(_OF, tables=wanted))
        records = records.sort_values([RECORD_ID, KNOWN_TIME], ignore_index=True)
        of_record = records.groupby(RECORD_ID)[KNOWN_TIME]
        made_here = records[KNOWN_TIME] - of_record.shift() == _STEP
        until = of_record.shift(-1).fillna(_NEVER)
        labels = self._labelled_at(wanted, table)
        bad = self._badly_labelled(wanted)
        spans = zip(records[RECORD_ID], records[KNOWN_TIME], until, strict=True)
        silent = [
            (name, since) not in bad
            and not any(since <= moment < end for moment in labels.get(name, ()))
            for name, since, end in spans
        ]
        schema = label_schema(self.pipeline)
        keys = pa.schema([schema.field(name) for name in _KEYS])
        return to_arrow(records[~made_here & np.array(silent, dtype=bool)], keys)

    def _labelled_at(
        self, wanted: dict[str, pa.Table], table: Reader
    ) -> dict[str, list[pd.Timestamp]]:
        """Say when the labels of records were known: those that stand there, and the new ones."""
        stored = table.query(f"{_OF} where label is not null", tables=wanted)
        given = table.query(_DELIVERED, tables={**wanted, "delivered": self.claims.reader()})
        both = pd.concat([to_frame(stored), to_frame(given)], ignore_index=True)
        return {str(name): list(times) for name, times in both.groupby(RECORD_ID)[KNOWN_TIME]}

    def _badly_labelled(self, wanted: dict[str, pa.Table]) -> set[tuple[str, pd.Timestamp]]:
        """Name the versions whose label was set aside."""
        sql = f'{_LINES} where "column" = $target'
        params = {"target": self.pipeline.target}
        lines = to_frame(self._beside[QUARANTINE].query(sql, params=params, tables=wanted))
        updated = [json.loads(row).get(self.pipeline.updated) for row in lines["row"]]
        times = parse_times(pd.Series(updated, dtype=object)).values
        return set(zip(lines[RECORD_ID], times, strict=True))
