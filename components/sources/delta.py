"""A Delta table of the user's own as a source: its newest version, one part a data file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from components.errors import SourceError, StoreError
from components.sources.ahead import ahead
from components.sources.columnar import parquet_batches, parquet_columns
from components.sources.parts import Part, chosen, regroup

if TYPE_CHECKING:
    from components.stores.lake.foreign import DataFile

_LOG = "_delta_log"


def is_delta(path: Path) -> bool:
    """Say whether a folder is a Delta table."""
    return (path / _LOG).is_dir()


@dataclass(frozen=True, slots=True)
class DeltaFeed:
    """A source that is a Delta table in a folder."""

    path: Path
    needed: Sequence[str]

    @property
    def shown(self) -> str:
        """The path."""
        return str(self.path)

    def parts(self, *, since: pd.Timestamp | None = None) -> Iterator[Part]:  # noqa: ARG002 - files are told apart by digest
        """List the data files of the newest version, oldest first."""
        from components.stores.lake.foreign import list_files

        try:
            schema, files = list_files(self.path)
        except StoreError as problem:
            raise SourceError(str(problem)) from problem
        columns = chosen(schema.names, self.needed, self.shown)
        for file in files:
            read = partial(_rows, file, schema, columns)
            # Data files are never written again: their name and size stand for their content.
            yield Part(file.name, tuple(schema.names), read, partial(str, file.digest))


def _rows(file: "DataFile", schema: pa.Schema, columns: list[str]) -> Iterator[pa.RecordBatch]:
    present = parquet_columns(file.path)
    # One column tells the number of rows, even where all that are needed stand in the path.
    there = [name for name in present if name in columns] or list(present[:1])
    found = ahead(parquet_batches(file.path, there))
    return regroup(_complete(batch, file, schema, columns) for batch in found)


def _complete(
    batch: pa.RecordBatch, file: "DataFile", schema: pa.Schema, columns: list[str]
) -> pa.RecordBatch:
    """Add what the table knows and the file does not hold: partition values, later columns."""
    arrays = []
    for name in columns:
        if name in batch.schema.names:
            arrays.append(batch.column(name))
            continue
        value = pa.scalar(file.partition.get(name), schema.field(name).type)
        arrays.append(pa.repeat(value, batch.num_rows))
    return pa.RecordBatch.from_arrays(arrays, names=columns)
