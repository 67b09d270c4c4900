"""Ridge and logistic regression over imputed, standardised, one-hot columns."""

import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import HuberRegressor, LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from components.models.contract import Array, Inputs
from components.models.encoding import Encoding
from components.models.protocol import Objective, Target
from components.pipelines.learning import Loss
from components.pipelines.spec import Family, Task

if TYPE_CHECKING:
    import onnx

    from components.models.graph import Graph


@dataclass(frozen=True, slots=True)
class Linear:
    """Fit ridge regression or, where outliers are to count less, Huber's; classes by the logistic.

    Parameters
    ----------
    strength : float
        Of the L2 penalty, on standardised columns.

    """

    strength: float = 1.0
    family: ClassVar[Family] = "linear"
    losses: ClassVar[tuple[Loss, ...]] = ("squared", "huber")

    def fit(
        self,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> "LinearModel":
        """Fit prepared rows; nothing here is left to chance, whatever the seed."""
        del seed
        encoding = Encoding.learn(inputs, target)
        rows = _spread(encoding, inputs)
        reach = Reach.learn(rows)
        chain = make_pipeline(
            # A column that held nothing keeps its place, as 0.
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            self._last(objective),
        )
        # The order of a sum depends on the number of threads, and the last bits on the order.
        with threadpool_limits(limits=1), warnings.catch_warnings():
            # Two hundred rounds may stop short of the optimum: still an answer for the gate.
            warnings.simplefilter("ignore", ConvergenceWarning)
            last = chain.steps[-1][0]
            chain.fit(reach.hold(rows), target, **{f"{last}__sample_weight": weights})
        return LinearModel(objective.task, objective.classes, encoding, reach, chain)

    def settings(self) -> dict[str, Any]:
        """Name the settings and their values."""
        return asdict(self)

    def _last(self, objective: Objective) -> Ridge | HuberRegressor | LogisticRegression:
        if objective.loss == "huber":
            return HuberRegressor(alpha=1e-4 * self.strength, max_iter=500)
        if objective.task == "regression":
            return Ridge(alpha=self.strength, solver="cholesky")
        return LogisticRegression(C=1.0 / self.strength, max_iter=200, tol=1e-3)


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """How far a straight line is trusted: one range of the training rows to either side.

    Attributes
    ----------
    low, high : ndarray of shape (n_columns,)
        In the column's own unit.

    """

    low: Array
    high: Array

    @classmethod
    def learn(cls, matrix: Array) -> Self:
        """Learn the bounds of a matrix with NaN; a column of NaN gets 0 and 0."""
        least, most = np.fmin.reduce(matrix, axis=0), np.fmax.reduce(matrix, axis=0)
        return cls(np.nan_to_num(2 * least - most), np.nan_to_num(2 * most - least))

    def hold(self, matrix: Array) -> Array:
        """Hold each column within its bounds; NaN stays."""
        held: Array = np.clip(matrix, self.low, self.high)
        return held

    def draw(self, graph: "Graph", rows: str) -> str:
        """Draw :meth:`hold` for rows of doubles without NaN."""
        above = graph.add("Max", rows, graph.constant(self.low))
        return graph.add("Min", above, graph.constant(self.high))


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """A fitted linear model: `chain` is the scikit-learn pipeline behind the encoding."""

    task: Task
    classes: tuple[str, ...]
    encoding: Encoding
    reach: Reach
    chain: Pipeline
    family: ClassVar[Family] = "linear"

    def predict(self, inputs: Inputs) -> Array:
        """Answer prepared rows: values of shape (n,), or probabilities of shape (n, k)."""
        rows = self.reach.hold(_spread(self.encoding, inputs))
        answer = self.chain.predict if self.task == "regression" else self.chain.predict_proba
        output: Array = answer(rows)
        return output

    def to_onnx(self) -> "onnx.ModelProto":
        """Write the graph; imputation, bounds and one affine map, all in double."""
        from components.models.graph import Graph

        graph = Graph(self.encoding.columns)
        rows = self.encoding.draw_one_hot(graph)
        medians = graph.constant(self.chain[0].statistics_)
        whole = graph.add("Where", graph.add("IsNaN", rows), medians, rows)
        weights, bias = self._folded()
        scores = graph.affine(self.reach.draw(graph, whole), weights, bias)
        if self.task == "regression":
            return graph.value_model(scores)
        count = len(self.classes)
        probabilities = graph.probabilities(scores, classes=count)
        return graph.probability_model(probabilities, classes=count)

    def _folded(self) -> tuple[Array, Array]:
        """Fold the scaling into the weights, of shape (m, k), and the bias, of shape (k,)."""
        scaler, last = self.chain[1], self.chain[-1]
        weights = np.atleast_2d(last.coef_).T / scaler.scale_[:, None]
        return weights, np.atleast_1d(last.intercept_) - scaler.mean_ @ weights


def _spread(encoding: Encoding, inputs: Inputs) -> Array:
    """Lay rows out one-hot, in the doubles that the sums are made in."""
    return encoding.one_hot(encoding.matrix(inputs)).astype(np.float64)
