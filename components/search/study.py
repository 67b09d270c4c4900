"""Optuna: what to try next, when to give up on a trial, and what is remembered of a search.

One study, in memory, is asked; each of its answers follows from the seed and the trials before
alone. A journal beside it remembers every fit. A search that was killed is simply made again:
it asks for the same recipes in the same order, finds those it had judged in the journal, and
goes on where it was, to the same end.
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from components.failpoints import failpoint
from components.recipes import Recipe
from components.search.space import Space
from components.search.trials import Outcome, Trial

BATCH = 4
"""So many recipes are asked for at once, however many processes there are to fit them (or as
many as there are processes, where those are more): what is asked for does not depend on them."""

_RANDOM_FIRST = 6
_NEVER_PRUNED = 2


class Study:
    """Asks for recipes, and is told what became of them."""

    def __init__(self, space: Space, seed: int, memory: "Memory") -> None:
        self._seed = seed
        self._memory = memory
        self._begin(space)

    def _begin(self, space: Space) -> None:
        self._space = space
        with quiet():
            self._study = optuna.create_study(
                sampler=optuna.samplers.TPESampler(seed=self._seed, n_startup_trials=_RANDOM_FIRST),
                pruner=optuna.pruners.MedianPruner(n_startup_trials=_NEVER_PRUNED),
            )

    def narrow(self, space: Space, done: Sequence[Trial]) -> None:
        """Ask for recipes of a smaller space from now on, knowing what its trials came to."""
        self._begin(space)
        good = [trial for trial in done if not trial.problem and space.holds(trial.recipe)]
        for pending, trial in zip(self.take([trial.recipe for trial in good]), good, strict=True):
            for fold, loss in enumerate(trial.losses, start=1):
                pending.learn(Outcome(loss, 0.0), folds=fold)
            with quiet():
                self._study.tell(pending.trial, trial.loss)

    def take(self, recipes: Sequence[Recipe]) -> list["Pending"]:
        """Take up recipes that were not asked for."""
        with quiet():
            for recipe in recipes:
                self._study.enqueue_trial(self._space.answers(recipe))
            return [Pending(recipe, self._asked()[0], self._memory) for recipe in recipes]

    def ask(self, count: int, dropped: tuple[str, ...]) -> list["Pending"]:
        """Ask for recipes, all of which leave out the same features."""
        found = []
        with quiet():
            for _ in range(count):
                trial, recipe = self._asked()
                whole = Recipe(recipe.family, recipe.window, recipe.params, dropped)
                found.append(Pending(whole, trial, self._memory))
        return found

    def _asked(self) -> tuple[optuna.Trial, Recipe]:
        trial = self._study.ask()
        return trial, self._space.ask(trial)

    def tell(self, pending: "Pending") -> None:
        """Tell what became of a recipe; one that ran out of time teaches nothing."""
        trial, done = pending.trial, pending.result
        with quiet():
            if pending.complete:
                self._study.tell(trial, done.loss)
            else:
                state = TrialState.PRUNED if pending.given_up else TrialState.FAIL
                self._study.tell(trial, state=state)
        self._memory.keep(self._study.trials[trial.number], done)
        failpoint("between-trials")


class Pending:
    """A recipe on its way through the folds."""

    def __init__(self, recipe: Recipe, trial: optuna.Trial, memory: "Memory") -> None:
        self.recipe = recipe
        self.trial = trial
        self.problem = ""
        self.given_up = False
        self.complete = False
        self._memory = memory
        self._losses: list[float] = []
        self._seconds = 0.0

    @property
    def alive(self) -> bool:
        """Whether there is more to find out."""
        return not (self.problem or self.complete)

    @property
    def fold(self) -> int:
        """The number of the next fold."""
        return len(self._losses)

    @property
    def known(self) -> Outcome | None:
        """What the next fold comes to, where an earlier run of this search has found out."""
        return self._memory.known(self.recipe, self.fold)

    def learn(self, outcome: Outcome | None, folds: int) -> None:
        """Take in what the next of `folds` folds came to; None: there was no time for it."""
        if outcome is None:
            self.problem = "the search's budget was used up before it was judged"
            return
        self._seconds += outcome.seconds
        self.problem = outcome.problem
        if outcome.problem:
            return
        self._losses.append(outcome.loss)
        with quiet():
            self.trial.report(sum(self._losses) / self.fold, step=self.fold)
            if self.fold == folds:
                self.complete = True
            elif self.trial.should_prune():
                self.given_up = True
                self.problem = f"given up after {self.fold} of {folds} folds: worse than the median"

    @property
    def result(self) -> Trial:
        """What came of it."""
        loss = sum(self._losses) / self.fold if self.complete else float("inf")
        return Trial(self.recipe, loss, self._seconds, self.problem, tuple(self._losses))


class Memory:
    """What was judged before, by this search of these rows, and by the last one of others.

    Parameters
    ----------
    file : Path, optional
        Optuna's journal; without it nothing outlives the process.
    name : str
        The pipeline.
    key : sequence of object
        All that decides a search; another key is another study.

    """

    def __init__(self, file: Path | None, name: str, key: Sequence[object]) -> None:
        self._known: dict[tuple[str, int], Outcome] = {}
        self._kept: set[str] = set()
        self._study: optuna.Study | None = None
        self.best_before: Recipe | None = None
        if file is None:
            return
        digest = hashlib.sha256(json.dumps([str(part) for part in key]).encode()).hexdigest()
        with quiet():
            file.parent.mkdir(parents=True, exist_ok=True)
            storage = JournalStorage(JournalFileBackend(str(file)))
            title = f"{name} {digest[:16]}"
            self.best_before = _last_best(storage, name, title)
            self._study = optuna.create_study(
                storage=storage, study_name=title, load_if_exists=True
            )
            for trial in self._study.get_trials(deepcopy=False):
                self._remember(trial)

    def known(self, recipe: Recipe, fold: int) -> Outcome | None:
        """Give what a recipe came to on a fold, if that was found out before."""
        return self._known.get((_written(recipe), fold))

    def keep(self, trial: FrozenTrial, done: Trial) -> None:
        """Keep what became of a recipe."""
        named = _written(done.recipe)
        for fold, loss in enumerate(done.losses):
            self._known.setdefault((named, fold), Outcome(loss, 0.0))
        if self._study is None or named in self._kept:
            return
        self._kept.add(named)
        attrs = {
            "recipe": done.recipe.as_dict(),
            "losses": list(done.losses),
            "seconds": done.seconds,
            "problem": done.problem,
        }
        with quiet():
            self._study.add_trial(
                create_trial(
                    state=trial.state,
                    value=trial.value if trial.state == TrialState.COMPLETE else None,
                    params=trial.params,
                    distributions=trial.distributions,
                    intermediate_values=trial.intermediate_values,
                    user_attrs=attrs,
                )
            )

    def _remember(self, trial: FrozenTrial) -> None:
        """Take a fit of an earlier run for made; what failed is tried again."""
        attrs: dict[str, Any] = trial.user_attrs
        recipe = Recipe.from_dict(attrs["recipe"])
        losses, named = attrs["losses"], _written(recipe)
        if trial.state != TrialState.FAIL:
            self._kept.add(named)
        for fold, loss in enumerate(losses):
            self._known[named, fold] = Outcome(loss, attrs["seconds"] / len(losses))


def _last_best(storage: JournalStorage, name: str, title: str) -> Recipe | None:
    """Give the best recipe of the newest other study of a pipeline."""
    others = [
        study
        for study in storage.get_all_studies()
        if study.study_name.rpartition(" ")[0] == name and study.study_name != title
    ]
    for study in reversed(others):
        done = storage.get_all_trials(study._study_id, states=(TrialState.COMPLETE,))  # noqa: SLF001 - its only name
        if done:
            best = min(done, key=lambda trial: trial.value or 0.0)
            return Recipe.from_dict(best.user_attrs["recipe"])
    return None


def _written(recipe: Recipe) -> str:
    return json.dumps(recipe.as_dict(), sort_keys=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from talking: what it did is told in our own words."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="optuna")
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        logger.setLevel(level)
