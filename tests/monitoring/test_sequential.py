import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from components.evaluation.slicing import Slice
from components.pipelines.learning import Gate
from monitoring.limits import Beside, Pair
from monitoring.sequential import WARM_UP, evidence, judge_so_far

SUMS = 60


def hours(count):
    return pd.Series(pd.date_range("2026-01-01", periods=count, freq="h", tz="UTC"))


def challenge(gain, days=84, seed=0):
    chance = np.random.default_rng(seed)
    champion = chance.gamma(4, 0.25, 24 * days)
    return champion, champion * (1 - gain) + 0.15 * chance.normal(size=24 * days)


def decide(champion, challenger, **options):
    given = {"gate": Gate(margin=0.01), "rival": "version 3", "least_rows": 100} | options
    return judge_so_far(hours(len(champion)), champion, challenger, **given)


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda chance: chance.normal(size=SUMS), id="normal"),
        pytest.param(lambda chance: chance.standard_t(1.5, size=SUMS), id="without a variance"),
        pytest.param(
            lambda chance: chance.normal(size=SUMS) * np.geomspace(0.01, 100, SUMS),
            id="ever larger",
        ),
        pytest.param(lambda chance: chance.choice([-1.0, 1.0], size=SUMS), id="coins"),
        pytest.param(lambda chance: chance.normal(-0.3, 1, size=SUMS), id="a mean below zero"),
    ],
)
def test_whoever_looks_at_every_sum_is_wrong_no_more_often_than_the_level(draw):
    chance, draws, wrong = np.random.default_rng(1), 400, 0
    for _ in range(draws):
        sums = draw(chance)
        wrong += any(evidence(sums[:count]) >= 20 for count in range(WARM_UP + 1, SUMS))

    assert wrong <= 0.05 * draws


def test_evidence_grows_with_the_sums_and_not_with_their_unit():
    sums = np.random.default_rng(0).normal(1, 1, size=40)

    assert evidence(sums) > evidence(sums[:20]) > 1
    assert evidence(1e6 * sums) == pytest.approx(evidence(sums))
    assert evidence(np.insert(sums, [0, 10], 0.0)) == pytest.approx(evidence(sums))


@pytest.mark.parametrize("sums", [[], [1.0] * WARM_UP, [0.0] * 50], ids=["none", "few", "zeros"])
def test_sums_that_say_nothing_are_no_evidence(sums):
    assert evidence(np.array(sums)) == 1.0


def test_evidence_beyond_all_measure_is_still_a_number():
    assert np.isfinite(evidence(np.ones(5_000)))


def test_a_clear_gain_is_promoted_with_its_evidence_in_the_reason():
    decision = decide(*challenge(0.05))

    assert decision.outcome == "promoted"
    assert decision.evidence >= 20
    assert decision.gain_low > 0.01
    assert decision.test == "better_so_far"
    for part in ("version 3", "evidence for a gain above 1.0 %", "20 is needed", "level 0.05"):
        assert part in decision.reason


def test_a_clear_loss_is_refused_as_futile():
    decision = decide(*challenge(-0.05))

    assert decision.outcome == "refused"
    assert decision.gain_high < 0.01
    assert "evidence for a gain below 1.0 %" in decision.reason


def test_what_is_not_clear_yet_waits_and_is_settled_by_more_rows():
    champion, challenger = challenge(0.05)
    early = decide(champion[: 24 * 9], challenger[: 24 * 9])

    assert early.outcome == "wait"
    assert early.gain_low is None or early.gain_low < 0.01
    assert "not enough evidence yet" in early.reason
    assert decide(champion, challenger).outcome == "promoted"


def test_the_bounds_hold_the_true_gain_at_every_look():
    champion, challenger = challenge(0.02, seed=3)
    for days in range(10, 85, 2):
        found = decide(champion[: 24 * days], challenger[: 24 * days])
        low = -np.inf if found.gain_low is None else found.gain_low
        high = np.inf if found.gain_high is None else found.gain_high
        assert low < 0.02 < high


def test_rows_of_an_unfinished_pair_of_blocks_change_nothing():
    champion, challenger = challenge(0.05)
    spoilt = np.concatenate([challenger, np.full(30, 1e6)])
    before = decide(champion, challenger)
    after = decide(np.concatenate([champion, np.ones(30)]), spoilt)

    assert after.evidence >= before.evidence  # one finished pair more, the spoilt one left out
    assert after.outcome == "promoted"
    assert after.rows == before.rows + 48


def test_pairs_that_are_said_to_be_complete_count():
    champion, challenger = challenge(0.05, days=20)
    until = pd.Timestamp("2026-01-21", tz="UTC")

    assert decide(champion, challenger, complete_until=until).rows == 20 * 24
    assert decide(champion, challenger).rows == 18 * 24


def test_limits_hold_here_too_on_the_rows_that_count():
    champion, challenger = challenge(0.05)
    night = np.arange(len(champion)) % 8 == 0
    challenger = np.where(night, 1.3 * champion, challenger * 0.9)
    lost = decide(champion, challenger, beside=Beside(slices=(Slice("night", night),)))
    vague = decide(*challenge(0.05), beside=Beside(calibration=Pair(0.01, 0.5)))

    assert (lost.outcome, vague.outcome) == ("refused", "refused")
    assert "slice night" in lost.reason
    assert lost.limits[0].rows == lost.rows // 8


@pytest.mark.parametrize("rows", [0, 50, 24 * 5])
def test_too_few_rows_wait(rows):
    champion, challenger = challenge(0.05)

    assert decide(champion[:rows], challenger[:rows]).outcome == "wait"


def test_an_answer_that_is_no_number_refuses_the_challenger():
    champion, challenger = challenge(0.05)
    challenger[3] = np.nan

    assert decide(champion, challenger).outcome == "refused"


def test_losses_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="one time and two losses for each row"):
        decide(np.ones(200), np.ones(199))


def test_the_same_rows_give_the_same_decision_in_any_order_and_in_plain_json():
    champion, challenger = challenge(0.03)
    order = np.random.default_rng(5).permutation(len(champion))
    there = decide(champion, challenger)
    back = judge_so_far(
        hours(len(champion))[order],
        champion[order],
        challenger[order],
        gate=Gate(margin=0.01, block=timedelta(days=1)),
        rival="version 3",
        least_rows=100,
    )

    assert back.evidence == pytest.approx(there.evidence)
    assert json.loads(json.dumps(there.numbers, allow_nan=False))["level_here"] == 0.05
