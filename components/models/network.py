"""A small neural network: binned numbers, embedded words, two hidden layers.

torch fits it; the fitted network is a handful of arrays, answers without torch, and adds
in double so that its graph answers the same.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from components.models.bins import Bins
from components.models.contract import Array, Inputs
from components.models.encoding import Encoding
from components.models.protocol import Model, Objective, Target
from components.models.warming import same_kind
from components.pipelines.learning import Loss
from components.pipelines.spec import Family, Task

if TYPE_CHECKING:
    import onnx

    from components.models.graph import Graph


@dataclass(frozen=True, slots=True)
class Network:
    """Fit a multilayer perceptron with embeddings, stopped early on rows kept aside.

    Parameters
    ----------
    hidden : int
        Units of each of the two hidden layers.
    learning_rate : float
        At the start; it falls to 0 along a half cosine.
    epochs : int
        Most passes over the rows.
    patience : int
        Passes without a gain on the rows kept aside before it stops.
    decay : float
        Of the weights.
    checkpoints : Path, optional
        Where a fit keeps how far it has come, to go on from there after a kill.

    """

    hidden: int = 48
    learning_rate: float = 0.005
    epochs: int = 40
    patience: int = 10
    decay: float = 0.01
    checkpoints: Path | None = None
    family: ClassVar[Family] = "network"
    losses: ClassVar[tuple[Loss, ...]] = ("huber", "squared", "absolute", "quantile")

    def fit(
        self,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> "NetworkModel":
        """Fit prepared rows."""
        encoding = Encoding.learn(inputs, target)
        numbers = encoding.matrix(inputs)[:, : len(encoding.numbers)]
        scale = Scale.learn(target) if objective.task == "regression" else Scale()
        blank = NetworkModel(
            objective.task, objective.classes, encoding, Bins.learn(numbers), Layers(), scale
        )
        return self._train(blank, inputs, target, objective, seed, weights)

    def warm(
        self,
        model: Model,
        inputs: Inputs,
        target: Target,
        *,
        objective: Objective,
        seed: int,
        weights: Array | None = None,
    ) -> "NetworkModel":
        """Go on from an earlier network's weights, at a third of the learning rate.

        Its bins and the unit of its scores are kept, for its weights mean nothing without.
        """
        before = same_kind(model, NetworkModel, inputs, objective)
        hidden = before.layers.weights[0].shape[1]
        slower = replace(self, hidden=hidden, learning_rate=self.learning_rate / 3)
        return slower._train(before, inputs, target, objective, seed, weights)  # noqa: SLF001 - its own

    def with_checkpoints(self, folder: Path) -> Self:
        """Keep in a folder how far a fit has come."""
        return replace(self, checkpoints=folder)

    def _train(
        self,
        before: "NetworkModel",
        inputs: Inputs,
        target: Target,
        objective: Objective,
        seed: int,
        weights: Array | None,
    ) -> "NetworkModel":
        """Train the layers of a model that holds all but them, or earlier ones to go on from."""
        from components.models.perceptron import Schedule, train_layers

        encoding = before.encoding
        matrix = encoding.matrix(inputs)
        layers = train_layers(
            before.bins.spread(matrix[:, : len(encoding.numbers)]),
            matrix[:, len(encoding.numbers) :].astype(np.int64),
            before.scale.in_units(target) if objective.task == "regression" else target,
            words=[len(words) + 1 for _, words in encoding.words],
            scores=len(objective.classes) if objective.task == "multiclass" else 1,
            objective=objective,
            hidden=self.hidden,
            schedule=Schedule(self.learning_rate, self.epochs, self.patience, self.decay),
            seed=seed,
            weights=weights,
            start=before.layers if before.layers.weights else None,
            checkpoints=self.checkpoints,
        )
        return replace(before, layers=layers)

    def settings(self) -> dict[str, Any]:
        """Name the settings and their values; where checkpoints lie changes no answer."""
        return {name: value for name, value in asdict(self).items() if name != "checkpoints"}


@dataclass(frozen=True, slots=True)
class Scale:
    """What one unit of the network's score is worth, in the label's own unit."""

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def learn(cls, target: Target) -> Self:
        """Learn mean and standard deviation; a constant keeps the deviation 1."""
        return cls(float(target.mean()), float(target.std()) or 1.0)

    def in_units(self, target: Target) -> Target:
        """Express labels as scores."""
        units = (target - self.mean) / self.deviation
        return units.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """The weights, as float32 arrays.

    Attributes
    ----------
    embeddings : tuple of ndarray of shape (n_words + 1, d)
        One a category, in the order of the encoding.
    weights : tuple of ndarray of shape (n_in, n_out)
        One a layer.
    biases : tuple of ndarray of shape (n_out,)
        One a layer.

    """

    embeddings: tuple[Array, ...] = field(default=())
    weights: tuple[Array, ...] = field(default=())
    biases: tuple[Array, ...] = field(default=())

    def scores(self, numbers: Array, codes: Array) -> Array:
        """Score rows of spread numbers and codes: float64 of shape (n, n_scores)."""
        tables = (table.astype(np.float64) for table in self.embeddings)
        words = [table[column] for table, column in zip(tables, codes.T, strict=True)]
        rows = np.concatenate([numbers, *words], axis=1)
        for depth, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            rows = np.maximum(rows, 0.0) if depth else rows
            rows = rows @ weights.astype(np.float64) + bias
        return rows

    def draw(self, graph: "Graph", numbers: list[str], codes: list[str]) -> str:
        """Draw :meth:`scores`, in double."""
        words = [
            graph.rows_of(table.astype(np.float64), column)
            for table, column in zip(self.embeddings, codes, strict=True)
        ]
        rows = graph.add("Concat", *numbers, *words, axis=1)
        for depth, (weights, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            rows = graph.add("Relu", rows) if depth else rows
            rows = graph.affine(rows, weights, bias)
        return rows


@dataclass(frozen=True, slots=True, eq=False)
class NetworkModel:
    """A fitted network, as arrays."""

    task: Task
    classes: tuple[str, ...]
    encoding: Encoding
    bins: Bins
    layers: Layers
    scale: Scale
    family: ClassVar[Family] = "network"

    def predict(self, inputs: Inputs) -> Array:
        """Answer prepared rows: values of shape (n,), or probabilities of shape (n, k)."""
        matrix = self.encoding.matrix(inputs)
        count = len(self.encoding.numbers)
        numbers = self.bins.spread(matrix[:, :count])
        scores = self.layers.scores(numbers, matrix[:, count:].astype(np.int64))
        if self.task == "regression":
            return scores[:, 0] * self.scale.deviation + self.scale.mean
        # Of two classes, the first has score 0.
        spread = np.column_stack([np.zeros(len(scores)), scores])
        return _softmax(spread if self.task == "binary" else scores)

    def to_onnx(self) -> "onnx.ModelProto":
        """Write the graph."""
        from components.models.graph import Graph

        graph = Graph(self.encoding.columns)
        numbers = []
        if self.encoding.numbers:
            joined = graph.widen(graph.add("Concat", *self.encoding.numbers, axis=1))
            numbers = [self.bins.draw(graph, joined)]
        scores = self.layers.draw(graph, numbers, self.encoding.draw_codes(graph))
        if self.task == "regression":
            unit, mean = np.array([[self.scale.deviation]]), np.array([self.scale.mean])
            return graph.value_model(graph.affine(scores, unit, mean))
        probabilities = graph.probabilities(scores, classes=len(self.classes))
        return graph.probability_model(probabilities, classes=len(self.classes))

    def tensors(self) -> dict[str, Array]:
        """Name every array of the model; with :meth:`config` they are the whole of it."""
        named = {f"bins.{name}": values for name, values in asdict(self.bins).items()}
        for part in ("embeddings", "weights", "biases"):
            arrays = enumerate(getattr(self.layers, part))
            named |= {f"layers.{part}.{place}": values for place, values in arrays}
        return named

    def config(self) -> dict[str, Any]:
        """Describe what is no array, in plain JSON values."""
        return {
            "task": self.task,
            "classes": list(self.classes),
            "columns": [list(column) for column in self.encoding.columns],
            "words": [[name, list(words)] for name, words in self.encoding.words],
            "scale": asdict(self.scale),
        }

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Array], config: Mapping[str, Any]) -> Self:
        """Put a model together again from :meth:`tensors` and :meth:`config`."""
        bins = Bins(**{name: tensors[f"bins.{name}"] for name in Bins.__dataclass_fields__})
        parts = {part: _series(tensors, part) for part in Layers.__dataclass_fields__}
        encoding = Encoding(
            columns=tuple((name, kind) for name, kind in config["columns"]),
            words=tuple((name, tuple(words)) for name, words in config["words"]),
        )
        scale = Scale(**config["scale"])
        classes = tuple(config["classes"])
        return cls(config["task"], classes, encoding, bins, Layers(**parts), scale)


def _series(tensors: Mapping[str, Array], part: str) -> tuple[Array, ...]:
    count = sum(name.startswith(f"layers.{part}.") for name in tensors)
    return tuple(tensors[f"layers.{part}.{place}"] for place in range(count))


def _softmax(scores: Array) -> Array:
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = odds / odds.sum(axis=1, keepdims=True)
    return shares
