"""Find what a column last held before a record: the stand-in that `fallback: last` asks for."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from components.fallbacks import ONLY_THE_MISSING
from components.pipelines import Pipeline
from components.records import EVENT_TIME, RECORD_ID, RECORDS, UTC_TIME
from components.stores.lake import quote
from components.stores.lake.scratch import scratch

if TYPE_CHECKING:
    from components.faults import Fault
    from flows.steps.home import Home

_LAST_GOOD = """
, good as (
    select {entity} as entity, event_time,
        arg_max({column}, {{'known': known_time, 'id': record_id}}) as value
    from this where known_time <= {as_of} and {column} is not null {unspoiled}
    group by all
)
select wanted.record_id, good.value
from wanted asof join good on wanted.entity = good.entity and wanted.event_time > good.event_time"""


def last_good(
    home: "Home",
    pipeline: Pipeline,
    rows: pd.DataFrame,
    name: str,
    faults: Iterable["Fault"],
    *,
    as_of: pd.Timestamp,
) -> dict[str, Any]:
    """Find the last value of a column: of the same entity, else of any.

    It is sought among the records known by `as_of`, of events before that of the row, outside
    the stretch of any data fault that made the column's values wrong. The records pass through
    DuckDB, within a bound of memory.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        `record_id`, `event_time` and the entity, if there is one.

    Returns
    -------
    dict
        By record id; a record before which nothing is known is left out.

    """
    records = home.lake.open(pipeline.name, RECORDS)
    values: dict[str, Any] = {}
    if name not in records.schema.names:
        return values
    told = {"as_of": _moment(as_of), "column": quote(name)}
    told["unspoiled"] = "".join(_outside(one) for one in faults if name in one.columns)
    for whose in dict.fromkeys([None, pipeline.entity]):
        sql = _LAST_GOOD.format(**told, entity="''" if whose is None else quote(whose))
        wanted = _asked(rows, whose)
        with scratch("score") as spill, records.session(spill) as session:
            last = session.query(sql, tables={"wanted": wanted}).to_pydict()
        values |= dict(zip(last[RECORD_ID], last["value"], strict=True))
    return values


def _asked(rows: pd.DataFrame, whose: str | None) -> pa.Table:
    of: Sequence[Any] | pd.Series = [""] * len(rows) if whose is None else rows[whose]
    return pa.table(
        {
            RECORD_ID: pa.array(rows[RECORD_ID], pa.string()),
            EVENT_TIME: pa.array(rows[EVENT_TIME], UTC_TIME),
            "entity": pa.array(of, pa.string()),
        }
    )


def _outside(fault: "Fault") -> str:
    """Leave out the stretch of a fault that makes values wrong, not one that leaves them out."""
    if fault.fault in ONLY_THE_MISSING or fault.fault == "missing_period":
        return ""
    since, until = _moment(fault.since), _moment(fault.until)
    return f" and not (event_time >= {since} and event_time < {until})"


def _moment(time: pd.Timestamp) -> str:
    return f"timestamptz '{time.isoformat()}'"
