"""Find the recipe that does best on later rows."""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from operator import le
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from components.errors import DriftwheelError, TrainingError
from components.pipelines import Pipeline
from components.recipes import LEAST_ROWS, Recipe, fit_recipe
from components.records import EVENT_TIME, KNOWN_TIME, LABEL
from components.search.folds import Fold, temporal_folds
from components.search.judging import Here, Judge
from components.search.selecting import unhelpful, unusable
from components.search.space import Space
from components.search.trials import Search, Trial
from components.search.workers import Workers
from components.splits import known_by

if TYPE_CHECKING:
    from components.search.study import Pending, Study

LIMIT = 1 / 4
"""One fit of a worker process may take this share of the search's budget."""

FAR_BEHIND = 0.25
"""A family that loses so much more than the best, each with its own settings, gets no more trials:
settings move a loss by a tenth, seldom by more."""


SURELY = 0.02
"""Settings are taken where they lower the loss of the house's by so much on every fold. On 91 days
of bikeshare the lowest of 20 mean losses erred more on later weeks than the house's settings."""


def search_recipe(
    rows: pd.DataFrame,
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    champion: Recipe | None = None,
    windows_only: bool = False,
    storage: Path | None = None,
    clock: Callable[[], float] = time.perf_counter,
    told: Callable[[str], None] = lambda _: None,
) -> Search:
    """Try recipes, judged on the newest stretches of `rows`, and give the best.

    Every candidate is tried on every window with the settings of the house, then the recipes
    that did best before; features that do not help are left out; then Optuna goes on until
    ``search.trials`` have been made or ``search.budget`` is used up. A recipe that fails is
    recorded with the reason and loses.

    The same rows, seed and number of trials give the same recipe, in one process or several;
    only a budget that is used up, or a fit that takes too long, lets the clock have a say.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)
        Labelled rows; those whose label was known after `as_of` are left out. Not modified.
    as_of : Timestamp
        The moment of the search.
    champion : Recipe, optional
        What serves now: among the first tried, where the pipeline file still allows it.
    windows_only : bool
        Only the champion's recipe is tried, on each window.
    storage : Path, optional
        A file in which a search is kept, to be gone on with after a kill.
    told : callable
        Takes a line on each trial.

    Raises
    ------
    TrainingError
        If every candidate fails, with each reason; or no feature is left.

    """
    known = known_by(rows, as_of)
    if known.empty and len(pipeline.candidates) * len(pipeline.windows) > 1:
        raise TrainingError(
            f"{pipeline.name}: no label was known by {as_of.isoformat()}, so no recipe can be "
            "judged; wait for labels"
        )
    space = Space.of(pipeline, known)
    planned = _planned(space, pipeline, champion, windows_only=windows_only)
    trials = len(planned) if windows_only or not space.has_settings else pipeline.search.trials
    # A class of the user's own is tried in a process of its own before it is fitted in this one.
    if len(planned) == 1 and trials == 1 and planned[0].family not in pipeline.trusted:
        return Search(planned[0])
    search = _Searching(rows, pipeline, as_of, space, clock, told)
    select = pipeline.search.select and not windows_only
    return search.run(planned, trials, select=select, storage=storage)


def _planned(
    space: Space, pipeline: Pipeline, champion: Recipe | None, *, windows_only: bool
) -> list[Recipe]:
    """List what is tried before anything is asked for, each once."""
    if champion is not None and windows_only:
        return [replace(champion, window=window) for window in pipeline.windows]
    found = space.grid()
    if champion is not None and space.holds(champion):
        found.append(replace(champion, dropped=()))
    return list(dict.fromkeys(found))


class _Searching:
    """One search: its folds, its clock, and what was tried so far."""

    def __init__(
        self,
        rows: pd.DataFrame,
        pipeline: Pipeline,
        as_of: pd.Timestamp,
        space: Space,
        clock: Callable[[], float],
        told: Callable[[str], None],
    ) -> None:
        self.pipeline = pipeline
        self.as_of = as_of
        self.space = space
        self.clock = clock
        self.told = told
        self.rows = rows
        self.folds = temporal_folds(rows, pipeline, as_of=as_of)
        self.begun = clock()
        self.trials: list[Trial] = []
        self.reasons: dict[str, str] = {}
        self.wanted = 0
        self.late = False

    def run(
        self, planned: list[Recipe], trials: int, *, select: bool, storage: Path | None
    ) -> Search:
        """Search."""
        # Here, not on top: Optuna takes a second, and most trainings search nothing.
        from components.search.study import BATCH, Memory, Study

        memory = Memory(storage, self.pipeline.name, self._key(storage))
        before = memory.best_before
        if before is not None and select and self.space.holds(before):
            planned = list(dict.fromkeys([*planned, replace(before, dropped=())]))
        learnable = self._learnable()
        if select and len(learnable) >= LEAST_ROWS:
            self.reasons = unusable(learnable, self.pipeline)
            planned = [replace(recipe, dropped=tuple(self.reasons)) for recipe in planned]
        self.wanted = max(trials, len(planned))
        study = Study(self.space, self.pipeline.seed, memory)
        batch = max(BATCH, self.pipeline.search.processes)
        with ExitStack() as stack:
            judge = self._judge(stack)
            for first in range(0, len(planned), batch):
                self._try(study, judge, study.take(planned[first : first + batch]))
            if not self._any_good():
                return self._nothing_judged(planned)
            if select:
                self._select(study, judge)
            if len(self.trials) < trials:
                study.narrow(self.space.narrowed(self._families()), self.trials)
            while len(self.trials) < trials and self._in_time():
                count = min(batch, trials - len(self.trials))
                self._try(study, judge, study.ask(count, tuple(self.reasons)))
        best = self._chosen().recipe
        dropped = {name: self.reasons[name] for name in best.dropped if name in self.reasons}
        folds = tuple(map(str, self.folds))
        return Search(best, tuple(self.trials), dropped, folds, self._said())

    def _try(self, study: "Study", judge: Judge, pending: "Sequence[Pending]") -> None:
        """Take recipes through the folds, abreast, and tell the study in their order."""
        for place, each in enumerate(pending, start=len(self.trials) + 1):
            self.told(f"trying {each.recipe} ({place} of {self.wanted})")
        for number in range(len(self.folds)):
            alive = [each for each in pending if each.alive]
            fresh = [each for each in alive if each.known is None]
            first = not self._any_good() and not any(each.complete for each in pending)
            spared = iter([first and len(fresh) == len(alive)])
            found = judge.judge(
                [(each.recipe, number) for each in fresh],
                may_start=lambda spared=spared: next(spared, False) or self._in_time(),  # type: ignore[misc]
            )
            outcomes = dict(zip(map(id, fresh), found, strict=True))
            for each in alive:
                each.learn(outcomes.get(id(each), each.known), len(self.folds))
        for each in pending:
            study.tell(each)
            self.trials.append(each.result)

    def _select(self, study: "Study", judge: Judge) -> None:
        """Leave out what does not help the best recipe so far, if it does better without.

        Better on every fold, by `SURELY`: what a short history has no use for may help later, and
        what is left out stays out as long as the recipe does.
        """
        best, newest = self._best(), self.folds[0]
        if not self._in_time():
            return
        try:
            fitted = fit_recipe(newest.train, best.recipe, self.pipeline, until=newest.cut)
            found = unhelpful(fitted, newest.later, self.pipeline)
        except DriftwheelError:
            # It was fitted a moment ago, elsewhere: what fails only here drops nothing.
            return
        left = [name for name in fitted.contract.names if name not in found]
        if not found or not left:
            return
        without = replace(best.recipe, dropped=(*best.recipe.dropped, *found))
        self.wanted = max(self.wanted, len(self.trials) + 1)
        self._try(study, judge, study.take([without]))
        done = self.trials[-1]
        if not done.problem and _surely_better(done, best):
            self.reasons |= found

    def _judge(self, stack: ExitStack) -> Judge:
        """Fit here, or in workers where there are several, or where a fit may do anything."""
        asked, own = self.pipeline.search, set(self.pipeline.trusted)
        if asked.processes == 1 and not own & set(self.pipeline.candidates):
            return Here(self.folds, self.pipeline, self.clock)
        limit = asked.budget.total_seconds() * LIMIT
        workers = Workers(self.folds, self.pipeline, count=asked.processes, limit=limit)
        return stack.enter_context(workers)

    def _in_time(self) -> bool:
        in_time = self.clock() - self.begun < self.pipeline.search.budget.total_seconds()
        self.late = self.late or not in_time
        return in_time

    def _any_good(self) -> bool:
        return any(not trial.problem for trial in self.trials)

    def _families(self) -> list[str]:
        """Name the families worth more trials: those not far behind with their own settings."""
        good = [trial for trial in self.trials if not trial.problem]
        bound = max(self._best().loss, 0.0) * (1 + FAR_BEHIND)
        near = {trial.recipe.family for trial in good if trial.loss <= bound}
        return [name for name in self.space.families if name in near]

    def _nothing_judged(self, planned: list[Recipe]) -> Search:
        """Give the one recipe there is, unjudged: its fit will say what is wrong; or refuse."""
        reasons = "; ".join(f"{trial.recipe}: {trial.problem}" for trial in self.trials)
        if len(planned) > 1 or planned[0].family in self.pipeline.trusted:
            raise TrainingError(f"{self.pipeline.name}: no candidate could be fitted ({reasons})")
        return Search(planned[0], tuple(self.trials), said=(f"nothing was judged: {reasons}",))

    def _chosen(self) -> Trial:
        """Give the best trial; settings other than the house's must show that they are better.

        The lowest of many losses is partly luck: on every fold, and by `SURELY`, or not at all.
        """
        good = self._good()
        house = [trial for trial in good if not trial.recipe.params]
        if not house:
            return self._best()
        least = min(house, key=_by_loss)
        return min([least, *(one for one in good if _surely_better(one, least))], key=_by_loss)

    def _best(self) -> Trial:
        return min(self._good(), key=_by_loss)

    def _good(self) -> list[Trial]:
        allowed = set(self.reasons)
        return [
            trial
            for trial in self.trials
            if not trial.problem and allowed.issuperset(trial.recipe.dropped)
        ]

    def _learnable(self) -> pd.DataFrame:
        newest: Fold = self.folds[0]
        return known_by(self.rows, self.as_of) if newest.train.empty else newest.train

    def _said(self) -> tuple[str, ...]:
        said, asked = [], self.pipeline.search
        if len(self.folds) < asked.folds:
            said.append(
                f"history is long enough for {len(self.folds)} of {asked.folds} folds to judge on"
            )
        if self.late:
            said.append(
                f"search.budget of {asked.budget.total_seconds():.0f} s was used up after "
                f"{len(self.trials)} of {self.wanted} trials"
            )
        return tuple(said)

    def _key(self, storage: Path | None) -> tuple[object, ...]:
        """Give all that decides what is tried and how it is judged."""
        if storage is None:
            return ()
        columns = [*self.pipeline.inputs, EVENT_TIME, KNOWN_TIME, LABEL]
        hashed = pd.util.hash_pandas_object(known_by(self.rows, self.as_of)[columns], index=False)
        spec = self.pipeline.model_dump(
            mode="json",
            include={
                "candidates",
                "windows",
                "holdout",
                "loss",
                "quantile",
                "weights",
                "metric",
                "least_train_rows",
                "seed",
                "trusted",
            },
        )
        rows = hashlib.sha256(hashed.to_numpy().tobytes()).hexdigest()
        return (self.as_of, self.pipeline.search.folds, spec, rows)


def _by_loss(trial: Trial) -> tuple[float, int]:
    """Order trials: the lowest loss first, and of equals the one that reads less."""
    return trial.loss, -len(trial.recipe.dropped)


def _surely_better(one: Trial, other: Trial) -> bool:
    """Say whether a trial beats another on every fold, by `SURELY`."""
    bound = [loss * (1 - SURELY) for loss in other.losses]
    return all(map(le, one.losses, bound))
