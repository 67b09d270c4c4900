"""What is learnt while the data is faulty: whole replays over sources that were spoiled.

A spoiled source is written to disk and goes the way of ``driftwheel backtest``: read and checked,
looked at for faults, cut by a calendar, fitted. Nothing is put in the place of anything; the
fit is listened to, so that the rows that each model learnt from can be counted.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.faults.injecting import ROW, Case, Scene
from benchmarks.faults.scoring import injected
from benchmarks.faults.sets import DataSet
from components.pipelines import Pipeline, Window
from components.recipes import Recipe, training_rows
from components.records import RECORD_ID, record_ids
from components.values import parse_times
from driftwheel.backtesting import read_past
from flows.steps import training
from flows.steps.contenders import read_contender
from flows.steps.past import Past
from flows.steps.past_faults import PastFaults
from flows.steps.replay import Replayed, Stretch, faults_of, replay

RECIPE = Recipe("linear", Window(last="28d"))
"""The pipelines' own candidate that fits fastest. Every moment asked lies less than 28 days
after the fault began, so that its rows are in the window of every model."""

EVERY = "84h"
"""How often a model is due: twice a window, so that midday and midnight both come."""

_HISTORY = pd.Timedelta(days=73)
_FIRST = pd.Timedelta(days=3)
_LAST = pd.Timedelta(days=18, hours=12)
_LEAD = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Moment:
    """One moment at which a model was due.

    Attributes
    ----------
    state : str
        ``clean``: no injected row happened in the newest window; ``early``: some did, less than
        a day after the stretch (as long as the suite waits before it asks), ``stands``: some
        did, and can have been told.
    late : bool
        Whether it is past the day after the stretch: from then on no faulty row may be learnt.
    fitted : bool
        Whether a model was trained.
    due, learnt : int
        Faulty rows whose label was known, within the window of the model: all of them, and
        those that it learnt from.
    names : tuple of str
        The faults known then, with their column.

    """

    at: pd.Timestamp
    state: str
    late: bool
    fitted: bool
    due: int
    learnt: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Learning:
    """The moments of one replay over a spoiled source."""

    data: str
    moment: str
    case: Case
    moments: tuple[Moment, ...]


@dataclass(frozen=True)
class Lived:
    """One replay: its past, its looks for faults, and what each model learnt from."""

    past: Past
    faults: PastFaults
    done: Replayed
    fits: dict[pd.Timestamp, pd.DataFrame]

    @property
    def due(self) -> list[pd.Timestamp]:
        """The moments at which the calendar asked."""
        return sorted({event.at for event in self.done.timeline})


def replays(data: DataSet, moment: str, cases: list[Case]) -> list[Learning]:
    """Replay one spoiled source a case, each spoiled from the same day on."""
    raw = data.raw()
    raw = raw.assign(**{ROW: np.arange(len(raw))})
    times = parse_times(raw[data.pipeline.time]).values
    start = pd.Timestamp(moment, tz="UTC")
    before = raw[(times >= start - _HISTORY) & (times < start - _LEAD)]
    live = raw[(times >= start - _LEAD) & (times < start + _LAST)]
    found = []
    with tempfile.TemporaryDirectory(prefix="driftwheel-bench-") as folder:
        _write(before, Path(folder) / "0.csv")
        for case in cases:
            scene = injected(data, case, start, live)
            if not scene.spoiled and scene.gap is None:
                continue  # nothing changed: there is no fault to learn from
            for at, part in enumerate(scene.parts or [scene.rows], start=1):
                _write(part, Path(folder) / f"{at}.csv")
            found.append(_replayed(case, moment, scene, Path(folder)))
            for file in Path(folder).glob("[1-9].csv"):
                file.unlink()
    return found


def _write(rows: pd.DataFrame, file: Path) -> None:
    rows.drop(columns=ROW).to_csv(file, index=False)


def _replayed(case: Case, moment: str, scene: Scene, folder: Path) -> Learning:
    source = scene.data.pipeline.source.model_copy(update={"path": str(folder)})
    pipeline = scene.data.pipeline.model_copy(
        update={"source": source, "file": folder / scene.data.pipeline.file.name}
    )
    start = scene.start
    lived = live(
        read_past(pipeline), pipeline, Stretch(start - _HISTORY, start - _FIRST, start + _LAST)
    )
    spoiled = _ids(scene)
    told = start + pd.Timedelta(days=case.days + 1)
    extent = scene.begins(), scene.ends()
    moments = [
        _judged(at, lived, spoiled, _state(extent, at, told, pipeline), late=at >= told)
        for at in lived.due
    ]
    return Learning(scene.data.name, moment, case, tuple(moments))


def live(
    past: Past,
    pipeline: Pipeline,
    stretch: Stretch,
    *,
    every: str = EVERY,
    recipe: Recipe = RECIPE,
) -> Lived:
    """Replay a calendar as ``backtest`` does, and keep what was learnt."""
    # One recipe to choose from: nothing is searched, and the window stays.
    only = {"candidates": (recipe.family,), "windows": (recipe.window,)}
    pipeline = pipeline.model_copy(update=only)
    faults = faults_of(past, pipeline, stretch)
    contender = read_contender(f"periodic:{every}", pipeline)
    with _listening() as fits:
        done = replay(past, pipeline, contender, stretch, recipe=recipe, faults=faults)
    return Lived(past, faults, done, fits)


@contextmanager
def _listening() -> Iterator[dict[pd.Timestamp, pd.DataFrame]]:
    """Note the rows of every model that is fitted meanwhile, by its moment."""
    heard: dict[pd.Timestamp, pd.DataFrame] = {}
    fit: Callable[..., training.Trained] = training.fit_on

    def fit_and_note(*given: Any, **named: Any) -> training.Trained:
        trained = fit(*given, **named)
        heard[named["until"]] = trained.rows
        return trained

    training.fit_on = fit_and_note
    try:
        yield heard
    finally:
        training.fit_on = fit


def _ids(scene: Scene) -> set[str]:
    """Name the records that a spoiled row claims."""
    pipeline = scene.data.pipeline
    parts = scene.parts or [scene.rows]
    rows = pd.concat([part[part[ROW].isin(scene.spoiled)] for part in parts])
    if pipeline.id is None:
        return set(record_ids(parse_times(rows[pipeline.time]).values))
    return set(rows[pipeline.id].map(str))


def _state(
    extent: tuple[pd.Timestamp, pd.Timestamp],
    at: pd.Timestamp,
    told: pd.Timestamp,
    pipeline: Pipeline,
) -> str:
    begins, ends = extent
    if at < begins or ends < at - pipeline.monitor.window:
        return "clean"
    return "stands" if at >= told else "early"


def _judged(at: pd.Timestamp, lived: Lived, spoiled: set[str], state: str, *, late: bool) -> Moment:
    learnable = training_rows(lived.past.labelled(at), RECIPE, lived.faults.pipeline, until=at)
    rows = lived.fits.get(at)
    return Moment(
        at=at,
        state=state,
        late=late,
        fitted=rows is not None,
        due=int(learnable[RECORD_ID].isin(spoiled).sum()),
        learnt=0 if rows is None else int(rows[RECORD_ID].isin(spoiled).sum()),
        names=tuple(f"{f.fault}:{f.column}" for f in lived.faults.aside(at)),
    )
