"""Decision trees as flat arrays, and the one node that answers for all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.models.contract import Array

if TYPE_CHECKING:
    import onnx

    from components.models.encoding import Encoding
    from components.models.graph import Graph


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree; node 0 is the root, a leaf has no left child (-1).

    A row goes left when its value is at most the threshold, or is NaN and `nan_left` holds.

    Attributes
    ----------
    feature, left, right : ndarray of shape (n_nodes,)
        int64; meaningless in a leaf.
    threshold : ndarray of shape (n_nodes,)
        float64.
    nan_left : ndarray of shape (n_nodes,)
        bool.
    values : ndarray of shape (n_nodes, m)
        float64; what a leaf adds to each of its scores.
    first_score : int
        The score that the first of the m values is added to.

    """

    feature: Array
    threshold: Array
    nan_left: Array
    left: Array
    right: Array
    values: Array
    first_score: int = 0

    @property
    def leaves(self) -> Array:
        """The numbers of the leaves."""
        return np.flatnonzero(self.left < 0)


def draw_trees(
    trees: Sequence[Tree], graph: "Graph", matrix: str, *, scores: int, base: Array
) -> str:
    """Draw the sum of all trees.

    Parameters
    ----------
    trees : sequence of Tree
        At least one.
    graph : Graph
        Where to draw.
    matrix : str
        Rows of doubles, NaN for missing.
    scores : int
        How many scores each row gets.
    base : ndarray of shape (scores,)
        What the sums start from.

    Returns
    -------
    str
        The scores, of shape (n, scores): added up in double, then float.

    """
    return graph.add(
        "TreeEnsembleRegressor",
        matrix,
        domain="ai.onnx.ml",
        n_targets=scores,
        base_values_as_tensor=_tensor(base),
        **_nodes(trees),
        **_leaves(trees),
    )


def boosted_model(
    trees: Sequence[Tree],
    encoding: "Encoding",
    *,
    classes: tuple[str, ...],
    base: Array,
    logs: bool = False,
) -> "onnx.ModelProto":
    """Write boosted trees as a graph: their sum is the value, or the classes' scores.

    Parameters
    ----------
    trees : sequence of Tree
        Over the encoding's matrix.
    encoding : Encoding
        What stands before them.
    classes : tuple of str
        Empty for a regression; two classes have one score, k have k.
    base : ndarray of shape (n_scores,)
        What the sums start from.
    logs : bool
        A regression's sums are the logarithms of its values.

    """
    from components.models.graph import Graph

    graph = Graph(encoding.columns)
    matrix = encoding.draw_matrix(graph)
    sums = graph.widen(draw_trees(trees, graph, matrix, scores=len(base), base=base))
    if not classes:
        return graph.value_model(graph.add("Exp", sums) if logs else sums)
    probabilities = graph.probabilities(sums, classes=len(classes))
    return graph.probability_model(probabilities, classes=len(classes))


def _nodes(trees: Sequence[Tree]) -> dict[str, Any]:
    """Write the nodes; a leaf's unused fields are 0."""
    leaf = np.concatenate([tree.left < 0 for tree in trees])

    def filled(field: str) -> Array:
        return np.where(leaf, 0, np.concatenate([getattr(tree, field) for tree in trees]))

    return {
        "nodes_treeids": [n for n, tree in enumerate(trees) for _ in tree.left],
        "nodes_nodeids": [node for tree in trees for node in range(len(tree.left))],
        "nodes_featureids": filled("feature").tolist(),
        "nodes_values_as_tensor": _tensor(filled("threshold").astype(np.float64)),
        "nodes_modes": ["LEAF" if end else "BRANCH_LEQ" for end in leaf],
        "nodes_truenodeids": filled("left").tolist(),
        "nodes_falsenodeids": filled("right").tolist(),
        "nodes_missing_value_tracks_true": filled("nan_left").astype(np.int64).tolist(),
    }


def _leaves(trees: Sequence[Tree]) -> dict[str, Any]:
    rows = list(_leaf_rows(trees))
    return {
        "target_treeids": [tree for tree, _, _, _ in rows],
        "target_nodeids": [node for _, node, _, _ in rows],
        "target_ids": [score for _, _, score, _ in rows],
        "target_weights_as_tensor": _tensor(np.array([value for _, _, _, value in rows])),
    }


def _leaf_rows(trees: Sequence[Tree]) -> Iterator[tuple[int, int, int, float]]:
    for number, tree in enumerate(trees):
        for node in tree.leaves.tolist():
            for score, value in enumerate(tree.values[node].tolist(), start=tree.first_score):
                yield number, node, score, value


def _tensor(values: Array) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float64))
