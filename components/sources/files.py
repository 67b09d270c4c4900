"""A file, or a folder of files: CSV (also gzipped or zipped) and Parquet, told by content."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from components.errors import SourceError
from components.sources.ahead import ahead
from components.sources.columnar import parquet_batches, parquet_columns
from components.sources.delimited import Header, read_header, read_rows
from components.sources.packing import Still, is_parquet
from components.sources.parts import Part, chosen, regroup
from components.values import parse_numbers, parse_times

# What lies beside data in a folder: half-written files, notes, checksums, code.
_HALF_WRITTEN = {".tmp", ".temp", ".part", ".partial", ".crdownload", ".filepart", ".swp"}
_NOTES = {".md", ".rst", ".html", ".pdf", ".png", ".jpg", ".log", ".bak", ".lock"}
_ABOUT = {".yaml", ".yml", ".toml", ".ini", ".json", ".xml", ".crc", ".md5", ".sha256", ".sha1"}
_CODE = {".py", ".sql", ".sh", ".ipynb"}
# Loading one would run its code, and a model is no data.
_MODELS = {".pkl", ".pickle", ".joblib", ".skops", ".onnx", ".pt", ".pth", ".h5", ".npy", ".npz"}
_NO_DATA = frozenset(_HALF_WRITTEN | _NOTES | _ABOUT | _CODE | _MODELS)


@dataclass(frozen=True, slots=True)
class FileFeed:
    """A source that lies in a file or a folder.

    Parameters
    ----------
    path : Path
    needed : sequence of str
        The columns to read where they are there; all, if empty.
    keys : sequence of str
        Columns that every file must have; a first line without any may be no header.
    named_in : str
        For people: which field of which pipeline file names it.

    """

    path: Path
    needed: Sequence[str]
    keys: Sequence[str]
    named_in: str

    @property
    def shown(self) -> str:
        """The path."""
        return str(self.path)

    def parts(self, *, since: pd.Timestamp | None = None) -> Iterator[Part]:  # noqa: ARG002 - a file cannot tell
        """List the files; in a folder by name, without the empty ones."""
        if not self.path.exists():
            raise SourceError(f"{self.path} does not exist; it is {self.named_in}")
        if not self.path.is_dir():
            if not self.path.is_file():
                raise SourceError(
                    f"{self.path} is neither a file nor a folder; it is {self.named_in}"
                )
            yield file_part(self.path, self.path.name, self.needed, self.keys)
            return
        found = False
        for file in data_files(self.path):
            if Still.of(file).size:
                found = True
                name = str(file.relative_to(self.path))
                yield file_part(file, name, self.needed, self.keys)
        if not found:
            raise SourceError(
                f"{self.path} is a folder without data: it needs CSV or Parquet files whose names "
                f"start with neither '.' nor '_'; it is {self.named_in}"
            )


def data_files(folder: Path) -> list[Path]:
    """List the files of a folder and below it that can hold data, sorted by path.

    Raises
    ------
    SourceError
        If a folder cannot be listed: what lies there would be missing without a word.

    """
    found = []
    for place, folders, names in os.walk(folder, onerror=_refuse_unlisted):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        plain = (name for name in names if not name.startswith((".", "_")))
        found += [Path(place) / name for name in plain if Path(name).suffix.lower() not in _NO_DATA]
    return sorted(file for file in found if file.is_file())


def _refuse_unlisted(problem: OSError) -> None:
    raise SourceError(
        f"{problem.filename} cannot be listed: {problem.strerror}; make it readable"
    ) from problem


def file_part(path: Path, name: str, needed: Sequence[str], keys: Sequence[str] = ()) -> Part:
    """Open one file; its rows are read later, from the state that it is in now.

    Raises
    ------
    SourceError
        If it is empty, no table, or has a needed column twice.

    """
    state = Still.of(path)
    if not state.size:
        raise SourceError(f"{path} is empty: 0 bytes; check what writes it")
    if is_parquet(path):
        names = parquet_columns(path)
        header = None
    else:
        header = read_header(path)
        names = header.names
        _refuse_headless(path, names, keys)
    state.require()
    columns = chosen(names, needed, str(path))
    name = name.encode("utf-8", "replace").decode()  # a file may have any bytes for a name
    return Part(name, names, lambda: _rows(state, header, columns), state.digest)


def _rows(state: Still, header: Header | None, columns: list[str]) -> Iterator[pa.RecordBatch]:
    state.require()
    if header is None:
        found = parquet_batches(state.path, columns)
    else:
        found = read_rows(state.path, header, columns)
    try:
        yield from regroup(ahead(found))
    except SourceError:
        state.require()  # a file that changed meanwhile is not damaged
        raise
    state.require()


def _refuse_headless(path: Path, names: tuple[str, ...], keys: Sequence[str]) -> None:
    """Say so when the first line holds values: none of the keys, and a number or a time."""
    if not keys or set(keys) & set(names):
        return
    values = pd.Series(names, dtype="str")
    numbers, times = parse_numbers(values), parse_times(values)
    if numbers.values.notna().any() or times.values.notna().any():
        raise SourceError(
            f"{path} has no header: its first line is {', '.join(names)[:200]}. Write the names of "
            f"the columns on top of it, such as {', '.join(keys)[:200]}"
        )
