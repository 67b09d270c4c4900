"""Read delimited text (CSV) as text, in batches, so that `007` stays `007`."""

import csv
import gzip
import io
import itertools
import lzma
import re
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.csv as pacsv

from components.errors import SourceError
from components.sources.packing import plain_text

_SEPARATORS = ",;\t|"
_LONGEST_HEADER = 1 << 20
# A row longer than a block cannot be read.
_BLOCK = 4 << 20
_TAIL = 1 << 16
# The last two: a zip that is encrypted, or packed in a way that is not known here.
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_UNREADABLE = (pa.ArrowException, OSError, csv.Error, *_DAMAGED, RuntimeError, NotImplementedError)
_MISFIT = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", re.DOTALL)
_STILL_WRITTEN = "is it still being written? Let its writer finish, then run this again"


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a delimited file."""

    names: tuple[str, ...]
    delimiter: str
    alone: bool
    """Whether nothing follows."""


def read_header(path: Path) -> Header:
    """Read the names of the columns, and what stands between them.

    Raises
    ------
    SourceError
        If the file has no readable first line.

    """
    with _in_words(path), plain_text(path) as stream:
        start = stream.read(_LONGEST_HEADER)
    line = start.partition(b"\n")[0]
    delimiter = max(_SEPARATORS, key=line.decode("utf-8", "replace").count)
    rows = _first_rows(start, delimiter, path)
    if not rows:
        raise SourceError(f"{path} cannot be read as CSV: no line of it names the columns")
    alone = len(rows) == 1 and len(start) < _LONGEST_HEADER
    return Header(tuple(rows[0]), delimiter, alone)


def read_rows(
    path: Path, header: Header, columns: Sequence[str]
) -> Generator[pa.RecordBatch, None, None]:
    """Read columns of a delimited file as text; an empty field is null.

    A last line without a line end is a row if it has every field, since many writers leave the
    end out. Whether its last value was cut cannot be seen in it: a file that changes while it
    is read is refused, and once it is whole, the whole value comes as a correction.

    Raises
    ------
    SourceError
        If a row does not fit the header, the text is not UTF-8, or the file is damaged or cut
        off; says where.

    """
    if header.alone:
        return
    converting = pacsv.ConvertOptions(
        include_columns=list(columns),
        column_types={name: pa.string() for name in columns},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    parsing = pacsv.ParseOptions(delimiter=header.delimiter, newlines_in_values=True)
    reading = pacsv.ReadOptions(block_size=_BLOCK, use_threads=False)
    last: pa.RecordBatch | None = None
    with _in_words(path), plain_text(path) as stream:
        watched = _Watched(stream)
        try:
            with pacsv.open_csv(watched, reading, parsing, converting) as opened:
                for batch in opened:
                    last = batch if batch.num_rows else last
                    yield batch
        except pa.ArrowInvalid as problem:
            _refuse_cut_off(path, watched, str(problem))
            raise
    _refuse_open_quote(path, watched, last)


def _first_rows(start: bytes, delimiter: str, path: Path) -> list[list[str]]:
    """Read the header, and the first row below it if there is one."""
    if b"\0" in start:
        raise SourceError(
            f"{path} cannot be read as CSV: byte {start.index(0):,} is NUL, so this is no text in "
            "UTF-8; is it another kind of file, or was it cut off by a crash?"
        )
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        if b"\n" not in start[: problem.start]:
            raise SourceError(_not_utf8(path, problem.start, 1)) from problem
        text = start.decode("utf-8-sig", "replace")  # whoever reads the row will complain
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    found: list[list[str]] = []
    try:
        found += itertools.islice((row for row in rows if row), 2)
    except csv.Error as problem:
        if not found:
            raise SourceError(f"{path}: its first line cannot be read: {problem}") from problem
    return found


class _Watched(io.RawIOBase):
    """A stream of which the end, and the number of quotes, are remembered."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.tail = b""
        self.quotes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        given = self._stream.read(-1 if size is None else size)
        self.quotes += given.count(b'"')
        if given:
            self.tail = (self.tail + given)[-_TAIL:] if len(given) < _TAIL else given[-_TAIL:]
        return given


def _refuse_cut_off(path: Path, watched: _Watched, said: str) -> None:
    """Say so when the row that does not fit is the last one and lacks its line end."""
    found = _MISFIT.search(said)
    if not found or watched.read(1) or watched.tail.endswith(b"\n"):
        return
    row, expected, got, text = found.groups()
    shown = text.removesuffix(" ...").encode("utf-8", "replace")
    ends = watched.tail.endswith(shown) if text.encode() == shown else shown in watched.tail
    if ends:
        raise SourceError(
            f"{path} ends in the middle of row {row}: Expected {expected} columns, got {got}; "
            f"{_STILL_WRITTEN}"
        )


def _refuse_open_quote(path: Path, watched: _Watched, last: pa.RecordBatch | None) -> None:
    """See that the last value is not an opening quote that took in the rest of the file."""
    if watched.quotes % 2 == 0 or watched.tail.rstrip(b"\r\n").endswith(b'"'):
        return
    ends = [column[-1].as_py() or "" for column in last.columns] if last is not None else []
    if not watched.tail.endswith(b"\n") or any("\n" in value for value in ends):
        raise SourceError(
            f"{path} ends within a quoted value: its last quote is never closed; {_STILL_WRITTEN}, "
            "or mend the quote"
        )


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as problem:
        raise SourceError(f"{path} cannot be read as UTF-16 text: {problem.reason}") from problem
    except _UNREADABLE as problem:
        if "UTF8" in str(problem):
            raise SourceError(_find_bad_text(path)) from problem
        kind = "CSV (UTF-8, also gzipped or zipped) or Parquet"
        raise SourceError(f"{path} cannot be read as {kind}: {_what(problem)}") from problem


def _what(problem: Exception) -> str:
    said = str(problem) or type(problem).__name__
    if "straddling" in said:
        return (
            f"a row is longer than {_BLOCK >> 20} MB, or a quote that opens is never closed; "
            "mend the file"
        )
    if isinstance(problem, (*_DAMAGED, gzip.BadGzipFile)):
        return f"{said}; it is damaged or was not copied whole: deliver it again"
    if _MISFIT.search(said):
        return f"{said.removeprefix('CSV parse error: ')}; mend this row, or leave it out"
    return said


def _find_bad_text(path: Path) -> str:
    """Find the first bytes that are no UTF-8; rows are counted by line ends."""
    offset, row = 0, 1
    with plain_text(path) as stream:
        lines = io.BufferedReader(cast("io.RawIOBase", _Buffered(stream)), 1 << 16)
        for line in lines:
            try:
                line.decode()
            except UnicodeDecodeError as problem:
                return _not_utf8(path, offset + problem.start, row)
            offset, row = offset + len(line), row + 1
    return f"{path} cannot be read as CSV (UTF-8, also gzipped or zipped): it is not UTF-8 text"


class _Buffered(io.RawIOBase):
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "io.Buffer") -> int:  # type: ignore[name-defined]
        given = self._stream.read(len(buffer))
        buffer[: len(given)] = given
        return len(given)


def _not_utf8(path: Path, offset: int, row: int) -> str:
    return (
        f"{path} cannot be read as CSV (UTF-8, also gzipped or zipped): line {row} holds a byte "
        f"that is no UTF-8 (offset {offset:,}). Save it as UTF-8, for example with "
        f"'iconv -f latin1 -t utf-8 {path.name}'"
    )
