"""Say what a delivery holds for each table that it goes into."""

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from components.checks import LABEL_KNOWN
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    RECORD_ID,
    label_schema,
    record_schema,
)
from components.stores.lake import ROW
from flows.steps.arriving import PART, Delivered
from flows.steps.news import Claims


def claims_of_records(
    delivered: Delivered, pipeline: Pipeline, *, read_before: frozenset[str] = frozenset()
) -> Claims:
    """Say what a delivery holds for `records`; see :class:`Claims`."""
    schema = record_schema(pipeline)
    extent = delivered.extent
    # Only an id made of the event time cannot come back at another time.
    within = extent if pipeline.id is None else None
    return Claims(
        schema,
        partial(delivered.batches, [*schema.names, ROW, PART]),
        delivered.repeated,
        dated=pipeline.updated is not None,
        within=within,
        read_before=read_before,
        absent=delivered.absent,
    )


def claims_of_labels(delivered: Delivered, pipeline: Pipeline) -> Claims:
    """Say what a delivery holds for `labels`: what each version of a record says of it."""
    schema = label_schema(pipeline)
    columns = [RECORD_ID, EVENT_TIME, KNOWN_TIME, LABEL, LABEL_KNOWN, ROW, PART]
    order = [*schema.names, ROW, PART]

    def read() -> Iterator[pa.RecordBatch]:
        for batch in delivered.batches(columns):
            given = batch.filter(pc.is_valid(batch.column(LABEL)))
            # What a version says is known when both the label and the version are, so that
            # each row answers for itself, in whatever order the versions come.
            label, version = given.column(LABEL_KNOWN), given.column(KNOWN_TIME)
            known = pc.if_else(pc.greater(label, version), label, version)
            place = given.schema.get_field_index(KNOWN_TIME)
            yield given.set_column(place, given.schema.field(place), known).select(order)

    within = delivered.extent if pipeline.id is None else None
    dated = pipeline.updated is not None
    return Claims(schema, read, delivered.repeated, dated=dated, within=within)


def claims_of_truth(delivered: Delivered, pipeline: Pipeline) -> Claims:
    """Say what a table of labels of its own holds; each of its rows says when it was known."""
    schema = label_schema(pipeline)
    columns = [*schema.names, ROW, PART]
    return Claims(schema, partial(delivered.batches, columns), delivered.repeated, dated=True)
