"""Open an ONNX graph from bytes that were checked, and nothing beside them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.errors import PackageError

Inputs = Mapping[str, np.ndarray]
Run = Callable[[Inputs], np.ndarray]
"""Prepared columns, each of shape (n_rows, 1), to raw answers of shape (n_rows,) or
(n_rows, n_classes)."""

OUTPUTS = {"regression": "value", "binary": "probabilities", "multiclass": "probabilities"}
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
OPERATORS = frozenset(
    {
        *("Add", "Cast", "Clip", "Concat", "Div", "Equal", "Exp", "Gather", "IsNaN"),
        *("LabelEncoder", "MatMul", "Max", "Min", "Relu", "Reshape", "Sigmoid", "Softmax"),
        *("Sub", "TreeEnsembleRegressor", "Where"),
    }
)
"""What graphs of ours are made of. None of them loops, holds a graph of its own, or makes out of
one number as many as it likes, as ConstantOfShape or Expand would."""
MOST_CELLS = 1 << 22
"""A graph may compute so many numbers for one row, over all its nodes."""


def open_graph(content: bytes, *, contract: Sequence[tuple[str, str]], task: str) -> Run:
    """Open a graph for answering, on one thread so that equal rows get equal answers.

    Parameters
    ----------
    content : bytes
        The serialised graph.
    contract : sequence of (name, kind)
        The columns that it may take.
    task : str
        Says which output to ask for.

    Raises
    ------
    PackageError
        If it is not a graph, reaches for files or operators outside of it, or its inputs
        and outputs are not those of its contract and task.

    """
    import onnxruntime

    _check_closed(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as problem:
        raise PackageError(f"ONNX Runtime cannot open the graph: {problem}") from problem
    names, output = _check_sides(session, contract, task)

    def run(inputs: Inputs) -> np.ndarray:
        found = session.run([output], {name: inputs[name] for name in names})
        return np.asarray(found[0], dtype=np.float64)

    return run


def _check_sides(
    session: Any, contract: Sequence[tuple[str, str]], task: str
) -> tuple[list[str], str]:
    names = [each.name for each in session.get_inputs()]
    known = {name for name, _ in contract}
    output = OUTPUTS.get(task, "")
    outputs = [each.name for each in session.get_outputs()]
    if not set(names) <= known or output not in outputs:
        raise PackageError(
            f"the graph must take columns among {', '.join(sorted(known))} and answer "
            f"{output!r}. Got inputs {', '.join(names)} and outputs {', '.join(outputs)}"
        )
    return names, output


def _check_closed(content: bytes) -> None:
    """Refuse graphs that would read other files, or call operators that are not ONNX's own."""
    import onnx

    try:
        model = onnx.load_model_from_string(content)
    except Exception as problem:
        raise PackageError(f"the model file is not an ONNX graph ({problem})") from problem
    domains = {each.domain for each in model.opset_import}
    if not domains <= _DOMAINS or model.functions:
        raise PackageError(
            f"the graph uses operators of {', '.join(sorted(domains - _DOMAINS)) or 'its own'}; "
            "only ONNX's own are opened"
        )
    if any(each.data_location == onnx.TensorProto.EXTERNAL for each in _tensors(model.graph)):
        raise PackageError("the graph keeps weights in other files; only whole graphs are opened")
    unknown = {node.op_type for node in model.graph.node} - OPERATORS
    if unknown:
        raise PackageError(
            f"the graph uses {', '.join(sorted(unknown))}, which no model of ours is made of"
        )
    _check_growth(model)


def _check_growth(model: Any) -> None:
    """Refuse a graph in which a few numbers meet a few others and become very many.

    ONNX Runtime computes what depends on no input as soon as it opens a graph.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    found = {each.name: each.type.tensor_type for each in (*graph.value_info, *graph.output)}
    outputs = [found.get(name) for node in graph.node for name in node.output]
    if not all(each is not None and each.HasField("shape") for each in outputs):
        raise PackageError("the graph has a node whose output has no known shape")
    # Of a dimension that is the number of rows, one is counted.
    cells = sum(math.prod(max(1, dim.dim_value) for dim in one.shape.dim) for one in outputs if one)
    if cells > MOST_CELLS:
        raise PackageError(
            f"the graph computes {cells} numbers for a row; at most {MOST_CELLS} are computed"
        )


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.initializer:
                    yield from _tensors(inner)
