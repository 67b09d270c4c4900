"""The loop over history in virtual time: the same components and decisions, no orchestrator.

Every moment of a replay sees what was known by then: labels arrive late, a fit sees only rows
whose label had come, each row is predicted by the version in charge at its event time.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pandas as pd

from components.answers import Answers
from components.errors import NotEnoughHistoryError, TrainingError
from components.metrics import metric_value
from components.pipelines import Pipeline
from components.recipes import Recipe, search_recipe
from components.records import EVENT_TIME, KNOWN_TIME, LABEL
from components.splits import known_by, split_newest
from flows.steps import training
from flows.steps.contenders import Contender
from flows.steps.rivals import Rival, naive_now
from flows.steps.snapshots import Snapshot
from monitoring.drift import measure_drift
from monitoring.policies import History, Verdict, WindowFacts, judge
from monitoring.windows import Window, complete_windows


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of the replay: its end, its score, and what was decided there."""

    at: pd.Timestamp
    score: float
    event: str = ""
    reason: str = ""


@dataclass(slots=True)
class Replayed:
    """What one policy came to.

    `predicted` holds the scored stretches in order: rows (`event_time`, `label`, `version`)
    and the answers to them.
    """

    contender: Contender
    predicted: list[tuple[pd.DataFrame, Answers]] = field(default_factory=list)
    timeline: list[Event] = field(default_factory=list)
    fits: int = 0
    promotions: int = 0
    refusals: int = 0
    waits: int = 0
    false_alarms: int = 0
    train_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of history that is replayed: `start` is the first training."""

    anchor: pd.Timestamp
    start: pd.Timestamp
    end: pd.Timestamp


def replay(
    rows: pd.DataFrame,
    pipeline: Pipeline,
    contender: Contender,
    stretch: Stretch,
    *,
    recipe: Recipe,
    told: Callable[[pd.Timestamp], None] = lambda _: None,
) -> Replayed:
    """Run one policy over history.

    Parameters
    ----------
    rows : DataFrame of shape (n_records, n_features + 4)
        Every record with its label (NaN or None where it never comes) and `known_time` of the
        label. Not modified.
    recipe : Recipe
        What is fitted; searched once, before the first training.

    """
    return _Replay(rows, pipeline, contender, stretch, recipe).run(told)


def first_recipe(rows: pd.DataFrame, pipeline: Pipeline, stretch: Stretch) -> Recipe:
    """Search the recipe as the first training would: without the rows its gate judges on."""
    split = split_newest(
        labelled(rows), as_of=stretch.start, holdout=pipeline.holdout, seen_until=None
    )
    return search_recipe(split.train, pipeline, as_of=split.cut).best


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows whose label came."""
    return rows[rows[LABEL].notna() & rows[KNOWN_TIME].notna()]


class _Replay:
    """The moving parts of one replay: who is in charge, and what the policy remembers."""

    def __init__(
        self,
        rows: pd.DataFrame,
        pipeline: Pipeline,
        contender: Contender,
        stretch: Stretch,
        recipe: Recipe,
    ) -> None:
        self.rows = rows
        self.truth = labelled(rows)
        self.pipeline = replace_search(pipeline)
        self.contender = contender
        self.stretch = stretch
        self.recipe = recipe
        self.rival = Rival()
        self.since: pd.Timestamp | None = None
        self.answered: pd.Timestamp | None = None
        self.fitted: pd.Timestamp | None = None
        self.facts: list[WindowFacts] = []
        self.done = Replayed(contender)

    def run(self, told: Callable[[pd.Timestamp], None]) -> Replayed:
        what, reason = self._train(self.stretch.start, first=True)
        for begin, end in self._segments():
            score = self._score(begin, end)
            self.done.timeline.append(Event(begin, score, what, reason))
            verdict = self._judge(end) if end < self.stretch.end else None
            what, reason = "", ""
            if verdict is not None and verdict.action == "retrain":
                what, reason = self._train(end, first=False, why=verdict.reason)
            told(end)
        return self.done

    def _segments(self) -> Iterator[tuple[pd.Timestamp, pd.Timestamp]]:
        """Cut history where something may be decided: window ends and calendar moments."""
        start, end = self.stretch.start, self.stretch.end
        policy = self.contender.policy
        if policy.kind == "periodic":
            moments = list(pd.date_range(start, end, freq=pd.Timedelta(policy.period)))
        else:
            windows = complete_windows(
                self.stretch.anchor, end, self.pipeline.monitor.window, after=start
            )
            moments = [window.end for window in windows]
        edges = sorted({start, *(m for m in moments if start < m < end), end})
        return pairwise(edges)

    def _score(self, begin: pd.Timestamp, end: pd.Timestamp) -> float:
        """Predict the events of a stretch with whoever is in charge; NaN where there are none."""
        rows = self.truth
        rows = rows[(rows[EVENT_TIME] > begin) & (rows[EVENT_TIME] <= end)]
        if rows.empty:
            return float("nan")
        if self.rival.model is None:
            answers = naive_now(self.pipeline, rows, self.truth, as_of=begin)
        else:
            answers = self.rival.model.predict(rows[list(self.pipeline.features)])
        kept = rows[[EVENT_TIME, LABEL]].assign(version=self.rival.version)
        self.done.predicted.append((kept, answers))
        return metric_value(self.pipeline.resolved_metric, rows[LABEL], answers)

    def _judge(self, moment: pd.Timestamp) -> Verdict:
        policy = self.contender.policy
        if policy.kind == "drift":
            self._measure(moment)
        history = History(
            windows=tuple(self.facts),
            champion_since=self.since,
            last_answer=self.answered,
            last_fit=self.fitted,
        )
        return judge(policy, history, as_of=moment, max_age=self.contender.max_age)

    def _measure(self, end: pd.Timestamp) -> None:
        window = Window(end - self.pipeline.monitor.window, end)
        if self.rival.reference is None or (self.since and window.start < self.since):
            return
        inside = self.rows[
            (self.rows[EVENT_TIME] >= window.start) & (self.rows[EVENT_TIME] < window.end)
        ]
        found = measure_drift(
            self.rival.reference,
            inside[list(self.pipeline.features)],
            self.pipeline,
            window=window,
            seed=self.pipeline.seed,
        )
        self.facts.append(WindowFacts.of(window, found))

    def _train(self, moment: pd.Timestamp, *, first: bool, why: str = "") -> tuple[str, str]:
        """Train as of a moment; say what came of it."""
        started = time.perf_counter()
        try:
            what, reason = (
                self._challenge(moment) if self.contender.gated else self._replace(moment)
            )
        except (NotEnoughHistoryError, TrainingError) as problem:
            what, reason = "failed", str(problem)
        self.done.train_seconds += time.perf_counter() - started
        self.answered = moment
        if what in {"promoted", "refused"}:
            self.fitted = moment
        self._count(what, first=first)
        return what, f"{why}; {reason}" if why else reason

    def _count(self, what: str, *, first: bool) -> None:
        if not first:
            self.done.fits += what in {"promoted", "refused"}
            self.done.promotions += what == "promoted"
            self.done.refusals += what == "refused"
            self.done.waits += what == "wait"
            # An alarm whose challenger could not beat the champion asked for nothing needed.
            self.done.false_alarms += what == "refused" and self.contender.policy.kind == "drift"

    def _replace(self, moment: pd.Timestamp) -> tuple[str, str]:
        """Fit on everything known and take charge, without a gate."""
        trained = training.fit_on(self.truth, self.recipe, self.pipeline, until=moment)
        self._put_in_charge(trained, moment)
        return "promoted", "calendar, no gate"

    def _challenge(self, moment: pd.Timestamp) -> tuple[str, str]:
        rows = known_by(self.truth, moment)
        snapshot = Snapshot(self.pipeline.name, moment, rows, {}, "")
        prepared = training.preprocess(snapshot, self.pipeline, self.rival)
        prepared = replace(prepared, recipe=self.recipe)
        if len(prepared.split.holdout) < self.pipeline.holdout.least_rows:
            return "wait", training.gate(None, prepared, self.pipeline, self.rival).reason
        twin = training.fit_twin(prepared, self.pipeline)
        found = training.evaluate(prepared, twin, self.pipeline, self.rival, snapshot)
        decision = training.gate(found, prepared, self.pipeline, self.rival)
        if decision.outcome != "promoted":
            return decision.outcome, decision.reason
        served = training.refit(snapshot, twin, self.pipeline)
        problem = training.disagreement(served, found, prepared)
        if problem:
            return "refused", problem
        self._put_in_charge(served, moment)
        return "promoted", decision.reason

    def _put_in_charge(self, trained: training.Trained, moment: pd.Timestamp) -> None:
        self.since = moment
        self.facts = []
        self.rival = Rival(
            version=str(self.rival.epoch + 1),
            epoch=self.rival.epoch + 1,
            model=trained.fitted,
            recipe=trained.recipe,
            seen_until=trained.seen_until,
            reference=trained.reference(self.pipeline),
        )


def replace_search(pipeline: Pipeline) -> Pipeline:
    """Keep one recipe over a backtest: it is searched once, before the first training."""
    return pipeline.model_copy(update={"search": "first"})
