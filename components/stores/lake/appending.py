"""Append rows to a table, so that memory stays flat however many there are."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import pyarrow as pa
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)

from components.errors import StoreError
from components.failpoints import failpoint
from components.records import EVENT_TIME, KNOWN_TIME, RECORD_ID
from components.stores.lake.reading import Reader

Given: TypeAlias = "pa.Table | pa.RecordBatchReader"
# Batches that are read once cannot be tried twice: only a callable may give a reader.
Rows: TypeAlias = "pa.Table | Callable[[Reader], Given | None]"

# A writer holds a whole row group in memory: 131,072 rows of 20 columns are 25 MB. Snappy,
# the default, and this size cost the same time; the default size costs 600 MB more.
_ROWS_A_GROUP = 1 << 17
# What names a row, or its moment, hardly comes twice: a dictionary of it is built for nothing.
# Without one, 2 million rows of 20 columns took 1.0 s of CPU instead of 1.5, and 12 % less room.
_WITHOUT_DICTIONARY = (RECORD_ID, EVENT_TIME, KNOWN_TIME, "prediction_id")


class Counted:
    """Batches of exactly the table's columns, counted as they pass."""

    def __init__(self, given: Given, schema: pa.Schema) -> None:
        self.rows = 0
        self.problem: Exception | None = None
        self._schema = schema
        self._conform = Conforming(given.schema, schema)
        batches = given.to_batches() if isinstance(given, pa.Table) else given
        self._rest = iter(batches)
        self._first = self._next()

    @property
    def empty(self) -> bool:
        """Whether there is no row at all."""
        return self._first is None

    def reader(self) -> pa.RecordBatchReader:
        """Give the rows, once."""
        return pa.RecordBatchReader.from_batches(self._schema, self._pass())

    def _pass(self) -> Iterator[pa.RecordBatch]:
        batch, self._first = self._first, None
        try:
            while batch is not None:
                self.rows += batch.num_rows
                yield self._conform(batch)
                batch = self._next()
        except Exception as problem:
            self.problem = problem  # the writer passes on no more than its text
            raise

    def _next(self) -> pa.RecordBatch | None:
        return next((batch for batch in self._rest if batch.num_rows), None)


class Conforming:
    """Gives batches exactly a table's columns; what they lack is null.

    Raises
    ------
    StoreError
        If they hold a column that the table has not.

    """

    def __init__(self, given: pa.Schema, schema: pa.Schema) -> None:
        unknown = sorted(set(given.names) - set(schema.names))
        if unknown:
            raise StoreError(
                f"the table has no column {', '.join(unknown)}; it has {', '.join(schema.names)}"
            )
        self._schema = schema
        self._lacking = [field for field in schema if field.name not in given.names]

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Conform one batch."""
        columns: dict[str, Any] = dict(zip(batch.schema.names, batch.columns, strict=True))
        for field in self._lacking:
            columns[field.name] = pa.nulls(batch.num_rows, field.type)
        try:
            arrays = [columns[field.name].cast(field.type) for field in self._schema]
            made = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
            made.validate()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as problem:
            raise StoreError(f"the rows do not fit the table's columns: {problem}") from problem
        return made


def append(
    handle: DeltaTable,
    rows: Counted,
    *,
    transaction: Transaction,
    about: Mapping[str, str],
    retries: int | None,
) -> int:
    """Write rows and commit them with this very handle; returns how many.

    Raises
    ------
    CommitFailedError
        If somebody else was faster.
    StoreError
        If the rows do not fit, or could not be read to their end; nothing is committed.

    """
    failpoint("before-commit")
    try:
        write_deltalake(
            handle,
            rows.reader(),
            mode="append",
            writer_properties=_writing(),
            commit_properties=CommitProperties(
                custom_metadata=dict(about) or None,
                max_commit_retries=retries,
                app_transactions=[transaction],
            ),
        )
    except Exception:
        if rows.problem is not None:
            raise rows.problem from None
        raise
    failpoint("after-commit")
    return rows.rows


def _writing() -> WriterProperties:
    plain = ColumnProperties(dictionary_enabled=False)
    return WriterProperties(
        max_row_group_size=_ROWS_A_GROUP,
        compression="SNAPPY",
        column_properties=dict.fromkeys(_WITHOUT_DICTIONARY, plain),
    )
