"""A class of the user's own is run only as the very bytes that are trusted."""

import hashlib
import pickle
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.errors import ConversionError, InvalidInputError, TrainingError
from components.models.trusted import load_named
from components.pipelines import Pipeline, Window
from components.pipelines.learning import Trusted
from components.recipes import Recipe, fit_recipe
from components.search import search_recipe

NOW = pd.Timestamp("2024-03-01", tz="UTC")
MEAN = """
import numpy as np

class Mean:
    def fit(self, frame, target, sample_weight=None):
        self.mean = np.average(target, weights=sample_weight)

    def predict(self, frame):
        return np.full(len(frame), self.mean)
"""
SHARES = """
import numpy as np

class Shares:
    def fit(self, frame, target):
        self.shares = target.value_counts(normalize=True).sort_index().to_numpy()

    def predict_proba(self, frame):
        return np.tile(self.shares, (len(frame), 1))
"""


def home_with(tmp_path: Path, content: str, *, name: str = "Mean", **fields) -> Pipeline:
    code = tmp_path / "code"
    code.mkdir()
    (code / "own.py").write_text(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    given = {
        "name": "rides",
        "source": {"path": "rides.csv"},
        "time": "at",
        "target": "count",
        "task": "regression",
        "label_delay": "1d",
        "columns": {"heat": "number"},
        "candidates": ["mine"],
        "trusted": {"mine": {"file": "own.py", "name": name, "sha256": digest}},
        "holdout": {"least_rows": 20, "most": "7d"},
        "least_train_rows": 20,
        "search": {"trials": 1, "budget": "10min"},
        "file": tmp_path / "pipelines" / "rides.yaml",
    }
    return Pipeline.model_validate({**given, **fields})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Make 60 days of six rows."""
    at = pd.date_range(NOW - timedelta(days=60), periods=360, freq="4h")
    heat = np.random.default_rng(1).normal(size=len(at))
    made = pd.DataFrame({"event_time": at, "known_time": at + timedelta(days=1), "heat": heat})
    return made.assign(label=50 + heat)


def fitted(rows, spec):
    return fit_recipe(rows, Recipe("mine", Window()), spec, until=NOW)


def test_a_trusted_class_is_fitted_and_answers(rows, tmp_path):
    model = fitted(rows, home_with(tmp_path, MEAN))
    assert (model.family, model.model.family) == ("mine", "mine")
    np.testing.assert_allclose(model.predict(rows).values, rows["label"][:-6].mean(), rtol=1e-3)


def test_a_trusted_class_is_given_the_names_of_classes(rows, tmp_path):
    spec = home_with(tmp_path, SHARES, name="Shares", task="binary")
    told = rows.assign(label=np.where(rows["heat"] > 0.7, "yes", "no"))
    answers = fitted(told, spec).predict(told)
    assert answers.classes == ("no", "yes")
    assert set(answers.values) == {"no"}


def test_a_trusted_class_has_no_graph(rows, tmp_path):
    with pytest.raises(ConversionError, match="mine is a class of the user's own"):
        fitted(rows, home_with(tmp_path, MEAN)).model.to_onnx()


def test_weights_need_a_fit_that_takes_them(rows, tmp_path):
    spec = home_with(
        tmp_path, MEAN.replace(", sample_weight=None", ""), weights={"half_life": "1d"}
    )
    with pytest.raises(TrainingError, match="mine takes no sample_weight in fit"):
        fitted(rows, spec)


def test_a_changed_file_is_not_run_and_its_digest_is_shown(rows, tmp_path):
    spec = home_with(tmp_path, MEAN)
    mark = tmp_path / "was run"
    changed = f"open({str(mark)!r}, 'w').close()\n" + MEAN
    (tmp_path / "code" / "own.py").write_text(changed)
    new = hashlib.sha256(changed.encode()).hexdigest()
    with pytest.raises(InvalidInputError, match=f"write sha256: {new} under trusted"):
        fitted(rows, spec)
    assert not mark.exists()


def test_links_and_missing_files_are_refused(rows, tmp_path):
    spec = home_with(tmp_path, MEAN)
    own = tmp_path / "code" / "own.py"
    own.rename(tmp_path / "elsewhere.py")
    with pytest.raises(InvalidInputError, match=r"code/own.py cannot be read \(No such file"):
        fitted(rows, spec)
    own.symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(InvalidInputError, match="leads through a link"):
        fitted(rows, spec)


def test_a_folder_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "own.py").write_text(MEAN)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "sub").symlink_to(tmp_path / "outside")
    named = Trusted(file="sub/own.py", name="Mean", sha256="0" * 64)
    with pytest.raises(InvalidInputError, match="leads through a link"):
        load_named(tmp_path / "code", named)


def test_a_class_that_is_not_there_is_told_with_the_nearest(rows, tmp_path):
    with pytest.raises(InvalidInputError, match=r"no class or function 'Maen'.*Known: Mean"):
        fitted(rows, home_with(tmp_path, MEAN, name="Maen"))


def test_a_file_that_fails_when_loaded_is_told(rows, tmp_path):
    with pytest.raises(InvalidInputError, match="fails when it is loaded: ZeroDivisionError"):
        fitted(rows, home_with(tmp_path, "1 / 0\n" + MEAN))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("raise RuntimeError('no luck')", "mine could not be fitted .*RuntimeError: no luck"),
        ("self.mean = float('nan')", "mine answered .* training rows with NaN"),
        ("self.mean = [1.0, 2.0, 3.0]", "mine.predict failed|must answer"),
    ],
    ids=["raises", "NaN", "wrong shape"],
)
def test_a_class_that_misbehaves_passes_no_check(rows, tmp_path, body, problem):
    spec = home_with(
        tmp_path, MEAN.replace("self.mean = np.average(target, weights=sample_weight)", body)
    )
    with pytest.raises(TrainingError, match=problem):
        fitted(rows, spec)


def test_a_class_that_never_ends_is_ended_and_the_house_goes_on(rows, tmp_path):
    endless = MEAN.replace("self.mean = np", "import time; time.sleep(3600); self.mean = np")
    spec = home_with(
        tmp_path, endless, candidates=["mine", "linear"], search={"trials": 1, "budget": "80s"}
    )
    found = search_recipe(rows, spec, as_of=NOW)
    assert found.best.family == "linear"
    assert "took longer than 20 s and was ended" in found.trials[0].problem


def test_a_class_alone_is_tried_elsewhere_before_it_is_fitted_here(rows, tmp_path):
    dying = MEAN.replace("self.mean = np", "import os; os.kill(os.getpid(), 9); self.mean = np")
    with pytest.raises(TrainingError, match="killed by the system, most likely because memory"):
        search_recipe(rows, home_with(tmp_path, dying), as_of=NOW)


def test_a_pipeline_with_trusted_classes_reaches_another_process_whole(tmp_path):
    spec = home_with(tmp_path, MEAN)
    assert pickle.loads(pickle.dumps(spec)).file == spec.file  # noqa: S301 - made here
