"""What history must not see: values of records that a data fault spoils.

A lag or a mean that holds a faulty value carries the fault into rows that are clean, in training
and when they are predicted. Such values are unknown here: they are skipped and not counted, as
if they had never been given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.fallbacks import ONLY_THE_MISSING
from components.faults import Fault
from components.pipelines import Pipeline
from components.records import LABEL

Mask = npt.NDArray[np.bool_]
_WHOLE_ROWS = frozenset({"duplicated", "clock_jump", "id_burst"})
_SEVERAL_COLUMNS = frozenset({"columns_shifted"})


@dataclass(frozen=True, slots=True)
class Unspoiled:
    """Records and labels without the values that faults spoil, in the order as given.

    Attributes
    ----------
    records, labels : DataFrame
        A spoiled value is missing; every row is still there, for what it supersedes.
    uncounted : ndarray of bool, shape (n_records,) or None
        Records that did not happen as they say; None: there are none.

    """

    records: pd.DataFrame
    labels: pd.DataFrame
    uncounted: Mask | None = None


def unspoiled(
    records: pd.DataFrame, labels: pd.DataFrame, pipeline: Pipeline, spoiled: Iterable[Fault]
) -> Unspoiled:
    """Take out of records and labels what history must not see; neither is modified.

    A fault in a feature spoils that column, a fault in the target the labels. One in the order
    of columns spoils all of them. Any other, such as a day that came twice, spoils whole rows:
    features, label, and that the record is counted at all. A fault that consists in missing
    values spoils none: those that are there are right.

    Parameters
    ----------
    records, labels : DataFrame of shape (n_versions, n_columns)
        As for :meth:`components.history.HistoryIndex.of`.
    pipeline : Pipeline
    spoiled : iterable of Fault
        As they were known at the moment that one looks from.

    """
    seen = _seen(pipeline)
    hidden: dict[str, Mask] = {}
    mislabelled = np.zeros(len(labels), dtype=bool)
    uncounted: Mask | None = None
    for fault in relevant(spoiled, pipeline):
        names = _columns(fault, pipeline) & seen
        if names:
            concerned = fault.concerns(records)
            for name in names:
                hidden[name] = hidden[name] | concerned if name in hidden else concerned
            if _whole(fault, pipeline):
                uncounted = concerned if uncounted is None else uncounted | concerned
        if _whole(fault, pipeline) or pipeline.target in fault.columns:
            mislabelled |= fault.concerns(labels)
    kept = {name: records[name].mask(mask) for name, mask in hidden.items() if name in records}
    truth = {LABEL: labels[LABEL].mask(mislabelled)} if mislabelled.any() else {}
    return Unspoiled(records.assign(**kept), labels.assign(**truth), uncounted)


def relevant(spoiled: Iterable[Fault], pipeline: Pipeline) -> tuple[Fault, ...]:
    """Pick the faults that take anything away from the history features of a pipeline, sorted."""
    seen = _seen(pipeline)
    return tuple(sorted({fault for fault in spoiled if _columns(fault, pipeline) & seen}))


_RECORDS = "\0records"
"""Stands for counting records, among the names of columns."""


def _seen(pipeline: Pipeline) -> frozenset[str]:
    """Name what the history features of a pipeline look at; `label` is its target."""
    of = {"records": _RECORDS, LABEL: pipeline.target}
    named = {of.get(one.of, one.of) for one in pipeline.history}
    return frozenset(named.union(*(one.by for one in pipeline.history)))


def _columns(fault: Fault, pipeline: Pipeline) -> frozenset[str]:
    """Name what a fault spoils."""
    if _whole(fault, pipeline):
        entity = {pipeline.entity} if pipeline.entity else set()
        return frozenset({*pipeline.columns, *entity, pipeline.target, _RECORDS})
    if fault.fault in _SEVERAL_COLUMNS:
        return frozenset(pipeline.columns)
    if fault.column != pipeline.target and fault.fault in ONLY_THE_MISSING:
        return frozenset()
    return frozenset(fault.columns)


def _whole(fault: Fault, pipeline: Pipeline) -> bool:
    return fault.fault in _WHOLE_ROWS or not (
        fault.column in pipeline.columns or fault.column == pipeline.target
    )


def in_force_for_history(
    aside: Sequence[Fault], going_on: Sequence[Fault], pipeline: Pipeline
) -> tuple[Fault, ...]:
    """List the faults that history has to reckon with where records are predicted.

    Parameters
    ----------
    aside : sequence of Fault
        Those whose rows are set aside, each with the stretch that was seen.
    going_on : sequence of Fault
        The same, but one that is still open in the newest period reaches on. It does so for a
        feature: the values that came since were looked at by nobody. After a day that came
        twice, or a gap, the next row is as good as any.

    """
    reaching = (fault for fault in going_on if fault.column in pipeline.columns)
    longer = {fault.key: fault for fault in reaching if not _whole(fault, pipeline)}
    return tuple(sorted({longer.get(fault.key, fault) for fault in aside}))
