"""What can be searched: the settings of each family, small and sensible."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import pandas as pd

from components.models import FAMILIES, estimator
from components.pipelines import Pipeline
from components.recipes import Params, Recipe
from components.records import LABEL


class Asked(Protocol):
    """The part of an Optuna trial that is asked for values."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Suggest a whole number from `low` to `high`."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Suggest a number from `low` to `high`."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Suggest one of the choices."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole or other numbers from `low` to `high`, evenly or (`log`) evenly by their ratio."""

    low: float
    high: float
    log: bool = True

    def of(self, trial: Asked, name: str) -> Any:
        """Ask for a value; three digits are enough to tell settings apart."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return float(f"{trial.suggest_float(name, self.low, self.high, log=self.log):.3g}")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    options: tuple[Any, ...]

    def of(self, trial: Asked, name: str) -> Any:
        """Ask for a value."""
        return trial.suggest_categorical(name, self.options)


_BOOSTING: Mapping[str, Span | Choice] = {
    "rounds": Span(50, 300),
    "learning_rate": Span(0.02, 0.2),
    "leaves": Span(7, 63),
    "least_rows": Span(5, 100),
    "penalty": Choice((0.0, 1.0, 10.0)),
}
_SETTINGS: Mapping[str, Mapping[str, Span | Choice]] = {
    "linear": {"strength": Span(1e-3, 1e3)},
    "forest": {
        "leaves": Span(64, 1024),
        "least_rows": Span(1, 32),
        "share": Span(0.3, 1.0, log=False),
    },
    "hist_boosting": _BOOSTING,
    "lightgbm": _BOOSTING,
    "network": {
        "hidden": Choice((32, 48, 96)),
        "learning_rate": Span(1e-3, 2e-2),
        "decay": Span(1e-4, 1e-1),
    },
}
# What a regression may minimise, where the pipeline does not say, to do well by its metric.
_LOSSES = {"mae": ("absolute", "poisson"), "rmse": ("poisson",)}
_OWN = "own"


@dataclass(frozen=True, slots=True)
class Space:
    """Every recipe that may be tried.

    Attributes
    ----------
    families : mapping of str to mapping
        For each candidate what its settings may be; nothing for a class of the user's own.
    windows : tuple of str
        As the pipeline file says them.

    """

    families: Mapping[str, Mapping[str, Span | Choice]]
    windows: tuple[str, ...]

    @classmethod
    def of(cls, pipeline: Pipeline, rows: pd.DataFrame) -> "Space":
        """Take what a pipeline names; a loss for counts only where no label is below 0."""
        windows = tuple(str(window) for window in pipeline.windows)
        return cls({name: _settings(name, pipeline, rows) for name in pipeline.candidates}, windows)

    @property
    def has_settings(self) -> bool:
        """Whether there is more to search than families and windows."""
        return any(self.families.values())

    def grid(self) -> list[Recipe]:
        """List every family on every window, with the settings of the house."""
        return [
            Recipe.from_dict({"family": family, "window": window})
            for family, window in product(self.families, self.windows)
        ]

    def narrowed(self, families: Collection[str]) -> "Space":
        """Keep only some families."""
        return Space({name: self.families[name] for name in families}, self.windows)

    def holds(self, recipe: Recipe) -> bool:
        """Say whether a recipe could be asked for here, whatever features it leaves out."""
        known = self.families.get(recipe.family)
        if known is None or str(recipe.window) not in self.windows:
            return False
        return all(name in known for name, _ in recipe.params)

    def ask(self, trial: Asked) -> Recipe:
        """Ask a trial for a recipe."""
        family = trial.suggest_categorical("family", tuple(self.families))
        window = trial.suggest_categorical("window", self.windows)
        asked = {
            name: kind.of(trial, f"{family}.{name}") for name, kind in self.families[family].items()
        }
        params = plain(family, asked.items())
        return Recipe.from_dict({"family": family, "window": window, "params": dict(params)})

    def answers(self, recipe: Recipe) -> dict[str, Any]:
        """Give what a trial would have to answer to be asked for this recipe."""
        known = self.families[recipe.family]
        usual = {**_defaults(recipe.family), "loss": _OWN, **dict(recipe.params)}
        chosen = {f"{recipe.family}.{name}": usual[name] for name in known}
        return {"family": recipe.family, "window": str(recipe.window), **chosen}


def plain(family: str, params: Any) -> Params:
    """Leave out the settings that are the family's own anyway."""
    usual = {**_defaults(family), "loss": _OWN}
    return tuple((name, value) for name, value in params if usual.get(name) != value)


def _defaults(family: str) -> dict[str, Any]:
    return estimator(family).settings() if family in FAMILIES else {}


def _settings(family: str, pipeline: Pipeline, rows: pd.DataFrame) -> dict[str, Span | Choice]:
    if family not in FAMILIES:
        return {}
    found = dict(_SETTINGS[family])
    if pipeline.resolved_task != "regression" or pipeline.loss is not None:
        return found
    able = estimator(family).losses
    wanted = _LOSSES.get(pipeline.resolved_metric, ())
    counts = bool((rows[LABEL].astype("float64") >= 0).all())
    losses = [loss for loss in wanted if loss in able[1:] and (counts or loss != "poisson")]
    # A forest that minimises absolute errors takes a hundred times as long.
    if losses and family != "forest":
        found["loss"] = Choice((_OWN, *losses))
    return found
