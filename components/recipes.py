"""What to fit, on which stretch of history.

A recipe is searched once, at the first training (:mod:`components.search`), and kept with the
champion; later trainings refit it, unless ``search: always``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.changes import since_change
from components.errors import NotEnoughHistoryError, TrainingError
from components.maturity import fair_age_of
from components.metrics import row_losses
from components.models.contract import InputContract
from components.models.fitting import Fitted, fit
from components.models.protocol import Model
from components.models.trusted import own_estimator
from components.pipelines import Pipeline, Window
from components.records import EVENT_TIME, LABEL
from components.splits import had_a_chance, in_window, known_by

LEAST_ROWS = 10
"""Fewer labelled rows than this fit nothing worth judging."""

Params = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A family of models, a training window, settings, and the features left out.

    Attributes
    ----------
    family : str
        A built-in family, or the name of a trusted class.
    window : Window
        Which history is learnt from.
    params : tuple of (name, value)
        Settings other than the family's defaults, sorted by name; ``loss`` among them where
        the search chose what a regression minimises.
    dropped : tuple of str
        Features that the model does not read, sorted.

    Examples
    --------
    >>> str(Recipe("lightgbm", Window(last="90d")))
    'lightgbm on last 90d'
    >>> str(Recipe("lightgbm", Window(), (("leaves", 63), ("rounds", 300)), ("snow",)))
    'lightgbm on all (leaves 63, rounds 300), without snow'

    """

    family: str
    window: Window
    params: Params = ()
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", tuple(sorted(self.params)))
        object.__setattr__(self, "dropped", tuple(sorted(self.dropped)))

    def __str__(self) -> str:
        settings = ", ".join(f"{name} {_short(value)}" for name, value in self.params)
        without = f", without {', '.join(self.dropped)}" if self.dropped else ""
        return f"{self.family} on {self.window}{f' ({settings})' if settings else ''}{without}"

    def as_dict(self) -> dict[str, Any]:
        """Give the recipe as plain values, for manifests and tags; defaults are left out."""
        said: dict[str, Any] = {"family": self.family, "window": str(self.window)}
        if self.params:
            said["params"] = dict(self.params)
        if self.dropped:
            said["dropped"] = list(self.dropped)
        return said

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Recipe":
        """Read what :meth:`as_dict` wrote, now or before recipes had settings."""
        return cls(
            str(given["family"]),
            Window.model_validate(given["window"]),
            tuple(given.get("params", {}).items()),
            tuple(given.get("dropped", ())),
        )


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Aids:
    """What a fit may use beside its rows, and does not need.

    Attributes
    ----------
    start : Model or None
        An earlier model to go on from: a warm start.
    checkpoints : Path or None
        Where a fit that takes long keeps how far it has come.

    """

    start: Model | None = field(default=None, repr=False)
    checkpoints: Path | None = None


def fit_recipe(
    rows: pd.DataFrame,
    recipe: Recipe,
    pipeline: Pipeline,
    *,
    until: pd.Timestamp,
    fair_age: timedelta | None = None,
    aids: Aids = Aids(),
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
    seen = training_rows(rows, recipe, pipeline, until=until, fair_age=fair_age)
    return fit_rows(seen, recipe, pipeline, until=until, aids=aids)


def fit_rows(
    seen: pd.DataFrame,
    recipe: Recipe,
    pipeline: Pipeline,
    *,
    until: pd.Timestamp,
    aids: Aids = Aids(),
) -> Fitted:
    """Fit a recipe on the rows that :func:`training_rows` selected for it, all of them."""
    if len(seen) < LEAST_ROWS:
        raise NotEnoughHistoryError(
            f"{pipeline.name}: need at least {LEAST_ROWS} labelled rows to fit {recipe} as of "
            f"{until.isoformat()}, found {len(seen)}; wait for labels or widen the window"
        )
    kept = [name for name in pipeline.inputs if name not in recipe.dropped]
    params = dict(recipe.params)
    loss = params.pop("loss", pipeline.loss)
    return fit(
        seen[kept],
        seen[LABEL],
        family=recipe.family,
        contract=InputContract(tuple((name, pipeline.inputs[name]) for name in kept)),
        task=pipeline.resolved_task,
        seed=pipeline.seed,
        params=params,
        loss=loss,
        quantile=pipeline.quantile if loss == "quantile" else None,
        weights=row_weights(seen, pipeline),
        own=own_estimator(pipeline, recipe.family),
        start=aids.start,
        checkpoints=aids.checkpoints,
    )


def training_rows(
    rows: pd.DataFrame,
    recipe: Recipe,
    pipeline: Pipeline,
    *,
    until: pd.Timestamp,
    fair_age: timedelta = timedelta(0),
) -> pd.DataFrame:
    """Select the rows that a fit of `recipe` at `until` learns from.

    A window that holds fewer than ``least_train_rows`` is widened back until it holds them:
    after a long gap in the data a short window would leave a model with the few rows since.
    """
    fair = had_a_chance(known_by(rows, until), fair_age, until=until)
    least = pipeline.least_train_rows
    if recipe.window.since_change:
        return since_change(fair, pipeline, least=least)
    return in_window(fair, recipe.window, until=until, least=least)


def row_weights(rows: pd.DataFrame, pipeline: Pipeline) -> pd.Series | None:
    """Say how much each row counts in a fit: the product of what ``weights`` names.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)

    Returns
    -------
    Series of shape (n_labelled,) or None
        float64, in the order of the rows; None where all count the same. `balanced` gives
        every class the same sum; `half_life` halves with age, counted from the newest event.

    Raises
    ------
    TrainingError
        If the rows do not hold the column.

    """
    asked = pipeline.weights
    if asked is None:
        return None
    weights = pd.Series(1.0, index=rows.index)
    if asked.column is not None:
        if asked.column not in rows.columns:
            raise TrainingError(
                f"{pipeline.name}: weights names the column {asked.column!r}, which the rows do "
                f"not hold; known: {', '.join(pipeline.inputs)}"
            )
        weights = pd.to_numeric(rows[asked.column], errors="coerce").astype("float64")
    if asked.balanced and pipeline.resolved_task != "regression":
        weights = weights / rows[LABEL].map(rows[LABEL].value_counts()).astype("float64")
    if asked.half_life is not None:
        age = rows[EVENT_TIME].max() - rows[EVENT_TIME]
        weights = weights * np.exp2(-(age / pd.Timedelta(asked.half_life)))
    return weights


def mean_loss(fitted: Fitted, rows: pd.DataFrame, pipeline: Pipeline) -> float:
    """Average the row losses of a fitted model on labelled rows; NaN when there are none."""
    if rows.empty:
        return float("nan")
    return float(np.mean(losses_of(fitted, rows, pipeline)))


def losses_of(fitted: Fitted, rows: pd.DataFrame, pipeline: Pipeline) -> "np.ndarray[Any, Any]":
    """Compute the row losses that recipes are compared by, of shape (n_rows,).

    Classes are compared by log loss whatever the metric: right or wrong says so little of a
    row that of many recipes the luckiest would win.
    """
    answers = fitted.predict(rows[list(pipeline.inputs)])
    task = pipeline.resolved_task
    metric = pipeline.resolved_metric if task == "regression" else "log_loss"
    return row_losses(task, metric, rows[LABEL], answers, quantile=pipeline.quantile)
