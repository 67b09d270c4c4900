import json
import re
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from scipy.stats import binom

from components.pipelines.learning import Gate
from monitoring.gate import judge, judge_not_worse
from monitoring.limits import Beside, Pair

GATES = 400


def hours(count):
    return pd.Series(pd.date_range("2026-01-01", periods=count, freq="h", tz="UTC"))


def decide(champion, challenger, *, margin=0.01, least_rows=100, times=None, block=1):
    times = hours(len(champion)) if times is None else times
    gate = Gate(margin=margin, level=0.05, block=timedelta(days=block))
    return judge(times, champion, challenger, gate=gate, rival="version 3", least_rows=least_rows)


def promotions(*, gain, days, dependence=0.0, uneven=0.0, gates=GATES, seed=0):
    """Count promotions of challengers with a known gain; differences have sd 15 % of the loss."""
    chance, count, promoted = np.random.default_rng(seed), 24 * days, 0
    for _ in range(gates):
        shocks = chance.normal(size=count + 200)
        differences = lfilter([1], [1, -dependence], shocks)[200:] * (1 - dependence**2) ** 0.5
        day = np.repeat(np.exp(uneven * chance.normal(size=days)), 24)
        champion = day * chance.gamma(4, 0.25, size=count)
        challenger = champion * (1 - gain) + 0.15 * day * differences
        promoted += decide(champion, challenger).outcome == "promoted"
    return promoted


@pytest.mark.parametrize("days", [8, 14, 84], ids=["8 blocks", "14 blocks", "84 blocks"])
@pytest.mark.parametrize(
    ("dependence", "uneven"),
    [
        pytest.param(0.0, 0.0, id="independent rows"),
        pytest.param(0.0, 0.5, id="days of unequal loss"),
        pytest.param(0.8, 0.0, id="rows that resemble their neighbours"),
        pytest.param(0.9, 0.5, id="dependent rows on unequal days"),
    ],
)
def test_a_gain_of_just_the_margin_is_promoted_no_more_often_than_the_level(
    days, dependence, uneven
):
    wrong = promotions(gain=0.01, days=days, dependence=dependence, uneven=uneven, seed=days)

    assert wrong <= binom.ppf(0.99, GATES, 0.05)


@pytest.mark.parametrize("dependence", [0.0, 0.9], ids=["independent rows", "dependent rows"])
def test_a_challenger_that_is_no_better_is_promoted_less_often_than_the_level(dependence):
    assert promotions(gain=0.0, days=14, dependence=dependence) <= binom.ppf(0.99, GATES, 0.05)


def test_twice_the_margin_is_seen_in_four_of_five_gates_of_2000_rows():
    assert promotions(gain=0.02, days=84, gates=GATES) >= 0.8 * GATES


def test_a_clear_gain_is_promoted_with_its_numbers_in_the_reason():
    chance = np.random.default_rng(0)
    champion = chance.gamma(4, 10, 336)
    decision = decide(champion, 0.8 * champion + chance.normal(size=336), margin=0.02)

    assert decision.outcome == "promoted"
    assert decision.gain_low > 0.02
    for part in ("version 3", "336 rows", "14 blocks", "level 0.05", "2.0 %"):
        assert part in decision.reason
    assert f"{100 * decision.gain:.1f} % lower" in decision.reason


def test_a_challenger_that_is_worse_is_refused():
    champion = np.random.default_rng(0).gamma(4, 10, 336)
    decision = decide(champion, 1.1 * champion)

    assert decision.outcome == "refused"
    assert "10.0 % higher" in decision.reason


def test_the_same_model_again_is_refused_even_without_a_margin():
    champion = np.random.default_rng(0).gamma(4, 10, 336)

    assert decide(champion, champion, margin=0.0).outcome == "refused"


def test_rows_that_could_not_have_seen_the_margin_make_it_wait():
    chance = np.random.default_rng(3)
    champion = chance.gamma(4, 10, 240)
    decision = decide(champion, 0.97 * champion + 40 * chance.normal(size=240))

    assert decision.outcome == "wait"
    assert decision.smallest_visible_gain > decision.margin
    assert "could only have shown" in decision.reason


def test_too_few_rows_make_it_wait_without_looking_at_them():
    decision = decide(np.full(99, np.nan), np.full(99, np.nan), least_rows=100)

    assert decision.outcome == "wait"
    assert decision.reason == "needs at least 100 labelled rows, there are 99"


def test_no_rows_at_all_make_it_wait():
    assert decide(np.array([]), np.array([])).outcome == "wait"


def test_one_block_of_time_makes_it_wait():
    champion = np.random.default_rng(0).gamma(4, 10, 24)
    decision = decide(champion, champion / 2, least_rows=10)

    assert decision.outcome == "wait"
    assert decision.smallest_visible_gain is None


def test_an_answer_that_is_no_number_refuses_the_challenger():
    champion = np.ones(200)
    challenger = np.where(np.arange(200) == 7, np.nan, 0.1)
    decision = decide(champion, challenger)

    assert decision.outcome == "refused"
    assert "no usable answer on 1 of 200 rows" in decision.reason


def test_a_rival_without_answers_keeps_its_place_and_the_gate_waits():
    assert decide(np.full(200, np.inf), np.ones(200)).outcome == "wait"


def test_nothing_can_be_gained_on_a_rival_without_error():
    assert decide(np.zeros(200), np.zeros(200)).outcome == "refused"


def test_losses_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="one time and two losses for each row"):
        decide(np.ones(200), np.ones(199))


@pytest.mark.parametrize("rows", [50, 300])
def test_the_numbers_are_plain_json_and_the_reason_is_one_sentence(rows):
    champion = np.random.default_rng(0).gamma(4, 10, rows)
    decision = decide(champion, 0.9 * champion)

    assert json.loads(json.dumps(decision.numbers, allow_nan=False))["rows"] == rows
    assert not re.search(r"[.!?]\s", decision.reason)


def test_the_same_rows_give_the_same_decision_in_any_order():
    chance = np.random.default_rng(5)
    champion, times = chance.gamma(4, 10, 400), hours(400)
    challenger = champion * chance.uniform(0.8, 1.1, 400)
    order = chance.permutation(400)
    there = decide(champion, challenger, times=times)
    back = decide(champion[order], challenger[order], times=times[order])

    assert there.outcome == back.outcome
    assert there.gain_low == pytest.approx(back.gain_low)


def renew(champion, challenger, **options):
    gate = Gate(margin=0.01, level=0.05, block=timedelta(days=1))
    given = {"gate": gate, "rival": "version 3", "least_rows": 100} | options
    return judge_not_worse(hours(len(champion)), champion, challenger, **given)


def test_an_equal_model_may_renew_one_that_is_too_old():
    chance = np.random.default_rng(0)
    champion = chance.gamma(4, 10, 2_000)
    challenger = champion + chance.normal(size=2_000)
    decision = renew(champion, challenger)

    assert decision.outcome == "promoted"
    assert decision.test == "not_worse"
    assert "1.0 % higher is allowed" in decision.reason
    assert decide(champion, challenger).outcome != "promoted"


def test_a_model_that_is_worse_by_the_margin_renews_no_more_often_than_the_level():
    chance, renewed = np.random.default_rng(7), 0
    for _ in range(400):
        champion = chance.gamma(4, 0.25, 24 * 28)
        challenger = champion * 1.01 + 0.15 * chance.normal(size=24 * 28)
        renewed += renew(champion, challenger).outcome == "promoted"

    assert renewed <= binom.ppf(0.99, 400, 0.05)


def test_a_model_that_is_surely_worse_is_refused_and_an_unsure_one_waits():
    chance = np.random.default_rng(0)
    champion = chance.gamma(4, 10, 400)

    assert renew(champion, 1.1 * champion).outcome == "refused"
    assert renew(champion, champion + 20 * chance.normal(size=400)).outcome == "wait"


def test_a_renewal_must_not_lose_a_limit_either():
    champion = np.random.default_rng(0).gamma(4, 10, 400)
    lost = Beside(calibration=Pair(0.01, 0.5))
    decision = renew(champion, 0.9 * champion, beside=lost)

    assert decision.outcome == "refused"
    assert "calibration error" in decision.reason


def test_a_later_use_of_the_same_rows_needs_more_evidence_and_says_so():
    chance = np.random.default_rng(0)
    champion = chance.gamma(4, 10, 336)
    challenger = 0.9 * champion + chance.normal(size=336)
    gate = Gate(margin=0.01)
    first, fifth = (
        judge(hours(336), champion, challenger, gate=gate, rival="version 3", least_rows=9, use=use)
        for use in (1, 5)
    )

    assert fifth.gain_low < first.gain_low
    assert (first.level_here, fifth.use) == (pytest.approx(0.045), 5)
    assert "over all uses of these rows (0.00025 for this one, number 5)" in fifth.reason


def test_ten_challengers_on_one_holdout_are_wrong_together_no_more_often_than_the_level():
    chance, wrong, holdouts = np.random.default_rng(2), 0, 200
    times, gate = hours(24 * 28), Gate(margin=0.01)
    for _ in range(holdouts):
        champion = chance.gamma(4, 0.25, len(times))
        tried = (0.99 * champion + 0.15 * chance.normal(size=len(times)) for _ in range(10))
        wrong += any(
            judge(
                times, champion, losses, gate=gate, rival="version 3", least_rows=100, use=use
            ).outcome
            == "promoted"
            for use, losses in enumerate(tried, start=1)
        )

    assert wrong <= binom.ppf(0.99, holdouts, 0.05)


def test_the_decision_names_the_event_times_it_rests_on():
    champion = np.random.default_rng(0).gamma(4, 10, 240)
    decision = decide(champion, champion)

    assert decision.rows_from == "2026-01-01T00:00:00+00:00"
    assert decision.rows_until == "2026-01-10T23:00:00+00:00"
