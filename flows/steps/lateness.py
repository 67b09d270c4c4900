"""Set aside what comes later than its source is allowed to be."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.checks import late_lines
from components.pipelines import Pipeline
from components.pipelines.data import Source
from components.records import KNOWN_TIME, quarantine_schema, to_arrow, to_frame
from components.stores.lake import ROW, Reader, marked
from components.stores.lake.staging import distinct
from flows.steps.arriving import Delivered
from flows.steps.news import Claims, ids_in


def set_late_aside(
    delivered: Delivered,
    claims: Claims,
    table: Reader,
    pipeline: Pipeline,
    source: Source,
    *,
    watermark: pd.Timestamp,
    spill: Path,
) -> None:
    """Exclude new records that came too late, with a line each.

    A row that was known before the watermark and that no earlier ingest found has come after
    the watermark. It is too late when it was known more than `lateness` before that moment.
    Corrections of records that the table holds are never late.

    Parameters
    ----------
    delivered : Delivered
        Changed: `excluded` and `faults`.
    claims : Claims
        What it says of the rows of the table.
    table : Reader
    pipeline : Pipeline
    source : Source
        With a lateness.
    watermark : Timestamp
        Everything that the source held as known by then was taken by an earlier ingest.
    spill : Path
        A folder for what does not fit into memory.

    """
    if source.lateness is None:
        return
    limit = pa.scalar(watermark - source.lateness, claims.schema.field(KNOWN_TIME).type)
    old, others = [], []
    for batch in claims.read():
        before = pc.less(batch.column(KNOWN_TIME), limit)
        ids = batch.column(ROW).to_numpy()
        chosen = before.to_numpy(zero_copy_only=False)
        old.append(ids[chosen])
        others.append(ids[~chosen])
    if not sum(map(len, old)):
        return
    candidates = distinct(*old)
    # A record of which another version is in time is no late record.
    candidates = candidates[~marked(candidates, distinct(*others))]
    late = candidates[~marked(candidates, ids_in(claims, table, candidates, spill))]
    if not late.size:
        return
    for batch in claims.read():
        rows = batch.filter(pa.array(marked(batch.column(ROW).to_numpy(), late)))
        lines = late_lines(to_frame(pa.Table.from_batches([rows])), pipeline, source)
        delivered.faults.add(to_arrow(lines, quarantine_schema()))
    delivered.excluded = late
