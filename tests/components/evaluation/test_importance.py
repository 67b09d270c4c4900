"""What answers owe to each column."""

import numpy as np
import pandas as pd
import pytest

from components.evaluation.importance import permutation_importance


def table(rows, seed=0):
    chance = np.random.default_rng(seed)
    made = pd.DataFrame(
        {"strong": chance.normal(size=rows), "weak": chance.normal(size=rows), "idle": "same"},
        index=np.arange(rows) + 7,
    )
    return made.assign(label=3 * made["strong"] + made["weak"])


def losses(rows):
    return np.square(3 * rows["strong"] + rows["weak"] - rows["label"]).to_numpy()


def test_columns_come_in_the_order_of_what_they_are_worth():
    found = permutation_importance(table(1_000), ["idle", "weak", "strong"], losses, seed=0)

    assert [one.column for one in found] == ["strong", "weak", "idle"]
    # Shuffled squares differ by twice the variance: 2 * 9 and 2 * 1.
    assert found[0].rise == pytest.approx(18, rel=0.15)
    assert found[0].low < found[0].rise < found[0].high
    assert (found[2].rise, found[2].low, found[2].high) == (0, 0, 0)


def test_the_interval_holds_what_many_shuffles_give():
    rows = table(300)
    exact = permutation_importance(rows, ["strong"], losses, seed=99, repeats=400)[0].rise
    drawn = [permutation_importance(rows, ["strong"], losses, seed=seed)[0] for seed in range(60)]

    assert sum(one.low <= exact <= one.high for one in drawn) >= 50


def test_rows_are_bounded_and_the_seed_is_the_only_chance():
    seen = []

    def counted(rows):
        seen.append(len(rows))
        return losses(rows)

    rows = table(500)
    first = permutation_importance(rows, ["weak"], counted, seed=1, most_rows=100)

    assert set(seen) == {100}
    assert first == permutation_importance(rows, ["weak"], losses, seed=1, most_rows=100)
    assert first != permutation_importance(rows, ["weak"], losses, seed=2, most_rows=100)
    pd.testing.assert_frame_equal(rows, table(500))


def test_no_rows_or_no_columns_have_no_importance():
    assert permutation_importance(table(0), ["strong"], losses, seed=0) == ()
    assert permutation_importance(table(5), [], losses, seed=0) == ()
    assert permutation_importance(table(1), ["strong"], losses, seed=0)[0].rise == 0


def test_one_shuffle_is_refused():
    with pytest.raises(ValueError, match="at least 2 repeats"):
        permutation_importance(table(5), ["strong"], losses, seed=0, repeats=1)
