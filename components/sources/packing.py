"""Files as they lie there: what kind they are, whether they hold still, how they are unpacked."""

import codecs
import gzip
import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, cast

from components.errors import SourceError

_GZIP, _ZIP, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Still:
    """A file in one state; what changes is noticed by size, time of change or identity."""

    path: Path
    size: int
    changed_ns: int
    identity: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Take the state of a file.

        Raises
        ------
        SourceError
            If it cannot be looked at.

        """
        try:
            state = path.stat()
        except OSError as problem:
            raise SourceError(
                f"{path} cannot be read: {problem.strerror}; see whether it is still there, and "
                "who may read it"
            ) from problem
        return cls(path, state.st_size, state.st_mtime_ns, state.st_ino)

    def require(self) -> None:
        """See that the file is still in this state.

        Raises
        ------
        SourceError
            If it is not.

        """
        now = Still.of(self.path)
        if now != self:
            grown = f" ({self.size:,} bytes, then {now.size:,})" if now.size != self.size else ""
            raise SourceError(
                f"{self.path} changed while it was read{grown}: is it still being written? "
                "Nothing of it was kept. Let its writer finish, or have it write to NAME.tmp and "
                "rename; then run this again"
            )

    def digest(self) -> str:
        """Hash the content: SHA-256, of the bytes as they lie there.

        Raises
        ------
        SourceError
            If the file cannot be read, or changes meanwhile.

        """
        try:
            with self.path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as problem:
            raise SourceError(f"{self.path} cannot be read: {problem.strerror}") from problem
        self.require()
        return found


def start_of(path: Path, count: int = 4) -> bytes:
    """Read the first bytes of a file.

    Raises
    ------
    SourceError
        If it cannot be read.

    """
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as problem:
        raise SourceError(f"{path} cannot be read: {problem.strerror}") from problem


def is_parquet(path: Path) -> bool:
    """Say whether a file begins as Parquet does."""
    return start_of(path) == _PARQUET


@contextmanager
def plain_text(path: Path) -> Iterator[BinaryIO]:
    """Open a text file for reading as UTF-8: unpacked where packed, recoded from UTF-16."""
    with _unpacked(path) as file:
        start = file.read(2)
        rest = _Again(start, file)
        yield cast("BinaryIO", _Recoded(rest) if start in _UTF16 else rest)


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    start = start_of(path)
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


class _Again(io.RawIOBase):
    """A stream whose first bytes were looked at."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        size = -1 if size is None else size
        if not self._start:
            return self._rest.read(size)
        start, self._start = self._start, b""
        if 0 <= size < len(start):
            self._start = start[size:]
            return start[:size]
        return start + self._rest.read(size if size < 0 else size - len(start))


class _Recoded(io.RawIOBase):
    """UTF-16 with a byte order mark, read as UTF-8."""

    def __init__(self, rest: _Again) -> None:
        self._rest = rest
        self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._held = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        size = -1 if size is None else size
        while size < 0 or len(self._held) < size:
            given = self._rest.read(_CHUNK)
            self._held += self._decoder.decode(given, final=not given).encode()
            if not given:
                break
        size = len(self._held) if size < 0 else size
        found, self._held = self._held[:size], self._held[size:]
        return found
