"""Read Parquet files in batches, only the columns that are needed."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import SourceError
from components.sources.parts import rows_at_once

# Without a buffer, whole columns of a row group are held at once; with one, so much of each.
_BUFFERS = 16 << 20
_LEAST_BUFFER = 1 << 16


def parquet_columns(path: Path) -> tuple[str, ...]:
    """Name the columns of a file.

    Raises
    ------
    SourceError
        If it is no whole Parquet file.

    """
    with _in_words(path), pq.ParquetFile(path) as file:
        return tuple(file.schema_arrow.names)


def parquet_batches(path: Path, columns: Sequence[str]) -> Generator[pa.RecordBatch, None, None]:
    """Read columns of a file.

    Raises
    ------
    SourceError
        If it is damaged; says after how many rows.

    """
    rows, most = 0, rows_at_once(len(columns))
    with _in_words(path) as place, _open(path, len(columns)) as file:
        for batch in file.iter_batches(most, columns=list(columns), use_threads=False):
            rows += batch.num_rows
            place[0] = f" after row {rows:,}"
            # A dotted name also finds the fields of a nested column.
            yield batch.select(list(columns)).replace_schema_metadata(None)


def _open(path: Path, columns: int) -> pq.ParquetFile:
    buffer = max(_LEAST_BUFFER, _BUFFERS // max(columns, 1))
    return pq.ParquetFile(
        path, buffer_size=buffer, pre_buffer=False, page_checksum_verification=True
    )


@contextmanager
def _in_words(path: Path) -> Iterator[list[str]]:
    place = [""]
    try:
        yield place
    except (pa.ArrowException, OSError) as problem:
        raise SourceError(
            f"{path} cannot be read as CSV (UTF-8, also gzipped or zipped) or Parquet{place[0]}: "
            f"{problem}. It is damaged or was not copied whole: deliver it again"
        ) from problem
