"""Packages that somebody else wrote, with digests that fit: none of them runs, none opens."""

import io
import os
import pickle
import runpy
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from components.errors import PackageError, TamperedPackageError
from components.packages import fallbacks, folders
from components.packages.manifest import GOLDEN, MANIFEST, REFERENCE
from components.packages.scorer import load_package

FORGING = runpy.run_path(str(Path(__file__).with_name("forging.py")))
forge, state, as_format = (FORGING[name] for name in ("forge", "state", "as_format"))


@pytest.fixture
def marker(tmp_path):
    file = tmp_path / "marker"
    yield file
    assert not file.exists(), "code of a package was run"


@pytest.mark.parametrize("name", ["model.onnx", GOLDEN, REFERENCE, MANIFEST])
def test_one_flipped_bit_anywhere_is_found(package, name):
    whole = (package / name).read_bytes()
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        bad = bytearray(whole)
        bad[place] ^= 1
        (package / name).write_bytes(bytes(bad))
        with pytest.raises(PackageError):
            load_package(package)
    (package / name).write_bytes(whole)
    load_package(package).probe()


@pytest.mark.parametrize("name", ["model.onnx", GOLDEN, REFERENCE, MANIFEST])
def test_a_truncated_or_missing_file_is_found(package, name):
    whole = (package / name).read_bytes()
    (package / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PackageError):
        load_package(package)
    (package / name).unlink()
    with pytest.raises(PackageError, match="missing"):
        load_package(package)


def test_another_whole_package_in_its_place_is_found(tmp_path, package, fit_family, pack):
    registered = load_package(package).manifest.digest
    other = pack(tmp_path / "other", fit_family("lightgbm"))
    with pytest.raises(TamperedPackageError, match="not the package that was registered"):
        load_package(other, digest=registered)


def test_a_file_that_does_not_belong_is_named(package):
    (package / "model.pkl").write_bytes(b"")
    with pytest.raises(PackageError, match=r"model\.pkl does not belong"):
        load_package(package)


def test_a_folder_of_code_is_refused(package):
    (package / "code").mkdir()
    with pytest.raises(PackageError, match="not a plain file"):
        load_package(package)


def test_a_link_in_place_of_a_file_is_refused(tmp_path, package):
    moved = tmp_path / "elsewhere.onnx"
    (package / "model.onnx").rename(moved)
    (package / "model.onnx").symlink_to(moved)
    with pytest.raises(PackageError, match="not a plain file"):
        load_package(package)


@pytest.mark.parametrize("name", [MANIFEST, "model.onnx"])
def test_a_pipe_in_place_of_a_file_is_refused_without_waiting(package, name):
    (package / name).unlink()
    os.mkfifo(package / name)
    with pytest.raises(PackageError, match="not a plain file"):
        load_package(package)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path, package):
    (tmp_path / "link").symlink_to(package)
    with pytest.raises(PackageError, match="a link"):
        load_package(tmp_path / "link")


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(PackageError, match="no folder"):
        load_package(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "MLmodel", ""])
def test_a_manifest_that_names_other_files_is_refused(package, name):
    state(package, files={name: "0" * 64})
    with pytest.raises(PackageError, match="must list exactly"):
        load_package(package)


@pytest.mark.parametrize("form", ["pickle", "joblib", "python_function", "torch", None, 3])
def test_a_format_that_could_run_code_is_refused(package, form):
    state(package, format=form)
    with pytest.raises(PackageError, match="never pickle"):
        load_package(package)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"nonsense", b"\xff\xfe", b"[" * 200_000, b'{"layout": 1}', b"null"],
    ids=["empty", "a list", "no JSON", "no text", "nested deeply", "too little", "null"],
)
def test_a_manifest_that_is_none_is_refused(package, content):
    (package / MANIFEST).write_bytes(content)
    with pytest.raises(PackageError, match="not a manifest"):
        load_package(package)


def test_a_package_of_a_later_layout_asks_for_an_upgrade(package):
    state(package, layout=2)
    with pytest.raises(PackageError, match="upgrade driftwheel"):
        load_package(package)


def test_an_oversized_file_is_refused_before_it_is_read(package, monkeypatch):
    monkeypatch.setattr(folders, "_MOST_BYTES", 100)
    with pytest.raises(PackageError, match="at most 100"):
        load_package(package)


def test_a_pickle_in_place_of_the_graph_does_not_run(package, marker):
    class Bomb:
        def __reduce__(self):
            return (marker.touch, ())

    forge(package, {"model.onnx": pickle.dumps(Bomb())})
    with pytest.raises(PackageError, match="not an ONNX graph"):
        load_package(package)


def graph_of(nodes, initializers=(), domains=("",), outputs="value"):
    inputs = [helper.make_tensor_value_info("temp", TensorProto.FLOAT, [None, 1])]
    out = [helper.make_tensor_value_info(outputs, TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, out, list(initializers))
    opsets = [helper.make_opsetid(domain, 18 if not domain else 1) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def test_weights_in_another_file_are_not_fetched(tmp_path, package):
    (tmp_path / "secret").write_bytes(np.float32(42).tobytes())
    weight = numpy_helper.from_array(np.zeros(1, dtype=np.float32), "w")
    onnx.external_data_helper.set_external_data(weight, str(tmp_path / "secret"))
    weight.ClearField("raw_data")
    model = graph_of([helper.make_node("Add", ["temp", "w"], ["value"])], [weight])
    forge(package, {"model.onnx": model.SerializeToString()})
    with pytest.raises(PackageError, match="weights in other files"):
        load_package(package)


def test_weights_hidden_in_a_constant_of_an_inner_graph_are_found(tmp_path, package):
    weight = numpy_helper.from_array(np.zeros(1, dtype=np.float32), "w")
    onnx.external_data_helper.set_external_data(weight, "../secret")
    weight.ClearField("raw_data")
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["x"], value=weight)],
        "inner",
        [],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
    )
    truth = numpy_helper.from_array(np.array([True]), "t")
    node = helper.make_node("If", ["t"], ["value"], then_branch=inner, else_branch=inner)
    forge(package, {"model.onnx": graph_of([node], [truth]).SerializeToString()})
    with pytest.raises(PackageError, match="weights in other files"):
        load_package(package)


def test_operators_of_somebody_else_are_refused(package):
    node = helper.make_node("Run", ["temp"], ["value"], domain="evil")
    model = graph_of([node], domains=("", "evil"))
    forge(package, {"model.onnx": model.SerializeToString()})
    with pytest.raises(PackageError, match="operators of evil"):
        load_package(package)


def test_a_graph_with_another_output_is_refused(package):
    model = graph_of([helper.make_node("Relu", ["temp"], ["other"])], outputs="other")
    forge(package, {"model.onnx": model.SerializeToString()})
    with pytest.raises(PackageError, match="answer 'value'"):
        load_package(package)


def test_a_skops_file_that_asks_for_a_call_is_refused(package, marker):
    import skops.io

    bomb = skops.io.dumps(partial(os.system, f"touch {marker}"))
    as_format(package, "skops", {"model.skops": bomb})
    with pytest.raises(PackageError, match="not on the list"):
        load_package(package)


def test_a_skops_file_that_holds_no_model_is_refused(package):
    import skops.io

    as_format(package, "skops", {"model.skops": skops.io.dumps([1, 2])})
    with pytest.raises(PackageError, match="no model of ours"):
        load_package(package)


def test_a_skops_file_that_unpacks_without_end_is_refused(package, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 1_000_000)
    monkeypatch.setattr(fallbacks, "_MOST_BYTES", 10_000)
    as_format(package, "skops", {"model.skops": packed.getvalue()})
    with pytest.raises(PackageError, match="unpacks to"):
        load_package(package)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", pickle.dumps([1])])
def test_a_skops_file_that_is_none_is_refused(package, content):
    as_format(package, "skops", {"model.skops": content})
    with pytest.raises(PackageError, match="not a skops archive"):
        load_package(package)


@pytest.mark.parametrize(
    ("tensors", "config"),
    [(b"", b"{}"), (pickle.dumps([1]), b"{}"), (b"\xff" * 64, b"{}"), (b"", b"nonsense")],
)
def test_tensors_that_make_no_network_are_refused(package, tensors, config):
    as_format(package, "safetensors", {"model.safetensors": tensors, "model.json": config})
    with pytest.raises(PackageError, match="cannot be opened"):
        load_package(package)


def test_a_model_of_another_task_than_stated_is_refused(tmp_path, fit_family, pack):
    folder = pack(tmp_path / "p", fit_family("linear", "binary"), onnx_refused="as asked")
    forge(folder, {}, classes=("maybe", "never"))
    with pytest.raises(PackageError, match="the manifest states"):
        load_package(folder)
