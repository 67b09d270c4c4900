"""The simulated gates of the training benchmark, a few of each, so that they cannot rot."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def gates(clone: Path):
    sys.path.insert(0, str(clone))  # `benchmarks` is a folder of scripts, not a package of ours
    try:
        from benchmarks.training import gates
    finally:
        sys.path.pop(0)
    return gates


def test_the_naive_rule_promotes_what_the_gate_does_not(gates):
    gate, naive = gates.simulate(0.0, gates=40, rows=480)

    assert gate <= 0.05
    assert 0.2 < naive < 0.8


def test_a_gain_of_many_times_the_margin_is_seen_by_every_way_to_judge(gates):
    for judge in (gates.once, gates.renewal, gates.so_far):
        assert gates.simulate(0.1, gates=5, rows=960, by=judge) == (1.0, 1.0)


def test_looking_again_and_again_settles_a_clear_case_either_way(gates):
    assert gates.simulate_looks(0.1, gates=3, rows=960, by=gates.so_far) == (1.0, 0.0)
    assert gates.simulate_looks(-0.1, gates=3, rows=960, by=gates.so_far) == (0.0, 1.0)


def test_a_holdout_used_by_many_shares_its_level_among_them(gates):
    shared, alone = gates.simulate_reuse(gates=20, challengers=5, rows=480)

    assert shared <= alone
