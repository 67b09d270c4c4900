"""Read a Delta table at one version, through DuckDB over its Parquet files.

The table library's own readers are not used: a short process that has called one of them
aborts at its exit in about half of the runs (measured, code 134).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from components.errors import StoreError
from components.stores.lake.places import is_remote, local_files

# Nothing is fetched from the network at run time.
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_EMPTY = "select * from lake_empty"
_FILES = "select * from read_parquet($lake_files, union_by_name=true, hive_partitioning=false)"


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
        given = dict(params or {})
        source = _EMPTY
        try:
            files = self.handle.file_uris()
            with duckdb.connect(config=_CONFIG) as connection:
                connection.execute("set TimeZone = 'UTC'")  # wherever we run
                # The empty table names columns that no file holds yet (added later).
                connection.register("lake_empty", self.schema.empty_table())
                for name, table in (tables or {}).items():
                    connection.register(name, table)
                if files:
                    source = f"{_EMPTY} union all by name {self._scan(connection, files, given)}"
                asked = f"with this as ({source}) {sql}"
                return connection.sql(asked, params=given).to_arrow_table()
        except duckdb.Error as problem:
            raise StoreError(
                f"the table at {self.handle.table_uri} (version {self.version}) cannot be read: "
                f"{problem}"
            ) from problem

    def _scan(
        self, connection: duckdb.DuckDBPyConnection, files: list[str], given: dict[str, Any]
    ) -> str:
        if is_remote(files[0]):
            from components.stores.lake.remote import open_files

            connection.register("lake_remote", open_files(files, self._options, self.schema))
            return "select * from lake_remote"
        given["lake_files"] = local_files(files)
        return _FILES

    def _field(self, name: str) -> pa.Field:
        if name not in self.schema.names:
            raise StoreError(
                f"the table at {self.handle.table_uri} has no column {name!r}; it has "
                f"{', '.join(self.schema.names)}"
            )
        return self.schema.field(name)


def quote(name: str) -> str:
    """Quote a column name for SQL.

    >>> print(quote('odd "name'))
    "odd ""name"
    """
    return '"' + name.replace('"', '""') + '"'
