import numpy as np
import pandas as pd
import pytest

from components.errors import ConversionError, PackageError, ParityError
from components.models import FAMILIES
from components.packages import writing
from components.packages.manifest import MANIFEST
from components.packages.scorer import load_package

TASKS = ("regression", "binary", "multiclass")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", TASKS)
def test_every_model_becomes_a_graph_that_answers_as_it_did(
    tmp_path, fit_family, pack, rows, family, task
):
    model = fit_family(family, task)
    scorer = load_package(pack(tmp_path / "package", model))
    assert (scorer.manifest.format, scorer.manifest.reason) == ("onnx", "")
    scorer.probe()
    ours, theirs = scorer.predict(rows), model.predict(rows)
    if task == "regression":
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-5, atol=1e-5)
    else:
        assert ours.classes == theirs.classes
        np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "task", "form"),
    [
        ("linear", "binary", "skops"),
        ("lightgbm", "regression", "skops"),
        ("forest", "multiclass", "skops"),
        ("hist_boosting", "regression", "skops"),
        ("network", "multiclass", "safetensors"),
    ],
)
def test_a_model_without_a_graph_is_kept_in_a_safe_format_with_the_reason(
    tmp_path, fit_family, pack, rows, family, task, form
):
    model = fit_family(family, task)
    folder = pack(tmp_path / "package", model, onnx_refused="the graph was wrong")
    again = pack(tmp_path / "again", fit_family(family, task), onnx_refused="the graph was wrong")
    scorer = load_package(folder)
    assert (scorer.manifest.format, scorer.manifest.reason) == (form, "the graph was wrong")
    scorer.probe()
    assert (scorer.predict(rows).values == model.predict(rows).values).all()
    assert load_package(again).manifest.digest == scorer.manifest.digest


def test_the_same_fit_gives_the_same_digest_and_other_data_another(tmp_path, fit_family, pack):
    first = load_package(pack(tmp_path / "a", fit_family("lightgbm"))).manifest
    again = load_package(pack(tmp_path / "b", fit_family("lightgbm"))).manifest
    other = load_package(pack(tmp_path / "c", fit_family("linear"))).manifest
    assert first.digest == again.digest != other.digest


def test_a_model_that_cannot_be_converted_says_why(tmp_path, fitted, pack, monkeypatch):
    def refuse(_):
        raise ConversionError("this model has no graph")

    monkeypatch.setattr(type(fitted.model), "to_onnx", refuse)
    manifest = load_package(pack(tmp_path / "package", fitted)).manifest
    assert (manifest.format, manifest.reason) == ("skops", "this model has no graph")


def test_a_graph_that_answers_otherwise_is_not_used(
    tmp_path, fitted, fit_family, pack, monkeypatch
):
    other = fit_family("lightgbm").model.to_onnx()
    monkeypatch.setattr(type(fitted.model), "to_onnx", lambda _: other)
    manifest = load_package(pack(tmp_path / "package", fitted)).manifest
    assert manifest.format == "skops"
    assert manifest.reason.startswith("ONNX answers otherwise")
    assert "where the package answers" in manifest.reason


def test_a_package_gives_back_the_rows_that_its_model_learnt_from(package, rows):
    pd.testing.assert_frame_equal(load_package(package).reference(), rows, check_dtype=False)


def test_no_rows_get_no_answers(package, rows):
    assert len(load_package(package).predict(rows.iloc[:0])) == 0


def test_a_probe_fails_when_the_libraries_answer_otherwise_than_they_did(package):
    scorer = load_package(package)
    wrong = type(scorer)(
        scorer.manifest,
        scorer.folder,
        scorer.contract,
        lambda inputs: np.zeros(len(inputs["temp"])),
        scorer._golden,
    )
    with pytest.raises(ParityError, match="does not answer as it did"):
        wrong.probe()


def test_a_package_is_never_written_over_another_one(package, fitted, pack):
    with pytest.raises(PackageError, match="is not empty"):
        pack(package, fitted)


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path, fitted, rows):
    with pytest.raises(PackageError, match="plain JSON"):
        writing.write_package(
            tmp_path / "p", fitted, golden=rows, reference=rows, about={"loss": float("nan")}
        )
    assert not list((tmp_path / "p").iterdir())


def test_the_manifest_is_written_last(tmp_path, fitted, pack, monkeypatch):
    def stop(name):
        raise KeyboardInterrupt(name)

    monkeypatch.setattr(writing, "failpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        pack(tmp_path / "package", fitted)
    assert not (tmp_path / "package" / MANIFEST).exists()
    with pytest.raises(PackageError, match="missing"):
        load_package(tmp_path / "package")
