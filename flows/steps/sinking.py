"""Bring predictions back into the user's own table, once in effect.

The lake goes first: a prediction is committed there, then upserted into the sink by its id.
What was delivered is remembered as a version of the lake's table, after the sink has it; who
dies in between sends those rows again, over themselves.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from components.errors import SourceError, StoreError
from components.failpoints import failpoint
from components.pipelines import Pipeline, Sink
from components.records import INTERVAL_HIGH, INTERVAL_LOW, PREDICTION_SET, PREDICTIONS
from components.stores.lake.scratch import scratch
from flows.steps.erased import erased

if TYPE_CHECKING:
    from components.stores.lake import Reader
    from flows.steps.home import Home

KEY = "prediction_id"
_PLAIN = (KEY, "record_id", "event_time", "known_time", "model_version", "channel", "prediction")
_LISTS = ("probabilities", PREDICTION_SET)
# A shadow's answers went to nobody.
_NOT_GIVEN = ("shadow",)


def push_predictions(home: "Home", pipeline: Pipeline) -> int:
    """Upsert the predictions that the sink has not got yet.

    Run it again after a crash, or at any time: a row that comes twice replaces itself.

    Returns
    -------
    int
        How many rows were sent; 0 where the pipeline has no sink.

    Raises
    ------
    StoreUnreachableError
        If the sink does not answer. Nothing is lost: the next run sends the rest.
    StoreError
        If the user's own table cannot take the rows; says what to change.
    SourceError
        If the sink's address is not known here.

    """
    sink = pipeline.sink
    if sink is None or not home.lake.exists(pipeline.name, PREDICTIONS):
        return 0
    from components.stores.sql import upsert

    url = _address(sink, pipeline)
    named = f"the sink {sink.url} of {pipeline.name}"
    mark = _mark_of(sink, url)
    newest = home.lake.open(pipeline.name, PREDICTIONS)
    sent = 0
    for rows in _not_sent(home, pipeline, newest, home.ledger.mark(pipeline.name, mark)):
        sent += upsert(url, sink.table, _as_sent(rows), KEY, named=named)
        failpoint("sink-chunk-sent")
    home.ledger.set_mark(pipeline.name, mark, str(newest.version))
    return sent


def _not_sent(
    home: "Home", pipeline: Pipeline, newest: "Reader", mark: str | None
) -> Iterator[pa.Table]:
    """Read the rows that were added since the version that was sent."""
    from components.stores.lake.added import read_added

    if mark is not None and int(mark) >= newest.version:
        return
    before = _sent_before(home, pipeline, mark)
    columns = [name for name in _columns(pipeline) if name in newest.schema.names]
    with scratch("sink") as spill:
        added = read_added(newest, before, columns=columns, key=KEY, spill=spill)
        for rows in added:
            given = [channel not in _NOT_GIVEN for channel in rows["channel"].to_pylist()]
            # Asked each time: somebody may have been erased since the files were opened.
            gone = erased(home.lake, pipeline.name).mask(rows["record_id"].to_pandas())
            yield rows.filter(pa.array(given & ~gone, pa.bool_()))


def _columns(pipeline: Pipeline) -> list[str]:
    """Name what is sent; of intervals and thresholds only what the pipeline file asks for.

    A table of the user's own is never altered: what nobody asked for must not be missed in it.
    """
    numbers = pipeline.resolved_task == "regression"
    names = [*_PLAIN, "probabilities"]
    if pipeline.intervals is not None:
        names += [INTERVAL_LOW, INTERVAL_HIGH] if numbers else [PREDICTION_SET]
    return names if pipeline.decision is None else [*names, "threshold"]


def _sent_before(home: "Home", pipeline: Pipeline, mark: str | None) -> "Reader | None":
    """Open the version that was sent; one that is gone is as good as none: all is sent again."""
    if mark is None:
        return None
    try:
        return home.lake.open(pipeline.name, PREDICTIONS, version=int(mark))
    except StoreError:
        return None


def _as_sent(rows: pa.Table) -> pa.Table:
    """Lay predictions out for a database: lists as JSON text."""
    for name in set(rows.column_names).intersection(_LISTS):
        texts = [None if cell is None else json.dumps(cell) for cell in rows[name].to_pylist()]
        at = rows.column_names.index(name)
        rows = rows.set_column(at, name, pa.array(texts, pa.string()))
    return rows


def _address(sink: Sink, pipeline: Pipeline) -> str:
    try:
        return pipeline.address_of(sink)
    except ValueError as problem:
        raise SourceError(str(problem)) from problem


def _mark_of(sink: Sink, url: str) -> str:
    """Name the mark by where the rows go: another database, or table, starts from nothing."""
    from components.stores.sql import parse_address

    where = parse_address(url, "the sink").shown
    return "sink:" + hashlib.sha256(f"{where}\0{sink.table}".encode()).hexdigest()[:16]
