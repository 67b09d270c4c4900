"""Read a Delta table at one version, through DuckDB over its Parquet files.

The table library's own readers are not used: a short process that has called one of them
aborts at its exit in about half of the runs (measured, code 134).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from components.errors import StoreError
from components.stores.lake.engine import connect, same_everywhere
from components.stores.lake.places import is_remote, local_files

Given: TypeAlias = "pa.Table | pa.RecordBatchReader"

_EMPTY = "select * from lake_empty"
_FILES = "select * from read_parquet([{files}], union_by_name=true, hive_partitioning=false)"


class Reader:
    """One table at one version.

    Parameters
    ----------
    handle : DeltaTable
        Opened at the version to read; not modified.
    options : mapping, optional
        Storage options, where the table lies in an object store.

    """

    def __init__(self, handle: DeltaTable, options: Mapping[str, str] | None = None) -> None:
        self.handle = handle
        self._options = dict(options or {})

    @property
    def version(self) -> int:
        """The version that is read."""
        return self.handle.version()

    @property
    def schema(self) -> pa.Schema:
        """The table's columns."""
        return pa.schema(self.handle.schema().to_arrow())

    def read(
        self,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> pa.Table:
        """Read rows; see :meth:`Lake.read`."""
        names = list(columns) if columns is not None else self.schema.names
        wanted = pa.schema([self._field(name) for name in names])
        chosen = ", ".join(quote(name) for name in names)
        condition = f" where {where}" if where else ""
        # Names are quoted, values are parameters; conditions are written by our own code.
        found = self.query(f"select {chosen} from this{condition}", params=params)  # noqa: S608
        return found.cast(wanted)

    def query(
        self,
        sql: str,
        *,
        params: Mapping[str, Any] | None = None,
        tables: Mapping[str, pa.Table] | None = None,
    ) -> pa.Table:
        """Ask a question in SQL; the table is called `this`.

        Parameters
        ----------
        sql : str
            A select statement; values come in as ``$name``.
        params : mapping, optional
            The values.
        tables : mapping, optional
            Arrow tables to join with, by name.

        Raises
        ------
        StoreError
            If DuckDB cannot answer, for example because a file of the table is gone.

        """
        with self.session() as session:
            return session.query(sql, params=params, tables=tables)

    @contextmanager
    def session(
        self,
        spill: Path | None = None,
        *,
        files: Sequence[str] | None = None,
        others: Sequence[str] = (),
    ) -> Iterator["Session"]:
        """Ask several questions over one connection, or one whose answer is read as it comes.

        Parameters
        ----------
        spill : Path, optional
            A folder for what does not fit into 512 MB; without one all memory may be taken.
        files : sequence of str, optional
            Which of the table's files `this` is; all by default.
        others : sequence of str
            Files, of this version or another, whose rows are called `others`.

        """
        with self._explained(), closing(connect(spill)) as connection:
            same_everywhere(connection)
            # The empty table names columns that no file holds yet (added later).
            connection.register("lake_empty", self.schema.empty_table())
            given = self.handle.file_uris() if files is None else list(files)
            this = self._source(connection, given, "lake_remote")
            yield Session(connection, this, self._source(connection, list(others), "lake_others"))

    def present(self, files: Sequence[str]) -> list[str]:
        """Keep of some files those that are still there."""
        if not files:
            return []
        if is_remote(files[0]):
            from components.stores.lake.remote import present

            return present(list(files), self._options)
        local = local_files(list(files))
        return [file for file, path in zip(files, local, strict=True) if Path(path).exists()]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as problem:
            raise StoreError(
                f"the table at {self.handle.table_uri} (version {self.version}) cannot be read: "
                f"{problem}"
            ) from problem

    def _source(self, connection: duckdb.DuckDBPyConnection, files: list[str], remote: str) -> str:
        """Say in SQL what the table is."""
        if not files:
            return _EMPTY
        if is_remote(files[0]):
            from components.stores.lake.remote import open_files

            connection.register(remote, open_files(files, self._options, self.schema))
            return f"{_EMPTY} union all by name select * from {remote}"  # noqa: S608 - constants
        named = ", ".join(_text(file) for file in local_files(files))
        return f"{_EMPTY} union all by name {_FILES.format(files=named)}"

    def _field(self, name: str) -> pa.Field:
        if name not in self.schema.names:
            raise StoreError(
                f"the table at {self.handle.table_uri} has no column {name!r}; it has "
                f"{', '.join(self.schema.names)}"
            )
        return self.schema.field(name)


class Session:
    """A connection in which one table, at one version, is called `this`.

    Parameters
    ----------
    connection : DuckDBPyConnection
    source, others : str
        What `this` and `others` are, in SQL.

    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, source: str, others: str = _EMPTY
    ) -> None:
        self._connection, self._source, self._others = connection, source, others

    def query(
        self,
        sql: str,
        *,
        params: Mapping[str, Any] | None = None,
        tables: Mapping[str, Given] | None = None,
    ) -> pa.Table:
        """Ask a question; see :meth:`Reader.query`. A reader among the tables is read once."""
        asked = self._asked(sql, tables)
        return self._connection.sql(asked, params=dict(params or {})).to_arrow_table()

    def stream(
        self, sql: str, *, tables: Mapping[str, Given] | None = None, rows: int = 131_072
    ) -> Iterator[pa.RecordBatch]:
        """Ask a question and read the answer as it comes, about `rows` at a time.

        Values stand in the text: an answer to a question with parameters is never streamed
        (measured with DuckDB 2.0: 5 million rows of text, 640 MB at once).
        """
        asked = self._asked(sql, tables)
        yield from self._connection.sql(asked).to_arrow_reader(rows)

    def keep(self, name: str, rows: Given) -> None:
        """Keep rows for the length of the session, on disk where they are many."""
        self._connection.register("lake_given", rows)
        self._connection.execute(f"create temp table {quote(name)} as from lake_given")
        self._connection.unregister("lake_given")

    def _asked(self, sql: str, tables: Mapping[str, Given] | None) -> str:
        for name, table in (tables or {}).items():
            self._connection.register(name, table)
        also = f", others as ({self._others})" if "others" in sql else ""
        return f"with this as ({self._source}){also} {sql}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def quote(name: str) -> str:
    """Quote a column name for SQL.

    >>> print(quote('odd "name'))
    "odd ""name"
    """
    return '"' + name.replace('"', '""') + '"'
