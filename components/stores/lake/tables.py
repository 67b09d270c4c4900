"""Create, write and tend the Delta tables of all pipelines."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from components.errors import CommitConflictError, StoreError
from components.failpoints import failpoint
from components.stores.lake.places import is_remote, root_of
from components.stores.lake.reading import Reader

Rows: TypeAlias = "pa.Table | Callable[[Reader], pa.Table | None]"

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
        """Open a table at a version, by default the newest."""
        return Reader(self._open(pipeline, table, version), self._options)

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
            The batch. A callable is given a :class:`Reader` of the very version that it is
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
        # Not `full`: that also deletes files which a writer is about to commit.
        vacuum = partial(
            handle.vacuum,
            retention_hours=int(older_than.total_seconds() // 3600),
            enforce_retention_duration=False,
            keep_versions=sorted({*keep_versions, newest}),
        )
        try:
            unneeded = self._still_there(pipeline, table, vacuum(dry_run=True))
            if unneeded:
                vacuum(dry_run=False)
        except (DeltaError, OSError) as problem:
            raise self._failed(pipeline, table, "vacuumed", problem) from problem
        return len(unneeded)

    def commits(self, pipeline: str, table: str) -> list[dict[str, Any]]:
        """List the commits, newest first: version, timestamp, operation, and what was noted."""
        return self._open(pipeline, table).history()

    def _still_there(self, pipeline: str, table: str, names: list[str]) -> list[str]:
        """Leave out what an earlier vacuum has deleted: the log names it for ever."""
        if is_remote(self.root):
            return names
        folder = Path(self._path(pipeline, table))
        return [name for name in names if (folder / unquote(name)).exists()]

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
    batch = rows(reader) if callable(rows) else rows
    if batch is None or not batch.num_rows:
        return Commit(handle.version(), 0, skipped=True)
    number = version if version is not None else (-1 if landed is None else landed) + 1
    failpoint("before-commit")
    write_deltalake(
        handle,
        _conform(batch, reader.schema),
        mode="append",
        commit_properties=CommitProperties(
            custom_metadata=dict(about) or None,
            # No second try below us for a batch that was worked out on this version.
            max_commit_retries=0 if callable(rows) else None,
            app_transactions=[Transaction(app, number)],
        ),
    )
    failpoint("after-commit")
    return Commit(handle.version(), batch.num_rows, skipped=False)


def _conform(batch: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a batch exactly the table's columns; what it lacks is null."""
    unknown = sorted(set(batch.column_names) - set(schema.names))
    if unknown:
        raise StoreError(
            f"the table has no column {', '.join(unknown)}; it has {', '.join(schema.names)}"
        )
    lacking = [field for field in schema if field.name not in batch.column_names]
    for field in lacking:
        batch = batch.append_column(field, pa.nulls(batch.num_rows, field.type))
    try:
        return batch.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as problem:
        raise StoreError(f"the rows do not fit the table's columns: {problem}") from problem


def _delta_fields(fields: Sequence[pa.Field]) -> Sequence[Field]:
    return Schema.from_arrow(pa.schema(fields)).fields


def _pause(attempt: int) -> None:
    time.sleep(min(0.002 * 2**attempt, _LONGEST_PAUSE))
