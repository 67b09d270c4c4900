"""What to fit, on which stretch of history; and choosing it on later rows.

A recipe is searched once, at the first training, on rows that come after those it is fitted
on, and kept with the champion; later trainings refit it, unless ``search: always``.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from components.errors import DriftwheelError, NotEnoughHistoryError, TrainingError
from components.failpoints import failpoint
from components.maturity import fair_age_of
from components.metrics import row_losses
from components.models.contract import InputContract
from components.models.fitting import Fitted, fit
from components.pipelines import Pipeline, Window
from components.records import LABEL
from components.splits import had_a_chance, in_window, known_by, split_newest

LEAST_ROWS = 10
"""Fewer labelled rows than this fit nothing worth judging."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A family of models and a training window.

    >>> str(Recipe("lightgbm", Window(last="90d")))
    'lightgbm on last 90d'
    """

    family: str
    window: Window

    def __str__(self) -> str:
        return f"{self.family} on {self.window}"

    def as_dict(self) -> dict[str, str]:
        """Give the recipe as plain text values, for manifests and tags."""
        return {"family": self.family, "window": str(self.window)}

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> "Recipe":
        """Read what :meth:`as_dict` wrote."""
        return cls(str(given["family"]), Window.model_validate(given["window"]))


@dataclass(frozen=True, slots=True)
class Trial:
    """One recipe tried: its mean loss on the later rows, or why it failed."""

    recipe: Recipe
    loss: float
    seconds: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """The best recipe, and every trial behind it."""

    best: Recipe
    trials: tuple[Trial, ...]


def fit_recipe(
    rows: pd.DataFrame,
    recipe: Recipe,
    pipeline: Pipeline,
    *,
    until: pd.Timestamp,
    fair_age: timedelta | None = None,
) -> Fitted:
    """Fit a recipe on what was known at `until`, within its window.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)
        Labelled rows; those whose label was known later are left out. Not modified.
    fair_age : timedelta, optional
        Rows younger than this are left out, for only fast labels are known of them; by
        default it is measured on the rows, as known at `until`.

    Raises
    ------
    NotEnoughHistoryError
        If fewer than ten rows are left.
    TrainingError
        If the fit fails or answers nonsense.

    """
    if fair_age is None:
        fair_age = fair_age_of(rows, pipeline, as_of=until)
    seen = training_rows(rows, recipe, until=until, fair_age=fair_age)
    if len(seen) < LEAST_ROWS:
        raise NotEnoughHistoryError(
            f"{pipeline.name}: need at least {LEAST_ROWS} labelled rows to fit {recipe} as of "
            f"{until.isoformat()}, found {len(seen)}; wait for labels or widen the window"
        )
    return fit(
        seen[list(pipeline.inputs)],
        seen[LABEL],
        family=recipe.family,
        contract=InputContract.of(pipeline),
        task=pipeline.resolved_task,
        seed=pipeline.seed,
    )


def training_rows(
    rows: pd.DataFrame,
    recipe: Recipe,
    *,
    until: pd.Timestamp,
    fair_age: timedelta = timedelta(0),
) -> pd.DataFrame:
    """Select the rows that a fit of `recipe` at `until` learns from."""
    fair = had_a_chance(known_by(rows, until), fair_age, until=until)
    return in_window(fair, recipe.window, until=until)


def search_recipe(
    rows: pd.DataFrame,
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    clock: Callable[[], float] = time.perf_counter,
    seconds: float = 60.0,
    told: Callable[[str], None] = lambda _: None,
) -> Search:
    """Try every candidate on every window, judged on the newest stretch of `rows`.

    The stretch is as wide as the gate's holdout, without rows too young to have had a fair
    chance of a label. A recipe that fails is recorded with the reason and loses; after
    `seconds` no further trial starts.

    Raises
    ------
    TrainingError
        If every candidate fails; the message gives each reason.

    """
    split = split_newest(
        rows,
        as_of=as_of,
        holdout=pipeline.holdout,
        seen_until=None,
        fair_age=fair_age_of(rows, pipeline, as_of=as_of),
    )
    recipes = [Recipe(*pair) for pair in product(pipeline.candidates, pipeline.windows)]
    if len(recipes) == 1:
        return Search(recipes[0], ())
    started, trials = clock(), list[Trial]()
    for recipe in recipes:
        if trials and clock() - started > seconds:
            break
        told(f"trying {recipe}")
        trials.append(_try(recipe, split.train, split.holdout, split.cut, pipeline, clock))
        failpoint("between-trials")
    good = [trial for trial in trials if not trial.problem]
    if not good:
        reasons = "; ".join(f"{trial.recipe}: {trial.problem}" for trial in trials)
        raise TrainingError(f"{pipeline.name}: no candidate could be fitted ({reasons})")
    return Search(min(good, key=lambda trial: trial.loss).recipe, tuple(trials))


def _try(
    recipe: Recipe,
    train: pd.DataFrame,
    later: pd.DataFrame,
    cut: pd.Timestamp,
    pipeline: Pipeline,
    clock: Callable[[], float],
) -> Trial:
    started = clock()
    try:
        fitted = fit_recipe(train, recipe, pipeline, until=cut)
        loss = mean_loss(fitted, later, pipeline)
    except DriftwheelError as problem:
        return Trial(recipe, float("inf"), clock() - started, str(problem))
    return Trial(recipe, loss, clock() - started)


def mean_loss(fitted: Fitted, rows: pd.DataFrame, pipeline: Pipeline) -> float:
    """Average the row losses of a fitted model on labelled rows; NaN when there are none."""
    if rows.empty:
        return float("nan")
    answers = fitted.predict(rows[list(pipeline.inputs)])
    losses = row_losses(pipeline.resolved_task, pipeline.resolved_metric, rows[LABEL], answers)
    return float(np.mean(losses))
