import subprocess
import sys
from dataclasses import replace

import pytest

import components.packages.parity as parity_module
from components.answers import Answers
from components.output import UNCHANGED
from components.packages.golden import golden_rows
from components.packages.parity import check_parity


@pytest.fixture
def golden(rows, fitted):
    return golden_rows(rows, fitted.contract, seed=0)


class Shifted:
    """A model that answers a little more than another one."""

    def __init__(self, model, by):
        self.model, self.by = model, by

    output = UNCHANGED

    def raw(self, frame):
        return Answers(values=self.model.raw(frame).values + self.by)


def test_a_package_answers_in_a_fresh_process_as_its_model_did(package, fitted, golden):
    parity = check_parity(package, fitted, golden)
    assert parity.ok, parity.reason
    assert (parity.rows, parity.bound) == (len(golden), 1e-5)
    assert 0 < parity.seconds < 60
    assert parity.worst < parity.bound


def test_a_difference_is_told_with_the_row_and_both_answers(package, fitted, golden):
    parity = check_parity(package, Shifted(fitted, 5.0), golden)
    assert not parity.ok
    assert f"{len(golden)} of {len(golden)} rows differ" in parity.reason
    assert "weather=" in parity.reason


def test_a_package_that_cannot_be_opened_fails_the_check_in_words(package, fitted, golden):
    (package / "extra").touch()
    parity = check_parity(package, fitted, golden)
    assert not parity.ok
    assert "does not belong" in parity.reason


def test_folders_of_our_names_where_the_user_works_change_nothing(
    tmp_path, package, fitted, golden, monkeypatch
):
    for name in ("components", "flows"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    assert check_parity(package, fitted, golden).ok
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    assert check_parity(package, fitted, golden).ok


def test_a_process_that_hangs_is_ended_and_the_check_fails(package, fitted, golden):
    parity = check_parity(package, fitted, golden, patience=0.01)
    assert not parity.ok
    assert "no answer within" in parity.reason


def test_a_process_that_dies_fails_the_check_with_its_last_words(
    package, fitted, golden, monkeypatch
):
    monkeypatch.setattr(parity_module, "_ROOT", package.parent)
    (package.parent / "components").mkdir()
    (package.parent / "components" / "__init__.py").write_text("raise SystemExit('out of luck')")
    parity = check_parity(package, fitted, golden)
    assert not parity.ok
    assert "out of luck" in parity.reason


def test_opening_a_graph_loads_neither_torch_nor_mlflow_nor_scikit_learn(package):
    code = (
        "import sys, pathlib; from components.packages.scorer import load_package; "
        "load_package(pathlib.Path(sys.argv[1])).probe(); "
        "print(*sorted({'torch', 'mlflow', 'sklearn', 'lightgbm', 'prefect', 'scipy', 'skops'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(package)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_other_classes_are_no_parity(tmp_path, fit_family, pack, golden):
    model = fit_family("linear", "binary")
    folder = pack(tmp_path / "binary", model)
    assert check_parity(folder, model, golden).ok
    renamed = replace(model, classes=("aye", "nay"))
    assert not check_parity(folder, Renamed(renamed), golden).ok


class Renamed:
    """A model whose classes are in another order."""

    def __init__(self, model):
        self.model = model

    output = UNCHANGED

    def raw(self, frame):
        answers = self.model.raw(frame)
        return Answers(answers.values, answers.probabilities[:, ::-1], answers.classes)
