"""Intervals and sets that hold the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from components.output.bounding import learn_cutoffs, learn_reaches


def numbers(chance, rows):
    values = chance.gamma(2, 50, rows)
    return values + chance.standard_t(3, rows) * (2 + values / 5), values


def classes(chance, rows, weights=(5, 1)):
    given = chance.dirichlet(weights, rows)
    true = (given.cumsum(axis=1) < chance.random((rows, 1))).sum(axis=1)
    said = given**2 / (given**2).sum(axis=1, keepdims=True)  # too sure
    return np.minimum(true, len(weights) - 1), said


def held(reaches, truth, values):
    low, high = reaches.intervals(values).T
    return (low <= truth) & (truth <= high)


@pytest.mark.parametrize("coverage", [0.8, 0.9])
@pytest.mark.parametrize("rows", [30, 1_000])
def test_intervals_hold_new_truths_as_often_as_stated(coverage, rows):
    chance = np.random.default_rng(rows)
    draws, new = 200, 50
    inside = sum(
        held(learn_reaches(*numbers(chance, rows), coverage)[0], *numbers(chance, new)).mean()
        for _ in range(draws)
    )
    # Within a draw rows share what was learnt: the share varies as a beta variable does.
    spread = np.sqrt(coverage * (1 - coverage) * (1 / rows * 10 + 1 / new) / draws)

    assert inside / draws > coverage - 3 * spread
    assert inside / draws < coverage + 10 / rows + 3 * spread


def test_large_and_small_answers_are_covered_alike_where_one_reach_would_not():
    chance = np.random.default_rng(0)
    reaches, _ = learn_reaches(*numbers(chance, 4_000), 0.9)
    truth, values = numbers(chance, 20_000)
    inside, large = held(reaches, truth, values), values > np.quantile(values, 0.8)

    assert len(reaches.reach) == 10
    assert min(reaches.rows) >= 100
    assert inside[large].mean() == pytest.approx(0.9, abs=0.03)
    assert inside[~large].mean() == pytest.approx(0.9, abs=0.03)
    one = np.abs(truth - values) <= np.quantile(np.abs(truth - values), 0.9)
    assert one[large].mean() < 0.8


def test_few_rows_or_few_values_share_one_reach():
    chance = np.random.default_rng(1)
    truth, values = numbers(chance, 150)

    assert learn_reaches(truth, values, 0.9)[0].edges == ()
    constant, _ = learn_reaches(truth, np.full(150, 7.0), 0.9)
    assert constant.edges == ()
    assert constant.rows == (150,)


def test_the_reach_is_that_of_crepes_on_rows_it_was_given():
    from crepes import ConformalRegressor

    chance = np.random.default_rng(2)
    truth, values = numbers(chance, 1_000)
    reaches, _ = learn_reaches(truth, values, 0.9)
    bins = np.searchsorted(reaches.edges, values, side="right")
    theirs = (
        ConformalRegressor()
        .fit(truth - values, bins=bins)
        .predict_int(values, bins=bins, confidence=0.9)
    )

    assert reaches.intervals(values) == pytest.approx(theirs)


@pytest.mark.parametrize(("rows", "coverage"), [(0, 0.9), (1, 0.9), (9, 0.9), (50, 0.99)])
def test_too_few_rows_for_the_coverage_are_said(rows, coverage):
    chance = np.random.default_rng(3)
    reaches, note = learn_reaches(*numbers(chance, rows), coverage)
    cutoffs, words = learn_cutoffs(*classes(chance, rows), coverage)

    assert reaches is None
    assert cutoffs is None
    assert note == words
    assert f"there are {rows}" in note


@pytest.mark.parametrize("rows", [10, 60, 500])
def test_sets_hold_new_classes_as_often_as_stated(rows):
    chance = np.random.default_rng(rows)
    draws, new, inside = 60, 50, 0
    for _ in range(draws):
        cutoffs, _ = learn_cutoffs(*classes(chance, rows), 0.9)
        true, said = classes(chance, new)
        inside += cutoffs.sets(said)[np.arange(new), true].sum()

    assert inside >= stats.binom.ppf(0.001, draws * new, 0.9 - 0.3 / np.sqrt(draws * rows))


def test_a_rare_class_is_covered_as_often_as_a_common_one():
    chance = np.random.default_rng(5)
    cutoffs, _ = learn_cutoffs(*classes(chance, 3_000, (9, 1)), 0.9)
    true, said = classes(chance, 30_000, (9, 1))
    inside = cutoffs.sets(said)[np.arange(len(true)), true]

    assert inside[true == 1].mean() == pytest.approx(0.9, abs=0.04)
    assert inside[true == 0].mean() == pytest.approx(0.9, abs=0.04)


def test_sets_are_those_of_crepes():
    from crepes import ConformalClassifier

    chance = np.random.default_rng(6)
    true, said = classes(chance, 80)
    _, new = classes(chance, 500)
    cutoffs, _ = learn_cutoffs(true, said, 0.9)  # too few of the rare class: one for all
    theirs = (
        ConformalClassifier()
        .fit(1 - said[np.arange(80), true])
        .predict_set(1 - new, confidence=0.9, smoothing=False)
    )

    assert (cutoffs.sets(new) == theirs.astype(bool)).all()


def test_a_class_the_model_never_saw_widens_the_sets():
    true, said = classes(np.random.default_rng(7), 200)
    unseen = np.where(np.arange(200) % 5 == 0, -1, true)

    assert learn_cutoffs(unseen, said, 0.9)[0].furthest == (1.0, 1.0)
