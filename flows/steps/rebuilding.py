"""The rows that a model version learnt from, rebuilt from the lake and checked by digest."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from components.errors import ErasedError, InvalidInputError, StoreError
from components.pipelines import Pipeline
from components.records import RECORD_ID
from flows.steps.erased import Erased, erased
from flows.steps.learnt import Learnt, as_ranges, from_ranges, learnt_columns, learnt_file
from flows.steps.snapshots import digest_rows, take_snapshot

if TYPE_CHECKING:
    from flows.steps.home import Home

SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A training set, as it was.

    Attributes
    ----------
    rows : DataFrame of shape (n_rows, n_inputs + 4)
        `record_id`, `event_time`, `known_time`, what the model reads, `label`; in the order in
        which it was learnt from.
    digest : str
        Hash of the content of `rows`.
    stated_rows, stated_digest : int, str
        What was written down at the training; both are those of `rows`, but for erasures.
    erased : int
        Rows that are missing because somebody was erased.
    history_changed : bool
        True where history features were made anew without the erased rows.
    snapshot : str
        The snapshot in one line.

    """

    pipeline: str
    version: str
    snapshot: str
    as_of: pd.Timestamp
    rows: pd.DataFrame
    digest: str
    stated_rows: int
    stated_digest: str
    erased: int = 0
    history_changed: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What the lake gives today for a version, before anything is checked."""

    learnt: Learnt
    name: str
    pipeline: Pipeline
    snapshot_rows: pd.DataFrame
    positions: "np.ndarray[Any, np.dtype[np.int64]]"

    @property
    def rows(self) -> pd.DataFrame:
        """The rows learnt from, as far as they are there."""
        there = self.positions[self.positions < len(self.snapshot_rows)]
        chosen = self.snapshot_rows.iloc[there][learnt_columns(self.pipeline)]
        return chosen.reset_index(drop=True)


def rebuild(home: "Home", pipeline: str, version: str, *, remaining: bool = False) -> Rebuilt:
    """Rebuild what a model version learnt from, by the same functions that made it.

    Parameters
    ----------
    version : str
        A registered version, tested or served.
    remaining : bool
        Give the rows that are left where some were erased, instead of raising.

    Raises
    ------
    ErasedError
        If rows of it were erased, and `remaining` is not asked for.
    StoreError
        If there is no such version, nothing says what it learnt from, or what is rebuilt is
        not what was learnt from; says what differs.

    """
    learnt = read_learnt(home, pipeline, version)
    told = erased(home.lake, pipeline)
    found = find(home, pipeline, version, learnt, told)
    rows = found.rows
    digest = digest_rows(rows)
    gone = _erased_rows(told, version)
    made = Rebuilt(
        pipeline=pipeline,
        version=version,
        snapshot=found.name,
        as_of=learnt.as_of,
        rows=rows,
        digest=digest,
        stated_rows=learnt.rows,
        stated_digest=learnt.digest,
        erased=gone,
        history_changed=bool(told) and digest != learnt.digest and bool(found.pipeline.history),
    )
    if digest == learnt.digest:
        return made
    _check_complete(told, pipeline, version)
    by = told.of(version)
    if not by or by[-1][1].remaining != digest:
        raise _differs(made, found)
    if not remaining:
        raise ErasedError(_erased_in_words(made, told, version))
    return made


def read_learnt(home: "Home", pipeline: str, version: str) -> Learnt:
    """Read what was written down when a version was trained.

    Raises
    ------
    StoreError
        If there is no such version, or it was trained before this was written down.

    """
    registered = home.registry.version(pipeline, version)
    role = registered.tags.get("driftwheel.role", "")
    place = learnt_file(role)
    text = home.registry.run_text(registered.run_id, place) if registered.run_id else None
    if text is None:
        raise StoreError(
            f"version {version} of {pipeline} does not say which rows it learnt from: its run has "
            f"no {place}. It was trained by an older Driftwheel, or not by Driftwheel; "
            "train anew to have a snapshot that can be rebuilt"
        )
    return Learnt.from_json(text, place=f"{place} of version {version}")


def find(home: "Home", pipeline: str, version: str, learnt: Learnt, told: Erased) -> Found:
    """Take the snapshot of a version again, as the pipeline file was then."""
    try:
        spec = Pipeline.model_validate(learnt.pipeline)
    except ValidationError as problem:
        raise StoreError(
            f"version {version} of {pipeline} was trained by a pipeline file that this Driftwheel "
            f"does not understand ({problem.error_count()} faults); install the version that "
            "trained it, which the run's page in MLflow names"
        ) from problem
    taken = take_snapshot(
        home.lake,
        spec,
        as_of=learnt.as_of,
        versions=learnt.versions,
        aside=learnt.aside,
        blind=learnt.blind,
    )
    rows = taken.rows.reset_index(drop=True)
    positions = from_ranges(learnt.positions)
    for _, held in told.of(version):
        positions = without_positions(positions, from_ranges(held.positions))
    return Found(learnt, taken.name, spec, rows, positions)


def without_positions(
    positions: "np.ndarray[Any, np.dtype[np.int64]]", gone: "np.ndarray[Any, np.dtype[np.int64]]"
) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Leave positions out, and let those behind them move up.

    >>> without_positions(np.array([0, 2, 3, 7]), np.array([1, 3])).tolist()
    [0, 1, 5]
    """
    kept = positions[~np.isin(positions, gone)]
    return kept - np.searchsorted(gone, kept)


def concerned(found: Found, told: Erased) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Count the rows learnt from that are of erased people, and find them in the snapshot."""
    rows, entity = found.snapshot_rows, found.pipeline.entity
    whose = rows[entity] if entity and entity in rows else None
    at = np.flatnonzero(told.mask(rows[RECORD_ID], whose))
    return int(np.isin(found.positions, at).sum()), as_ranges(at)


def write_rows(rows: pd.DataFrame, file: Path) -> None:
    """Write rows as Parquet or CSV, by the file's suffix; a file is there whole or not at all.

    Raises
    ------
    InvalidInputError
        If the suffix is neither, or the folder does not exist.

    """
    check_target(file)
    made = file.with_name(f".{file.name}.part")
    try:
        if file.suffix == ".parquet":
            rows.to_parquet(made, engine="pyarrow", index=False)
        else:
            rows.to_csv(made, index=False, lineterminator="\n")
        made.replace(file)
    finally:
        made.unlink(missing_ok=True)


def check_target(file: Path) -> None:
    """Refuse a file that cannot be written, before any work is done.

    Raises
    ------
    InvalidInputError
        If its suffix is neither .parquet nor .csv, or its folder does not exist.

    """
    if file.suffix not in SUFFIXES:
        raise InvalidInputError(
            f"the rows are written as {' or '.join(SUFFIXES)}, told by the suffix. Got {file.name}"
        )
    if not file.parent.is_dir():
        raise InvalidInputError(f"there is no folder {file.parent}; make it, or name another")


def _erased_rows(told: Erased, version: str) -> int:
    return sum(held.erased for _, held in told.of(version))


def _check_complete(told: Erased, pipeline: str, version: str) -> None:
    begun = told.begun
    if begun is not None:
        raise ErasedError(
            f"version {version} of {pipeline} cannot be rebuilt now: the erasure {begun.id} of "
            f"{begun.day} ({begun.reason}) was not finished; run `driftwheel erase "
            f"{pipeline}` with the same ids again"
        )


def _erased_in_words(made: Rebuilt, told: Erased, version: str) -> str:
    when = ", ".join(f"{one.day} ({one.reason})" for one, _ in told.of(version))
    history = (
        "; history features of the others were computed anew without them"
        if made.history_changed
        else ""
    )
    return (
        f"erased: {made.erased:,} of the {made.stated_rows:,} rows that version {version} of "
        f"{made.pipeline} learnt from were removed on {when}{history}; the other rows can be had "
        "with --remaining"
    )


def _differs(made: Rebuilt, found: Found) -> StoreError:
    counted = (
        f"{len(made.rows):,} rows where {made.stated_rows - made.erased:,} were learnt from"
        if len(made.rows) != made.stated_rows - made.erased
        else f"as many rows ({len(made.rows):,}), with other content"
    )
    snapshot = (
        ""
        if len(found.snapshot_rows) == found.learnt.snapshot_rows - made.erased
        else f"; the snapshot has {len(found.snapshot_rows):,} rows, it had "
        f"{found.learnt.snapshot_rows:,}"
    )
    return StoreError(
        f"version {made.version} of {made.pipeline} cannot be rebuilt exactly: {made.snapshot} "
        f"gives {counted}{snapshot} (digest {made.digest[:12]}, stated {made.stated_digest[:12]}). "
        "Either files of the lake were changed by another tool (compare with a backup), or this "
        "Driftwheel makes history features otherwise than the one that trained it"
    )
