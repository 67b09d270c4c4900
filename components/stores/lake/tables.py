"""Create, write and tend the Delta tables of all pipelines."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import pyarrow as pa
from deltalake import DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from components.errors import CommitConflictError, StoreError
from components.stores.lake.appending import Counted, Rows, append
from components.stores.lake.erasing import Removed, Wanted, delete_rows, erase_rows
from components.stores.lake.folders import Folder, open_folder
from components.stores.lake.kept import has_note, keep, noted_versions, open_kept, vacuum
from components.stores.lake.places import root_of
from components.stores.lake.reading import Reader

# Every round lets one writer through, so this many writers at once are served for certain.
ATTEMPTS = 64
_LONGEST_PAUSE = 0.25
_CONFIGURATION: dict[str, str | None] = {
    # The default clean-up, after 30 days, makes old versions unopenable: a snapshot must
    # stay readable for as long as any model lives that was trained on it.
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
    # Opening reads every commit since the last checkpoint: about 0.2 ms each.
    "delta.checkpointInterval": "50",
}


@dataclass(frozen=True, slots=True)
class Commit:
    """What became of a batch.

    Attributes
    ----------
    version : int
        The table's version afterwards.
    rows : int
        Rows that were written; 0 when skipped.
    skipped : bool
        True when there was nothing to write, or this version of the producer's had landed.

    """

    version: int
    rows: int
    skipped: bool


class Lake:
    """The tables under one root: ``root/pipeline/table``.

    Parameters
    ----------
    uri : str
        A folder, or the URI of an object store such as ``s3://bucket/lake``.
    storage_options : mapping, optional
        What the object store needs: keys, region, endpoint.

    """

    def __init__(self, uri: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.root = root_of(uri)
        self._options = dict(storage_options or {})

    def __repr__(self) -> str:
        return f"Lake({self.root!r})"

    def create(self, pipeline: str, table: str, schema: pa.Schema) -> None:
        """Make a table with its full schema, unless it exists; add columns that it lacks.

        Safe to call again, and from several processes at once.

        Raises
        ------
        StoreError
            If the table holds one of the columns with another type.

        """
        for attempt in range(ATTEMPTS):
            try:
                if not self.exists(pipeline, table):
                    self._create(pipeline, table, schema)
                if self._add_columns(pipeline, table, schema):
                    return
            except DeltaError as problem:
                # Somebody else created or changed it in the same moment: look again.
                if attempt + 1 == ATTEMPTS:
                    raise self._failed(pipeline, table, "created", problem) from problem
            except OSError as problem:
                raise self._failed(pipeline, table, "created", problem) from problem
            _pause(attempt)

    def exists(self, pipeline: str, table: str) -> bool:
        """Say whether a table has been created."""
        return DeltaTable.is_deltatable(self._path(pipeline, table), self._options or None)

    def version(self, pipeline: str, table: str) -> int:
        """Tell the table's newest version.

        Raises
        ------
        StoreError
            If the table does not exist, or cannot be opened.

        """
        return self.open(pipeline, table).version

    def open(self, pipeline: str, table: str, *, version: int | None = None) -> Reader:
        """Open a table at a version, by default the newest.

        A version that was kept opens even where the table's log has been cleaned.
        """
        try:
            handle = self._open(pipeline, table, version)
        except StoreError:
            path = self._path(pipeline, table)
            kept = None if version is None else open_kept(path, version, self._options)
            if kept is None:
                raise
            return Reader(cast("DeltaTable", kept), self._options)
        return Reader(handle, self._options)

    def keep(self, pipeline: str, table: str, version: int) -> None:
        """Write down what a version consists of, so that cleaning the log cannot lose it."""
        if not has_note(path := self._path(pipeline, table), version, self._options):
            keep(self._open(pipeline, table, version), path, self._options)

    def kept(self, pipeline: str, table: str) -> frozenset[int]:
        """Name the versions that somebody has kept."""
        return noted_versions(self._path(pipeline, table), self._options)

    def folder(self, pipeline: str, table: str = "") -> Folder:
        """Open the folder of a table, or of a pipeline, for files beside the rows."""
        return open_folder(self._path(pipeline, table).rstrip("/"), self._options)

    def erase(self, pipeline: str, table: str, wanted: Wanted) -> Removed:
        """Take rows out of every version; see :func:`components.stores.lake.erasing.erase_rows`."""
        return erase_rows(lambda: self._open(pipeline, table), self.folder(pipeline, table), wanted)

    def delete(self, pipeline: str, table: str, condition: str) -> int:
        """Delete rows from the newest version; older versions keep them. Returns how many."""
        return delete_rows(lambda: self._open(pipeline, table), [condition])

    def read(
        self,
        pipeline: str,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        params: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """Read rows of a table.

        Parameters
        ----------
        pipeline, table : str
        columns : sequence of str, optional
            Which columns; all by default.
        where : str, optional
            A condition in SQL whose values are named: ``"known_time <= $as_of"``.
        params : mapping, optional
            The values, such as ``{"as_of": as_of}``.
        version : int, optional
            The table's version; the newest by default.

        Returns
        -------
        Table
            With the table's own types; of no rows when nothing fits.

        Raises
        ------
        StoreError
            If the table, the version or a column does not exist.

        """
        opened = self.open(pipeline, table, version=version)
        return opened.read(columns=columns, where=where, params=params)

    def commit(
        self,
        pipeline: str,
        table: str,
        rows: Rows,
        *,
        producer: str,
        version: int | None = None,
        about: Mapping[str, str] | None = None,
    ) -> Commit:
        """Append a batch so that it lands once, however often it is tried.

        Opens the table, skips what the producer has written before, writes with that same
        handle, and starts again when somebody else was faster.

        Parameters
        ----------
        pipeline, table : str
        rows : Table or callable
            The batch. A callable may also give a RecordBatchReader, which is written as it
            comes: memory stays flat. It is given a :class:`Reader` of the very version that it is
            committed on top of, and is called again after a conflict; None is no rows.
        producer : str
            Who writes; the producer's versions are numbered apart from all others'.
        version : int, optional
            The producer's own growing number of this batch. Without one the batch takes the
            next number, so it must be a callable that leaves out what is there already.
        about : mapping of str to str, optional
            Written into the commit, such as the flow run's id.

        Raises
        ------
        CommitConflictError
            If other writers won every attempt.
        StoreError
            If the table does not exist, the rows do not fit, or the storage fails.

        """
        if version is None and not callable(rows):
            raise StoreError(
                f"rows for {pipeline}/{table} from {producer!r} carry no version, so a repeated "
                "commit would land twice; number the batch, or give a callable"
            )
        for attempt in range(ATTEMPTS):
            reader = self.open(pipeline, table)
            before = reader.version
            try:
                return _commit_once(reader, rows, f"{table}:{producer}", version, about or {})
            except CommitFailedError as problem:
                if self.version(pipeline, table) == before:
                    raise self._failed(pipeline, table, "written", problem) from problem
            except (DeltaError, OSError) as problem:
                raise self._failed(pipeline, table, "written", problem) from problem
            _pause(attempt)
        raise CommitConflictError(
            f"{pipeline}/{table}: other writers won all {ATTEMPTS} attempts of {producer!r}; "
            "nothing was written, run it again"
        )

    def compact(self, pipeline: str, table: str) -> int:
        """Join small files into large ones; old versions stay. Returns how many files went in."""
        for attempt in range(ATTEMPTS):
            try:
                handle = self._open(pipeline, table)
                return int(handle.optimize.compact()["numFilesRemoved"])
            except CommitFailedError:
                _pause(attempt)
            except (DeltaError, OSError) as problem:
                raise self._failed(pipeline, table, "compacted", problem) from problem
        raise CommitConflictError(
            f"{pipeline}/{table}: other writers won all {ATTEMPTS} attempts to compact it; "
            "the table is unharmed, run maintain again"
        )

    def vacuum(
        self,
        pipeline: str,
        table: str,
        *,
        keep_versions: Sequence[int],
        older_than: timedelta = timedelta(days=1),
        noted: Collection[int] | None = None,
    ) -> int:
        """Delete files that only unneeded old versions use.

        Parameters
        ----------
        pipeline, table : str
        keep_versions : sequence of int
            Versions that must stay readable, such as those of every model's snapshot; the
            newest stays in any case.
        older_than : timedelta
            Files replaced more recently stay, for who is reading them now; whole hours.
        noted : collection of int, optional
            What `kept` gave before it was asked which versions are needed: what somebody has
            kept since then stays.

        Returns
        -------
        int
            Number of files that were deleted.

        Raises
        ------
        StoreError
            If a version to keep does not exist; nothing is deleted then.

        """
        handle = self._open(pipeline, table)
        newest = handle.version()
        absent = sorted(version for version in keep_versions if not 0 <= version <= newest)
        if absent:
            raise StoreError(
                f"{pipeline}/{table} has the versions 0 to {newest}; cannot keep {absent}. "
                "Nothing was deleted"
            )
        try:
            return vacuum(
                handle,
                self._path(pipeline, table),
                keep_versions=keep_versions,
                older_than=older_than,
                noted=noted,
                options=self._options,
            )
        except (DeltaError, OSError) as problem:
            raise self._failed(pipeline, table, "vacuumed", problem) from problem

    def commits(self, pipeline: str, table: str) -> list[dict[str, Any]]:
        """List the commits, newest first: version, timestamp, operation, and what was noted."""
        return self._open(pipeline, table).history()

    def _path(self, pipeline: str, table: str) -> str:
        return f"{self.root}/{pipeline}/{table}"

    def _open(self, pipeline: str, table: str, version: int | None = None) -> DeltaTable:
        path = self._path(pipeline, table)
        try:
            return DeltaTable(path, version=version, storage_options=self._options or None)
        except TableNotFoundError as problem:
            raise StoreError(
                f"pipeline {pipeline!r} has no table {table!r} in {self.root}; "
                f"run 'driftwheel ingest {pipeline}' first"
            ) from problem
        except (DeltaError, OSError) as problem:
            which = "" if version is None else f" at version {version}"
            raise self._failed(pipeline, table, f"opened{which}", problem) from problem

    def _create(self, pipeline: str, table: str, schema: pa.Schema) -> None:
        DeltaTable.create(
            self._path(pipeline, table),
            schema,
            mode="ignore",
            configuration=_CONFIGURATION,
            storage_options=self._options or None,
        )

    def _add_columns(self, pipeline: str, table: str, schema: pa.Schema) -> bool:
        """Add the columns that a table lacks; True once it has them all."""
        handle = self._open(pipeline, table)
        present = Reader(handle).schema
        for field in schema:
            if field.name in present.names and present.field(field.name).type != field.type:
                raise StoreError(
                    f"{pipeline}/{table} holds column {field.name!r} as "
                    f"{present.field(field.name).type}, and {field.type} is asked for; "
                    "give the column another name, or start the pipeline under a new one"
                )
        missing = [field for field in schema if field.name not in present.names]
        if missing:
            handle.alter.add_columns(list(_delta_fields(missing)))
        return not missing

    def _failed(self, pipeline: str, table: str, done: str, problem: Exception) -> StoreError:
        return StoreError(f"{pipeline}/{table} in {self.root} could not be {done}: {problem}")


def _commit_once(
    reader: Reader, rows: Rows, app: str, version: int | None, about: Mapping[str, str]
) -> Commit:
    """Try once; raises CommitFailedError when somebody else was faster."""
    handle = reader.handle
    landed = handle.transaction_version(app)
    if version is not None and landed is not None and landed >= version:
        return Commit(handle.version(), 0, skipped=True)
    given = rows(reader) if callable(rows) else rows
    batches = None if given is None else Counted(given, reader.schema)
    if batches is None or batches.empty:
        return Commit(handle.version(), 0, skipped=True)
    number = version if version is not None else (-1 if landed is None else landed) + 1
    written = append(
        handle,
        batches,
        transaction=Transaction(app, number),
        about=about,
        # No second try below us for a batch that was worked out on this version.
        retries=0 if callable(rows) else None,
    )
    return Commit(handle.version(), written, skipped=False)


def _delta_fields(fields: Sequence[pa.Field]) -> Sequence[Field]:
    return Schema.from_arrow(pa.schema(fields)).fields


def _pause(attempt: int) -> None:
    time.sleep(min(0.002 * 2**attempt, _LONGEST_PAUSE))
