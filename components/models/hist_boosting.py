"""scikit-learn's histogram gradient boosting."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from components.models.boosting import Boosting
from components.models.contract import Array, Inputs
from components.models.encoding import Encoding
from components.models.protocol import Objective, Target
from components.models.trees import Tree, boosted_model
from components.pipelines.learning import Loss
from components.pipelines.spec import Family, Task

if TYPE_CHECKING:
    import onnx

_KINDS = {True: HistGradientBoostingRegressor, False: HistGradientBoostingClassifier}
_LOSSES = {"squared": "squared_error", "absolute": "absolute_error"}


@dataclass(frozen=True, slots=True)
class HistBoosting(Boosting):
    """Boost trees with scikit-learn, without early stopping."""

    family: ClassVar[Family] = "hist_boosting"
    losses: ClassVar[tuple[Loss, ...]] = ("squared", "absolute", "poisson", "quantile")

    def fit(
        self,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> "HistBoostingModel":
        """Fit prepared rows."""
        encoding = Encoding.learn(inputs, target)
        booster = _KINDS[objective.task == "regression"](
            **_loss(objective),
            max_iter=self.rounds,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.least_rows,
            l2_regularization=self.penalty,
            # Codes are ordered by mean target: a threshold splits them, and converts.
            categorical_features=None,
            early_stopping=False,
            random_state=seed,
        )
        # The order of a sum depends on the number of threads, and the last bits on the order.
        with threadpool_limits(limits=1):
            booster.fit(_with_something(encoding.matrix(inputs)), target, sample_weight=weights)
        return HistBoostingModel(objective.task, objective.classes, encoding, booster)


@dataclass(frozen=True, slots=True, eq=False)
class HistBoostingModel:
    """Fitted trees behind the encoding."""

    task: Task
    classes: tuple[str, ...]
    encoding: Encoding
    booster: HistGradientBoostingRegressor | HistGradientBoostingClassifier
    family: ClassVar[Family] = "hist_boosting"

    def predict(self, inputs: Inputs) -> Array:
        """Answer prepared rows: values of shape (n,), or probabilities of shape (n, k)."""
        answer = self.booster.predict if self.task == "regression" else self.booster.predict_proba
        output: Array = answer(self.encoding.matrix(inputs))
        return output

    def to_onnx(self) -> "onnx.ModelProto":
        """Write the graph, straight from the nodes.

        skl2onnx 1.20 stumbles over scikit-learn 1.9's node types, and would add in float.
        """
        trees = [
            _tree(predictor.nodes, first_score=score)
            for a_round in self.booster._predictors  # noqa: SLF001 - the only place they are
            for score, predictor in enumerate(a_round)
        ]
        base = np.ravel(self.booster._baseline_prediction)  # noqa: SLF001 - as above
        logs = getattr(self.booster, "loss", "") == "poisson"
        return boosted_model(trees, self.encoding, classes=self.classes, base=base, logs=logs)


def _loss(objective: Objective) -> dict[str, Any]:
    if objective.loss is None:
        return {}
    loss = {"loss": _LOSSES.get(objective.loss, objective.loss)}
    return loss | ({"quantile": objective.quantile} if objective.loss == "quantile" else {})


def _with_something(matrix: Array) -> Array:
    """Fill columns that hold nothing with 0: scikit-learn 1.9 cannot bin them.

    No tree splits on a constant, so what such a column holds later changes no answer.
    """
    return np.where(np.isnan(matrix).all(axis=0), np.float32(0), matrix)


def _tree(nodes: Array, *, first_score: int) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=nodes["feature_idx"].astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        nan_left=nodes["missing_go_to_left"].astype(bool),
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        values=nodes["value"].astype(np.float64).reshape(-1, 1),
        first_score=first_score,
    )
