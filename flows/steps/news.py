"""Tell what a delivery adds to a table: nothing old twice, and nobody's past rewritten."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.records import EVENT_TIME, KNOWN_TIME, RECORD_ID
from components.stores.lake import ROW, Ids, Reader, marked, quote
from components.stores.lake.reading import Session
from components.stores.lake.staging import distinct
from flows.steps.arriving import PART

# Beside a stored row of the same record the newest delivered one is
# - nothing new, when it says the same as the newest stored one;
# - the next version, when it is known later, or at a moment of which nothing is stored;
# - a correction, when it says otherwise and the source gives no later moment: it was first
#   known now, so it becomes a row known as of now, and who reads the past still sees the past.
# Where the source dates its versions itself, one that is stored as it is stays, and one of an
# earlier moment is an earlier version that comes late: in whatever order they come, the table
# ends the same. A record that was corrected after `as_of` is left alone: this ingest repeats
# the past.
_NEWS = """
, given as (
    select *,
        row_number() over (partition by record_id order by known_time desc) = 1 as _dw_is_newest
    from delivered
), stored as (
    select record_id, known_time as _dw_stored_time, {content}
    from this semi join delivered using (record_id) {within}
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
        ) as _dw_is_stored,
        exists (
            from stored where stored.record_id = given.record_id
            and stored._dw_stored_time = given.known_time and {same_stored}
        ) as _dw_is_stored_so
    from given left join newest on newest.record_id = given.record_id
), settled as (
    select *, case
        when _dw_stored_time is null or known_time > _dw_stored_time then known_time
        when not _dw_is_newest or _dw_stored_time > {as_of}
            then if(_dw_is_stored, null, known_time)
        when {dated} and not _dw_is_stored then known_time
        when {dated} and _dw_is_stored_so then null
        when _dw_same then null
        when _dw_same_before then _dw_stored_time + interval 1 microsecond
        else greatest({as_of}, _dw_stored_time + interval 1 microsecond)
    end as _dw_settled_time
    from compared
)
select record_id, event_time, _dw_settled_time as known_time, {rest}, _dw_part,
    _dw_stored_time is null as _dw_is_first
from settled where _dw_settled_time is not null
order by event_time, record_id, known_time
"""

# Two hashes of 64 bits must agree before a row is taken for what is stored.
_SEEN = "select distinct hash(record_id) as id from this semi join wanted on hash(record_id) = id"
_UNCHANGED = """
, held as (
    select hash(record_id) as id, count(*) as versions, any_value({said}) as said
    from this where hash(record_id) in (select id from seen) {within}
    group by 1
)
select distinct held.id from held join (select _dw_row as id, {said} as said from delivered) as d
on held.id = d.id and held.said = d.said where versions = 1
"""


@dataclass
class Tally:
    """What turned out to be new, by part; `late` of it was known before the watermark."""

    new: Counter[int] = field(default_factory=Counter)
    late: Counter[int] = field(default_factory=Counter)

    def clear(self) -> None:
        """Begin anew."""
        self.new.clear()
        self.late.clear()

    def add(self, parts: pa.Array, late: pa.Array) -> None:
        """Count rows by the part that they came from."""
        numbers = parts.to_numpy()
        self.new.update(dict(enumerate(np.bincount(numbers).tolist())))
        chosen = numbers[late.to_numpy(zero_copy_only=False)]
        self.late.update(dict(enumerate(np.bincount(chosen).tolist())))


@dataclass(frozen=True)
class Claims:
    """What a delivery says of the rows of one table.

    Attributes
    ----------
    schema : Schema
        The columns of the table.
    read : callable
        Reads these columns, :data:`ROW` and :data:`PART`, batch by batch, anew each time.
    repeated : ndarray of uint64
        Hashes of the ids that stand on several rows, sorted.
    dated : bool
        Whether the source itself dates each version.
    within : tuple of Timestamp, optional
        Where ids are made of event times: the first and last one that is delivered.
    read_before : frozenset of str
        The columns that an earlier ingest has read.
    absent : frozenset of str
        The columns that the source has lost: their null corrects nothing.

    """

    schema: pa.Schema
    read: Callable[[], Iterator[pa.RecordBatch]]
    repeated: Ids
    dated: bool
    within: tuple[pd.Timestamp, pd.Timestamp] | None = None
    read_before: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    @property
    def content(self) -> list[str]:
        """What two versions of a row may differ in."""
        keys = {RECORD_ID, KNOWN_TIME}
        return [name for name in self.schema.names if name not in keys | self.absent]

    @property
    def rest(self) -> list[str]:
        """The columns beside the keys."""
        keys = {RECORD_ID, EVENT_TIME, KNOWN_TIME}
        return [name for name in self.schema.names if name not in keys]

    def rows(self, ids: Ids | None = None) -> Iterator[pa.RecordBatch]:
        """Read the rows, all or those of some ids."""
        for batch in self.read():
            kept = batch
            if ids is not None:
                kept = batch.filter(pa.array(marked(batch.column(ROW).to_numpy(), ids)))
            if kept.num_rows:
                yield kept

    def reader(self, ids: Ids | None = None) -> pa.RecordBatchReader:
        """Read the rows as one stream."""
        own = [pa.field(ROW, pa.uint64()), pa.field(PART, pa.int32())]
        return pa.RecordBatchReader.from_batches(pa.schema([*self.schema, *own]), self.rows(ids))


def find_news(
    claims: Claims,
    table: Reader,
    *,
    as_of: pd.Timestamp,
    watermark: pd.Timestamp | None,
    spill: Path,
    tally: Tally,
) -> pa.RecordBatchReader:
    """Select what a delivery adds to a table.

    Rows of ids that the table does not hold, each once, pass without a question: no window,
    no sort. Rows that stand in the table as they are do not pass. The others are compared.

    Parameters
    ----------
    claims : Claims
    table : Reader
    as_of : Timestamp
        When a correction without a moment of its own is known.
    watermark : Timestamp, optional
        New records that were known by then are counted as late.
    spill : Path
        A folder for what does not fit into memory.
    tally : Tally
        Counts what passes.

    Returns
    -------
    RecordBatchReader
        Of the table's columns.

    """
    seen, contested = _sort_out(claims, table, spill)
    passing = _passing(claims, distinct(seen, contested), watermark, tally)

    def batches() -> Iterator[pa.RecordBatch]:
        yield from passing
        if contested.size:
            yield from _compare(claims, contested, table, as_of, watermark, spill, tally)

    return pa.RecordBatchReader.from_batches(claims.schema, batches())


def ids_in(claims: Claims, table: Reader, ids: Ids, spill: Path) -> Ids:
    """Say which of some hashed ids a table holds, sorted."""
    if not ids.size or not table.handle.file_uris():
        return ids[:0]
    with table.session(spill) as session:
        return _seen(session, ids, claims)


def _sort_out(claims: Claims, table: Reader, spill: Path) -> tuple[Ids, Ids]:
    """Find the ids that the table holds, and those whose rows must be compared."""
    if not table.handle.file_uris():
        # An empty table contradicts nothing, and each version stands once.
        return claims.repeated[:0], claims.repeated[:0]
    # Copied: a view would hold the whole batch in memory.
    ids = [batch.column(ROW).to_numpy().copy() for batch in claims.rows()]
    if not ids:
        return claims.repeated[:0], claims.repeated[:0]
    wanted = distinct(*ids)
    del ids
    with table.session(spill) as session:
        seen = _seen(session, wanted, claims)
        if not seen.size:
            return seen, claims.repeated
        session.keep("seen", pa.table({"id": seen}))
        said = f"hash({_list([EVENT_TIME, KNOWN_TIME, *claims.content])})"
        sql = _UNCHANGED.format(said=said, within=_within(claims, "and"))
        found = session.query(sql, tables={"delivered": claims.reader()})
        same = found.column(0).to_numpy()
        unchanged = np.sort(same[~marked(same, claims.repeated)])
    known = distinct(seen, claims.repeated)
    return seen, known[~marked(known, unchanged)]


def _seen(session: Session, wanted: Ids, claims: Claims) -> Ids:
    sql = f"{_SEEN} {_within(claims, 'where')}"
    found = session.query(sql, tables={"wanted": pa.table({"id": wanted})})
    return np.sort(found.column(0).to_numpy())


def _passing(
    claims: Claims, without: Ids, watermark: pd.Timestamp | None, tally: Tally
) -> Iterator[pa.RecordBatch]:
    for batch in claims.rows():
        out = marked(batch.column(ROW).to_numpy(), without)
        kept = batch.filter(pa.array(~out)) if out.any() else batch
        if kept.num_rows:
            tally.add(kept.column(PART), _late(kept, watermark))
            yield kept.select(claims.schema.names)


def _compare(
    claims: Claims,
    contested: Ids,
    table: Reader,
    as_of: pd.Timestamp,
    watermark: pd.Timestamp | None,
    spill: Path,
    tally: Tally,
) -> Iterator[pa.RecordBatch]:
    content = claims.content
    with table.session(spill) as session:
        session.keep("delivered", claims.reader(contested))
        # A column that was never read is new in the pipeline file. Filling it corrects nothing:
        # the row stays known when it was, one microsecond later, so that it is the newer one.
        # One that was read, and empty, is filled with what nobody knew before.
        filled = _columns_with_values(session, content)
        before = [name for name in content if name in filled or name in claims.read_before]
        sql = _NEWS.format(
            content=_list(content),
            rest=_list(claims.rest),
            same=_same(content, "newest"),
            same_stored=_same(content, "stored"),
            same_before=_same(before, "newest") if len(before) < len(content) else "false",
            dated="true" if claims.dated else "false",
            as_of=f"timestamptz '{as_of.isoformat()}'",
            within=_within(claims, "where"),
        )
        for batch in session.stream(sql):
            first = batch.column("_dw_is_first")
            tally.add(batch.column(PART), pc.and_(first, _late(batch, watermark)))
            kept = batch.select(claims.schema.names)
            yield pa.RecordBatch.from_arrays(
                [
                    column.cast(field.type)
                    for column, field in zip(kept, claims.schema, strict=True)
                ],
                schema=claims.schema,
            )


def _late(batch: pa.RecordBatch, watermark: pd.Timestamp | None) -> pa.Array:
    if watermark is None:
        return pa.array(np.zeros(batch.num_rows, dtype=bool))
    known = batch.column(KNOWN_TIME)
    return pc.less_equal(known, pa.scalar(watermark, known.type))


def _columns_with_values(session: Session, names: Sequence[str]) -> list[str]:
    counts = ", ".join(f"count({quote(name)})" for name in names)
    counted = session.query(f"select {counts} from this")  # noqa: S608 - names are quoted
    return [name for name, column in zip(names, counted.columns, strict=True) if column[0].as_py()]


def _within(claims: Claims, word: str) -> str:
    """Prune the table where ids are made of event times: others cannot be the same record."""
    if claims.within is None:
        return ""
    first, last = (f"timestamptz '{moment.isoformat()}'" for moment in claims.within)
    return f"{word} event_time between {first} and {last}"


def _same(names: Sequence[str], stored: str) -> str:
    pairs = (f"given.{quote(n)} is not distinct from {stored}.{quote(n)}" for n in names)
    return " and ".join(pairs) or "true"


def _list(names: Sequence[str]) -> str:
    return ", ".join(quote(name) for name in dict.fromkeys(names))
