import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from components.evaluation.slicing import Slice
from components.pipelines.learning import Gate, Limits
from monitoring.gate import judge
from monitoring.limits import Beside, Pair, examine

ROWS = 960


def hours(count=ROWS):
    return pd.Series(pd.date_range("2026-01-01", periods=count, freq="h", tz="UTC"))


def losses(worse_on=None, *, by=0.0, gain=0.1, seed=0, noise=0.05):
    """Give a champion and a challenger that is better everywhere but on some rows."""
    chance = np.random.default_rng(seed)
    champion = chance.gamma(4, 0.25, ROWS)
    challenger = champion * (1 - gain) + noise * chance.normal(size=ROWS)
    if worse_on is not None:
        challenger = np.where(worse_on, champion * (1 + by), challenger)
    return champion, challenger


def every(count):
    return np.arange(ROWS) % count == 0


def decide(champion, challenger, beside, **limits):
    stated = Limits(**{"latency": 5.0, "size": 20.0, **limits})
    gate = Gate(margin=0.01, block=timedelta(days=1), limits=stated)
    return judge(
        hours(),
        champion,
        challenger,
        gate=gate,
        rival="version 3",
        least_rows=100,
        beside=beside,
    )


def only(beside, **limits):
    """Examine equal losses, where one thing is known beside them."""
    champion, challenger = losses()
    gate = Gate(limits=Limits(**{"latency": 5.0, "size": 20.0, **limits}))
    (found,) = examine(hours(), champion, challenger, beside, gate=gate)
    return found


def test_a_winner_that_surely_loses_a_slice_is_refused_with_the_slice_in_the_reason():
    night = every(8)
    decision = decide(*losses(night, by=0.4), Beside(slices=(Slice("night", night),)))

    assert decision.outcome == "refused"
    assert decision.gain_low > 0.01
    assert "slice night: its loss is 40.0 % higher" in decision.reason
    assert "surely more than 10.0 % higher" in decision.reason


def test_a_slice_that_loses_no_more_than_is_allowed_is_reported_and_lets_pass():
    night = every(8)
    decision = decide(*losses(night, by=0.05), Beside(slices=(Slice("night", night),)))

    assert decision.outcome == "promoted"
    assert [(one.name, one.lost) for one in decision.limits] == [("slice night", False)]
    assert decision.limits[0].worse_by == pytest.approx(0.05)
    assert decision.limits[0].rows == 120


def test_a_slice_limit_of_null_reports_without_judging():
    night = every(8)
    beside = Beside(slices=(Slice("night", night),))
    decision = decide(*losses(night, by=0.4), beside, slice_loss=None)

    assert decision.outcome == "promoted"
    assert decision.limits[0].bound is None


def test_equal_slices_are_lost_by_chance_no_more_often_than_the_level_all_together():
    """Twenty slices just at the bound, each tested alone at 5 %, would lose one in most gates."""
    refused, gates = 0, 100
    place = np.random.default_rng(0).integers(20, size=4 * ROWS)
    slices = tuple(Slice(str(one), place == one) for one in range(20))
    times, gate = hours(4 * ROWS), Gate()
    for seed in range(gates):
        chance = np.random.default_rng(seed)
        champion = chance.gamma(4, 0.25, len(times))
        challenger = 1.1 * champion + 0.15 * chance.normal(size=len(times))
        found = examine(times, champion, challenger, Beside(slices=slices), gate=gate)
        refused += any(one.lost for one in found)

    assert refused <= 11  # 99 % of the draws of 100 at 5 %


@pytest.mark.parametrize(
    ("beside", "name", "words"),
    [
        pytest.param(
            Beside(calibration=Pair(0.02, 0.08)),
            "calibration error",
            "rose by 0.060, from 0.020 to 0.080, 0.05 is allowed",
            id="calibration",
        ),
        pytest.param(
            Beside(fairness={"selection rate by sex": Pair(0.1, 0.2)}),
            "selection rate by sex",
            "rose by 0.100, from 0.100 to 0.200, 0.05 is allowed",
            id="fairness",
        ),
        pytest.param(
            Beside(latency=Pair(0.001, 0.006)),
            "latency of one row",
            "is 6 times the champion's, 0.006 against 0.001 s, 5 times are allowed",
            id="latency",
        ),
        pytest.param(
            Beside(size=Pair(1000, 21_000)),
            "size of the package",
            "is 21 times the champion's, 2.1e+04 against 1e+03 bytes, 20 times are allowed",
            id="size",
        ),
    ],
)
def test_a_winner_that_worsens_one_number_beyond_its_limit_is_refused(beside, name, words):
    decision = decide(*losses(), beside)

    assert decision.outcome == "refused"
    assert f"but a limit is exceeded: {name} {words}" in decision.reason
    assert decision.limits[0].lost


def test_negative_flips_are_always_reported_and_refused_only_beyond_a_stated_share():
    reported = decide(*losses(), Beside(flips=0.04))
    bounded = decide(*losses(), Beside(flips=0.04), flips=0.03)

    assert reported.outcome == "promoted"
    assert reported.limits[0].worse_by == 0.04
    assert bounded.outcome == "refused"
    assert "4.0 % of the rows were right before and are wrong now" in bounded.reason


def test_a_number_within_its_limit_is_reported_and_lets_pass():
    beside = Beside(calibration=Pair(0.08, 0.02), latency=Pair(0.001, 0.004), size=Pair(10, 20))
    decision = decide(*losses(), beside)

    assert decision.outcome == "promoted"
    assert [one.worse_by for one in decision.limits] == pytest.approx([-0.06, 4.0, 2.0])


def test_trees_may_follow_a_linear_model_where_no_size_is_stated():
    beside = Beside(latency=Pair(0.001, 0.02), size=Pair(1_000, 1_000_000))
    assert decide(*losses(), beside, latency=None, size=None).outcome == "promoted"
    assert (Limits().latency, Limits().size) == (None, None)


def test_without_a_champion_to_compare_with_a_number_is_only_reported():
    found = only(Beside(size=Pair(None, 5e9)))

    assert not found.lost
    assert "nothing to compare it with" in found.sentence


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_a_number_that_the_challenger_cannot_show_is_lost(missing):
    found = only(Beside(latency=Pair(0.001, missing)))

    assert found.lost
    assert "could not be measured for the challenger" in found.sentence
    assert not only(Beside(latency=Pair(0.001, missing)), latency=None).lost


def test_a_share_of_flips_that_is_no_number_is_lost_where_a_limit_is_stated():
    assert only(Beside(flips=float("nan")), flips=0.5).lost


def test_a_challenger_that_does_not_win_keeps_its_reason_and_gets_the_numbers():
    champion, challenger = losses(gain=-0.1)
    decision = decide(champion, challenger, Beside(flips=0.04), flips=0.03)

    assert decision.outcome == "refused"
    assert "limit" not in decision.reason
    assert decision.numbers["limits"][0]["worse_by"] == 0.04


def test_all_numbers_are_plain_json():
    night = every(8)
    beside = Beside(
        slices=(Slice("night", night), Slice("none", np.zeros(ROWS, dtype=bool))),
        flips=0.1,
        calibration=Pair(None, None),
        fairness={"error rate by sex": Pair(0.1, 0.1)},
        latency=Pair(0.001, 0.002),
        size=Pair(10.0, 20.0),
    )
    numbers = decide(*losses(night), beside).numbers
    read = json.loads(json.dumps(numbers, allow_nan=False))

    assert [one["name"] for one in read["limits"]] == [
        "slice night",
        "negative flips",
        "calibration error",
        "error rate by sex",
        "latency of one row",
        "size of the package",
    ]
