"""A graph answers as the model it was written from, whatever the row."""

import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from components.errors import ConversionError
from components.models import FAMILIES, InputContract
from components.models.fitting import fit

TASKS = ("regression", "binary", "multiclass")
every_family = pytest.mark.parametrize("family", FAMILIES)
every_task = pytest.mark.parametrize("task", TASKS)


def _session(model):
    content = model.to_onnx().SerializeToString(deterministic=True)
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def _worst(model, inputs):
    """Tell the largest difference as the parity bound counts it."""
    output = "value" if model.task == "regression" else "probabilities"
    got = _session(model).run([output], inputs)[0]
    told = model.predict(inputs)
    assert got.shape == told.shape
    assert got.dtype == np.float32
    size = np.maximum(1.0, np.abs(told)) if model.task == "regression" else 1.0
    return (np.abs(got - told) / size).max()


@every_family
@every_task
def test_a_graph_answers_2000_hostile_rows_as_its_model_does(family, task, fitted, hostile):
    model = fitted(family, task).model
    assert _worst(model, fitted(family, task).contract.prepare(hostile(2_000))) <= 1e-5


@every_family
@every_task
def test_a_graph_answers_a_single_row(family, task, fitted, hostile):
    model = fitted(family, task).model
    assert _worst(model, fitted(family, task).contract.prepare(hostile(1))) <= 1e-5


@every_family
def test_a_small_value_beside_large_ones_keeps_its_digits(family, rows, contract):
    frame = rows(400)
    target = 1e6 * frame["temp"].where(frame["temp"] > 0, 0.0)
    model = fit(frame, target, family=family, contract=contract, task="regression", seed=0).model
    assert _worst(model, contract.prepare(rows(2_000, 6))) <= 1e-6


@every_family
@pytest.mark.parametrize("kind", ["number", "category"])
@every_task
def test_a_contract_of_one_kind_of_column_has_a_graph(
    family, task, kind, rows, hostile, labels, contract
):
    some = InputContract(tuple(column for column in contract.columns if column[1] == kind))
    frame = rows(200)
    model = fit(frame, labels(frame, task), family=family, contract=some, task=task, seed=0).model
    assert _worst(model, some.prepare(hostile(500))) <= 1e-5


@every_family
def test_a_constant_label_has_a_graph(family, rows, hostile, contract):
    frame, target = rows(200), pd.Series(np.full(200, 0.125))
    model = fit(frame, target, family=family, contract=contract, task="regression", seed=0).model
    assert _worst(model, contract.prepare(hostile(500))) <= 1e-5
    if family != "network":
        np.testing.assert_allclose(model.predict(contract.prepare(rows(9, 2))), 0.125, atol=1e-9)


@every_family
def test_a_column_without_gaps_in_the_fit_may_have_them_later(family, rows, contract):
    frame = rows(400)
    some = InputContract((("temp", "number"), ("hour", "number")))
    target = frame["temp"] * 9 + frame["hour"]
    model = fit(frame, target, family=family, contract=some, task="regression", seed=0).model
    gaps = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.5)
    assert _worst(model, some.prepare(gaps)) <= 1e-5


@every_family
def test_a_number_at_a_threshold_falls_on_the_same_side(family, contract, rows):
    # Tenths are no float32: fitted in double, half of them would change sides.
    frame = rows(600).assign(temp=np.arange(600) % 13 / 10)
    target = frame["temp"].mul(10).round() % 2 * 100
    model = fit(frame, target, family=family, contract=contract, task="regression", seed=0).model
    assert _worst(model, contract.prepare(frame)) <= 1e-5


@every_family
def test_inputs_are_the_columns_by_name_and_the_output_is_named(family, fitted, contract):
    session = _session(fitted(family, "regression").model)
    assert [given.name for given in session.get_inputs()] == list(contract.names)
    kinds = {given.name: given.type for given in session.get_inputs()}
    assert kinds["temp"] == "tensor(float)"
    assert kinds["weather"] == "tensor(string)"
    assert [output.name for output in session.get_outputs()] == ["value"]
    session = _session(fitted(family, "binary").model)
    assert [output.name for output in session.get_outputs()] == ["probabilities"]


@every_family
def test_all_graphs_are_of_one_opset(family, fitted):
    proto = fitted(family, "multiclass").model.to_onnx()
    opsets = {opset.domain: opset.version for opset in proto.opset_import}
    assert opsets == {"": 18, "ai.onnx.ml": 3}
    assert proto.ir_version == 9


@every_family
@pytest.mark.parametrize("name", ["value", "probabilities"])
def test_a_column_named_like_the_output_is_told_apart_from_a_graph_that_lies(family, name, rows):
    frame = rows(100).rename(columns={"temp": name})
    some = InputContract(((name, "number"),))
    fitted = fit(frame, frame["hour"], family=family, contract=some, task="regression", seed=0)
    with pytest.raises(ConversionError, match=f"{name!r}.*rename the column"):
        fitted.model.to_onnx()


SCRIPT = """
import hashlib, sys
import numpy as np, pandas as pd
from components.models import InputContract
from components.models.fitting import fit

place = np.arange(300)
words = np.array(["b", "a", "d", "c"], dtype=object)
frame = pd.DataFrame({"x": place % 17, "w": words[place * 7 % 11 % 4]})
some = InputContract((("x", "number"), ("w", "category")))
told = frame["x"] + (frame["w"] == "a")
for family in sys.argv[1:]:
    model = fit(frame, told, family=family, contract=some, task="regression", seed=1).model
    written = model.to_onnx().SerializeToString(deterministic=True)
    print(family, hashlib.sha256(written).hexdigest())
"""


def test_another_process_writes_the_same_graphs(clone):
    said = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, *FAMILIES],
            env={**os.environ, "PYTHONHASHSEED": hashing, "OMP_NUM_THREADS": hashing},
            cwd=clone,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for hashing in ("1", "2")
    ]
    assert said[0] == said[1]
    assert [line.split()[0] for line in said[0]] == list(FAMILIES)
