"""What a source had said by any moment of its past: every version of records and labels.

A replay asks the same questions as the lake is asked live (:mod:`flows.steps.snapshots`,
:mod:`flows.steps.scoring`), hundreds of times; here each is one comparison of times.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

import pandas as pd

from components.faults import Fault
from components.history import HistoryIndex
from components.history.hiding import relevant
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    RECORD_ID,
    empty_frame,
    quarantine_schema,
)
from flows.steps.snapshots import given, newest_known, with_event_times

_SUPERSEDED = "_dw_superseded"
"""When the next version of a record or label was known; NaT for the last."""

_KEPT = 8
"""So many pasts, each of which sees nothing of other faults, are kept at hand."""


@dataclass(frozen=True, slots=True)
class Past:
    """All that a source ever said, with the time at which it was known.

    Attributes
    ----------
    scored : DataFrame of shape (n_records, n_features + 4)
        Each record as it was first known, with `known_time` of that version and the label
        as finally known (NaN or None where it never comes), in the order of the events.
    quarantine : DataFrame
        The lines of rows that broke a rule; a look for data faults reads them.

    """

    scored: pd.DataFrame
    quarantine: pd.DataFrame
    _records: pd.DataFrame
    _labels: pd.DataFrame
    _labelled: pd.DataFrame
    _pipeline: Pipeline
    _unseen: tuple[Fault, ...] = ()
    _others: "dict[tuple[Fault, ...], Self]" = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        records: pd.DataFrame,
        labels: pd.DataFrame,
        pipeline: Pipeline,
        quarantine: pd.DataFrame | None = None,
    ) -> Self:
        """Lay out every version of records and labels; neither is modified.

        History features are added once: a record sees what was known when it was to be
        predicted, whatever the moment at which one looks back at it.

        Parameters
        ----------
        records : DataFrame of shape (n_versions, n_features + 3)
            `record_id`, `event_time`, `known_time`, the features.
        labels : DataFrame of shape (n_versions, 4)
            `record_id`, `event_time`, `known_time`, `label`.
        quarantine : DataFrame, optional
            Lines as the lake keeps them; none by default.

        """
        if quarantine is None:
            quarantine = empty_frame(quarantine_schema())
        labels = with_event_times(labels, records)
        labels = labels[labels[EVENT_TIME].notna()]
        records, labels = _with_superseded(records), _with_superseded(labels)
        if pipeline.entity is not None:
            whose = records.drop_duplicates(RECORD_ID, keep="last").set_index(RECORD_ID)
            about = labels[RECORD_ID].map(whose[pipeline.entity])
            labels = labels.assign(**{pipeline.entity: about})
        first = records.drop_duplicates(RECORD_ID, keep="first").drop(columns=_SUPERSEDED)
        truth = newest_known(labels)[[RECORD_ID, LABEL]]
        scored = _in_order(first.merge(truth, on=RECORD_ID, how="left", validate="one_to_one"))
        made = cls(
            scored,
            quarantine,
            _in_order(records),
            _in_order(labels),
            _joined(records, labels),
            pipeline,
        )
        return made._with_history(()) if pipeline.history else made

    def knowing(self, faults: Iterable[Fault]) -> Self:
        """Give the same past, with history features that see nothing of what faults spoil.

        Parameters
        ----------
        faults : iterable of Fault
            As they were known at the moment that one looks from.

        """
        unseen = relevant(faults, self._pipeline)
        if unseen == self._unseen:
            return self
        others = self._others
        made = others.pop(unseen, None) or self._with_history(unseen)
        others[unseen] = made  # the newest is last
        if len(others) > _KEPT:
            others.pop(next(iter(others)))
        return made

    def _with_history(self, unseen: tuple[Fault, ...]) -> Self:
        index = HistoryIndex.of(self._records, self._labels, self._pipeline, unseen)
        # All versions of a record have the same history: that of its first one.
        made, whose = index.at(self.scored), pd.Index(self.scored[RECORD_ID])
        scored, records, labelled = (
            rows.assign(**made.iloc[whose.get_indexer(rows[RECORD_ID])].set_index(rows.index))
            for rows in (self.scored, self._records, self._labelled)
        )
        return replace(
            self, scored=scored, _records=records, _labelled=labelled, _unseen=unseen, _others={}
        )

    def records_known(self, moment: pd.Timestamp) -> pd.DataFrame:
        """Give the records known at a moment, each in the version that was the newest."""
        return _as_of(self._records, moment)

    def labels_known(self, moment: pd.Timestamp) -> pd.DataFrame:
        """Give the labels known at a moment, each in the version that was the newest.

        One that was withdrawn by then is none. Each says whom its record is about, where the
        pipeline has an entity.
        """
        return given(_as_of(self._labels, moment))

    def labelled(self, moment: pd.Timestamp) -> pd.DataFrame:
        """Give what could be learnt from at a moment.

        Returns
        -------
        DataFrame of shape (n_labelled, n_features + 4)
            As :func:`flows.steps.snapshots.join_labels` gives it: `known_time` is the later of
            record and label.

        """
        return given(_as_of(self._labelled, moment))


def _with_superseded(versions: pd.DataFrame) -> pd.DataFrame:
    """Sort versions by record and known time, and say of each when the next one was known."""
    rows = versions.sort_values([RECORD_ID, KNOWN_TIME], kind="stable")
    if not rows[RECORD_ID].duplicated().any():
        return rows.assign(**{_SUPERSEDED: pd.Series(pd.NaT, rows.index, rows[KNOWN_TIME].dtype)})
    return rows.assign(**{_SUPERSEDED: rows.groupby(RECORD_ID)[KNOWN_TIME].shift(-1)})


def _joined(records: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Pair versions of records and labels; a pair holds from the later to the next of either."""
    said = labels[[RECORD_ID, KNOWN_TIME, _SUPERSEDED, LABEL]]
    rows = records.merge(said, on=RECORD_ID, suffixes=("", "_label"))
    known, ended = rows.pop(f"{KNOWN_TIME}_label"), rows.pop(f"{_SUPERSEDED}_label")
    rows[KNOWN_TIME] = rows[KNOWN_TIME].where(rows[KNOWN_TIME] >= known, known)
    sooner = (rows[_SUPERSEDED] <= ended) | ended.isna()
    rows[_SUPERSEDED] = rows[_SUPERSEDED].where(sooner, ended)
    return _in_order(rows[~(rows[_SUPERSEDED] <= rows[KNOWN_TIME])])


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values([EVENT_TIME, RECORD_ID, KNOWN_TIME], kind="stable").reset_index(
        drop=True
    )


def _as_of(versions: pd.DataFrame, moment: pd.Timestamp) -> pd.DataFrame:
    known = (versions[KNOWN_TIME] <= moment) & ~(versions[_SUPERSEDED] <= moment)
    return versions[known].drop(columns=_SUPERSEDED)
