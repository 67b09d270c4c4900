"""Predictions with their labels, as of a moment or at maturity.

Labels are late and are corrected, so a join of predictions with labels is a question of time:
what was known at this moment, or what is known once an event has reached this age. The first
may look worse or better than the second, since how long a label takes is not random. Both
stream through DuckDB within a bound of memory, whatever the number of rows.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any, TypeAlias

import duckdb
import pandas as pd
import pyarrow as pa

from components.errors import StoreError
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID

LABEL_KNOWN = "label_known_time"
"""When the label that was joined became known."""
Rows: TypeAlias = "pa.Table | pa.dataset.Dataset | Sequence[str]"
_BATCH = 100_000

# Of versions known at the same time the one whose label sorts last counts, so that the order
# of files decides nothing. A label that was taken back is a null, and hides the one before.
# Most records have one label: only the others pay for a comparison of both (1.4 times as much),
# and both kinds meet before the join, so that predictions look once.
_ONCE = f"""
    select {RECORD_ID}, any_value({LABEL}) as {LABEL}, max({KNOWN_TIME}) as {LABEL_KNOWN},
        count(*) > 1 as several
    from {{labels}} where {KNOWN_TIME} <= $as_of group by {RECORD_ID}"""  # noqa: S608
_NEWEST = f"""
    select {RECORD_ID}, max(struct_pack(known := {KNOWN_TIME}, label := {LABEL})) as newest
    from {{labels}} where {KNOWN_TIME} <= $as_of
    and {RECORD_ID} in (select {RECORD_ID} from once where several)
    group by {RECORD_ID}"""  # noqa: S608
_AS_OF = f"""
    select * from (with once as materialized ({_ONCE}), again as ({_NEWEST}), said as (
        select {RECORD_ID}, {LABEL}, {LABEL_KNOWN} from once where not several
        union all select {RECORD_ID}, newest.label, newest.known from again)
    select made.*, said.{LABEL}, said.{LABEL_KNOWN}
    from (select * from {{predictions}} where {KNOWN_TIME} <= $as_of) as made
    left join said using ({RECORD_ID}))"""  # noqa: S608
_VERSIONS = f"""
    select {RECORD_ID}, {LABEL}, {KNOWN_TIME} as {LABEL_KNOWN}, lead({KNOWN_TIME}) over (
        partition by {RECORD_ID} order by {KNOWN_TIME}, {LABEL} nulls last) as superseded
    from {{labels}} where {KNOWN_TIME} <= $as_of"""  # noqa: S608
_AT_AGE = f"""
    select made.*, said.{LABEL}, said.{LABEL_KNOWN}
    from (select * from {{predictions}} where {KNOWN_TIME} <= $as_of) as made
    left join ({_VERSIONS}) as said on made.{RECORD_ID} = said.{RECORD_ID}
    and said.{LABEL_KNOWN} <= made.{EVENT_TIME} + to_microseconds($age)
    and coalesce(said.superseded > made.{EVENT_TIME} + to_microseconds($age), true)"""  # noqa: S608
_EVER = pd.Timestamp("9999-01-01", tz="UTC")


def label_predictions(
    predictions: "Rows | pa.RecordBatchReader",
    labels: Rows,
    *,
    as_of: pd.Timestamp | None = None,
    age: timedelta | None = None,
    memory: str = "1GB",
) -> pa.RecordBatchReader:
    """Join predictions with the newest label known at a moment, or by an age of the event.

    Parameters
    ----------
    predictions : Table, RecordBatchReader, Dataset or sequence of str
        With `record_id`, `event_time` and `known_time`; or names of Parquet files.
    labels : Table, Dataset or sequence of str
        Every version: `record_id`, `known_time` and `label`. They are read twice.
    as_of : Timestamp, optional
        What was known then: predictions made by it, with labels known by it. By default
        whatever is known.
    age : timedelta, optional
        At maturity: only labels known by the event time plus `age`.
    memory : str
        How much DuckDB may hold before it spills to a temporary folder.

    Returns
    -------
    RecordBatchReader
        Each prediction once, in no order, with `label` and `label_known_time`: both null
        where no label was known. It reads as it is asked, and cleans up when read to its end.

    Raises
    ------
    StoreError
        If a file cannot be read, or lacks a column that is needed.

    """
    sql, params = labelled_query("dw_predictions", "dw_labels", as_of=as_of, age=age)
    try:
        with ExitStack() as stack:
            connection = _connect(stack, memory)
            for name, rows in (("dw_predictions", predictions), ("dw_labels", labels)):
                _offer(connection, name, rows)
            found = connection.sql(sql, params=params).to_arrow_reader(_BATCH)
            held = stack.pop_all()
    except (duckdb.Error, OSError) as problem:
        raise StoreError(
            "a join of predictions with labels needs record_id, event_time and known_time of "
            "the former, record_id, known_time and label of the latter, in files that can be "
            f"read. Got: {problem}"
        ) from problem
    return pa.RecordBatchReader.from_batches(found.schema, _drained(found, held))


def labelled_query(
    predictions: str = "this",
    labels: str = "labels",
    *,
    as_of: pd.Timestamp | None = None,
    age: timedelta | None = None,
) -> tuple[str, dict[str, Any]]:
    """Write the join of :func:`label_predictions` as SQL, for a reader of the lake.

    Parameters
    ----------
    predictions, labels : str
        Names of tables, as ``Reader.query`` knows them: the table itself is `this`.

    Returns
    -------
    sql : str
    params : dict
        The values of its ``$names``.

    """
    known = {"as_of": _EVER if as_of is None else as_of}
    if age is None:
        return _AS_OF.format(predictions=predictions, labels=labels), known
    sql = _AT_AGE.format(predictions=predictions, labels=labels)
    return sql, {**known, "age": age // timedelta(microseconds=1)}


def _connect(stack: ExitStack, memory: str) -> duckdb.DuckDBPyConnection:
    """Open an engine of one's own, that spills into a folder of its own; the stack closes both."""
    # Who only writes SQL needs no lake.
    from components.stores.lake.engine import same_everywhere
    from components.stores.lake.scratch import scratch

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "temp_directory": str(stack.enter_context(scratch("join"))),
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    connection = stack.enter_context(closing(duckdb.connect(config=config)))
    same_everywhere(connection)
    return connection


def _offer(
    connection: duckdb.DuckDBPyConnection, name: str, rows: "Rows | pa.RecordBatchReader"
) -> None:
    """Give rows a name; files are read by DuckDB itself, only the columns that it needs."""
    if isinstance(rows, (list, tuple)):
        connection.read_parquet([str(file) for file in rows]).create_view(name)
    else:
        connection.register(name, rows)


def _drained(found: pa.RecordBatchReader, held: ExitStack) -> Iterator[pa.RecordBatch]:
    """Pass the batches on, then close what they came from."""
    with held:
        yield from found
