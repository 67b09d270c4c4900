"""Read the rows that came into a table after one of its versions."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import StoreError
from components.stores.lake.places import is_remote, local_files
from components.stores.lake.reading import Reader

_ROWS = 50_000


def read_added(
    newest: Reader, before: Reader | None = None, *, columns: Sequence[str]
) -> Iterator[pa.Table]:
    """Read the rows of the files that a table has now and had not at a version before.

    After a compaction rows that are older come again: they stand in a new file.

    Parameters
    ----------
    newest : Reader
    before : Reader, optional
        The version whose rows are known; none by default: everything is read.
    columns : sequence of str

    Yields
    ------
    Table
        Of at most 50,000 rows, with the table's own types.

    Raises
    ------
    StoreError
        If a file cannot be read.

    """
    known = set(before.handle.file_uris()) if before is not None else set()
    files = [uri for uri in newest.handle.file_uris() if uri not in known]
    wanted = pa.schema([newest.schema.field(name) for name in columns])
    if not files:
        return
    if is_remote(files[0]):
        found = newest.read(columns=columns)
        yield from (found.slice(start, _ROWS) for start in range(0, found.num_rows, _ROWS))
        return
    yield from _together(rows for file in local_files(files) for rows in _read(file, wanted))


def _together(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join the rows of many small files."""
    held: list[pa.Table] = []
    for rows in tables:
        if held and sum(one.num_rows for one in held) + rows.num_rows > _ROWS:
            yield pa.concat_tables(held)
            held = []
        held.append(rows)
    if held:
        yield pa.concat_tables(held)


def _read(file: str, wanted: pa.Schema) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(file) as opened:
            there = [name for name in wanted.names if name in opened.schema_arrow.names]
            for batch in opened.iter_batches(_ROWS, columns=there):
                rows = pa.Table.from_batches([batch])
                for field in wanted:
                    if field.name not in there:
                        empty = pa.nulls(rows.num_rows, field.type)
                        rows = rows.append_column(field, empty)
                yield rows.select(wanted.names).cast(wanted)
    except (pa.ArrowException, OSError) as problem:
        raise StoreError(f"{file} of the lake cannot be read: {problem}") from problem
