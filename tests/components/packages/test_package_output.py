"""What is made of raw answers travels with a package, and is checked apart from them."""

from dataclasses import replace

import numpy as np
import pytest

from components.errors import PackageError, ParityError
from components.output import Output
from components.output.calibrations import Sigmoid, Temperature
from components.output.values import Cutoffs, Reaches, Threshold
from components.packages.folders import read_manifest
from components.packages.golden import golden_rows
from components.packages.manifest import GOLDEN, MANIFEST, Manifest
from components.packages.parity import check_parity
from components.packages.scorer import load_package

AT_A_THIRD = Threshold(
    0.3, "cost", 0.3, reached=True, rows=100, cost=0.1, precision=0.5, recall=0.9
)
AT_SIX_TENTHS = replace(AT_A_THIRD, value=0.6)
OUTPUTS = {
    "regression": Output(conformal=Reaches(0.9, (20.0, 45.0), (1.5, 2.5, 7.25), (40, 30, 30))),
    "binary": Output(Sigmoid(1.7, 0.1 + 0.2), AT_A_THIRD, Cutoffs(0.9, (0.4, 0.7), (50, 50))),
    "multiclass": Output(Temperature(1.5), None, Cutoffs(0.8, (0.5, 0.6, 0.7), (9, 9, 9)), ("a",)),
}


@pytest.mark.parametrize("task", OUTPUTS)
def test_a_package_answers_with_its_output_as_the_model_does(
    tmp_path, fit_family, pack, rows, task
):
    model = replace(fit_family("linear", task), output=OUTPUTS[task])
    package = load_package(pack(tmp_path / "p", model))
    ours, theirs = package.predict(rows), model.predict(rows)
    assert package.output == model.output
    assert (ours.values == theirs.values).all() or task == "regression"
    assert ours.threshold == theirs.threshold
    for name in ("intervals", "sets"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    package.probe()
    golden = golden_rows(rows, model.contract, seed=0)
    parity = check_parity(package.folder, model, golden)
    assert parity.ok, parity.reason


def test_raw_answers_are_those_of_the_model_alone(fit_family, rows):
    plain = fit_family("linear", "binary")
    model = replace(plain, output=OUTPUTS["binary"])
    np.testing.assert_array_equal(model.raw(rows).probabilities, plain.predict(rows).probabilities)
    assert not (model.predict(rows).values == plain.predict(rows).values).all()


@pytest.mark.parametrize(
    ("task", "other", "words"),
    [
        (
            "binary",
            replace(OUTPUTS["binary"], threshold=replace(AT_A_THIRD, value=0.6)),
            "0.3, not",
        ),
        ("binary", Output(), "the threshold is 0.3, not None"),
        ("binary", replace(OUTPUTS["binary"], calibration=None), "probabilities of"),
        ("regression", Output(), "intervals are there"),
        ("regression", Output(conformal=Reaches(0.9, (), (1.5,), (9,))), "intervals of"),
        ("multiclass", replace(OUTPUTS["multiclass"], conformal=None), "sets are there"),
    ],
)
def test_a_package_with_another_output_than_the_model_fails_parity(
    tmp_path, fit_family, pack, rows, task, other, words
):
    model = replace(fit_family("linear", task), output=OUTPUTS[task])
    folder = pack(tmp_path / "p", model)
    golden = golden_rows(rows, model.contract, seed=0)
    parity = check_parity(folder, replace(model, output=other), golden)
    assert not parity.ok
    assert words in parity.reason
    assert parity.worst <= parity.bound, "the raw answers agree"


def test_a_probe_fails_when_the_same_output_makes_something_else(tmp_path, fit_family, pack):
    model = replace(fit_family("linear"), output=OUTPUTS["regression"])
    package = load_package(pack(tmp_path / "p", model))
    wider = Output(conformal=Reaches(0.9, (), (99.0,), (100,)))
    with pytest.raises(ParityError, match="intervals of"):
        replace(package, output=wider).probe()


def test_no_rows_get_no_answers_with_an_output_either(tmp_path, fit_family, pack, rows):
    model = replace(fit_family("linear", "binary"), output=OUTPUTS["binary"])
    answers = load_package(pack(tmp_path / "p", model)).predict(rows.iloc[:0])
    assert (len(answers), answers.probabilities.shape, answers.sets.shape) == (0, (0, 2), (0, 2))


def test_an_output_is_part_of_the_digest(tmp_path, fit_family, pack):
    plain = fit_family("linear")
    without = read_manifest(pack(tmp_path / "a", plain))
    having = read_manifest(pack(tmp_path / "b", replace(plain, output=OUTPUTS["regression"])))
    assert without.digest != having.digest
    assert without.files["model.onnx"] == having.files["model.onnx"]


def test_a_package_without_output_is_written_as_packages_of_old_were(package):
    assert b'"output"' not in (package / MANIFEST).read_bytes()
    assert b'"trusted"' not in (package / MANIFEST).read_bytes()
    assert b'"said"' not in (package / GOLDEN).read_bytes()
    assert load_package(package).output == Output()


def test_the_digest_of_a_manifest_without_output_is_what_it_was_before_there_were_any():
    files = dict.fromkeys(("model.onnx", "golden.json", "reference.parquet"), "0" * 64)
    manifest = Manifest(
        format="onnx",
        reason="",
        family="linear",
        task="regression",
        classes=(),
        contract=(("x", "number"),),
        made_with={"onnx": "1"},
        about={"seed": 3, "who": "Zoë"},
        files=files,
    )
    before = "b5a8de4121b761f45d54ef28794d3d1ff5978b6bd7e28b9c127bf8e9ccb4223a"
    assert manifest.digest == before


@pytest.mark.parametrize(
    ("task", "output"),
    [
        ("binary", Output(conformal=Cutoffs(0.9, (0.5, 0.5, 0.5), (9, 9, 9)))),
        ("multiclass", Output(Sigmoid(1.0, 0.0))),
        ("regression", Output(conformal=Reaches(0.9, (1.0,), (2.0,), (9,)))),
    ],
    ids=["sets of other classes", "two classes calibrated as three", "a reach too few"],
)
def test_an_output_that_does_not_fit_the_model_is_refused(
    tmp_path, fit_family, pack, forge, task, output
):
    folder = pack(tmp_path / "p", fit_family("linear", task))
    forge(folder, {}, output=output.as_dict())
    with pytest.raises(PackageError, match=r"output .*(does not fit|cannot be read)"):
        load_package(folder)
