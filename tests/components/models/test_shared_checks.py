"""What every family must do for every task."""

import numpy as np
import pandas as pd
import pytest

from components.models import FAMILIES, InputContract
from components.models.fitting import fit

TASKS = ("regression", "binary", "multiclass")
pytestmark = [
    pytest.mark.parametrize("task", TASKS),
    pytest.mark.parametrize("family", FAMILIES),
]


def _numbers(answers):
    return answers.values if answers.probabilities is None else answers.probabilities


def test_the_same_seed_gives_the_same_answers_bit_by_bit(
    family, task, fitted, rows, labels, contract
):
    again = fit(rows(), labels(rows(), task), family=family, contract=contract, task=task, seed=3)
    fresh = rows(300, 9)
    assert (
        _numbers(again.predict(fresh)).tobytes()
        == _numbers(fitted(family, task).predict(fresh)).tobytes()
    )


def test_the_same_seed_gives_the_same_graph_byte_by_byte(
    family, task, fitted, rows, labels, contract
):
    again = fit(rows(), labels(rows(), task), family=family, contract=contract, task=task, seed=3)
    first = fitted(family, task).model.to_onnx().SerializeToString(deterministic=True)
    assert again.model.to_onnx().SerializeToString(deterministic=True) == first


def test_neither_fitting_nor_answering_changes_its_input(family, task, rows, labels, contract):
    frame, fresh = rows(100), rows(10, 2)
    target = labels(frame, task)
    before = (frame.copy(deep=True), target.copy(deep=True), fresh.copy(deep=True))
    model = fit(frame, target, family=family, contract=contract, task=task, seed=0)
    model.predict(fresh)
    pd.testing.assert_frame_equal(frame, before[0])
    pd.testing.assert_series_equal(target, before[1])
    pd.testing.assert_frame_equal(fresh, before[2])


def test_one_row_is_answered_as_it_is_among_many(family, task, fitted, rows):
    fresh = rows(50, 4)
    among = _numbers(fitted(family, task).predict(fresh))[17]
    alone = _numbers(fitted(family, task).predict(fresh.iloc[[17]]))[0]
    np.testing.assert_allclose(alone, among, rtol=1e-12, atol=1e-12)


def test_no_rows_get_no_answers(family, task, fitted, rows):
    answers = fitted(family, task).predict(rows().iloc[:0])
    assert len(answers) == 0
    assert answers.classes == fitted(family, task).classes


def test_an_unknown_category_is_answered(family, task, fitted, rows):
    fresh = rows(20, 4).assign(weather="never seen", t0="nor this")
    assert np.isfinite(_numbers(fitted(family, task).predict(fresh))).all()


def test_rows_with_nothing_in_them_are_answered(family, task, fitted, rows):
    fresh = rows(20, 4).astype(object)
    fresh.loc[:, :] = None
    assert np.isfinite(_numbers(fitted(family, task).predict(fresh))).all()


def test_a_column_that_was_null_throughout_the_fit_may_hold_something_later(
    family, task, fitted, rows
):
    fresh = rows(20, 4)
    filled = _numbers(fitted(family, task).predict(fresh.assign(**{"all null": 7.0})))
    assert np.isfinite(filled).all()


@pytest.mark.parametrize(
    "only", ["constant", "all null", "temp", "weather"], ids=lambda name: f"only {name}"
)
def test_a_single_column_of_any_kind_is_enough(family, task, only, rows, labels, contract):
    lone = InputContract(tuple(column for column in contract.columns if column[0] == only))
    frame = rows(120)
    model = fit(frame, labels(frame, task), family=family, contract=lone, task=task, seed=0)
    assert np.isfinite(_numbers(model.predict(rows(20, 4)))).all()


def test_five_rows_can_be_fitted(family, task, rows, contract):
    frame = rows(5)
    target = pd.Series([1.0, 2, 3, 4, 5] if task == "regression" else ["a", "b", "a", "b", "a"])
    model = fit(frame, target, family=family, contract=contract, task=task, seed=0)
    assert np.isfinite(_numbers(model.predict(frame))).all()


def test_extreme_numbers_get_finite_answers(family, task, fitted, hostile):
    assert np.isfinite(_numbers(fitted(family, task).predict(hostile()))).all()


def test_probabilities_are_shares_in_the_order_of_sorted_classes(family, task, fitted, rows):
    answers = fitted(family, task).predict(rows(300, 8))
    if task == "regression":
        assert answers.probabilities is None
        assert answers.values.dtype == np.float64
        return
    assert list(answers.classes) == sorted(answers.classes)
    assert answers.probabilities.shape == (300, len(answers.classes))
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1.0, atol=1e-9)
    best = np.array(answers.classes, dtype=object)[answers.probabilities.argmax(axis=1)]
    assert list(answers.values) == list(best)


def test_the_fit_has_learnt_something(family, task, fitted, rows, labels):
    fresh = rows(500, 8)
    truth = labels(fresh, task)
    answers = fitted(family, task).predict(fresh)
    if task == "regression":
        naive = (truth - truth.mean()).abs().mean()
        assert (truth - answers.values).abs().mean() < 0.75 * naive
    else:
        assert (truth == answers.values).mean() > truth.value_counts(normalize=True).max() + 0.1


def test_a_fit_says_nothing_on_the_terminal(family, task, rows, labels, contract, capfd):
    frame = rows(60)
    fit(frame, labels(frame, task), family=family, contract=contract, task=task, seed=0)
    assert capfd.readouterr() == ("", "")
