"""What every model family promises."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from components.models.contract import Array, Inputs
from components.pipelines.learning import Loss
from components.pipelines.spec import Task

if TYPE_CHECKING:
    import onnx

Target = npt.NDArray[np.float64] | npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Objective:
    """What is to be learnt.

    Attributes
    ----------
    task : {"regression", "binary", "multiclass"}
        Values or classes.
    classes : tuple of str
        Sorted; empty for a regression.
    loss : str or None
        What a regression minimises; None, or a loss of classes: the family's own.
    quantile : float or None
        Which one the loss ``quantile`` is of.

    """

    task: Task
    classes: tuple[str, ...] = ()
    loss: Loss | None = None
    quantile: float | None = None


class Model(Protocol):
    """A fitted model: preprocessing and estimator in one.

    Its state is plain values, arrays and scikit-learn estimators: nothing in it is bound
    to the process or the folder in which it was fitted.
    """

    @property
    def family(self) -> str:
        """The family that fitted it."""

    @property
    def task(self) -> Task:
        """The task that it was fitted for."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, sorted; empty for a regression."""

    def predict(self, inputs: Inputs) -> Array:
        """Answer prepared rows.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
            float64: values of a regression, or probabilities in the order of `classes`.

        """

    def to_onnx(self) -> "onnx.ModelProto":
        """Write the model as one ONNX graph.

        Its inputs are the contract's columns by name, of shape (n, 1), float or string; its
        one output is float: ``value`` of shape (n,) for a regression, else
        ``probabilities`` of shape (n, k). The same fit gives the same bytes.

        Raises
        ------
        ConversionError
            If this model has no exact graph; says why.

        """


class Estimator(Protocol):
    """A model family with its settings, ready to fit."""

    @property
    def family(self) -> str:
        """The family."""

    @property
    def losses(self) -> tuple[Loss, ...]:
        """The losses of a regression that it can minimise, its own first."""

    def fit(
        self,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> Model:
        """Fit prepared rows.

        Parameters
        ----------
        inputs : dict of arrays of shape (n, 1)
            As :meth:`InputContract.prepare` gives them. Not modified.
        target : ndarray of shape (n,)
            float64 for a regression, else the int64 index into the classes.
        objective : Objective
            What to learn; its loss is one of `losses`.
        seed : int
            The only source of chance: the same seed gives the same model.
        weights : ndarray of shape (n,), optional
            float64, at least 0 and on average 1: how much each row counts.

        """

    def settings(self) -> dict[str, Any]:
        """Name the settings and their values, as written into the training run."""


@runtime_checkable
class WarmEstimator(Estimator, Protocol):
    """A family that can go on from a model fitted before."""

    def warm(
        self,
        model: Model,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> Model:
        """Fit prepared rows, starting from an earlier model of the same family.

        Parameters
        ----------
        model : Model
            Of the same task and classes, over the same columns; its encoding is kept, so a
            word that it never saw stays unknown.
        inputs, target, objective, seed, weights
            As for :meth:`Estimator.fit`.

        Raises
        ------
        TrainingError
            If the model is of another family, task, classes or columns.

        """


@runtime_checkable
class Resumable(Estimator, Protocol):
    """A family whose fits take long enough to be gone on with after a kill."""

    def with_checkpoints(self, folder: Path) -> Self:
        """Give the same estimator, which keeps in a folder how far a fit has come."""
