"""Read a source, complete the pipeline file from it, and say what it held at a moment."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from components.checks import (
    LABEL_KNOWN,
    check_rows,
    needed_columns,
    require_columns,
    require_names,
)
from components.errors import SourceError
from components.pipelines import Column, Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID, to_frame
from components.values import parse_numbers, parse_text

_GZIP, _ZIP, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"
_SEPARATORS = ",;\t|"
_HEAD_ROWS = 10_000
_HEAD_BYTES = 1 << 20
_UNREADABLE = (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile)

# A numeric target of more distinct values than this is a quantity, of fewer a class.
_MOST_CLASSES = 20
_BOTH = 2
# Text of which more than half the values are distinct names rows; there is nothing to learn.
_FEWEST_TO_TELL = 50


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a source held, as known at a moment, checked.

    Attributes
    ----------
    records : DataFrame
        `record_id`, `event_time`, `known_time`, then the features.
    labels : DataFrame
        `record_id`, `event_time`, `known_time`, `label`.
    quarantine : DataFrame
        One line a broken rule.

    """

    records: pd.DataFrame
    labels: pd.DataFrame
    quarantine: pd.DataFrame


def read_source(pipeline: Pipeline) -> pd.DataFrame:
    """Read the source: CSV (also gzipped or zipped) or Parquet, told apart by content.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The columns that the pipeline file names, all where it names no features. CSV comes
        as text, so that `007` stays `007`; Parquet keeps its types.

    Raises
    ------
    SourceError
        If the file is missing, unreadable or empty, or lacks a column.

    """
    return _read(pipeline, head=False)


def resolve(pipeline: Pipeline) -> Pipeline:
    """Fill what a pipeline file leaves to the data: its columns and its task.

    Columns that serve as time, target, id and so on are left out, and so are times, names
    (text of which most values are distinct) and columns without a value. The source is
    read only if something is missing; then its first 10,000 rows decide.

    Raises
    ------
    SourceError
        If the source cannot be read, leaves no feature, or its target never varies.
    PipelineFileError
        If a feature has a name that the tables need themselves.

    """
    if pipeline.columns and pipeline.task is not None:
        return pipeline
    head = _read(pipeline, head=True)
    if head[pipeline.target].nunique() < _BOTH or head.isna().all().any():
        head = _read(pipeline, head=False)
    columns = pipeline.columns or _columns_of(head, pipeline)
    if not columns:
        raise SourceError(
            f"{pipeline.source.path} leaves no feature to learn from besides time and target; "
            "name some under 'columns'"
        )
    task = pipeline.task or _task_of(head[pipeline.target], pipeline)
    resolved = pipeline.model_copy(update={"columns": columns, "task": task})
    require_names(resolved)
    return resolved


def deliver(pipeline: Pipeline, *, as_of: pd.Timestamp) -> Delivery:
    """Say what the source held as known at a moment, checked.

    Parameters
    ----------
    pipeline : Pipeline
        Completed by :func:`resolve` where it is not yet.
    as_of : Timestamp
        UTC. A record is known at its `updated` column, else at its event time; a label at
        its own time, else at event time plus label delay.

    Returns
    -------
    Delivery
        Everything known by `as_of`, what was known exactly then included.

    Raises
    ------
    SourceError
        If the source cannot be read or is not of the shape that the pipeline file states.

    """
    pipeline = resolve(pipeline)
    checked = check_rows(read_source(pipeline), pipeline, as_of=as_of)
    records = checked.good[[RECORD_ID, EVENT_TIME, KNOWN_TIME, *pipeline.features]]
    return Delivery(records, _labels(checked.good), checked.quarantine)


def _labels(good: pd.DataFrame) -> pd.DataFrame:
    """Take the labels of all record versions, each value once.

    A later version of a record that changes the label is a correction: it was known when
    that version was.
    """
    rows = good[good[LABEL].notna()].sort_values([RECORD_ID, KNOWN_TIME], kind="stable")
    first = ~rows.duplicated(RECORD_ID)
    changed = ~first & (rows[LABEL] != rows[LABEL].shift())
    corrected = rows[[LABEL_KNOWN, KNOWN_TIME]].max(axis=1)
    rows = rows.assign(**{KNOWN_TIME: rows[LABEL_KNOWN].where(first, corrected)})
    kept = rows.loc[first | changed, [RECORD_ID, EVENT_TIME, KNOWN_TIME, LABEL]]
    return kept.drop_duplicates([RECORD_ID, KNOWN_TIME], keep="last").sort_index()


def _columns_of(head: pd.DataFrame, pipeline: Pipeline) -> dict[str, Column]:
    taken = {*needed_columns(pipeline), *pipeline.exclude}
    kinds = {name: _kind_of(head[name]) for name in head.columns if name not in taken}
    return {name: Column(kind=kind) for name, kind in kinds.items() if kind is not None}


def _kind_of(values: pd.Series) -> Literal["number", "category"] | None:
    """Tell a number from a category; None for what a model cannot use."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or values.isna().all():
        return None
    if not parse_numbers(values).unreadable.any():
        return "number"
    text = parse_text(values)
    given = text.values.dropna()
    if text.unreadable.any() or given.empty:
        return None
    names = len(given) >= _FEWEST_TO_TELL and given.nunique() > len(given) / 2
    return None if names else "category"


def _task_of(target: pd.Series, pipeline: Pipeline) -> str:
    numbers = parse_numbers(target)
    values = numbers.values if not numbers.unreadable.any() else parse_text(target).values
    distinct = values.nunique()
    if distinct < _BOTH:
        raise SourceError(
            f"target {pipeline.target!r} in {pipeline.source.path} must take at least two values. "
            f"Got {distinct}; is it the right column?"
        )
    if not numbers.unreadable.any() and distinct > _MOST_CLASSES:
        return "regression"
    return "binary" if distinct == _BOTH else "multiclass"


def _read(pipeline: Pipeline, *, head: bool) -> pd.DataFrame:
    path = pipeline.source_path
    if "://" in pipeline.source.path:
        raise SourceError(
            f"source.path must be a file, not an address. Got {pipeline.source.path!r}; "
            "download it and give the file"
        )
    if not path.is_file():
        found = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise SourceError(
            f"{path} {found}; it is 'source.path' of {pipeline.file}, relative to that file"
        )
    try:
        frame = to_frame(_read_table(path, pipeline, head=head))
    except _UNREADABLE as problem:
        raise SourceError(
            f"{path} cannot be read as CSV (UTF-8, also gzipped or zipped) or Parquet: {problem}"
        ) from problem
    if frame.empty:
        raise SourceError(f"{path} is empty: it has no rows; check what writes it")
    return frame


def _read_table(path: Path, pipeline: Pipeline, *, head: bool) -> pa.Table:
    start = _start_of(path, 4)
    if not start:
        raise SourceError(f"{path} is empty: 0 bytes; check what writes it")
    if start == _PARQUET:
        with pq.ParquetFile(path) as file:
            return _read_parquet(file, pipeline, head=head)
    return _read_csv(path, pipeline, head=head)


def _read_parquet(file: pq.ParquetFile, pipeline: Pipeline, *, head: bool) -> pa.Table:
    columns = _wanted(file.schema_arrow.names, pipeline)
    if not head:
        return file.read(columns=columns)
    batch = next(file.iter_batches(_HEAD_ROWS, columns=columns), None)
    return file.read(columns=columns) if batch is None else pa.Table.from_batches([batch])


def _read_csv(path: Path, pipeline: Pipeline, *, head: bool) -> pa.Table:
    with _plain(path) as stream:
        line = stream.readline(_HEAD_BYTES).decode("utf-8", "replace")
    parsing = pacsv.ParseOptions(
        delimiter=max(_SEPARATORS, key=line.count), newlines_in_values=True
    )
    reading = pacsv.ReadOptions(block_size=_HEAD_BYTES)
    with _plain(path) as stream, pacsv.open_csv(stream, reading, parsing) as opened:
        names = opened.schema.names
    columns = _wanted(names, pipeline)
    converting = pacsv.ConvertOptions(
        include_columns=columns,
        column_types={name: pa.string() for name in columns},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    with _plain(path) as stream:
        if not head:
            return pacsv.read_csv(stream, reading, parsing, converting)
        with pacsv.open_csv(stream, reading, parsing, converting) as opened:
            return pa.Table.from_batches([opened.read_next_batch()]).slice(0, _HEAD_ROWS)


def _wanted(present: list[str], pipeline: Pipeline) -> list[str]:
    """Name the columns to read: those of the pipeline file, all while it names no features."""
    require_columns(present, pipeline)
    if pipeline.columns:
        return needed_columns(pipeline)
    return [name for name in dict.fromkeys(present) if present.count(name) == 1]


def _start_of(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


@contextmanager
def _plain(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked where it is packed."""
    start = _start_of(path, 4)
    if start.startswith(_GZIP):
        with gzip.open(path) as file:
            yield cast("BinaryIO", file)
    elif start == _ZIP:
        with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive, path)) as file:
            yield cast("BinaryIO", file)
    else:
        with path.open("rb") as file:
            yield file


def _only_member(archive: zipfile.ZipFile, path: Path) -> str:
    members = [info.filename for info in archive.infolist() if not info.is_dir()]
    if len(members) != 1:
        raise SourceError(f"{path} must hold one file. Got {len(members)}: {', '.join(members)}")
    return members[0]
