"""Recipes fitted and judged on folds, in this process; the workers do the same in theirs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from components.errors import DriftwheelError
from components.pipelines import Pipeline
from components.recipes import Recipe, fit_recipe, mean_loss
from components.search.folds import Fold
from components.search.trials import Outcome

Job = tuple[Recipe, int]
"""A recipe, and the number of the fold to judge it on."""


class Judge(Protocol):
    """Whoever fits recipes and judges them on folds."""

    def judge(self, jobs: Sequence[Job], *, may_start: Callable[[], bool]) -> list[Outcome | None]:
        """Do jobs; the outcomes in their order, None for what may not start any more."""


@dataclass(frozen=True, slots=True)
class Here:
    """One job after the other, in this process."""

    folds: tuple[Fold, ...]
    pipeline: Pipeline
    clock: Callable[[], float] = time.perf_counter

    def judge(self, jobs: Sequence[Job], *, may_start: Callable[[], bool]) -> list[Outcome | None]:
        """Do jobs; see :class:`Judge`."""
        return [
            tried(recipe, self.folds[fold], self.pipeline, clock=self.clock)
            if may_start()
            else None
            for recipe, fold in jobs
        ]


def tried(
    recipe: Recipe,
    fold: Fold,
    pipeline: Pipeline,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Fit a recipe on a fold and measure its mean loss; what goes wrong is told, not raised."""
    started = clock()
    loss, problem = float("inf"), ""
    try:
        fitted = fit_recipe(fold.train, recipe, pipeline, until=fold.cut)
        loss = mean_loss(fitted, fold.later, pipeline)
        if not np.isfinite(loss):
            loss, problem = float("inf"), _not_a_number(fold)
    except DriftwheelError as found:
        problem = str(found)
    except MemoryError:
        problem = "out of memory; choose a shorter window, fewer processes or a smaller family"
    return Outcome(loss, clock() - started, problem)


def _not_a_number(fold: Fold) -> str:
    if fold.later.empty:
        return (
            f"no labelled row between {fold.cut.isoformat()} and {fold.until.isoformat()} to "
            "judge on; wait for labels or widen holdout.most"
        )
    return f"its loss on {len(fold.later)} later rows is not a finite number"
