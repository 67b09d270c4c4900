"""What a source delivers: parts, each one file or one answer, read in batches of bounded size."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import pandas as pd
import pyarrow as pa

from components.errors import SourceError

BATCH_ROWS = 100_000
"""A batch holds at most about so many rows: at 20 columns of text some 40 MB."""
_BATCH_CELLS = 4_000_000
_FEWEST_ROWS = 1_000


def _unknown() -> str:
    return ""


@dataclass(frozen=True)
class Part:
    """One file, or one answer of a database or function.

    Attributes
    ----------
    name : str
        For people: the file, or where the answer came from; never with a password.
    columns : tuple of str
        As they stand there, in order; a name that stands twice is here twice.
    read : callable
        Gives the rows; see :meth:`batches`.
    fingerprint : callable
        Gives the digest.

    """

    name: str
    columns: tuple[str, ...]
    read: Callable[[], Iterator[pa.RecordBatch]] = field(repr=False, compare=False)
    fingerprint: Callable[[], str] = field(default=_unknown, repr=False, compare=False)

    @cached_property
    def digest(self) -> str:
        """Equal digests mean equal content; empty where it cannot be known beforehand."""
        return self.fingerprint()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read the rows, in batches of bounded size.

        Columns are raw: text from CSV (an empty field is null), typed from anything else.
        A type may change from batch to batch where the source has none (SQLite, Python).

        Raises
        ------
        SourceError
            If the part cannot be read to its end, or changes meanwhile. What was yielded
            before must not be kept: a checksum, say, stands at the end of a file.
        StoreUnreachableError
            If a database goes away.

        """
        return self.read()


class Feed(Protocol):
    """A source that has been opened."""

    @property
    def shown(self) -> str:
        """Names the source for people; never with a password."""
        ...

    def parts(self, *, since: pd.Timestamp | None = None) -> Iterator[Part]:
        """List the parts, in a stable order.

        Parameters
        ----------
        since : Timestamp, optional
            UTC. What was known before then has been taken, and what may come late is counted
            in. A hint: more may come.

        Raises
        ------
        SourceError
            If the source is missing, empty, or cannot be read.
        StoreUnreachableError
            If a database does not answer.

        """
        ...


def rows_at_once(columns: int) -> int:
    """Say how many rows a batch of so many columns may hold."""
    return max(_FEWEST_ROWS, min(BATCH_ROWS, _BATCH_CELLS // max(columns, 1)))


def regroup(batches: Iterable[pa.RecordBatch], most: int | None = None) -> Iterator[pa.RecordBatch]:
    """Join small batches and cut large ones, to at most `most` rows, fewer where they are wide.

    Types may change in between.
    """
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        rows = most or rows_at_once(batch.num_columns)
        if held and (count + batch.num_rows > rows or batch.schema != held[0].schema):
            yield from _joined(held, most)
            held, count = [], 0
        if not held and rows // 2 < batch.num_rows <= rows:
            yield batch  # as it is: joining would copy it
        elif batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    yield from _joined(held, most)


def _joined(batches: list[pa.RecordBatch], most: int | None) -> Iterator[pa.RecordBatch]:
    if batches:
        rows = most or rows_at_once(batches[0].num_columns)
        table = pa.Table.from_batches(batches)
        yield from table.combine_chunks().to_batches(max_chunksize=rows)


def once(names: Iterable[str]) -> list[str]:
    """Name the columns that stand once: of two with the same name neither can be meant."""
    given = list(names)
    counts = dict.fromkeys(given, 0)
    for name in given:
        counts[name] += 1
    return [name for name, count in counts.items() if count == 1]


def chosen(present: Iterable[str], needed: Iterable[str], shown: str) -> list[str]:
    """Choose the columns to read: those needed that are there; all, where none is needed.

    Raises
    ------
    SourceError
        If a needed column stands twice.

    """
    given, wanted = list(present), list(needed)
    twice = [name for name in wanted if given.count(name) > 1]
    if twice:
        raise SourceError(f"column {twice[0]!r} stands twice in {shown}; rename one of them")
    there = set(given)
    return [name for name in wanted if name in there] if wanted else once(given)


def frame_of(batch: pa.RecordBatch | pa.Table) -> pd.DataFrame:
    """Turn raw rows into a frame in which no value has changed.

    Whole numbers with gaps stay whole (``Int64``): as floats, ids above 2**53 would change.
    An index that pandas wrote into a file is a column like the others.
    """
    table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    for place, column in enumerate(table.columns):
        if column.null_count and pa.types.is_integer(column.type):
            kept = column.to_pandas(types_mapper=_whole)
            frame.isetitem(place, kept)
    return frame


def _whole(_: pa.DataType) -> pd.Int64Dtype:
    return pd.Int64Dtype()
