"""Choosing the probability from which on a yes is said."""

import numpy as np
import pytest

from components.output.deciding import choose_threshold
from components.pipelines.learning import Decision


def drawn(rows, seed=0):
    chance = np.random.default_rng(seed)
    probability = chance.beta(1, 2, rows)
    return chance.random(rows) < probability, probability


def cost_at(value, positive, probability, false_positive, false_negative):
    said = probability >= value
    return (false_positive * (said & ~positive) + false_negative * (~said & positive)).mean()


@pytest.mark.parametrize(("dear", "cheap"), [(1, 9), (9, 1), (1, 1)])
def test_no_threshold_costs_less_than_the_chosen_one(dear, cheap):
    positive, probability = drawn(400)
    found, _ = choose_threshold(
        positive, probability, Decision(false_positive=dear, false_negative=cheap)
    )
    costs = [
        cost_at(value, positive, probability, dear, cheap) for value in np.linspace(0, 1.01, 500)
    ]

    assert found.cost == pytest.approx(cost_at(found.value, positive, probability, dear, cheap))
    assert found.cost <= min(costs) + 1e-12
    assert found.target == dear / (dear + cheap)


def test_on_many_honest_rows_the_threshold_is_what_the_costs_ask_for():
    positive, probability = drawn(200_000)
    found, _ = choose_threshold(positive, probability, Decision(false_positive=1, false_negative=4))

    assert found.value == pytest.approx(0.2, abs=0.03)


def test_of_thresholds_of_equal_cost_the_one_nearest_to_exact_is_taken():
    positive = np.array([False, False, True, True])
    found, _ = choose_threshold(
        positive, np.array([0.1, 0.2, 0.8, 0.9]), Decision(false_positive=1, false_negative=1)
    )

    assert (found.value, found.cost) == (0.5, 0.0)


@pytest.mark.parametrize("asked", [0.5, 0.7])
def test_precision_is_reached_with_all_the_recall_there_is(asked):
    positive, probability = drawn(1_000)
    found, _ = choose_threshold(positive, probability, Decision(precision=asked))
    said = probability >= found.value

    assert found.reached
    assert found.precision == pytest.approx(positive[said].mean())
    assert found.precision >= asked
    more = [
        v for v in np.unique(probability) if positive[probability >= v].sum() > positive[said].sum()
    ]
    assert more
    assert all(positive[probability >= v].mean() < asked for v in more)


def test_recall_is_reached_with_all_the_precision_there_is():
    positive, probability = drawn(1_000)
    found, _ = choose_threshold(positive, probability, Decision(recall=0.8))

    assert found.recall == pytest.approx(
        positive[probability >= found.value].sum() / positive.sum()
    )
    assert found.recall >= 0.8
    assert found.recall < 0.95


def test_a_precision_out_of_reach_is_said_to_be():
    positive = np.array([True, False] * 50)
    found, _ = choose_threshold(positive, np.full(100, 0.5), Decision(precision=0.9))

    assert not found.reached
    assert found.precision == 0.5


@pytest.mark.parametrize(("free", "said"), [("false_positive", 1.0), ("false_negative", 0.0)])
def test_what_costs_nothing_is_always_risked(free, said):
    positive, probability = drawn(200)
    costs = {"false_positive": 1.0, "false_negative": 1.0, free: 0.0}
    found, _ = choose_threshold(positive, probability, Decision(**costs))

    assert (probability[positive] >= found.value).all() == (said == 1.0)
    assert found.cost == 0


@pytest.mark.parametrize("positive", [np.zeros(0, bool), np.ones(1, bool), np.zeros(50, bool)])
def test_rows_of_one_class_choose_nothing_and_costs_alone_decide(positive):
    probability = np.full(len(positive), 0.5)
    priced, note = choose_threshold(
        positive, probability, Decision(false_positive=1, false_negative=3)
    )
    other, words = choose_threshold(positive, probability, Decision(recall=0.9))

    assert (priced.value, priced.cost) == (0.25, None)
    assert "costs ask of exact probabilities" in note
    assert other is None
    assert "the likelier class is said" in words
