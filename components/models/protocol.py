"""What every model family promises."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from components.models.contract import Array, Inputs
from components.pipelines.spec import Family, Task

if TYPE_CHECKING:
    import onnx

Target = npt.NDArray[np.float64] | npt.NDArray[np.int64]


class Model(Protocol):
    """A fitted model: preprocessing and estimator in one.

    Its state is plain values, arrays and scikit-learn estimators: nothing in it is bound
    to the process or the folder in which it was fitted.
    """

    @property
    def family(self) -> Family:
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
    def family(self) -> Family:
        """The family."""

    def fit(
        self, inputs: Inputs, target: Target, *, task: Task, classes: tuple[str, ...], seed: int
    ) -> Model:
        """Fit prepared rows.

        Parameters
        ----------
        inputs : dict of arrays of shape (n, 1)
            As :meth:`InputContract.prepare` gives them. Not modified.
        target : ndarray of shape (n,)
            float64 for a regression, else the int64 index into `classes`.
        task : {"regression", "binary", "multiclass"}
            What to learn.
        classes : tuple of str
            Empty for a regression.
        seed : int
            The only source of chance: the same seed gives the same model.

        """

    def settings(self) -> dict[str, Any]:
        """Name the settings and their values, as written into the training run."""
