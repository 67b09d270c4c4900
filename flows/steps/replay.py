"""The loop over history in virtual time: the same components and decisions, no orchestrator.

Every moment of a replay sees what was known by then: labels arrive late, records are
corrected, a fit sees only rows whose label had come. Each record is predicted once, as it was
first known, by the version in charge at that time. Data faults are looked for at every such
moment, and set aside as they were known then; each ends by itself once the feed is clean.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pandas as pd

from components.answers import Answers
from components.errors import NotEnoughHistoryError, TrainingError
from components.fallbacks import apply_fallbacks
from components.faults import without_faulty
from components.history.hiding import in_force_for_history
from components.metrics import metric_value
from components.pipelines import Pipeline
from components.recipes import Recipe
from components.records import EVENT_TIME, KNOWN_TIME, LABEL
from components.search import search_recipe
from components.splits import split_newest
from flows.steps import training
from flows.steps.contenders import Contender
from flows.steps.diagnosing import InForce, in_force
from flows.steps.evaluating import examine_for_gate
from flows.steps.past import Past
from flows.steps.past_faults import PastFaults
from flows.steps.rivals import Rival, naive_now
from flows.steps.snapshots import Snapshot
from flows.steps.unservable import unservable
from flows.steps.waiting import must_wait
from monitoring.drift import measure_drift
from monitoring.policies import History, Verdict, WindowFacts, blocked, judge
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
    and the answers to them. `fits` counts what was fitted after the first training, whether
    it took charge or not; `data_faults` what was found wrong with the data.
    """

    contender: Contender
    predicted: list[tuple[pd.DataFrame, Answers]] = field(default_factory=list)
    timeline: list[Event] = field(default_factory=list)
    fits: int = 0
    promotions: int = 0
    refusals: int = 0
    waits: int = 0
    false_alarms: int = 0
    data_faults: int = 0
    train_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of a moment: a training, and whether anything was fitted; or a data fault."""

    what: str
    reason: str
    fitted: bool = True


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of history that is replayed: `start` is the first training, in known time."""

    anchor: pd.Timestamp
    start: pd.Timestamp
    end: pd.Timestamp


def replay(
    past: Past,
    pipeline: Pipeline,
    contender: Contender,
    stretch: Stretch,
    *,
    recipe: Recipe,
    faults: PastFaults | None = None,
    told: Callable[[pd.Timestamp], None] = lambda _: None,
) -> Replayed:
    """Run one policy over history.

    Parameters
    ----------
    past : Past
        Every version of every record and label.
    recipe : Recipe
        What is fitted; searched before the first training, and again only where a retraining
        would: see :func:`flows.steps.training.kept_recipe`.
    faults : PastFaults, optional
        The looks for data faults, to be shared by the policies of one backtest.

    """
    faults = faults or faults_of(past, pipeline, stretch)
    return _Replay(past, pipeline, contender, stretch, recipe, faults).run(told)


def faults_of(past: Past, pipeline: Pipeline, stretch: Stretch) -> PastFaults:
    """Make the looks for data faults of a replay; each is taken when it is first asked for."""
    return PastFaults(past, pipeline, stretch.anchor, stretch.start)


def learnable(past: Past, faults: PastFaults, moment: pd.Timestamp) -> pd.DataFrame:
    """Give what may be learnt from at a moment: nothing that a data fault spoils, nor saw it."""
    aside = faults.aside(moment)
    return without_faulty(past.knowing(aside).labelled(moment), aside)


def first_recipe(
    past: Past, pipeline: Pipeline, stretch: Stretch, *, faults: PastFaults | None = None
) -> Recipe:
    """Search the recipe as the first training would: without the rows its gate judges on."""
    faults = faults or faults_of(past, pipeline, stretch)
    split = split_newest(
        learnable(past, faults, stretch.start),
        as_of=stretch.start,
        holdout=pipeline.holdout,
        seen_until=None,
    )
    return search_recipe(split.train, pipeline, as_of=split.cut).best


class _Replay:
    """The moving parts of one replay: who is in charge, and what the policy remembers."""

    def __init__(
        self,
        past: Past,
        pipeline: Pipeline,
        contender: Contender,
        stretch: Stretch,
        recipe: Recipe,
        faults: PastFaults,
    ) -> None:
        self.past = past
        self.pipeline = replace_search(pipeline)
        self.contender = contender
        self.stretch = stretch
        self.recipe = recipe
        self.faults = faults
        self.rival = Rival()
        self.since: pd.Timestamp | None = None
        self.answered: pd.Timestamp | None = None
        self.fitted: pd.Timestamp | None = None
        self.put_off: pd.Timestamp | None = None
        self.tried: pd.Timestamp | None = None
        self.begun = False
        self.looked: pd.Timestamp | None = None
        self.heard: set[tuple[str, str]] = set()
        self.proven: set[str] = set()
        self.facts: list[WindowFacts] = []
        self.judged: list[Mapping[str, Any]] = []
        self.done = Replayed(contender)

    def run(self, told: Callable[[pd.Timestamp], None]) -> Replayed:
        happened = [*self._look(self.stretch.start), self._train(self.stretch.start)]
        for begin, end in self._segments():
            self._tell(begin, self._score(begin, end), happened)
            happened = []
            if end < self.stretch.end:
                happened = self._look(end)
                verdict = self._judge(end)
                if verdict.action == "retrain":
                    happened.append(self._train(end, why=verdict.reason, cause=verdict.cause))
            told(end)
        return self.done

    def _tell(self, begin: pd.Timestamp, score: float, happened: list[_Outcome]) -> None:
        """Write a stretch down; of what happened at its begin the last stands beside its score."""
        *before, last = happened or [_Outcome("", "", fitted=False)]
        for one in before:
            self.done.timeline.append(Event(begin, float("nan"), one.what, one.reason))
        self.done.timeline.append(Event(begin, score, last.what, last.reason))

    def _look(self, moment: pd.Timestamp) -> list[_Outcome]:
        """Look for data faults; give what was found, and what has ended, since the last time.

        A calendar may ask at moments far apart; the data is looked at every window all the same.
        """
        said = []
        for looked in self.faults.since(moment, self.looked):
            new = [one for one in looked.found if one not in self.heard]
            said += [*new, *(one for one in looked.ended if one not in self.heard)]
            self.heard.update(said)
            self.done.data_faults += len(new)
        self.looked = moment
        return [_Outcome("data_fault", words, fitted=False) for _, words in said]

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
        """Predict what became known in a stretch with whoever is in charge; NaN for nothing."""
        force = self._in_force(begin)
        aside = self.faults.aside(begin)
        unseen = in_force_for_history(aside, force.faults, self.pipeline)
        rows = self.past.knowing(unseen).scored
        known = (rows[KNOWN_TIME] > begin) & (rows[KNOWN_TIME] <= end)
        rows = rows[known & rows[LABEL].notna()]
        if rows.empty:
            return float("nan")
        rows = self._with_fallbacks(rows, begin, force)
        if self.rival.model is None:
            labels = self.past.labels_known(end)
            answers = naive_now(self.pipeline, rows, labels, as_of=begin)
        else:
            answers = self.rival.model.predict(rows[list(self.pipeline.inputs)])
        kept = rows[[EVENT_TIME, LABEL]].assign(version=self.rival.version)
        self.done.predicted.append((kept, answers))
        metric, quantile = self.pipeline.resolved_metric, self.pipeline.quantile
        return metric_value(metric, rows[LABEL], answers, quantile=quantile)

    def _in_force(self, begin: pd.Timestamp) -> InForce:
        """Say what was known to be faulty when a stretch began."""
        known = self.faults.look(begin).known
        return in_force(known, self.pipeline, as_of=begin, last=begin)

    def _with_fallbacks(
        self, rows: pd.DataFrame, begin: pd.Timestamp, force: InForce
    ) -> pd.DataFrame:
        """Put stand-ins for what was known to be faulty; a column that refuses is missing.

        Every row is scored here, so that policies are compared on the same ones.
        """
        spoilt = [fault for fault in force.faults if fault.concerns(rows).any()]
        if not spoilt:
            return rows
        good = without_faulty(self.past.records_known(begin), force.faults)
        keys = frozenset(fault.key for fault in spoilt)
        return apply_fallbacks(rows, self.pipeline, spoilt, good, ended=keys).rows

    def _judge(self, moment: pd.Timestamp) -> Verdict:
        policy = self.contender.policy
        if policy.kind == "drift":
            self._measure(moment)
        history = History(
            windows=tuple(self.facts),
            champion_since=self.since,
            last_answer=self.answered,
            last_fit=self.fitted,
            put_off=self.put_off,
            last_tried=self.tried,
        )
        faults = self.faults.look(moment).faults(self.pipeline)
        return judge(
            policy,
            history,
            as_of=moment,
            max_age=self.contender.max_age,
            faults=faults,
            pipeline=self.pipeline.name,
        )

    def _measure(self, end: pd.Timestamp) -> None:
        window = Window(end - self.pipeline.monitor.window, end)
        if self.rival.reference is None or (self.since and window.start < self.since):
            return
        records = without_faulty(self.past.records_known(end), self.faults.aside(end))
        inside = records[window.holds(records[EVENT_TIME])]
        found = measure_drift(
            self.rival.reference,
            inside[list(self.pipeline.features)],
            self.pipeline,
            window=window,
            seed=self.pipeline.seed,
        )
        self.facts.append(WindowFacts.of(window, found))

    def _train(self, moment: pd.Timestamp, *, why: str = "", cause: str | None = None) -> _Outcome:
        """Train as of a moment; say what came of it."""
        self.tried = moment
        standing = self.faults.look(moment).faults(self.pipeline)
        if standing.blocking:
            self.put_off = moment
            return _Outcome(
                "data_fault", blocked(standing.blocking, self.pipeline.name), fitted=False
            )
        started = time.perf_counter()
        try:
            if self.contender.gated:
                came = self._challenge(moment, cause or "")
            else:
                came = self._replace(moment)
        except (NotEnoughHistoryError, TrainingError) as problem:
            came = _Outcome("failed", str(problem), fitted=False)
        self.done.train_seconds += time.perf_counter() - started
        self.put_off = None
        if came.what != "failed":  # which answers nothing: the next window may ask again
            self.answered = moment
        if came.fitted:
            self.fitted = moment
        if self.begun:
            self._count(came.what, fitted=came.fitted)
        self.begun = True
        return replace(came, reason=f"{why}; {came.reason}") if why else came

    def _learnt_from(self, moment: pd.Timestamp) -> pd.DataFrame:
        """Give what may be learnt from at a moment: nothing that a data fault spoils."""
        return learnable(self.past, self.faults, moment)

    def _count(self, what: str, *, fitted: bool) -> None:
        self.done.fits += fitted
        self.done.promotions += what == "promoted"
        self.done.refusals += what == "refused"
        self.done.waits += what == "wait"
        # An alarm whose challenger could not beat the champion asked for nothing needed.
        self.done.false_alarms += what == "refused" and self.contender.policy.kind == "drift"

    def _replace(self, moment: pd.Timestamp) -> _Outcome:
        """Fit on everything known and take charge, without a gate.

        Every fit must answer the golden rows with finite numbers. That its package answers
        as it does is proven once: later fits of the same family are not packaged again.
        """
        rows = self._learnt_from(moment)
        recipe = self._recipe(rows) or self._windows_again(rows, moment)
        trained = training.fit_on(rows, recipe, self.pipeline, until=moment)
        family = recipe.family
        problem = unservable(trained, self.pipeline, packaged=family not in self.proven)
        if problem:
            return _Outcome("refused", problem)
        self.proven.add(family)
        self._put_in_charge(trained, moment)
        return _Outcome("promoted", "calendar, no gate")

    def _recipe(self, rows: pd.DataFrame) -> Recipe | None:
        """Give the recipe of the first training, then what a retraining would keep, if any."""
        if self.rival.recipe is None:
            return self.recipe
        return training.kept_recipe(self.pipeline, self.rival, rows)

    def _windows_again(self, rows: pd.DataFrame, moment: pd.Timestamp) -> Recipe:
        """Try the recipe in charge on every window, now that they may be told apart."""
        champion = self.rival.recipe
        return search_recipe(
            rows, self.pipeline, as_of=moment, champion=champion, windows_only=True
        ).best

    def _challenge(self, moment: pd.Timestamp, cause: str) -> _Outcome:
        rows = self._learnt_from(moment)
        snapshot = Snapshot(self.pipeline.name, moment, rows, {}, "")
        prepared = training.preprocess(snapshot, self.pipeline, self.rival)
        prepared = replace(prepared, recipe=self._recipe(rows))
        waits = must_wait(prepared, self.pipeline, self.rival)
        if waits is not None:
            return _Outcome("wait", waits.reason, fitted=False)
        twin = training.fit_twin(prepared, self.pipeline)
        found = training.evaluate(prepared, twin, self.pipeline, self.rival, snapshot)
        decision = training.gate(
            found,
            prepared,
            self.pipeline,
            self.rival,
            beside=examine_for_gate(prepared, found, self.pipeline, self.rival),
            earlier=self.judged,
            cause=cause,
        )
        self.judged.append(decision.numbers)
        if decision.outcome != "promoted":
            return _Outcome(decision.outcome, decision.reason)
        served = training.refit(snapshot, twin, found, prepared, self.pipeline)
        problem = training.disagreement(served, found, prepared)
        if problem:
            return _Outcome("refused", problem)
        self._put_in_charge(served, moment)
        return _Outcome("promoted", decision.reason)

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
    """Keep a recipe over a backtest, unless windows could not be told apart when it was found."""
    search = pipeline.search.model_copy(update={"when": "first"})
    return pipeline.model_copy(update={"search": search})
