"""What stands in for a faulty value while a record has to be predicted all the same.

The pipeline file states it per column: the last value from before the fault, a value of its
own, or no prediction at all. Where nothing is stated the value is scored as missing while a
data fault stands, which every model here has learnt to answer; a single impossible value has
no answer then.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.faults import Fault
from components.pipelines import Pipeline
from components.records import EVENT_TIME, RECORD_ID

Mask = npt.NDArray[np.bool_]
ONLY_THE_MISSING = frozenset({"nulls", "column_missing"})
"""Faults that spoil a column by leaving values out: those that are there are right."""


@dataclass(frozen=True, slots=True)
class Fallen:
    """Rows as they are to be scored.

    Attributes
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        With the values that stand in; the order as given.
    used : list of dict, of length n_rows
        For each row and faulty column ``{"fault", "what", "value"}``: the name of a data fault,
        or the rule that a single value breaks; `what` is ``last``, ``default`` or ``missing``.
        Empty where nothing stood in.
    refused : ndarray of bool, shape (n_rows,)
        Rows that must not be predicted while the fault stands.

    """

    rows: pd.DataFrame
    used: list[dict[str, dict[str, object]]] = field(default_factory=list)
    refused: Mask = field(default_factory=lambda: np.zeros(0, dtype=bool))


def apply_fallbacks(
    rows: pd.DataFrame,
    pipeline: Pipeline,
    faults: Iterable[Fault],
    last_good: pd.DataFrame,
    *,
    ended: Collection[str] = (),
) -> Fallen:
    """Put into faulty cells what the pipeline file states for them; `rows` is not modified.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        `record_id`, `event_time`, the features, the entity if there is one.
    faults : iterable of Fault
        In force: those whose stretch holds a row's event time count for it. Faults in other
        columns than features change nothing here.
    last_good : DataFrame
        Earlier records with the same columns, without what any fault spoils.
    ended : collection of str
        Keys of faults that a person has discarded: what is still scored of their stretch is
        not refused any more, but scored as missing.

    Returns
    -------
    Fallen

    """
    fallen = Fallen(rows, [{} for _ in range(len(rows))], np.zeros(len(rows), dtype=bool))
    for fault in sorted(faults):
        for name in fault.columns:
            if name in pipeline.columns:
                gone = fault.key in ended
                fallen = _apply(fallen, pipeline, fault, name, last_good, ended=gone)
    return fallen


def _apply(
    fallen: Fallen,
    pipeline: Pipeline,
    fault: Fault,
    name: str,
    last_good: pd.DataFrame,
    *,
    ended: bool,
) -> Fallen:
    concerned = fault.concerns(fallen.rows).copy()
    if fault.fault in ONLY_THE_MISSING:
        concerned &= fallen.rows[name].isna().to_numpy(dtype=bool)
    # What an earlier fault in the same column has filled stays as it is.
    concerned &= np.array([name not in used for used in fallen.used], dtype=bool)
    if not concerned.any():
        return fallen
    way = pipeline.columns[name].fallback
    if way == "refuse" and not ended:
        return Fallen(fallen.rows, fallen.used, fallen.refused | concerned)
    if way == "last":
        values = _last_values(fallen.rows[concerned], pipeline, fault, name, last_good)
    else:
        default = pipeline.columns[name].default if way == "default" else None
        values = pd.Series(
            default, index=fallen.rows.index[concerned], dtype=fallen.rows[name].dtype
        )
    faults = [fault.fault] * len(values)
    return _filled(fallen, name, concerned, values, faults, way=way)


def _filled(
    fallen: Fallen,
    name: str,
    concerned: Mask,
    values: pd.Series,
    faults: Sequence[str],
    *,
    way: str | None,
) -> Fallen:
    """Put values into a column of the rows concerned, and note each with its fault."""
    column = fallen.rows[name].copy()
    column[concerned] = values
    places = np.flatnonzero(concerned)
    for place, value, fault in zip(places, values.tolist(), faults, strict=True):
        missing = pd.isna(value)
        fallen.used[place][name] = {
            "fault": fault,
            "what": "missing" if missing else way,
            "value": None if missing else value,
        }
    return Fallen(fallen.rows.assign(**{name: column}), fallen.used, fallen.refused)


def stand_in_for_impossible(
    fallen: Fallen,
    pipeline: Pipeline,
    rules: Mapping[str, Mapping[str, str]],
    last: Mapping[str, Mapping[str, object]],
) -> Fallen:
    """Put into single impossible values what the pipeline file states for their columns.

    Parameters
    ----------
    fallen : Fallen
        With stand-ins for data faults; those stay.
    pipeline : Pipeline
    rules : mapping
        By record id and column: the rule that the value breaks. Every such column that is a
        feature states a fallback that gives a value.
    last : mapping
        By column and record id: the last good value before the record's event.

    """
    ids = fallen.rows[RECORD_ID].tolist()
    broken = [rules.get(record, {}) for record in ids]
    for name, column in pipeline.columns.items():
        concerned = np.array(
            [
                name in ours and name not in used
                for ours, used in zip(broken, fallen.used, strict=True)
            ],
            dtype=bool,
        )
        if not concerned.any():
            continue
        places = np.flatnonzero(concerned)
        lasting = last.get(name, {})
        given = [
            column.default if column.fallback == "default" else lasting.get(ids[place])
            for place in places
        ]
        values = pd.Series(given, index=fallen.rows.index[concerned], dtype=fallen.rows[name].dtype)
        faults = [broken[place][name] for place in places]
        fallen = _filled(fallen, name, concerned, values, faults, way=column.fallback)
    return fallen


def _last_values(
    rows: pd.DataFrame, pipeline: Pipeline, fault: Fault, name: str, last_good: pd.DataFrame
) -> pd.Series:
    """Find the last good value before the fault: of the same entity, else of any."""
    entity = pipeline.entity
    before = last_good[(last_good[EVENT_TIME] < fault.since) & last_good[name].notna()]
    before = before.sort_values([EVENT_TIME, RECORD_ID], kind="stable")
    overall = before[name].iloc[-1] if len(before) else None
    values = pd.Series(overall, index=rows.index, dtype=rows[name].dtype)
    if entity and entity in before.columns and len(before):
        own = rows[entity].map(before.drop_duplicates(entity, keep="last").set_index(entity)[name])
        values = own.astype(values.dtype).fillna(values)
    return values
