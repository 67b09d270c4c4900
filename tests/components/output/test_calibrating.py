"""Learning from held-out rows what probabilities are worth."""

import numpy as np
import pytest

from components.output.calibrating import LEAST_FOR_ISOTONIC, learn_calibration
from components.output.calibrations import Isotonic, Sigmoid, Temperature


def drawn(rows, *, seed=0, bend=lambda odds: odds):
    """Draw honest chances, rows that follow them, and what a model says instead."""
    chance = np.random.default_rng(seed)
    odds = chance.normal(size=rows) * 1.5
    true = (chance.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)
    said = 1 / (1 + np.exp(-bend(odds)))
    return odds, true, np.column_stack([1 - said, said])


def log_loss(true, probabilities):
    return -np.log(probabilities[np.arange(len(true)), true]).mean()


def test_a_model_too_sure_of_itself_is_set_right_by_a_sigmoid():
    _, true, said = drawn(5_000, bend=lambda odds: 3 * odds + 1)
    found, note = learn_calibration(true, said, "sigmoid")

    assert isinstance(found, Sigmoid)
    assert found.slope == pytest.approx(1 / 3, abs=0.03)
    assert found.intercept == pytest.approx(-1 / 3, abs=0.1)
    assert note == ""


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_keeps_the_order_of_rows(method):
    from sklearn.metrics import roc_auc_score

    _, true, said = drawn(2_000, bend=lambda odds: 2 * odds + np.sin(2 * odds))
    found, _ = learn_calibration(true, said, method)
    given = found.apply(said)

    assert roc_auc_score(true, given[:, 1]) == pytest.approx(roc_auc_score(true, said[:, 1]))
    assert ((given > 0) & (given < 1)).all()


@pytest.mark.parametrize("power", [1, 8])  # 8: most probabilities are near 0
def test_the_last_digit_of_a_float32_moves_no_answer_by_what_packages_may_not(power):
    chance = np.random.default_rng(0)
    positive = chance.random(20_000) ** power
    said = np.column_stack([1 - positive, positive])
    true = (chance.random(20_000) < positive**1.5).astype(int)
    found, _ = learn_calibration(true, said, "isotonic")
    rounded = said.astype(np.float32).astype(np.float64)

    assert np.abs(found.apply(said) - found.apply(rounded)).max() < 1e-5
    assert np.abs(found.apply(said)[:, 1] - positive**1.5).mean() < 0.02


def test_classes_parted_by_next_to_nothing_are_not_torn_apart_by_rounding():
    positive = 0.5 + 1e-6 * np.linspace(-1, 1, 1_000)
    said = np.column_stack([1 - positive, positive])
    found, _ = learn_calibration((positive > 0.5).astype(int), said, "isotonic")
    rounded = said.astype(np.float32).astype(np.float64)

    assert np.abs(found.apply(said) - found.apply(rounded)).max() < 1e-5


def test_auto_does_honest_probabilities_next_to_no_harm():
    _, true, said = drawn(20_000, seed=99)
    plain, rises = log_loss(true, said), []
    for seed in range(30):
        found, _ = learn_calibration(*drawn(600, seed=seed)[1:], "auto")
        rises.append(0.0 if found is None else log_loss(true, found.apply(said)) - plain)

    assert np.mean(rises) < 0.003
    assert 0.0 in rises


def test_auto_takes_a_sigmoid_where_it_fits_and_helps_on_other_rows():
    _, true, said = drawn(800, bend=lambda odds: 4 * odds)
    found, _ = learn_calibration(true, said, "auto")
    _, later, said_later = drawn(4_000, seed=9, bend=lambda odds: 4 * odds)

    assert isinstance(found, Sigmoid)
    assert log_loss(later, found.apply(said_later)) < log_loss(later, said_later)


def test_auto_takes_a_curve_where_no_sigmoid_fits():
    def bend(odds):
        return np.where(odds < 0, 6 * odds, odds / 6)

    _, true, said = drawn(6_000, bend=bend)
    found, _ = learn_calibration(true, said, "auto")

    assert isinstance(found, Isotonic)


def test_few_rows_teach_no_curve():
    _, true, said = drawn(LEAST_FOR_ISOTONIC - 1, bend=lambda odds: odds**3)

    assert not isinstance(learn_calibration(true, said, "auto")[0], Isotonic)


def test_more_classes_are_calibrated_by_a_temperature_that_keeps_what_is_said():
    chance = np.random.default_rng(0)
    honest = chance.dirichlet([1, 1, 1], 3_000)
    true = (honest.cumsum(axis=1) < chance.random((3_000, 1))).sum(axis=1)
    said = honest**3 / (honest**3).sum(axis=1, keepdims=True)
    found, _ = learn_calibration(true, said, "auto")

    assert isinstance(found, Temperature)
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert (found.apply(said).argmax(axis=1) == said.argmax(axis=1)).all()


def test_a_model_that_is_always_wrong_is_not_turned_over():
    _, true, said = drawn(1_000, bend=lambda odds: -2 * odds)
    found, note = learn_calibration(true, said, "sigmoid")

    assert found is None
    assert "fall as the class gets likelier" in note


def test_perfectly_parted_classes_give_a_finite_calibration():
    said = np.repeat([0.01, 0.99], 100)
    found, _ = learn_calibration(
        np.repeat([0, 1], 100), np.column_stack([1 - said, said]), "sigmoid"
    )

    assert np.isfinite([found.slope, found.intercept]).all()


@pytest.mark.parametrize(
    ("true", "words"),
    [
        (np.zeros(0, dtype=int), "needs 100 held-out rows, there are 0"),
        (np.zeros(1, dtype=int), "there are 1"),
        (np.zeros(500, dtype=int), "needs 10 held-out rows of each class, there are 0"),
    ],
)
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_too_few_rows_are_said(true, words, method):
    found, note = learn_calibration(true, np.full((len(true), 2), 0.5), method)

    assert found is None
    assert words in note
    assert learn_calibration(true, np.full((len(true), 2), 0.5), "auto") == (None, "")


def test_rows_of_one_class_in_the_earlier_half_teach_auto_nothing():
    true = np.repeat([0, 1], 200)

    assert learn_calibration(true, np.full((400, 2), 0.5), "auto") == (None, "")


def test_constant_probabilities_are_calibrated_to_the_share_that_came():
    true = np.tile([0, 0, 0, 1], 300)
    for method in ("sigmoid", "isotonic"):
        found, _ = learn_calibration(true, np.full((1_200, 2), 0.5), method)
        if found is not None:
            assert found.apply(np.full((1, 2), 0.5))[0, 1] == pytest.approx(0.25, abs=0.01)


def test_none_learns_nothing():
    assert learn_calibration(*drawn(1_000)[1:], "none") == (None, "")
