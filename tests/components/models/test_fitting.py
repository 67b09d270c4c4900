"""A fit succeeds, or says why it did not."""

import numpy as np
import pandas as pd
import pytest

from components.errors import NotEnoughHistoryError, TrainingError
from components.models import InputContract, fitting
from components.models.fitting import fit
from components.models.linear import Linear, LinearModel

CONTRACT = InputContract((("x", "number"),))
FRAME = pd.DataFrame({"x": np.arange(30.0)})


def _fit(target, *, task="regression", frame=FRAME, contract=CONTRACT, **more):
    target = pd.Series(target)
    return fit(frame, target, family="linear", contract=contract, task=task, seed=0, **more)


def test_one_class_cannot_be_learnt():
    with pytest.raises(TrainingError, match=r"exactly 2 classes.*got 1 in 30 rows: no"):
        _fit(["no"] * 30, task="binary")
    with pytest.raises(TrainingError, match="at least 2 classes"):
        _fit(["no"] * 30, task="multiclass")


def test_three_classes_are_no_binary_task():
    with pytest.raises(TrainingError, match=r"exactly 2 classes.*got 3"):
        _fit(["a", "b", "c"] * 10, task="binary")


@pytest.mark.parametrize("gap", [np.nan, None], ids=repr)
def test_a_missing_label_is_refused(gap):
    with pytest.raises(TrainingError, match="1 of 30 missing"):
        _fit([gap] + [1.0] * 29)


def test_labels_that_are_no_finite_numbers_are_refused():
    with pytest.raises(TrainingError, match="finite"):
        _fit([np.inf] + [1.0] * 29)
    with pytest.raises(TrainingError, match="need numbers"):
        _fit(["many"] + [1.0] * 29)


def test_too_few_rows_or_no_columns_are_refused():
    with pytest.raises(NotEnoughHistoryError, match="at least 2 labelled rows"):
        _fit([1.0], frame=FRAME[:1])
    with pytest.raises(NotEnoughHistoryError, match="30 rows and 2 labels"):
        _fit([1.0, 2.0])
    with pytest.raises(TrainingError, match="at least one feature column"):
        _fit([1.0] * 30, contract=InputContract(()))


def test_an_estimator_that_raises_becomes_an_error_in_words(monkeypatch):
    def fail(*_, **__):
        raise np.linalg.LinAlgError("singular matrix")

    monkeypatch.setattr(Linear, "fit", fail)
    with pytest.raises(TrainingError, match=r"linear could not be fitted on 30 rows.*singular"):
        _fit(np.arange(30.0))


def test_a_model_that_answers_nan_is_refused(monkeypatch):
    monkeypatch.setattr(LinearModel, "predict", lambda _, inputs: np.full(len(inputs["x"]), np.nan))
    with pytest.raises(TrainingError, match="30 of 30 training rows with NaN"):
        _fit(np.arange(30.0))


def test_a_fit_tells_its_settings_and_seed():
    fitted = _fit(np.arange(30.0), params={"strength": 2.0})
    assert fitted.settings == {"strength": 2.0}
    assert (fitted.family, fitted.task, fitted.seed) == ("linear", "regression", 0)


def test_classes_that_are_numbers_are_named_by_their_text():
    fitted = _fit([0, 1, 1] * 10, task="binary")
    assert fitted.classes == ("0", "1")
    assert set(fitted.predict(FRAME).values) <= {"0", "1"}


def test_the_answers_of_a_straight_line_are_held_one_range_beyond_the_training_rows():
    fitted = _fit(np.arange(30.0), params={"strength": 1e-9})
    answers = fitted.predict(pd.DataFrame({"x": [15.0, 40.0, 58.0, 1e9]})).values
    np.testing.assert_allclose(answers, [15, 40, 58, 58], atol=1e-6)


def test_only_so_many_training_rows_are_tried():
    assert fitting.ROWS_TRIED <= 1_000
