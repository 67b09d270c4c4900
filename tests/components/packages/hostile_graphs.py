"""Graphs and tensors that are hostile: each changes a good package, and says what must be said."""

import json
import runpy
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FORGING = runpy.run_path(str(Path(__file__).with_name("forging.py")))
forge, as_format, case = (FORGING[name] for name in ("forge", "as_format", "case"))
GRAPH = "model.onnx"
CASES = FORGING["CASES"]


# Graphs.


def graph_of(nodes, initializers=(), *, domains=("", "ai.onnx.ml"), functions=()) -> dict:
    inputs = [helper.make_tensor_value_info("temp", TensorProto.FLOAT, [None, 1])]
    output = [helper.make_tensor_value_info("value", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, output, list(initializers))
    opsets = [helper.make_opsetid(domain, 18 if not domain else 3) for domain in domains]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=functions)
    return {GRAPH: model.SerializeToString()}


def ones(name, *shape) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, dtype=np.float32), name)


@case("weights in another file", "weights in other files")
def _(folder, canary):
    weight = ones("w", 1)
    onnx.external_data_helper.set_external_data(weight, "/etc/passwd")
    weight.ClearField("raw_data")
    forge(folder, graph_of([helper.make_node("Add", ["temp", "w"], ["value"])], [weight]))


@case("an operator of somebody else", "operators of evil")
def _(folder, canary):
    node = helper.make_node("Run", ["temp"], ["value"], domain="evil")
    forge(folder, graph_of([node], domains=("", "evil")))


@case("an operator that the graph brings along", "operators of its own|operators of")
def _(folder, canary):
    body = [helper.make_node("Relu", ["x"], ["y"])]
    own = helper.make_function("", "Mine", ["x"], ["y"], body, [helper.make_opsetid("", 18)])
    forge(folder, graph_of([helper.make_node("Mine", ["temp"], ["value"])], functions=[own]))


@case("a number that becomes a terabyte", "uses ConstantOfShape")
def _(folder, canary):
    shape = numpy_helper.from_array(np.array([1 << 38], dtype=np.int64), "s")
    forge(folder, graph_of([helper.make_node("ConstantOfShape", ["s"], ["value"])], [shape]))


@case("a loop without end", "uses Loop")
def _(folder, canary):
    names = ("i", "go"), ("go_on",)
    kinds = (TensorProto.INT64, TensorProto.BOOL), (TensorProto.BOOL,)
    sides = [
        [helper.make_tensor_value_info(n, k, []) for n, k in zip(ns, ks, strict=True)]
        for ns, ks in zip(names, kinds, strict=True)
    ]
    same = helper.make_node("Cast", ["go"], ["go_on"], to=TensorProto.BOOL)
    body = helper.make_graph([same], "body", *sides)
    forge(folder, graph_of([helper.make_node("Loop", ["", ""], ["value"], body=body)]))


@case("a few numbers that meet and become very many", "numbers for a row")
def _(folder, canary):
    nodes = [
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Max", ["temp", "c"], ["value"]),
    ]
    forge(folder, graph_of(nodes, [ones("a", 100_000, 1), ones("b", 1, 100_000)]))


@case("weights that claim to be a terabyte", "numbers for a row|cannot open the graph")
def _(folder, canary):
    weight = ones("w", 1)
    weight.dims[0] = 1 << 38
    forge(folder, graph_of([helper.make_node("Add", ["temp", "w"], ["value"])], [weight]))


@case("weights of a negative size", "cannot open the graph|no known shape")
def _(folder, canary):
    weight = ones("w", 1)
    weight.dims[0] = -1
    forge(folder, graph_of([helper.make_node("Add", ["temp", "w"], ["value"])], [weight]))


def tree(*, true=(1, 0, 0), feature=0, target=0, targets=1):
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["temp"],
        ["value"],
        domain="ai.onnx.ml",
        n_targets=targets,
        nodes_featureids=[feature, 0, 0],
        nodes_truenodeids=list(true),
        nodes_falsenodeids=[2, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_nodeids=[0, 1, 2],
        nodes_treeids=[0, 0, 0],
        nodes_values=[0.5, 0.0, 0.0],
        target_ids=[target, 0],
        target_nodeids=[1, 2],
        target_treeids=[0, 0],
        target_weights=[1.0, 2.0],
    )


@case("a tree whose branch is itself", "cannot open the graph")
def _(folder, canary):
    forge(folder, graph_of([tree(true=(0, 0, 0))]))


@case("a tree that points beyond its end", "cannot open the graph")
def _(folder, canary):
    forge(folder, graph_of([tree(true=(7, 0, 0))]))


@case("a tree that writes beside its answer", "cannot open the graph")
def _(folder, canary):
    forge(folder, graph_of([tree(target=1_000_000)]))


@case("a tree that reads beside its row", "cannot answer a row")
def _(folder, canary):
    forge(folder, graph_of([tree(feature=1_000_000)]))


@case("a tree of a terabyte of answers", "numbers for a row|cannot open")
def _(folder, canary):
    forge(folder, graph_of([tree(targets=1 << 38)]))


@case("a graph that answers twice to a row", "gives 2 answers")
def _(folder, canary):
    node = helper.make_node("Concat", ["temp", "temp"], ["value"], axis=0)
    forge(folder, graph_of([node]))


# Tensors.


def tensors_of(header: bytes, size: int | None = None) -> dict[str, bytes]:
    said = struct.pack("<Q", len(header) if size is None else size)
    return {"model.safetensors": said + header + bytes(8), "model.json": b"{}"}


@case("tensors that reach beyond their file", "cannot be opened")
def _(folder, canary):
    header = {"w": {"dtype": "F32", "shape": [1 << 30], "data_offsets": [0, 1 << 32]}}
    as_format(folder, "safetensors", tensors_of(json.dumps(header).encode()))


@case("tensors that overlap", "cannot be opened")
def _(folder, canary):
    header = {n: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for n in ("v", "w")}
    as_format(folder, "safetensors", tensors_of(json.dumps(header).encode()))


@case("tensors with an endless header", "cannot be opened")
def _(folder, canary):
    as_format(folder, "safetensors", tensors_of(b"{}", size=1 << 62))


@case("tensors whose config is nested without end", "cannot be opened")
def _(folder, canary):
    given = tensors_of(b"{}      ")
    given |= {"model.safetensors": struct.pack("<Q", 8) + b"{}      ", "model.json": b"[" * 10**6}
    as_format(folder, "safetensors", given)
