"""The files beside a table's rows: small notes of ours, and the files that erasing rewrites."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.fs as pafs

from components.stores.lake.places import is_remote


class Folder(Protocol):
    """Files under one place, by their path within it; every write replaces a file whole."""

    def names(self, within: str = "", *, deep: bool = False) -> dict[str, int]:
        """List files with their size in bytes; nothing where there is no such folder."""

    def read(self, name: str) -> bytes | None:
        """Read a file; None when there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file: afterwards it holds all of `content`, or what it held before."""

    def put(self, name: str, file: Path) -> None:
        """Replace a file by a local one, as :meth:`write`."""

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone already stays gone."""

    def opened(self, name: str) -> Any:
        """Open a file for reading, as pyarrow takes it."""

    def beside(self, name: str) -> Any:
        """Give a local path, as a context, under which a file can be made before :meth:`put`."""


def open_folder(root: str, options: Mapping[str, str] | None = None) -> Folder:
    """Open a folder, or a prefix of an object store, for files beside the rows."""
    if is_remote(root):
        from components.stores.lake.remote import connect

        return RemoteFolder(connect(options or {}), root.split("://", 1)[1])
    return LocalFolder(Path(root))


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, within: str = "", *, deep: bool = False) -> dict[str, int]:
        """List files; see :class:`Folder`."""
        top = self._root / within
        if not top.is_dir():
            return {}
        files = top.rglob("*") if deep else top.iterdir()
        found = {}
        for file in files:
            try:
                if file.is_file():
                    found[file.relative_to(self._root).as_posix()] = file.stat().st_size
            except FileNotFoundError:  # deleted while we looked
                continue
        return dict(sorted(found.items()))

    def read(self, name: str) -> bytes | None:
        """Read a file; see :class:`Folder`."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file; see :class:`Folder`."""
        with self.beside(name) as made:
            made.write_bytes(content)
            self.put(name, made)

    def put(self, name: str, file: Path) -> None:
        """Move a file of the same disk into place; it survives a power cut from then on."""
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
        file.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def delete(self, name: str) -> None:
        """Delete a file; see :class:`Folder`."""
        (self._root / name).unlink(missing_ok=True)

    def opened(self, name: str) -> pa.NativeFile:
        """Open a file; see :class:`Folder`."""
        return pa.OSFile(str(self._root / name), "rb")

    @contextmanager
    def beside(self, name: str) -> Iterator[Path]:
        """Give a path on the same disk that no reader of tables looks at."""
        parent = (self._root / name).parent
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix="_dw-") as work:
            yield Path(work) / "made"


class RemoteFolder:
    """A prefix of an object store, where a write is whole or not there by its nature."""

    def __init__(self, store: pafs.FileSystem, root: str) -> None:
        self._store = store
        self._root = root.rstrip("/")

    def names(self, within: str = "", *, deep: bool = False) -> dict[str, int]:
        """List files; see :class:`Folder`."""
        top = f"{self._root}/{within}".rstrip("/")
        chosen = pafs.FileSelector(top, allow_not_found=True, recursive=deep)
        found = self._store.get_file_info(chosen)
        files = [info for info in found if info.type == pafs.FileType.File]
        return {f.path.removeprefix(f"{self._root}/"): int(f.size or 0) for f in files}

    def read(self, name: str) -> bytes | None:
        """Read a file; see :class:`Folder`."""
        try:
            with self._store.open_input_stream(f"{self._root}/{name}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file; see :class:`Folder`."""
        with self._store.open_output_stream(f"{self._root}/{name}") as stream:
            stream.write(content)

    def put(self, name: str, file: Path) -> None:
        """Upload a file; see :class:`Folder`."""
        place = f"{self._root}/{name}"
        with file.open("rb") as source, self._store.open_output_stream(place) as stream:
            while block := source.read(1 << 22):
                stream.write(block)

    def delete(self, name: str) -> None:
        """Delete a file; see :class:`Folder`."""
        try:
            self._store.delete_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return

    def opened(self, name: str) -> pa.NativeFile:
        """Open a file; see :class:`Folder`."""
        return self._store.open_input_file(f"{self._root}/{name}")

    @contextmanager
    def beside(self, name: str) -> Iterator[Path]:
        """Give a path on this machine."""
        del name
        with tempfile.TemporaryDirectory(prefix="driftwheel-") as work:
            yield Path(work) / "made"
