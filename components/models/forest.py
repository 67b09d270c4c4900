"""scikit-learn's random forest, over imputed columns."""

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline

from components.models.contract import Array, Inputs
from components.models.encoding import Encoding
from components.models.protocol import Objective, Target
from components.models.trees import Tree, draw_trees
from components.pipelines.learning import Loss
from components.pipelines.spec import Family, Task

if TYPE_CHECKING:
    import onnx

_CRITERION = {"squared": "squared_error", "absolute": "absolute_error", "poisson": "poisson"}


@dataclass(frozen=True, slots=True)
class Forest:
    """Grow a random forest; its size on disk is bounded by trees times leaves.

    Parameters
    ----------
    trees : int
        How many.
    leaves : int
        Most leaves of a tree.
    least_rows : int
        Fewest rows of a leaf.
    share : float
        Share of the columns that each split may choose from.

    """

    trees: int = 50
    leaves: int = 512
    least_rows: int = 2
    share: float = 1.0
    family: ClassVar[Family] = "forest"
    losses: ClassVar[tuple[Loss, ...]] = ("squared", "absolute", "poisson")

    def fit(
        self,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> "ForestModel":
        """Fit prepared rows."""
        encoding = Encoding.learn(inputs, target)
        values = objective.task == "regression"
        kind = RandomForestRegressor if values else RandomForestClassifier
        forest = kind(
            criterion=_CRITERION[objective.loss or "squared"] if values else "gini",
            n_estimators=self.trees,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.least_rows,
            max_features=self.share,
            random_state=seed,
        )
        # A column that held nothing keeps its place, as 0.
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        chain = make_pipeline(imputer, forest)
        with _large_sums():
            last = chain.steps[-1][0]
            chain.fit(encoding.matrix(inputs), target, **{f"{last}__sample_weight": weights})
        return ForestModel(objective.task, objective.classes, encoding, chain)

    def settings(self) -> dict[str, Any]:
        """Name the settings and their values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class ForestModel:
    """A fitted forest: `chain` is the scikit-learn pipeline behind the encoding."""

    task: Task
    classes: tuple[str, ...]
    encoding: Encoding
    chain: Pipeline
    family: ClassVar[Family] = "forest"

    def predict(self, inputs: Inputs) -> Array:
        """Answer prepared rows: values of shape (n,), or probabilities of shape (n, k)."""
        answer = self.chain.predict if self.task == "regression" else self.chain.predict_proba
        with _large_sums():
            output: Array = answer(self.encoding.matrix(inputs))
        return output

    def to_onnx(self) -> "onnx.ModelProto":
        """Write the graph: imputation, then the sum of trees that each hold their share."""
        from components.models.graph import Graph

        graph = Graph(self.encoding.columns)
        matrix = self.encoding.draw_matrix(graph)
        # Rounded as the fit rounded them: a forest reads float32.
        medians = self.chain[0].statistics_.astype(np.float32).astype(np.float64)
        whole = graph.add("Where", graph.add("IsNaN", matrix), graph.constant(medians), matrix)
        scores = max(1, len(self.classes))
        members = self.chain[1].estimators_
        trees = [_tree(member.tree_, share=1.0 / len(members)) for member in members]
        means = draw_trees(trees, graph, whole, scores=scores, base=np.zeros(scores))
        if not self.classes:
            return graph.value_model(means)
        return graph.probability_model(means, classes=scores)


def _large_sums() -> AbstractContextManager[None]:
    """Let scikit-learn add up all numbers, its quick test for NaN, beyond float32's largest."""
    return np.errstate(over="ignore", invalid="ignore")


def _tree(tree: Any, *, share: float) -> Tree:
    """Read scikit-learn's arrays; `tree.value` is (n_nodes, 1, m), a leaf's left child -1."""
    return Tree(
        feature=tree.feature.astype(np.int64),
        threshold=tree.threshold.astype(np.float64),
        nan_left=np.zeros(tree.node_count, dtype=bool),
        left=tree.children_left.astype(np.int64),
        right=tree.children_right.astype(np.int64),
        values=tree.value[:, 0, :] * share,
    )
