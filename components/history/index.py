"""Every history feature of a pipeline, at any moment: one piece of code for all who ask.

A training snapshot, a batch, a backtest and the endpoint all ask :class:`HistoryIndex`. A row
is answered from what was known at its moment: of each record or label the newest version known
by then, of events strictly before that of the row. What became known later, or happened later,
changes no value, not even in its last digit. The idea of joining features as of a moment is
that of feature stores (Feast calls it a point-in-time join); that a label may be known out of
turn, and corrected, is taken at its word here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import pandas as pd

from components.errors import PipelineFileError
from components.faults import Fault
from components.history.groups import Groups
from components.history.hiding import Mask, unspoiled
from components.history.taking import Count, Maker, Mean, Newest, Trend, as_column
from components.history.timeline import Timeline
from components.history.versions import (
    FOREVER,
    NO_TIME,
    Versions,
    microseconds,
    paired,
    record_numbers,
)
from components.pipelines import Pipeline
from components.pipelines.data import History
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID

_LONGEST = 2**61  # microseconds: longer than all of recorded time, and no sum overflows


@dataclass(frozen=True, slots=True)
class _Asked:
    """Rows as the features see them; times in microseconds."""

    events: np.ndarray
    moments: np.ndarray
    by: Mapping[str, pd.Series]

    def rows(self, which: np.ndarray) -> "_Asked":
        by = {name: column.iloc[which] for name, column in self.by.items()}
        return _Asked(self.events[which], self.moments[which], by)


@dataclass(frozen=True, slots=True)
class _Said:
    """Versions of one thing with their values, before they are put in order."""

    versions: Versions
    values: np.ndarray
    by: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _LaidOut:
    """Versions of one thing in order, with their values."""

    timeline: Timeline
    values: np.ndarray
    groups: Groups


@dataclass(frozen=True, slots=True)
class _Feature:
    """One history feature, ready to be asked."""

    name: str
    back: int
    over: int | None
    groups: Groups
    timeline: Timeline
    maker: Maker
    since: int

    def at(self, asked: _Asked) -> np.ndarray:
        """Make the values of rows."""
        group = self.groups.find(asked.by, asked.events)
        there = (group >= 0) & (asked.events != NO_TIME) & (asked.moments >= self.since)
        there &= len(self.timeline.known) > 0
        if there.all():
            return self._make(group, asked)
        kind = object if self.maker.missing is None else np.float64
        found = np.full(len(group), self.maker.missing, dtype=kind)
        if there.any():
            found[there] = self._make(group[there], asked.rows(np.flatnonzero(there)))
        return found

    def _make(self, group: np.ndarray, asked: _Asked) -> np.ndarray:
        since = None if self.over is None else asked.events - self.over
        seen = self.timeline.asked(group, since, asked.events - self.back, asked.moments)
        return self.maker.make(seen, asked.events)


class HistoryIndex:
    """All that was ever known of records and labels, laid out to be asked at any moment.

    Made by :meth:`of`. It holds about 100 bytes a version and feature; it cannot grow: to
    take in new rows, make another (a million rows and six features take some seconds).
    """

    def __init__(
        self, features: tuple[_Feature, ...], first: pd.DataFrame, by: tuple[str, ...]
    ) -> None:
        self._features = features
        self._first = first
        self._by = by

    @classmethod
    def of(
        cls,
        records: pd.DataFrame,
        labels: pd.DataFrame,
        pipeline: Pipeline,
        spoiled: Iterable[Fault] = (),
    ) -> Self:
        """Lay out every version of records and labels; neither is modified.

        Parameters
        ----------
        records : DataFrame of shape (n_versions, n_columns)
            Every version, in any order: `record_id`, `event_time`, `known_time`, and the
            columns that features are made of or by.
        labels : DataFrame of shape (n_versions, n_columns)
            Every version: `record_id`, `event_time`, `known_time`, `label`. Where labels come
            in a table of their own, the event time is that of the record, and the label
            counts once its record is known too.
        pipeline : Pipeline
            With a resolved task.
        spoiled : iterable of Fault
            What they spoil is unknown: see :func:`components.history.hiding.unspoiled`.

        Raises
        ------
        PipelineFileError
            If a mean or trend is asked of a label with more than two classes.

        """
        _check(pipeline)
        by = tuple(dict.fromkeys(name for feature in pipeline.history for name in feature.by))
        (record, label), ids = record_numbers(records, labels)
        kept = unspoiled(records, labels, pipeline, spoiled)
        said = _Sayings(
            pipeline,
            kept.records,
            kept.labels,
            Versions.of(records, record),
            Versions.of(labels, label),
            kept.uncounted,
            ids,
            {},
        )
        earliest = said.record_versions.first()
        first = kept.records.iloc[earliest.row][[RECORD_ID, EVENT_TIME, KNOWN_TIME, *by]]
        features = tuple(_lay_out(feature, said) for feature in pipeline.history)
        return cls(features, first.set_index(RECORD_ID), by)

    def at(self, rows: pd.DataFrame, moments: pd.Series | None = None) -> pd.DataFrame:
        """Answer rows, each on its own: neither their number nor their order matters.

        Parameters
        ----------
        rows : DataFrame of shape (n_rows, n_columns)
            `record_id`, `event_time`, `known_time` and the columns that features are `by`.
            Not modified.
        moments : Series of shape (n_rows,), optional
            When each row is predicted (datetime64[us, UTC]). By default when its record was
            first known; then event time and `by` are those of that first version too, so
            that a later correction does not change what a model learns from. A row whose
            record is unknown here is taken as it is.

        Returns
        -------
        DataFrame of shape (n_rows, n_features)
            One column a feature, of the index of `rows`: float64, or text for the last value
            of a category. NaN where nothing was known, 0 for a count.

        """
        made = self.values_at(rows, moments)
        if all(values.dtype.kind == "f" for values in made.values()):
            table = np.empty((len(rows), len(made)), order="F")  # six times as fast for one row
            for place, values in enumerate(made.values()):
                table[:, place] = values
            return pd.DataFrame(table, index=rows.index, columns=list(made), copy=False)
        columns = {name: as_column(values, rows.index) for name, values in made.items()}
        return pd.DataFrame(columns, index=rows.index)

    def values_at(
        self, rows: pd.DataFrame, moments: pd.Series | None = None
    ) -> dict[str, np.ndarray]:
        """Answer as :meth:`at` does, without a frame: for one row that takes half the time.

        Returns
        -------
        dict of str to ndarray of shape (n_rows,)
            float64, or objects: text, NaN or None where it is missing.

        """
        asked = self._as_given(rows, moments) if moments is not None else self._as_first(rows)
        return {feature.name: feature.at(asked) for feature in self._features}

    def _as_given(self, rows: pd.DataFrame, moments: pd.Series) -> _Asked:
        by = {name: rows[name] for name in self._by}
        return _Asked(microseconds(rows[EVENT_TIME]), microseconds(moments), by)

    def _as_first(self, rows: pd.DataFrame) -> _Asked:
        place = self._first.index.get_indexer(pd.Index(rows[RECORD_ID]))
        if (place < 0).all():
            return self._as_given(rows, rows[KNOWN_TIME])
        known = self._first.iloc[place]
        asked = self._as_given(known.reset_index(), known[KNOWN_TIME])
        unknown = place < 0
        if not unknown.any():
            return asked
        own = self._as_given(rows, rows[KNOWN_TIME])
        by = {
            name: column.where(~unknown, own.by[name].to_numpy())
            for name, column in asked.by.items()
        }
        return _Asked(
            np.where(unknown, own.events, asked.events),
            np.where(unknown, own.moments, asked.moments),
            by,
        )


def add_history(
    rows: pd.DataFrame,
    *,
    records: pd.DataFrame,
    labels: pd.DataFrame,
    pipeline: Pipeline,
    moments: pd.Series | None = None,
    spoiled: Iterable[Fault] = (),
) -> pd.DataFrame:
    """Add the history features of a pipeline to rows.

    Parameters
    ----------
    rows, moments
        As for :meth:`HistoryIndex.at`.
    records, labels, pipeline, spoiled
        As for :meth:`HistoryIndex.of`.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns + n_features)
        `rows` itself where the pipeline has no history features.

    """
    if not pipeline.history:
        return rows
    return rows.assign(**HistoryIndex.of(records, labels, pipeline, spoiled).at(rows, moments))


@dataclass(frozen=True, slots=True)
class _Sayings:
    """What records and labels said, from which features are laid out."""

    pipeline: Pipeline
    records: pd.DataFrame
    labels: pd.DataFrame
    record_versions: Versions
    label_versions: Versions
    uncounted: Mask | None
    ids: pd.Index
    made: dict[object, _LaidOut]

    def laid_out(self, feature: History) -> _LaidOut:
        """Put the versions that have a value and a group in order; once for all that share it."""
        key = (feature.of, feature.same, feature.by)
        if key not in self.made:
            self.made[key] = self._lay_out(feature)
        return self.made[key]

    def last_class(self) -> tuple[str | None, int]:
        """Tell which of two classes sorts last, and since when that is known.

        It is known once both have been seen: before, a mean or trend has no value. The two
        are those seen first, so that a stray third class changes nothing.
        """
        versions = self.label_versions
        said = _plain(self.labels[LABEL].iloc[versions.row], number=False)
        first = pd.Series(versions.known).groupby(said, sort=True).min()
        first = first.sort_values(kind="stable")
        if len(first) < 2:  # noqa: PLR2004 - one class has no other to sort behind
            return None, FOREVER
        return str(max(first.index[:2])), int(first.iloc[1])

    def _lay_out(self, feature: History) -> _LaidOut:
        said = self._labels(feature) if feature.of == LABEL else self._records(feature)
        numbers = said.values.dtype.kind == "f"
        whole = np.isfinite(said.values) if numbers else pd.notna(said.values)
        by = {name: said.by[name] for name in feature.by}
        groups, group = Groups.of(feature.same, by, said.versions.event)
        kept = np.flatnonzero(whole & (said.versions.event != NO_TIME) & (group >= 0))
        order = _in_order(group[kept], said.versions.kept(kept), self.ids)
        versions = said.versions.kept(kept[order])
        timeline = Timeline(
            group[kept[order]],
            versions.event,
            versions.known,
            versions.until,
            max(len(groups), 1),
        )
        return _LaidOut(timeline, said.values[kept[order]], groups)

    def _records(self, feature: History) -> _Said:
        versions = self.record_versions
        by = self.records[list(feature.by)].iloc[versions.row]
        if feature.of == "records":
            ones = np.ones(len(versions.row))
            if self.uncounted is not None:
                ones[self.uncounted[versions.row]] = np.nan
            return _Said(versions, ones, by)
        column = self.records[feature.of].iloc[versions.row]
        number = self.pipeline.columns[feature.of].kind == "number"
        return _Said(versions, _plain(column, number=number), by)

    def _labels(self, feature: History) -> _Said:
        versions, by = self.label_versions, pd.DataFrame(index=self.label_versions.row)
        apart = self.pipeline.labels is not None
        if feature.by or apart:
            versions, partner = paired(versions, self.record_versions)
            if apart:
                events = self.record_versions.event[partner]
                versions = Versions(
                    versions.row, versions.record, events, versions.known, versions.until
                )
            whose = self.record_versions.row[partner]
            by = self.records[list(feature.by)].iloc[whose]
        column = self.labels[LABEL].iloc[versions.row]
        regression = self.pipeline.resolved_task == "regression"
        return _Said(versions, _plain(column, number=regression), by)


def _lay_out(feature: History, sayings: _Sayings) -> _Feature:
    laid = sayings.laid_out(feature)
    values, since = laid.values, NO_TIME + 1
    if feature.take in {"mean", "trend"} and values.dtype.kind != "f":
        upper, since = sayings.last_class()
        values = (values == upper).astype(np.float64)
    back = 1 if feature.back is None else max(_micro(feature.back), 1)
    over = None if feature.over is None else _micro(feature.over)
    distances = (back,) if over is None else (back, over)
    maker = _maker(feature, laid.timeline, values, distances)
    return _Feature(feature.name, back, over, laid.groups, laid.timeline, maker, since)


def _maker(
    feature: History, timeline: Timeline, values: np.ndarray, distances: tuple[int, ...]
) -> Maker:
    match feature.take:
        case "last":
            return Newest(timeline, values)
        case "count":
            return Count(timeline, distances)
        case "mean":
            return Mean(timeline, values, distances)
        case "trend":
            return Trend(timeline, values, distances, feature.over)


def _in_order(group: np.ndarray, versions: Versions, ids: pd.Index) -> np.ndarray:
    """Order versions by group, event, known time and id."""
    order = np.lexsort((versions.known, versions.event, group))
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for key in (group, versions.event, versions.known):
        same &= np.diff(key[order]) == 0
    if not same.any():
        return order
    # Only where all else is equal do ids decide: sorting a million of them takes a second.
    tied = np.append(same, False) | np.append(False, same)
    rank = np.zeros(len(group), dtype=np.int64)
    names = ids[versions.record[order[tied]]].to_numpy(dtype=object)
    rank[order[tied]] = np.unique(names, return_inverse=True)[1]
    return np.lexsort((rank, versions.known, versions.event, group))


def _check(pipeline: Pipeline) -> None:
    for feature in pipeline.history:
        numeric = feature.take in {"mean", "trend"}
        if feature.of == LABEL and numeric and pipeline.resolved_task == "multiclass":
            raise PipelineFileError(
                f"{pipeline.file.name or pipeline.name}: history: a label of more than two "
                f"classes has no {feature.take}. Got {feature.name}; take last or count"
            )


def _plain(column: pd.Series, *, number: bool) -> np.ndarray:
    return column.to_numpy(dtype=np.float64 if number else object, na_value=np.nan)


def _micro(span: timedelta) -> int:
    return min(span // timedelta(microseconds=1), _LONGEST)
