"""How good the predictions of each window were, asked as known at any moment; nothing is written.

The same question asked twice, however far apart, has the same answer: what became known after
the moment asked about is not looked at. Memory is bounded by the newest labels that are read
and by the rows of one window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from components.faults import Fault
from components.maturity import MaturityCurve, fair_age
from components.pipelines import Pipeline
from components.records import LABELS, PREDICTIONS
from flows.steps.care import under_care_since
from flows.steps.diagnosing import standing
from flows.steps.maturing import label_versions, measured_curve, reaching_back
from flows.steps.measuring import question
from flows.steps.snapshots import first_event
from monitoring.quality import WindowQuality, window_quality
from monitoring.windows import Window, complete_windows

if TYPE_CHECKING:
    from flows.steps.home import Home

NEWEST = 20
"""Without a beginning, so many of the newest windows are looked at."""

_FIRST_PREDICTED = """
select min(event_time) as first from this
where known_time <= $as_of and channel in ('batch', 'online')"""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was known of quality at a moment.

    Attributes
    ----------
    windows : tuple of WindowQuality
        Oldest first; empty where nothing was predicted by then.
    curve : MaturityCurve or None
        How soon labels are known; None where nothing was ingested.
    method : str
        How the curve was estimated.
    fair : Timedelta
        The age after which a row has had a fair chance of a label.
    age : Timedelta or None
        Each label as known at this age; None: as known at the moment.
    left_out : int
        Older windows that were not asked for.

    """

    windows: tuple[WindowQuality, ...]
    curve: MaturityCurve | None
    method: str
    fair: pd.Timedelta
    age: pd.Timedelta | None
    left_out: int


def judge_windows(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp | None = None,
    until: pd.Timestamp | None = None,
    at_maturity: bool = False,
    age: timedelta | None = None,
) -> Judged:
    """Measure the complete windows as known at a moment.

    Parameters
    ----------
    since, until : Timestamp, optional
        Only windows between; the newest :data:`NEWEST` by default.
    at_maturity : bool
        Take each label as known at `age`, and only rows as old.
    age : timedelta, optional
        By default the fair age.

    """
    if not home.lake.exists(pipeline.name, LABELS):
        given = None if age is None else pd.Timedelta(age)
        return Judged((), None, "", pd.Timedelta(0), given, 0)
    curve, method = measured_curve(home, pipeline, as_of=as_of)
    fair = fair_age(curve, pipeline)
    chosen = pd.Timedelta(fair if age is None else age) if at_maturity else None
    windows = _windows(home, pipeline, as_of=as_of, since=since, until=until)
    left_out = 0 if since is not None else max(0, len(windows) - NEWEST)
    faults = standing(home, pipeline, as_of=as_of) if home.begun else ()
    found = _measured(home, pipeline, windows[left_out:], as_of, chosen, faults)
    return Judged(tuple(found), curve, method, fair, chosen, left_out)


def _windows(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp | None,
    until: pd.Timestamp | None,
) -> list[Window]:
    """List the complete windows since the pipeline came under care, else the first prediction.

    Rows of before that are history, of which only those without a label were predicted: they
    are shown when `since` asks for them.
    """
    anchor = first_event(home.lake, pipeline)
    if anchor is None or not home.lake.exists(pipeline.name, PREDICTIONS):
        return []
    table = home.lake.open(pipeline.name, PREDICTIONS)
    first = table.query(_FIRST_PREDICTED, params={"as_of": as_of})["first"][0].as_py()
    if first is None:
        return []
    begin = under_care_since(home.ledger, pipeline.name) if home.begun else None
    every = complete_windows(
        anchor, as_of, pipeline.monitor.window, after=begin if since is None else since
    )
    return [
        window for window in every if window.end > first and (until is None or window.end <= until)
    ]


def _measured(
    home: "Home",
    pipeline: Pipeline,
    windows: Sequence[Window],
    as_of: pd.Timestamp,
    age: pd.Timedelta | None,
    faults: Sequence[Fault],
) -> Iterator[WindowQuality]:
    if not windows:
        return
    newest = label_versions(home, pipeline, as_of=as_of)
    for window in windows:
        labels = reaching_back(home, pipeline, window, newest, as_of=as_of)
        asked, _ = question(
            home, pipeline, window, labels, as_known_at=as_of, at_maturity=age, faults=faults
        )
        yield window_quality(**asked)
