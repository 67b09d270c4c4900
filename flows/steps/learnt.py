"""Which rows a model learnt from, written down so that they can be found again for ever.

It is said by position in the snapshot, in ranges, and not by the rule that chose them: the
snapshot is the lake's to rebuild, while rules (window, cut, fair chance of a label) are code,
and code changes. No id stands in it: it outlives an erasure.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.errors import StoreError
from components.faults import Fault
from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID
from flows.steps.erased import hide
from flows.steps.snapshots import Snapshot, digest_rows

Ranges = tuple[tuple[int, int], ...]
"""Positions as half-open ranges, ascending."""

_LAYOUT = 2
_SEEING = 1
"""The layout of notes of before: history features saw the rows that were set aside."""


@dataclass(frozen=True, slots=True)
class HiddenFault(Fault):
    """A data fault whose record ids are hashed."""

    hidden: frozenset[str] = frozenset()
    salt: str = ""

    @property
    def is_partial(self) -> bool:
        """Whether it spoils some records of its stretch only."""
        return bool(self.hidden or self.marks)

    def names(self, ids: Iterable[object]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Mark the records among some ids that it spoils, if they lie in its stretch.

        Nobody may be left of those it concerned: then no row is, not the whole stretch.
        """
        if self.marks:
            return Fault.names(self, ids)
        return np.array([hide(str(one), self.salt) in self.hidden for one in ids], dtype=bool)


@dataclass(frozen=True, slots=True)
class Learnt:
    """All that it takes to rebuild the rows that one version learnt from.

    Attributes
    ----------
    versions : dict
        Delta versions of the tables.
    pipeline : dict
        The pipeline file as it was understood then.
    aside : tuple of HiddenFault
        Faults whose rows were left out of the snapshot.
    blind : bool
        Whether its history features saw nothing of what those faults spoil.
    snapshot_rows : int
        Rows of the snapshot, without those.
    positions : Ranges
        Which of them were learnt from.
    rows, digest : int, str
        How many, and the hash of their content (:func:`learnt_columns`).

    """

    as_of: pd.Timestamp
    versions: dict[str, int]
    pipeline: dict[str, Any]
    salt: str
    aside: tuple[HiddenFault, ...]
    snapshot_rows: int
    positions: Ranges
    rows: int
    digest: str
    blind: bool = True

    def to_json(self) -> str:
        """Write it as it is kept with the run."""
        return json.dumps(
            {
                "layout": _LAYOUT if self.blind else _SEEING,
                "as_of": self.as_of.isoformat(),
                "versions": self.versions,
                "pipeline": self.pipeline,
                "salt": self.salt,
                "aside": [_fault_row(one) for one in self.aside],
                "snapshot_rows": self.snapshot_rows,
                "positions": self.positions,
                "rows": self.rows,
                "digest": self.digest,
            }
        )

    @classmethod
    def from_json(cls, text: str, *, place: str) -> "Learnt":
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        StoreError
            If it is of another layout, or damaged.

        """
        try:
            said = _of_our_layout(json.loads(text))
            said["as_of"] = pd.Timestamp(said["as_of"])
            said["aside"] = tuple(_read_fault(row, said["salt"]) for row in said["aside"])
            said["positions"] = tuple((int(first), int(end)) for first, end in said["positions"])
            return cls(**said)
        except (ValueError, KeyError, TypeError) as problem:
            raise StoreError(
                f"{place} does not say what was learnt from ({problem}); it was written by "
                "another version of Driftwheel, or changed since"
            ) from problem


def learnt_from(rows: pd.DataFrame, snapshot: Snapshot, pipeline: Pipeline, *, salt: str) -> Learnt:
    """Say which rows of a snapshot were learnt from.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        What the model was fitted on: rows of the snapshot, in its order.
    salt : str
        Goes before record ids that are hashed.

    Raises
    ------
    StoreError
        If a row is not of the snapshot.

    """
    at = pd.Index(snapshot.rows[RECORD_ID]).get_indexer(pd.Index(rows[RECORD_ID]))
    if (at < 0).any() or (np.diff(at) <= 0).any():
        raise StoreError(
            f"{pipeline.name}: the rows learnt from are not rows of the snapshot in its order, so "
            "the training set could not be rebuilt; please report this"
        )
    return Learnt(
        as_of=snapshot.as_of,
        versions=dict(snapshot.versions),
        pipeline=pipeline.model_dump(mode="json"),
        salt=salt,
        aside=tuple(_hidden(fault, salt) for fault in snapshot.aside),
        snapshot_rows=len(snapshot.rows),
        positions=as_ranges(at),
        rows=len(rows),
        digest=digest_rows(rows[learnt_columns(pipeline)]),
    )


def learnt_file(role: str) -> str:
    """Name the file that keeps it with the run."""
    return f"snapshot/{role}.json"


def learnt_columns(pipeline: Pipeline) -> list[str]:
    """Name the columns of a training set: the keys, what the model reads, the label."""
    return [RECORD_ID, EVENT_TIME, KNOWN_TIME, *pipeline.inputs, LABEL]


def as_ranges(positions: "Sequence[int] | np.ndarray[Any, Any]") -> Ranges:
    """Write ascending positions as half-open ranges.

    >>> as_ranges([0, 1, 2, 5])
    ((0, 3), (5, 6))
    """
    at = np.asarray(positions, dtype=np.int64)
    if not len(at):
        return ()
    breaks = np.flatnonzero(np.diff(at) > 1)
    first = at[np.concatenate([[0], breaks + 1])]
    last = at[np.concatenate([breaks, [len(at) - 1]])]
    return tuple(zip(first.tolist(), (last + 1).tolist(), strict=True))


def from_ranges(ranges: Ranges) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Give the positions that ranges stand for.

    >>> from_ranges(((0, 3), (5, 6))).tolist()
    [0, 1, 2, 5]
    """
    parts = [np.arange(first, end, dtype=np.int64) for first, end in ranges]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _of_our_layout(said: dict[str, Any]) -> dict[str, Any]:
    layout = said["layout"]
    if layout not in {_SEEING, _LAYOUT}:
        raise ValueError(f"its layout is {layout}, {_LAYOUT} is known here")
    about = {name: value for name, value in said.items() if name != "layout"}
    return {**about, "blind": layout != _SEEING}


def _hidden(fault: Fault, salt: str) -> HiddenFault:
    return HiddenFault(
        since=fault.since,
        until=fault.until,
        fault=fault.fault,
        column=fault.column,
        evidence="",
        rows=fault.rows,
        marks=fault.marks,
        also=fault.also,
        hidden=frozenset(hide(one, salt) for one in fault.ids),
        salt=salt,
    )


def _fault_row(fault: HiddenFault) -> dict[str, Any]:
    return {
        "since": fault.since.isoformat(),
        "until": fault.until.isoformat(),
        "fault": fault.fault,
        "column": fault.column,
        "rows": fault.rows,
        "hidden": sorted(fault.hidden),
        "marks": fault.marks,
        "also": list(fault.also),
    }


def _read_fault(row: dict[str, Any], salt: str) -> HiddenFault:
    # What was found stays with the ledger: it may name what somebody's row held.
    return HiddenFault(
        since=pd.Timestamp(row["since"]),
        until=pd.Timestamp(row["until"]),
        fault=row["fault"],
        column=row["column"],
        evidence="",
        rows=int(row["rows"]),
        marks=row.get("marks", ""),
        also=tuple(row.get("also", ())),
        hidden=frozenset(row["hidden"]),
        salt=salt,
    )
