"""A query or table of a database as a source."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import pandas as pd

from components.pipelines import Labels, Pipeline, Source
from components.sources.parts import Part, chosen, regroup


@dataclass(frozen=True, slots=True)
class DatabaseFeed:
    """A source that is a query or a table.

    Parameters
    ----------
    source : Source
    pipeline : Pipeline
    url : str
        With its password; never shown.
    needed : tuple of str

    """

    source: Source
    pipeline: Pipeline
    url: str = field(repr=False)
    needed: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The name of the address, and the table."""
        return self.source.shown

    def parts(self, *, since: pd.Timestamp | None = None) -> Iterator[Part]:
        """Ask the database: one part, read in one consistent state."""
        from components.stores.sql import Asked, Since, columns_of, read_query

        asked = Asked(query=self.source.query, table=self.source.table, shown=self.shown)
        names = columns_of(self.url, asked)
        columns = chosen(names, self.needed, self.shown)
        newer = [] if since is None else [Since(*one) for one in self._newer(since)]
        read = partial(read_query, self.url, asked, columns=columns, since=newer)
        yield Part(self.shown, names, lambda: regroup(read()))

    def _newer(self, since: pd.Timestamp) -> Iterator[tuple[str, pd.Timestamp]]:
        """Name the columns, any of which makes a row worth reading again above a time.

        A label that is known some time after its event is filled in place: rows so young come
        again. What may arrive late is in `since` already.
        """
        if isinstance(self.source, Labels):
            yield self.source.time, since
            return
        if self.pipeline.updated is not None:
            yield self.pipeline.updated, since
        if self.pipeline.label_time is not None:
            yield self.pipeline.label_time, since
        yield self.pipeline.time, since - (self.pipeline.label_delay or timedelta())
