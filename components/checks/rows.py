"""Check what a source holds, row by row: what is good, and what is set aside with its reason."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from components.checks.claims import settle
from components.checks.columns import (
    LABEL_KNOWN,
    absent_columns,
    needed_columns,
    require_columns,
    require_names,
)
from components.checks.lines import Extent, absence_lines, quarantine_lines, write_value
from components.checks.parsing import Times, parse_moments, parse_rows
from components.checks.rules import A_TIME, MISSING, Broken, Mask, any_broken
from components.checks.schema import breaches, require_types, schema_of
from components.errors import SourceError
from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, carried

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema


@dataclass(frozen=True, slots=True)
class Checked:
    """Rows that passed, and what did not.

    Attributes
    ----------
    good : DataFrame
        `record_id`, `event_time`, `known_time`, the features, `label` and
        `label_known_time`; the label is missing where it is unknown or bad. Where the row
        gives none, the time says since when; else it is missing too.
    quarantine : DataFrame
        One line a broken rule; columns of :func:`components.records.quarantine_schema`.

    """

    good: pd.DataFrame
    quarantine: pd.DataFrame


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """A batch whose rows were checked each by itself.

    Attributes
    ----------
    good, quarantine : DataFrame
        As in :class:`Checked`; several rows may still claim one record.
    extent : Extent
        The rows that were known.
    left_from : Timestamp or None
        The earliest known time of a row of which something is left for a later ingest: the
        row itself, or its label, was not known yet.
    readable : bool
        Whether any row had a readable time.
    first_time : str or None
        What stands in the time column of the first row.

    """

    good: pd.DataFrame
    quarantine: pd.DataFrame
    extent: Extent
    left_from: pd.Timestamp | None
    readable: bool
    first_time: str | None


@dataclass(frozen=True)
class RowChecks:
    """The checks of one pipeline, made once and used on every batch.

    Attributes
    ----------
    pipeline : Pipeline
        Resolved.
    as_of : Timestamp or None
        What was not known by then is left out: rows, labels, and whether they are good.

    """

    pipeline: Pipeline
    as_of: pd.Timestamp | None = None
    _schema: "DataFrameSchema" = field(init=False, repr=False)
    _seen: list[bool] = field(init=False, default_factory=list, repr=False)

    def __post_init__(self) -> None:
        require_names(self.pipeline)
        object.__setattr__(self, "_schema", schema_of(self.pipeline))

    def check(self, raw: pd.DataFrame) -> CheckedBatch:
        """Check rows, each by itself.

        Parameters
        ----------
        raw : DataFrame of shape (n_rows, n_columns)
            Of any types; with every column but features. Not modified.

        """
        pipeline = self.pipeline
        present = [name for name in needed_columns(pipeline) if name in raw.columns]
        raw = raw.loc[:, present].reset_index(drop=True)
        times = parse_moments(raw, pipeline)
        readable = bool(times.event.values.notna().any())
        first_time = write_value(raw[pipeline.time].iloc[0]) if len(raw) else None
        raw, times, left = self._known(raw, times)
        rows, broken = parse_rows(raw, times, pipeline)
        broken = self._in_order([*broken, *self._breaches(rows, broken, raw)])
        broken, left_labels = self._known_labels(rows, broken)
        bad = any_broken(broken, len(rows), label_only=False)
        bad_label = any_broken(broken, len(rows), label_only=True)
        lines = quarantine_lines(
            raw, rows, broken, pipeline, as_of=self.as_of, features=carried(pipeline)
        )
        if bad_label.any():
            _say_nothing(rows, bad_label)
        good = rows[~bad].reset_index(drop=True) if bad.any() else rows
        return CheckedBatch(
            good,
            lines,
            Extent.of(rows[EVENT_TIME], rows[KNOWN_TIME]),
            min(filter(None, (left, left_labels)), default=None),
            readable,
            first_time,
        )

    def _known(
        self, raw: pd.DataFrame, times: Times
    ) -> tuple[pd.DataFrame, Times, pd.Timestamp | None]:
        """Leave out the rows that nobody knew of; says from when on."""
        if self.as_of is None:
            return raw, times, None
        later = (times.known.values > self.as_of).to_numpy(dtype=bool)
        if not later.any():
            return raw, times, None
        left = times.known.values[later].min()
        return raw[~later].reset_index(drop=True), times.only(~later), left

    def _breaches(
        self, rows: pd.DataFrame, unreadable: list[Broken], raw: pd.DataFrame
    ) -> list[Broken]:
        """Hold the rows against the schema; what could not be read is no second fault."""
        pipeline = self.pipeline
        ours = {
            EVENT_TIME: pipeline.time,
            KNOWN_TIME: pipeline.updated or pipeline.time,
            LABEL: pipeline.target,
        }
        if not self._seen:  # the same code reads every batch
            require_types(rows, self._schema)
            self._seen.append(True)
        found = []
        for breach in breaches(rows, self._schema):
            column = ours.get(breach.column, breach.column)
            mask = breach.rows.copy()
            if breach.rule == MISSING and column not in raw.columns:
                continue  # absent: its one line is written for the part
            for one in unreadable:
                if one.column == column:
                    mask &= ~one.rows
            found.append(Broken(column, breach.rule, mask, label_only=breach.column == LABEL))
        return found

    def _in_order(self, broken: list[Broken]) -> list[Broken]:
        """Sort by column as the pipeline file does, so that lines come in one order."""
        pipeline = self.pipeline
        order = [pipeline.time, pipeline.updated, *pipeline.columns, pipeline.id, pipeline.entity]
        place = {name: at for at, name in reversed(list(enumerate(order)))}
        return sorted(broken, key=lambda one: place.get(one.column, len(order)))

    def _known_labels(
        self, rows: pd.DataFrame, broken: list[Broken]
    ) -> tuple[list[Broken], pd.Timestamp | None]:
        """Drop labels, and complaints about labels, that nobody knew of yet."""
        if self.as_of is None:
            return broken, None
        later = (rows[LABEL_KNOWN] > self.as_of).to_numpy(dtype=bool)
        if not later.any():
            return broken, None
        given = rows[LABEL].notna() | any_broken(broken, len(rows), label_only=True)
        left = rows.loc[later & given, KNOWN_TIME].min()
        _say_nothing(rows, later)
        known = [
            Broken(b.column, b.rule, b.rows & ~later, b.label_only) if b.label_only else b
            for b in broken
        ]
        return known, None if pd.isna(left) else left


def _say_nothing(rows: pd.DataFrame, which: Mask) -> None:
    """Leave out labels, and when they were known: a label that is gone has that moment."""
    rows[LABEL] = rows[LABEL].where(~which)
    rows[LABEL_KNOWN] = rows[LABEL_KNOWN].where(~which)


def check_rows(
    raw: pd.DataFrame, pipeline: Pipeline, *, as_of: pd.Timestamp | None = None, part: str = ""
) -> Checked:
    """Check all rows of a source, as far as they were known at a moment.

    Parameters
    ----------
    raw : DataFrame of shape (n_rows, n_columns)
        As read from the source, of any types. Not modified.
    pipeline : Pipeline
        Resolved: with its columns and task.
    as_of : Timestamp, optional
        Leave out what was not known by then: later rows, later labels, and whether those
        are good or bad. By default everything is looked at.
    part : str
        The part of the source that the rows are, for people; all of it by default.

    Raises
    ------
    SourceError
        If a column other than a feature is missing, one stands twice, or no row has a
        readable time. A feature that is absent is missing in every row, and one line says so.

    Examples
    --------
    >>> from datetime import timedelta
    >>> pipeline = Pipeline(
    ...     name="bikes", source={"path": "bikes.csv"}, time="at", target="count",
    ...     task="regression", label_delay=timedelta(days=1),
    ...     columns={"hour": {"kind": "number", "max": 23}},
    ... )
    >>> raw = pd.DataFrame({"at": ["2011-01-01", "2011-01-02"], "hour": [5, 99], "count": [1, 2]})
    >>> checked = check_rows(raw, pipeline)
    >>> len(checked.good), checked.quarantine.loc[0, ["column", "rule", "value"]].to_list()
    (1, ['hour', 'must be at most 23', '99'])

    """
    checks = RowChecks(pipeline, as_of)
    require_columns(raw.columns, pipeline, part=part)
    batch = checks.check(raw)
    if len(raw) and not batch.readable:
        raise unreadable_times(pipeline, part, batch.first_time)
    settled = settle(batch.good, pipeline)
    absent = absent_columns(raw.columns, pipeline)
    name = part or pipeline.source.shown
    gaps = absence_lines(absent, batch.extent, pipeline, part=name, as_of=as_of)
    lines = [frame for frame in (batch.quarantine, settled.quarantine, gaps) if len(frame)]
    quarantine = pd.concat(lines, ignore_index=True) if lines else batch.quarantine
    return Checked(settled.rows, quarantine)


def unreadable_times(pipeline: Pipeline, part: str, first: str | None) -> SourceError:
    """Say that no row has a readable time."""
    where = pipeline.source.shown if part in {"", pipeline.source.shown} else part
    return SourceError(
        f"no row of {where} has a readable time: column {pipeline.time!r} {A_TIME}. "
        f"The first is {first!r}"
    )


__all__ = ["Checked", "CheckedBatch", "RowChecks", "check_rows", "unreadable_times"]
