"""Read the rows that came into a table after one of its versions."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import StoreError
from components.stores.lake.places import is_remote, local_files
from components.stores.lake.reading import Reader, quote

_ROWS = 50_000


def read_added(
    newest: Reader,
    before: Reader | None = None,
    *,
    columns: Sequence[str],
    key: str,
    spill: Path | None = None,
) -> Iterator[pa.Table]:
    """Read the rows that a table has now and had not at a version before.

    Rows that a compaction, or an erasure, has only written into another file are told by their
    key from those that are new; while the file that they stood in before is still there, that
    is: who asks less often than `maintain` runs is given them again.

    Parameters
    ----------
    newest : Reader
    before : Reader, optional
        The version whose rows are known; none by default: everything is read.
    columns : sequence of str
    key : str
        The column that names a row.
    spill : Path, optional
        A folder for what does not fit into memory.

    Yields
    ------
    Table
        Of at most about 50,000 rows, with the table's own types.

    Raises
    ------
    StoreError
        If a file cannot be read.

    """
    standing = newest.handle.file_uris()
    known = before.handle.file_uris() if before is not None else []
    files = sorted(set(standing) - set(known), key=standing.index)
    wanted = pa.schema([newest.schema.field(name) for name in columns])
    if not files:
        return
    rewritten = newest.present(sorted(set(known) - set(standing)))
    if rewritten or is_remote(files[0]):
        yield from _asked(newest, files, rewritten, wanted, key, spill)
        return
    yield from _together(rows for file in local_files(files) for rows in _read(file, wanted))


def _asked(
    newest: Reader,
    files: Sequence[str],
    rewritten: Sequence[str],
    wanted: pa.Schema,
    key: str,
    spill: Path | None,
) -> Iterator[pa.Table]:
    chosen = ", ".join(quote(name) for name in wanted.names)
    sql = f"select {chosen} from this"  # noqa: S608 - names are quoted
    if rewritten:
        sql += f" anti join others using ({quote(key)})"
    with newest.session(spill, files=files, others=rewritten) as session:
        for batch in session.stream(sql, rows=_ROWS):
            if batch.num_rows:
                yield pa.Table.from_batches([batch]).cast(wanted)


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
