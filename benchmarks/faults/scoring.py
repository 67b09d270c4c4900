"""Inject, check as ingest does, diagnose, and compare with what was done."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from benchmarks.faults.injecting import ROW, Case, Scene
from benchmarks.faults.sets import DataSet
from components.checks import LABEL_KNOWN, check_rows
from components.faults import Fault
from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID, carried
from components.values import parse_times
from monitoring.diagnosis import diagnose

_BEFORE = pd.Timedelta(days=64)
_AFTER = pd.Timedelta(days=11)
_WEEK = pd.Timedelta(days=7)


COVERED = 0.9
"""A fault must concern at least so many of the injected rows, …"""
SPILLED = 0.02
"""… and at most so many of the clean rows, from a week before the injection on, are set aside: a
feed that stops at the value it had for an hour or two cannot be told from one that stopped then."""


@dataclass(frozen=True)
class Outcome:
    """What came of one injection, as of one moment.

    Attributes
    ----------
    found : str
        ``yes``, ``other name`` or ``no``.
    placed : bool
        Whether a fault of the right name stands in the right column.
    names : tuple of str
        The faults found in the stretch, with their column.
    covered : float
        Share of the injected rows, or of the gap, that the faults of the right name and column
        concern; 1 where none of the rows passed the checks.
    spilled : float
        Clean records that any fault sets aside, per clean record from a week before on.
    inside, spoiled : int
        Spoiled records that any fault sets aside, and all of them.
    clean : int
        Clean records that are set aside.

    """

    data: str
    moment: str
    held_out: bool
    case: Case
    asked: str
    found: str
    placed: bool
    names: tuple[str, ...]
    covered: float
    spilled: float
    inside: int
    spoiled: int
    clean: int

    @property
    def whole(self) -> bool:
        """Say whether name, column and rows are right."""
        return self.placed and self.covered >= COVERED and self.spilled <= SPILLED


@dataclass(frozen=True)
class Frames:
    """Checked rows: records, labels and quarantine, and the raw row of each record."""

    records: pd.DataFrame
    labels: pd.DataFrame
    quarantine: pd.DataFrame
    row: pd.Series


def checked(raw: pd.DataFrame, pipeline: Pipeline, as_of: pd.Timestamp) -> Frames:
    """Take one part in, as ingest does."""
    rows = raw.reset_index(drop=True)
    parsed = check_rows(rows.drop(columns=ROW), pipeline, as_of=as_of)
    good = parsed.good
    labelled = good[good[LABEL].notna() & (good[LABEL_KNOWN] <= as_of)]
    labels = labelled[[RECORD_ID, EVENT_TIME, LABEL_KNOWN, LABEL]]
    labels = labels.rename(columns={LABEL_KNOWN: KNOWN_TIME})
    records = good[[RECORD_ID, EVENT_TIME, KNOWN_TIME, *carried(pipeline)]]
    return Frames(records, labels, parsed.quarantine, _row_of(rows, pipeline))


def _row_of(rows: pd.DataFrame, pipeline: Pipeline) -> pd.Series:
    """Give the raw row of each record id; of several claims the first, which stands."""
    if pipeline.id is None:
        ids = parse_times(rows[pipeline.time]).values.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    else:
        ids = rows[pipeline.id].map(str)
    found = pd.Series(rows[ROW].to_numpy(), index=ids.to_numpy())
    return found[~found.index.duplicated()]


def together(parts: list[Frames]) -> Frames:
    """Put parts into one table each."""
    return Frames(
        pd.concat([p.records for p in parts], ignore_index=True),
        pd.concat([p.labels for p in parts], ignore_index=True),
        pd.concat([p.quarantine for p in parts], ignore_index=True),
        pd.concat([p.row for p in parts]),
    )


def injected(data: DataSet, case: Case, start: pd.Timestamp, rows: pd.DataFrame) -> Scene:
    """Inject a case into raw rows; what it draws hangs on data set, day and case alone."""
    seed = zlib.crc32(f"{data.name} {start.date()} {case.fault} {case.severity}".encode())
    scene = Scene(data, start, rows.reset_index(drop=True), np.random.default_rng(seed))
    case.inject(scene)
    return scene


class Stage:
    """A data set, read once; the checked rows before a moment, and their faults, are kept."""

    def __init__(self, data: DataSet) -> None:
        self.data = data
        raw = data.raw()
        self._times = parse_times(raw[data.pipeline.time]).values
        self._raw = raw.assign(**{ROW: np.arange(len(raw))})
        self._before = lru_cache(maxsize=2)(self._checked_before)
        self._known = lru_cache(maxsize=4)(self._found_before)

    def _checked_before(self, start: pd.Timestamp) -> Frames:
        mask = (self._times >= start - _BEFORE) & (self._times < start)
        return checked(self._raw[mask], self.data.pipeline, start + _AFTER)

    def _found_before(self, start: pd.Timestamp, since: pd.Timestamp) -> tuple[Fault, ...]:
        """Look once at what came before an injection, as the loop had done by then."""
        frames = known(self._before(start), since)
        return diagnose(
            frames.records, frames.labels, frames.quarantine, self.data.pipeline, as_of=since
        )

    def all(self) -> Frames:
        """Check the whole set."""
        return checked(self._raw, self.data.pipeline, self._times.max() + _AFTER)

    def outcomes(self, case: Case, moment: str, *, held_out: bool) -> list[Outcome]:
        """Inject once, and diagnose one day and one week after the end of the stretch."""
        start = pd.Timestamp(moment, tz="UTC")
        mask = (self._times >= start - pd.Timedelta(days=1)) & (self._times < start + _AFTER)
        scene = injected(self.data, case, start, self._raw[mask])
        parts = scene.parts or [scene.rows]
        parts = [part[scene_times(part, self.data) >= start - _half(case)] for part in parts]
        if not scene.spoiled and case.fault != "missing_period":
            return []  # nothing changed: such a day holds no fault to be found
        found = []
        for asked, days in (("a day", 1), ("a week", 7)):
            as_of = start + pd.Timedelta(days=case.days + days)
            found.append(self._judge(case, moment, held_out, scene, parts, asked, as_of))
        return found

    def _judge(
        self,
        case: Case,
        moment: str,
        held_out: bool,
        scene: Scene,
        parts: list[pd.DataFrame],
        asked: str,
        as_of: pd.Timestamp,
    ) -> Outcome:
        start, pipeline = scene.start, self.data.pipeline
        live = [checked(part, pipeline, as_of) for part in parts if len(part)]
        frames = together([self._before(start), *live])
        frames = known(frames, as_of)
        since = start - _half(case)
        faults = diagnose(
            frames.records,
            frames.labels,
            frames.quarantine,
            pipeline,
            as_of=as_of,
            since=since,
            known=self._known(start, since),
        )
        return _compared(case, moment, held_out, scene, frames, faults, asked, as_of)


def _half(case: Case) -> pd.Timedelta:
    """Rows moved back in time lie before the day of injection."""
    return pd.Timedelta(hours=12 if "-12" in case.severity else 0)


def scene_times(part: pd.DataFrame, data: DataSet) -> pd.Series:
    """Read the event times of a part."""
    return parse_times(part[data.pipeline.time]).values


def known(frames: Frames, as_of: pd.Timestamp) -> Frames:
    """Leave out what was not known by a moment."""
    records, labels = frames.records, frames.labels
    return Frames(
        records[records[KNOWN_TIME] <= as_of].drop_duplicates(RECORD_ID),
        labels[labels[KNOWN_TIME] <= as_of],
        frames.quarantine,
        frames.row,
    )


def _compared(
    case: Case,
    moment: str,
    held_out: bool,
    scene: Scene,
    frames: Frames,
    faults: tuple[Fault, ...],
    asked: str,
    as_of: pd.Timestamp,
) -> Outcome:
    named = [fault for fault in faults if fault.fault in {case.fault, *case.also}]
    right = [fault for fault in named if not scene.columns or fault.column in scene.columns]
    records = frames.records
    rows = frames.row[~frames.row.index.duplicated()].reindex(records[RECORD_ID])
    touched = rows.isin(list(scene.touched)).to_numpy()
    spoiled = rows.isin(list(scene.spoiled)).to_numpy()
    if case.fault == "labels_broken":
        spoiled = spoiled & _to_be_told(frames, as_of)
    aside, lately = _concerned(faults, records), records[EVENT_TIME] >= scene.start - _WEEK
    clean = int((aside & ~touched).sum())
    return Outcome(
        data=scene.data.name,
        moment=moment,
        held_out=held_out,
        case=case,
        asked=asked,
        found="yes" if named else "other name" if faults else "no",
        placed=bool(right),
        names=tuple(f"{fault.fault}:{fault.column}" for fault in faults),
        covered=_covered(scene, right, _concerned(right, records)[spoiled]),
        spilled=clean / max(int((lately.to_numpy() & ~touched).sum()), 1),
        inside=int((aside & spoiled).sum()),
        spoiled=int(spoiled.sum()),
        clean=clean,
    )


def _concerned(faults: Sequence[Fault], records: pd.DataFrame) -> np.ndarray:
    found = np.zeros(len(records), dtype=bool)
    for fault in faults:
        found |= fault.concerns(records)
    return found


def _covered(scene: Scene, faults: Sequence[Fault], spoiled: np.ndarray) -> float:
    """Give the share of the spoiled rows, or of the gap, that faults concern."""
    if scene.gap is None:
        return float(spoiled.mean()) if len(spoiled) else 1.0
    since, until = scene.gap
    shared = (min(fault.until, until) - max(fault.since, since) for fault in faults)
    return max([max(part, pd.Timedelta(0)) / (until - since) for part in shared], default=0.0)


def _to_be_told(frames: Frames, as_of: pd.Timestamp) -> np.ndarray:
    """Mark the records whose label has come, or is later than 99 % of the labels were."""
    records, labels = frames.records, frames.labels.drop_duplicates(RECORD_ID)
    came = records[RECORD_ID].isin(labels[RECORD_ID])
    wait = (labels[KNOWN_TIME] - labels[EVENT_TIME]).quantile(0.99)
    return (came | (records[EVENT_TIME] + wait <= as_of)).to_numpy()
