"""What is said of data that nobody spoiled: false faults, and trainings put off for nothing."""

from dataclasses import dataclass, replace
from datetime import timedelta

import pandas as pd

from benchmarks.faults.learning import live
from benchmarks.faults.scoring import Frames, Stage, known
from benchmarks.faults.sets import DataSet
from components.faults import Fault
from components.pipelines import Pipeline, Window
from components.recipes import Recipe
from components.records import EVENT_TIME, RECORD_ID
from driftwheel.backtesting import read_past, stretch_of
from monitoring.diagnosis import diagnose

_QUICK = Recipe("linear", Window(last="7d"))
"""Asked is only whether a model is trained, not how well: a week of rows is enough."""
UNSEEN = "_unseen_"
"""Between set and variant in the name of a feed on which no threshold was chosen."""


@dataclass(frozen=True)
class Windows:
    """One clean feed: how many windows it has, and what was found in them."""

    name: str
    count: int
    wrong: tuple[Fault, ...]

    @property
    def touched(self) -> int:
        """Count the days that faults reach into."""
        days: set[pd.Timestamp] = set()
        for fault in self.wrong:
            since, until = fault.since.floor("D"), fault.until
            days |= set(pd.date_range(since, until, freq="D", inclusive="left"))
        return len(days)


@dataclass(frozen=True)
class Trainings:
    """The weekly trainings over one clean set: the moments due, and those put off."""

    name: str
    due: int
    put_off: tuple[str, ...]


def clean_windows(stage: Stage, *, full: bool) -> list[Windows]:
    """Diagnose what was not touched: every day is judged against the days before it."""
    data, frames = stage.data, stage.all()
    found = [_windows(data, data.name, frames, data.pipeline)]
    longer = data.pipeline.diagnosis.model_copy(update={"period": timedelta(days=2)})
    other = data.pipeline.model_copy(update={"diagnosis": longer})
    if data.name != "flights" or full:
        found.append(_windows(data, f"{data.name}{UNSEEN}2d", frames, other))
    if data.name == "flights":
        for origin in ("EWR", "JFK", "LGA") if full else ("JFK",):
            records = frames.records[frames.records["origin"] == origin]
            labels = frames.labels[frames.labels[RECORD_ID].isin(records[RECORD_ID])]
            part = replace(frames, records=records, labels=labels)
            found.append(_windows(data, f"flights{UNSEEN}{origin}", part, data.pipeline))
    return found


def _windows(data: DataSet, name: str, frames: Frames, pipeline: Pipeline) -> Windows:
    end = frames.records[EVENT_TIME].max() + pd.Timedelta(hours=1)
    frames = known(frames, end)
    faults = diagnose(frames.records, frames.labels, frames.quarantine, pipeline, as_of=end)
    width = pd.Timedelta(pipeline.diagnosis.period or timedelta(days=1))
    starts = frames.records[EVENT_TIME].dt.floor(width).drop_duplicates()
    clean = [start for start in starts if not data.odd(start, start + width)]
    wrong = [fault for fault in faults if not data.odd(fault.since, fault.until)]
    return Windows(name, len(clean), tuple(wrong))


def clean_trainings(data: DataSet) -> Trainings:
    """Replay a weekly calendar over a whole set that nobody spoiled."""
    past = read_past(data.pipeline)
    stretch = stretch_of(past, data.pipeline, start=None, end=None)
    lived = live(past, data.pipeline, stretch, every="7d", recipe=_QUICK)
    window = pd.Timedelta(data.pipeline.monitor.window)
    due = [at for at in lived.due if not data.odd(at - window, at)]
    put_off = [
        f"{at.date()}: {'; '.join(event.reason for event in lived.done.timeline if event.at == at)}"
        for at in due
        if at not in lived.fits
    ]
    return Trainings(data.name, len(due), tuple(put_off))
