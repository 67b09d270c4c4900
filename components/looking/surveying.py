"""One pass over a source: counts of everything, and a bounded sample of its rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from components.looking.times import Moments, read_moments
from components.sources.parts import frame_of
from components.values import is_missing, parse_text

SAMPLE_ROWS = 200_000
"""At most so many rows are kept, whole columns of them."""

FACT_ROWS = 2_000_000
"""Of at most so many rows the times, and fingerprints of the ids, are kept."""

BLOCK = 1_000
"""Rows are kept in stretches of this length, so that neighbours stay neighbours."""

NUMBER = "_dw_row"
"""The column of the sample that numbers the rows in the order of the source."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns that serve as more than a feature, where there are such."""

    time: str
    target: str | None = None
    id: str | None = None
    entity: str | None = None
    updated: str | None = None
    label_time: str | None = None

    @property
    def named(self) -> dict[str, str]:
        """The column behind each option."""
        options = ("time", "target", "id", "entity", "updated", "label_time")
        given = ((option, getattr(self, option)) for option in options)
        return {option: column for option, column in given if column is not None}


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over a source found.

    Attributes
    ----------
    rows : int
        All rows of the source.
    columns : tuple of str
        The columns that stand once, in the order of the source.
    twice : tuple of str
        Names that stand more than once: they cannot be told apart.
    nulls : dict
        Missing values of each column, over all rows.
    sample : DataFrame of shape (at most SAMPLE_ROWS, n_columns)
        Raw rows in the order of the source: stretches of BLOCK rows, spread over it, the
        first ones always. Its index is the row's number in the source.
    facts : DataFrame of shape (at most FACT_ROWS, 4 to 7)
        Of the first rows `event` and, where there are such columns, `updated` and
        `label_known` (datetime64[us, UTC]), `labelled` (bool), `id` and `entity` (uint64
        fingerprints).
    moments : dict
        How the values of each time column are written, from its first block.

    """

    rows: int
    columns: tuple[str, ...]
    twice: tuple[str, ...]
    nulls: dict[str, int]
    sample: pd.DataFrame
    facts: pd.DataFrame
    moments: dict[str, Moments] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether the sample is all there is."""
        return len(self.sample) == self.rows


def survey(batches: Iterable[pa.RecordBatch], roles: Roles) -> Survey:
    """Look through a source once.

    Parameters
    ----------
    batches : iterable of RecordBatch
        Its rows in order, as :meth:`components.sources.Part.batches` gives them. Batches may
        differ in their columns; what one lacks is missing there.
    roles : Roles
        Columns that are absent are left out; the caller says so.

    Examples
    --------
    >>> batch = pa.RecordBatch.from_pydict({"at": ["2026-01-01", "2026-01-02"], "x": ["1", None]})
    >>> found = survey([batch], Roles("at"))
    >>> found.rows, found.nulls, len(found.sample)
    (2, {'at': 0, 'x': 1}, 2)

    """
    passing = _Passing(roles)
    for batch in batches:
        if batch.num_rows:
            passing.take(batch)
    return passing.done()


class _Passing:
    """The moving parts of one pass."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self._rows = 0
        self._stride = 1
        self._kept: list[pd.DataFrame] = []
        self._facts: list[pd.DataFrame] = []
        self._fact_rows = 0
        self._given: dict[str, int] = {}
        self._twice: dict[str, None] = {}
        self._moments: dict[str, Moments] = {}

    def take(self, batch: pa.RecordBatch) -> None:
        names = batch.schema.names
        self._twice.update(dict.fromkeys(name for name in names if names.count(name) > 1))
        once = [place for place, name in enumerate(names) if name not in self._twice]
        table = _plain(pa.Table.from_batches([batch]).select(once))
        for name in table.column_names:
            column = table.column(name)
            self._given[name] = self._given.get(name, 0) + len(column) - column.null_count
        self._note(table)
        self._keep(table)
        self._rows += table.num_rows

    def _keep(self, table: pa.Table) -> None:
        number = np.arange(self._rows, self._rows + table.num_rows)
        kept = number // BLOCK % self._stride == 0
        frame = frame_of(table if kept.all() else table.filter(pa.array(kept)))
        frame.index = pd.Index(number[kept], name=NUMBER)
        self._kept.append(frame)
        while sum(map(len, self._kept)) > SAMPLE_ROWS:
            self._stride *= 2
            self._kept = [f[f.index // BLOCK % self._stride == 0] for f in self._kept]

    def _note(self, table: pa.Table) -> None:
        """Keep what has to be known of every row."""
        if self._fact_rows >= FACT_ROWS or self._roles.time not in table.column_names:
            return
        names = [name for name in self._roles.named.values() if name in table.column_names]
        frame = frame_of(table.select(list(dict.fromkeys(names))))
        noted = {}
        times = {
            "event": self._roles.time,
            "updated": self._roles.updated,
            "label_known": self._roles.label_time,
        }
        for fact, column in times.items():
            if column is not None and column in frame.columns:
                read = read_moments(frame[column])
                self._moments[column] = read.merged(self._moments.get(column))
                noted[fact] = read.values
        if self._roles.target in frame.columns:
            noted["labelled"] = frame[self._roles.target].notna()
        for fact, column in {"id": self._roles.id, "entity": self._roles.entity}.items():
            if column in frame.columns:
                noted[fact] = fingerprints(frame[column])
        self._facts.append(pd.DataFrame(noted))
        self._fact_rows += len(frame)

    def done(self) -> Survey:
        names = [name for name in self._given if name not in self._twice]
        kept = [frame for frame in self._kept if len(frame)]
        sample = pd.concat(kept) if kept else pd.DataFrame(columns=names)
        facts = pd.concat(self._facts, ignore_index=True) if self._facts else pd.DataFrame()
        return Survey(
            rows=self._rows,
            columns=tuple(names),
            twice=tuple(self._twice),
            nulls={name: self._rows - self._given[name] for name in names},
            sample=sample[[name for name in names if name in sample.columns]],
            facts=facts,
            moments=self._moments,
        )


def _plain(table: pa.Table) -> pa.Table:
    """Spell out columns that Parquet keeps as a list of values and places in it."""
    for place, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            plain = column.cast(column.type.value_type)
            table = table.set_column(place, table.column_names[place], plain)
    return table


def fingerprints(raw: pd.Series) -> pd.Series:
    """Hash names as text, so that ``7`` and ``"7"`` are one; 0 where there is none.

    >>> found = fingerprints(pd.Series(["7", None]))
    >>> bool(found[0] == fingerprints(pd.Series([7]))[0]), int(found[1])
    (True, 0)
    """
    text = parse_text(raw).values
    hashed = pd.util.hash_pandas_object(text.astype(object), index=False)
    return hashed.where(text.notna(), np.uint64(0))


def is_given(raw: pd.Series) -> pd.Series:
    """Mark what is not missing: not null, not an empty text."""
    if raw.dtype == object:
        return pd.Series([not is_missing(v) and v != "" for v in raw], raw.index, dtype=bool)
    return raw.notna() & raw.ne("") if isinstance(raw.dtype, pd.StringDtype) else raw.notna()
