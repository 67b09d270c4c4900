"""From labelled rows to a fitted model, or to an error in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.answers import Answers
from components.errors import (
    DriftwheelError,
    InvalidInputError,
    NotEnoughHistoryError,
    TrainingError,
)
from components.models import FAMILIES, estimator
from components.models.contract import Array, InputContract
from components.models.protocol import (
    Estimator,
    Model,
    Objective,
    Resumable,
    Target,
    WarmEstimator,
)
from components.output import UNCHANGED, Output
from components.pipelines.learning import Loss
from components.pipelines.spec import Task

# The fitted model answers so many of its own training rows before anybody relies on it.
ROWS_TRIED = 1_000


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model with the contract that stands before it.

    Attributes
    ----------
    contract : InputContract
        How rows become the model's inputs.
    model : Model
        Preprocessing and estimator.
    family : str
        The model's family.
    task : {"regression", "binary", "multiclass"}
        What it answers.
    classes : tuple of str
        Sorted; empty for a regression.
    settings : dict
        The estimator's settings.
    seed : int
        The only source of chance.
    output : Output
        What turns raw answers into those to act on; by default they stay as they are.

    """

    contract: InputContract
    model: Model
    family: str
    task: Task
    classes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    output: Output = UNCHANGED

    def predict(self, frame: pd.DataFrame) -> Answers:
        """Answer rows: calibrated, decided and bounded as :attr:`output` says.

        Parameters
        ----------
        frame : DataFrame of shape (n_rows, n_columns)
            Holds the contract's columns. Not modified; may be empty.

        """
        return self.output.apply(self.raw(frame))

    def raw(self, frame: pd.DataFrame) -> Answers:
        """Answer rows as the model itself does: what an output is learnt from."""
        inputs = self.contract.prepare(frame)
        if frame.empty:
            return Answers.of_output(np.zeros((0, max(1, len(self.classes)))), self.classes)
        return Answers.of_output(self.model.predict(inputs), self.classes)


def fit(
    frame: pd.DataFrame,
    target: pd.Series,
    *,
    family: str,
    contract: InputContract,
    task: Task,
    seed: int,
    params: Mapping[str, Any] | None = None,
    loss: Loss | None = None,
    quantile: float | None = None,
    weights: pd.Series | None = None,
    start: Model | None = None,
    checkpoints: Path | None = None,
    own: Estimator | None = None,
) -> Fitted:
    """Fit one family on labelled rows.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        Holds the contract's columns. Not modified.
    target : Series of shape (n_rows,)
        The labels in the order of the rows: numbers for a regression, else class names.
    family : str
        One of :data:`components.models.FAMILIES`.
    contract : InputContract
        Which columns are read, and how.
    task : {"regression", "binary", "multiclass"}
        What to learn.
    seed : int
        The same rows and seed give the same model, byte by byte.
    params : dict, optional
        Settings other than the family's defaults.
    loss, quantile : optional
        What a regression minimises, other than the family's own loss.
    weights : Series of shape (n_rows,), optional
        How much each row counts: finite, at least 0, not all 0.
    start : Model, optional
        An earlier model to go on from, for a family that can.
    checkpoints : Path, optional
        Where a fit that takes long keeps how far it has come; a family without ignores it.
    own : Estimator, optional
        What fits, where `family` is the name of a class of the user's own.

    Raises
    ------
    InvalidInputError
        If the family has no such setting or loss, or cannot go on from an earlier model.
    NotEnoughHistoryError
        If there are fewer than two rows.
    TrainingError
        If a label is missing, there is one class only, the fit fails, or the fitted model
        answers nonsense.

    """
    if len(frame) < 2 or len(frame) != len(target):  # noqa: PLR2004 - no line through one point
        raise NotEnoughHistoryError(
            f"need at least 2 labelled rows to fit {family}, got {len(frame)} rows and "
            f"{len(target)} labels; widen the training window or wait for labels"
        )
    if not contract.columns:
        raise TrainingError(f"need at least one feature column to fit {family}, got none")
    learner = own or estimator(family, **(params or {}))
    learner = _able(learner, loss=loss, checkpoints=checkpoints)
    inputs = contract.prepare(frame)
    wanted, classes = _learnable(target, task=task)
    fit_rows = learner.fit if start is None else _going_on(learner, start)
    try:
        model = fit_rows(
            inputs,
            wanted,
            objective=Objective(task, classes, loss, quantile),
            seed=seed,
            weights=None if weights is None else _weights(weights, len(frame)),
        )
    except (DriftwheelError, MemoryError):
        raise  # what the search says of either is more than could be said here
    except Exception as problem:
        raise TrainingError(
            f"{family} could not be fitted on {len(frame)} rows: {type(problem).__name__}: "
            f"{problem}; the rows are unharmed, try another family or window"
        ) from problem
    fitted = Fitted(contract, model, family, task, classes, learner.settings(), seed)
    _refuse_nonsense(fitted, frame)
    return fitted


def _able(learner: Estimator, *, loss: Loss | None, checkpoints: Path | None) -> Estimator:
    """Refuse a loss that the family has not; give it a folder for checkpoints if it keeps any."""
    if loss is not None and loss not in learner.losses:
        able = [name for name in FAMILIES if loss in estimator(name).losses]
        only = f"only {', '.join(learner.losses)}" if learner.losses else "nor any that is named"
        raise InvalidInputError(
            f"loss: {learner.family} cannot minimise {loss!r}, {only}. {', '.join(able)} can: name "
            "one of them under candidates"
        )
    if checkpoints is not None and isinstance(learner, Resumable):
        return learner.with_checkpoints(checkpoints)
    return learner


def _going_on(learner: Estimator, start: Model) -> Callable[..., Model]:
    if not isinstance(learner, WarmEstimator):
        able = [name for name in FAMILIES if isinstance(estimator(name), WarmEstimator)]
        raise InvalidInputError(
            f"{learner.family} cannot go on from an earlier model; {', '.join(able)} can"
        )
    return partial(learner.warm, start)


def _weights(weights: pd.Series, rows: int) -> Array | None:
    """Check weights, and bring their mean to 1 so that penalties keep their meaning.

    None where all count the same: a forest draws rows otherwise as soon as it is given weights.
    """
    values = weights.to_numpy(dtype=np.float64, na_value=np.nan)
    if len(values) != rows:
        raise TrainingError(f"need a weight for each of {rows} rows, got {len(values)}")
    wrong = int((~np.isfinite(values) | (values < 0)).sum())
    if wrong or not values.any():
        raise TrainingError(
            f"need weights that are finite, at least 0 and not all 0, got {wrong} of {rows} that "
            "are missing, infinite or below 0" + ("" if wrong else ", and all are 0")
        )
    return None if (values == values[0]).all() else np.asarray(values / values.mean())


def _learnable(target: pd.Series, *, task: Task) -> tuple[Target, tuple[str, ...]]:
    """Turn labels into what an estimator learns: numbers, or indices into the classes."""
    missing = int(target.isna().sum())
    if missing:
        raise TrainingError(f"need a label for every row, got {missing} of {len(target)} missing")
    if task == "regression":
        return _values(target), ()
    names = target.astype(str).to_numpy(dtype=object)
    classes = tuple(sorted(set(names)))
    needed = "exactly 2" if task == "binary" else "at least 2"
    if len(classes) < 2 or (task == "binary" and len(classes) > 2):  # noqa: PLR2004
        raise TrainingError(
            f"need {needed} classes to learn a {task} task, got {len(classes)} in "
            f"{len(target)} rows: {', '.join(classes[:5])}; widen the training window"
        )
    return np.array([classes.index(name) for name in names], dtype=np.int64), classes


def _values(target: pd.Series) -> Target:
    try:
        values = target.to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as problem:
        raise TrainingError(f"need numbers as labels of a regression: {problem}") from problem
    if not np.isfinite(values).all():
        raise TrainingError("need finite labels, got infinite ones")
    return values


def _refuse_nonsense(fitted: Fitted, frame: pd.DataFrame) -> None:
    answers = fitted.raw(frame.iloc[:ROWS_TRIED])
    numbers = answers.values if answers.probabilities is None else answers.probabilities
    wrong = int((~np.isfinite(numbers.astype(np.float64))).reshape(len(answers), -1).any(1).sum())
    if wrong:
        raise TrainingError(
            f"{fitted.family} answered {wrong} of {len(answers)} training rows with NaN or "
            "infinity; look for extreme values in the columns or the labels"
        )
