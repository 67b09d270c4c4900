"""Versions of a table that must stay readable, whatever becomes of the table's own log.

A Delta version is named by its log, and a log can be cleaned: by a property that somebody has
set, or by a tool that calls the clean-up itself (measured: both make the version unopenable,
while its files are still there). So each version that a training was bound to has a note in
``_kept`` beside the log: its files and its columns, which is all that a reader needs.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from urllib.parse import unquote

from deltalake import DeltaTable, Schema

from components.stores.lake.folders import Folder, open_folder
from components.stores.lake.places import local_files

_FOLDER = "_kept"


class KeptVersion:
    """One version as its note says; answers what a reader asks an opened table."""

    def __init__(self, uri: str, version: int, schema: str, files: Sequence[str]) -> None:
        self.table_uri = uri
        self._version = version
        self._schema = Schema.from_json(schema)
        self._files = list(files)

    def version(self) -> int:
        """Give the version."""
        return self._version

    def schema(self) -> Schema:
        """Give the columns."""
        return self._schema

    def file_uris(self) -> list[str]:
        """Name the files that hold its rows."""
        return [f"{self.table_uri}/{name}" for name in self._files]


def has_note(path: str, version: int, options: Mapping[str, str] | None = None) -> bool:
    """Say whether a version has been kept."""
    return open_folder(path, options).read(_note(version)) is not None


def keep(handle: DeltaTable, path: str, options: Mapping[str, str] | None = None) -> None:
    """Write down which files an opened version consists of."""
    uris = local_files(handle.file_uris())
    files = [uri.removeprefix(path).lstrip("/") for uri in uris]
    said = {"version": handle.version(), "schema": handle.schema().to_json(), "files": files}
    content = json.dumps(said, indent=1).encode()
    open_folder(path, options).write(_note(handle.version()), content)


def open_kept(
    path: str, version: int, options: Mapping[str, str] | None = None
) -> KeptVersion | None:
    """Open a version by its note; None where it was never kept."""
    content = open_folder(path, options).read(_note(version))
    if content is None:
        return None
    said = json.loads(content)
    return KeptVersion(path, version, said["schema"], said["files"])


def noted_versions(path: str, options: Mapping[str, str] | None = None) -> frozenset[int]:
    """Name the versions that have a note."""
    return frozenset(_notes(open_folder(path, options)).values())


def vacuum(
    handle: DeltaTable,
    path: str,
    *,
    keep_versions: Sequence[int],
    older_than: timedelta,
    noted: Collection[int] | None = None,
    options: Mapping[str, str] | None = None,
) -> int:
    """Delete the files that neither the newest version nor a kept one uses.

    The table library says which files are unneeded by the log; what a note names stays too,
    since the log may have forgotten that version. The files are deleted here, so that both
    are heeded. Not its `full` way: that also names files which a writer is about to commit.

    Notes of versions that are not kept are forgotten; those that somebody has written since
    `noted` was read stay, and so do their files.

    Returns
    -------
    int
        How many files were deleted.

    """
    folder = open_folder(path, options)
    newest = handle.version()
    notes = _notes(folder)
    since = set() if noted is None else set(notes.values()) - set(noted)
    kept = {*keep_versions, *since}
    files = {v: _files_of(folder, v) for v in notes.values() if v in kept}
    by_log = sorted({*kept, newest} - set(files))
    unneeded = handle.vacuum(
        retention_hours=int(older_than.total_seconds() // 3600),
        dry_run=True,
        enforce_retention_duration=False,
        keep_versions=by_log,
    )
    wanted = {name for held in files.values() for name in held}
    there = folder.names(deep=True)
    gone = [name for name in map(unquote, unneeded) if name in there and name not in wanted]
    for name in gone:
        folder.delete(name)
    for name, version in notes.items():
        if version not in kept:
            folder.delete(name)
    return len(gone)


def _notes(folder: Folder) -> dict[str, int]:
    names = [name for name in folder.names(_FOLDER) if name.endswith(".json")]
    return {name: int(name.removeprefix(f"{_FOLDER}/").removesuffix(".json")) for name in names}


def _files_of(folder: Folder, version: int) -> list[str]:
    content = folder.read(_note(version))
    return [] if content is None else list(json.loads(content)["files"])


def _note(version: int) -> str:
    return f"{_FOLDER}/{version:020d}.json"
