"""The rows that a model learnt from, read back without letting a small file become a huge table."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.errors import PackageError

MOST_ROWS = 100_000
"""Far beyond the sample that a package is written with."""

_MOST_CELLS = 20_000_000
_MOST_BYTES = 1 << 28
_CODECS = {"SNAPPY", "UNCOMPRESSED"}


def write_reference(frame: pd.DataFrame) -> bytes:
    """Write rows as Parquet; the same rows give the same bytes."""
    written = io.BytesIO()
    frame.reset_index(drop=True).to_parquet(written, engine="pyarrow", index=False)
    return written.getvalue()


def read_reference(content: bytes, source: str) -> pd.DataFrame:
    """Read what :func:`write_reference` wrote.

    Parameters
    ----------
    content : bytes
        Of a file of bounded size.
    source : str
        Named in errors.

    Raises
    ------
    PackageError
        If it is no Parquet file, or holds more than a sample of rows may.

    """
    try:
        file = pq.ParquetFile(io.BytesIO(content))
        _check_size(file.metadata, source)
        texts = [f.name for f in file.schema_arrow if _is_text(f.type)]
        # A word may stand in a hundred thousand rows and once in the file: it is counted first.
        packed = pq.ParquetFile(io.BytesIO(content), read_dictionary=texts).read()
        size = sum(_unpacked(column) for column in packed.columns)
        if size > _MOST_BYTES:
            raise PackageError(f"{source} unpacks to {size} bytes; at most {_MOST_BYTES} are read")
        return pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError) as problem:
        raise PackageError(f"{source} cannot be read ({problem}); fetch it again") from problem


def _check_size(stated: pq.FileMetaData, source: str) -> None:
    rows, columns = stated.num_rows, stated.num_columns
    if rows > MOST_ROWS or rows * columns > _MOST_CELLS:
        raise PackageError(
            f"{source} holds {rows} rows of {columns} columns; a package has at most {MOST_ROWS} "
            f"rows and {_MOST_CELLS} cells"
        )
    groups = [stated.row_group(at) for at in range(stated.num_row_groups)]
    chunks = [group.column(at) for group in groups for at in range(group.num_columns)]
    other = {chunk.compression for chunk in chunks} - _CODECS
    if other:
        raise PackageError(f"{source} is packed with {', '.join(sorted(other))}; ours never are")
    size = sum(chunk.total_uncompressed_size for chunk in chunks)
    if size > _MOST_BYTES:
        raise PackageError(f"{source} unpacks to {size} bytes; at most {_MOST_BYTES} are read")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _unpacked(column: pa.ChunkedArray) -> int:
    """Bytes of a column once each word is written out in every row."""
    size = 0
    for chunk in column.chunks:
        if isinstance(chunk, pa.DictionaryArray):
            lengths = pc.binary_length(chunk.dictionary)
            size += pc.sum(lengths.take(chunk.indices)).as_py() or 0
        else:
            size += chunk.nbytes
    return size
