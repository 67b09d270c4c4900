"""LightGBM: boosted trees grown leaf by leaf, kept as LightGBM's own text."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import lightgbm
import numpy as np

from components.models.boosting import Boosting
from components.models.contract import Array, Inputs
from components.models.encoding import Encoding
from components.models.protocol import Model, Objective, Target
from components.models.trees import Tree, boosted_model
from components.models.warming import same_kind
from components.pipelines.learning import Loss
from components.pipelines.spec import Family, Task

if TYPE_CHECKING:
    import onnx

_OBJECTIVE = {"squared": "regression", "absolute": "regression_l1"}
# Bits of `decision_type` in LightGBM's text: bit 1, NaN goes left; bits 2-3, what is missing.
_NAN_LEFT = 0b0010
_MISSING_KIND = 0b1100
_MISSING_IS_NAN = 0b1000


@dataclass(frozen=True, slots=True)
class LightGBM(Boosting):
    """Boost trees with LightGBM, on one thread and with its exact repeatable sums."""

    family: ClassVar[Family] = "lightgbm"
    losses: ClassVar[tuple[Loss, ...]] = ("squared", "absolute", "poisson", "quantile")

    def fit(
        self,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> "LightGBMModel":
        """Fit prepared rows."""
        encoding = Encoding.learn(inputs, target)
        rows = _dataset(encoding, inputs, target, weights)
        booster = lightgbm.train(
            self._parameters(objective, seed), rows, num_boost_round=self.rounds
        )
        return LightGBMModel(objective.task, objective.classes, encoding, booster.model_to_string())

    def warm(
        self,
        model: Model,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> "LightGBMModel":
        """Add half as many trees as a fit has to those of an earlier model."""
        before = same_kind(model, LightGBMModel, inputs, objective)
        rows = _dataset(before.encoding, inputs, target, weights)
        booster = lightgbm.train(
            self._parameters(objective, seed),
            rows,
            num_boost_round=max(1, self.rounds // 2),
            init_model=lightgbm.Booster(model_str=before.text),
        )
        return LightGBMModel(
            objective.task, objective.classes, before.encoding, booster.model_to_string()
        )

    def _parameters(self, objective: Objective, seed: int) -> dict[str, Any]:
        many = objective.task == "multiclass"
        loss = objective.loss or "squared"
        quantile = {"alpha": objective.quantile} if loss == "quantile" else {}
        return quantile | {
            "objective": _OBJECTIVE.get(loss, loss) if not objective.classes else objective.task,
            "num_class": len(objective.classes) if many else 1,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.least_rows,
            "lambda_l2": self.penalty,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "feature_pre_filter": False,
            "verbosity": -1,
        }


@dataclass(frozen=True, slots=True)
class LightGBMModel:
    """Fitted trees; `text` is LightGBM's own format, readable by any LightGBM."""

    task: Task
    classes: tuple[str, ...]
    encoding: Encoding
    text: str
    family: ClassVar[Family] = "lightgbm"

    def predict(self, inputs: Inputs) -> Array:
        """Answer prepared rows: values of shape (n,), or probabilities of shape (n, k)."""
        rows = self.encoding.matrix(inputs).astype(np.float64)
        output: Array = _booster(self.text).predict(rows, num_threads=1)
        return np.column_stack([1.0 - output, output]) if self.task == "binary" else output

    def to_onnx(self) -> "onnx.ModelProto":
        """Write the graph; thresholds and leaves keep all their digits."""
        scores = len(self.classes) if self.task == "multiclass" else 1
        trees = [
            _tree(lines, first_score=number % scores)
            for number, lines in enumerate(_tree_texts(self.text))
        ]
        # LightGBM adds what it starts from to the leaves of the first tree.
        logs = "\nobjective=poisson" in self.text
        base = np.zeros(scores)
        return boosted_model(trees, self.encoding, classes=self.classes, base=base, logs=logs)


def _dataset(
    encoding: Encoding, inputs: Inputs, target: Target, weights: Array | None
) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        encoding.matrix(inputs).astype(np.float64),
        label=target,
        weight=weights,
        # An earlier model that is gone on from first answers the rows as they were given.
        free_raw_data=False,
        params={"verbosity": -1, "feature_pre_filter": False},
    )


@lru_cache(maxsize=8)
def _booster(text: str) -> lightgbm.Booster:
    """Open a model text; the text, not the opened booster, is the model's state."""
    return lightgbm.Booster(model_str=text)


def _tree_texts(text: str) -> list[dict[str, str]]:
    """Split LightGBM's text into its trees: ``name=values`` lines."""
    trees = text.partition("end of trees")[0].split("\nTree=")[1:]
    return [dict(_pairs(tree)) for tree in trees]


def _pairs(tree: str) -> list[tuple[str, str]]:
    lines = (line.partition("=") for line in tree.splitlines())
    return [(name, values) for name, equals, values in lines if equals]


def _tree(lines: dict[str, str], *, first_score: int) -> Tree:
    """Read a tree: its splits come first, then its leaves, which it numbers from -1 down."""
    leaves = _read(lines, "leaf_value", np.float64)
    threshold = _read(lines, "threshold", np.float64)
    decision = _read(lines, "decision_type", np.int64)
    splits = len(threshold)
    # Where no NaN was seen in the fit, LightGBM reads NaN as 0.
    nan_left = np.where(
        (decision & _MISSING_KIND) == _MISSING_IS_NAN, (decision & _NAN_LEFT) > 0, threshold >= 0
    )
    nothing = np.zeros(len(leaves), dtype=np.int64)
    return Tree(
        feature=np.concatenate([_read(lines, "split_feature", np.int64), nothing]),
        threshold=np.concatenate([threshold, nothing]),
        nan_left=np.concatenate([nan_left, nothing > 0]),
        left=np.concatenate([_children(lines, "left_child", splits), nothing - 1]),
        right=np.concatenate([_children(lines, "right_child", splits), nothing - 1]),
        values=np.concatenate([np.zeros(splits), leaves]).reshape(-1, 1),
        first_score=first_score,
    )


def _children(lines: dict[str, str], name: str, splits: int) -> Array:
    """Give the children our numbers: LightGBM's leaf -1 is our node `splits`, -2 the next."""
    children = _read(lines, name, np.int64)
    return np.where(children < 0, splits - 1 - children, children)


def _read(lines: dict[str, str], name: str, dtype: type) -> Array:
    return np.array(lines.get(name, "").split(), dtype=dtype)
