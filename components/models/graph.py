"""An ONNX graph in the making: the few operations that our models are made of.

Everything between the inputs and the output is double. A float32 sum of a hundred trees,
or of a few large terms, is off by 1e-4 where the answer is near zero, and that is no parity.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from components.errors import ConversionError
from components.models.contract import Array, Columns

# One pair for all families; read by onnxruntime since 1.14.
OPSET = 18
ML_OPSET = 3
IR_VERSION = 9
ML_DOMAIN = "ai.onnx.ml"

VALUE = "value"
PROBABILITIES = "probabilities"


class Graph:
    """Nodes and constants over the contract's columns.

    Names in between are numbered, never taken from a column, a clock or a random source:
    the same model gives the same bytes.

    Parameters
    ----------
    columns : tuple of (name, kind)
        The inputs.

    Raises
    ------
    ConversionError
        If a column has the name of an output: a graph holds each name once.

    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._taken = {name for name, _ in columns}
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        taken = self._taken & {VALUE, PROBABILITIES}
        if taken:
            raise ConversionError(
                f"an ONNX graph cannot have a column named {taken.pop()!r}, the name of its "
                "output; rename the column to get an ONNX package"
            )

    def add(self, operation: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """Add a node; return the name of its output."""
        name = self._fresh()
        self._nodes.append(
            helper.make_node(operation, list(inputs), [name], domain=domain, **attributes)
        )
        return name

    def constant(self, values: Array) -> str:
        """Add a constant; return its name."""
        name = self._fresh()
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def widen(self, name: str) -> str:
        """Widen to double."""
        return self.add("Cast", name, to=TensorProto.DOUBLE)

    def narrow(self, name: str) -> str:
        """Turn into float."""
        return self.add("Cast", name, to=TensorProto.FLOAT)

    def codes(self, column: str, numbering: Mapping[str, float]) -> str:
        """Give each word of a text column its code; others get 0."""
        return self.add(
            "LabelEncoder",
            column,
            domain=ML_DOMAIN,
            keys_strings=list(numbering),
            values_floats=list(numbering.values()),
            default_float=0.0,
        )

    def affine(self, rows: str, weights: Array, bias: Array) -> str:
        """Multiply rows of shape (n, m) with weights of shape (m, k) and add the bias."""
        product = self.add("MatMul", rows, self.constant(weights.astype(np.float64)))
        return self.add("Add", product, self.constant(bias.astype(np.float64)))

    def rows_of(self, table: Array, codes: str) -> str:
        """Look codes of shape (n, 1) up in a table of shape (m, d); gives (n, d)."""
        whole = self.add("Cast", codes, to=TensorProto.INT64)
        flat = self.add("Reshape", whole, self.constant(np.array([-1], dtype=np.int64)))
        return self.add("Gather", self.constant(table), flat, axis=0)

    def two_sided(self, positive: str) -> str:
        """Turn the positive class's probability, of shape (n, 1), into both."""
        other = self.add("Sub", self.constant(np.array(1.0)), positive)
        return self.add("Concat", other, positive, axis=1)

    def probabilities(self, scores: str, *, classes: int) -> str:
        """Turn scores into probabilities: (n, 1) by the logistic, (n, k) by softmax."""
        if classes == 2:  # noqa: PLR2004 - two classes have one score
            return self.two_sided(self.add("Sigmoid", scores))
        return self.add("Softmax", scores, axis=1)

    def value_model(self, values: str) -> onnx.ModelProto:
        """Close a regression's graph on values of shape (n, 1)."""
        flat = self.add("Reshape", values, self.constant(np.array([-1], dtype=np.int64)))
        return self._model(flat, VALUE, [None])

    def probability_model(self, probabilities: str, *, classes: int) -> onnx.ModelProto:
        """Close a classification's graph on probabilities of shape (n, k)."""
        return self._model(probabilities, PROBABILITIES, [None, classes])

    def _model(self, last: str, output: str, shape: list[int | None]) -> onnx.ModelProto:
        cast = helper.make_node("Cast", [last], [output], to=TensorProto.FLOAT)
        graph = helper.make_graph(
            [*self._nodes, cast],
            "driftwheel",
            [_input(name, kind) for name, kind in self._columns],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="driftwheel"
        )

    def _fresh(self) -> str:
        name = f"t{len(self._nodes) + len(self._constants)}"
        while name in self._taken:
            name = f"{name}_"
        return name


def _input(name: str, kind: str) -> Any:
    element = TensorProto.FLOAT if kind == "number" else TensorProto.STRING
    return helper.make_tensor_value_info(name, element, [None, 1])
