"""A lake in memory, for tests in which commits on disk have no part."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa

from components.stores.lake import Commit, Lake, Reader
from components.stores.lake.engine import connect
from components.stores.lake.reading import Session


# ruff: noqa: ARG002 - the signatures are those of what they stand for
class MemoryReader(Reader):
    """One table in memory; it is asked as one on disk is."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        self.handle = SimpleNamespace(table_uri="memory", file_uris=lambda: [1] * rows.num_rows)

    version, schema = 0, property(lambda self: self._rows.schema)

    @contextmanager
    def session(self, spill: Path | None = None) -> Iterator[Session]:
        with closing(connect()) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.register("lake_memory", self._rows)
            yield Session(connection, "select * from lake_memory")


class MemoryLake(Lake):
    """Tables in memory, for questions to which commits on disk have no part."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.tables: dict[str, pa.Table] = {}

    def version(self, pipeline: str, table: str) -> int:
        return self.tables[table].num_rows

    def exists(self, pipeline: str, table: str) -> bool:
        return table in self.tables

    def create(self, pipeline: str, table: str, schema: pa.Schema) -> None:
        self.tables.setdefault(table, schema.empty_table())

    def open(self, pipeline: str, table: str, *, version: int | None = None) -> Reader:
        return MemoryReader(self.tables[table])

    def commit(self, pipeline: str, table: str, rows, **about: object) -> Commit:
        given = rows(self.open(pipeline, table))
        found = given if isinstance(given, pa.Table) else given.read_all()
        before = self.tables[table]
        self.tables[table] = pa.concat_tables([before, found.cast(before.schema)])
        return Commit(0, found.num_rows, skipped=False)
