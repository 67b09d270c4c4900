from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from components.answers import Answers
from components.intervals import gain_interval, mean_interval, metric_interval, widened

DAY = timedelta(days=1)
INDEPENDENT = 1  # a seed whose neighbouring days do not happen to resemble each other


def hours(days):
    return pd.Series(pd.date_range("2026-01-01", periods=24 * days, freq="h", tz="UTC"))


def noise(days, seed=0):
    return np.random.default_rng(seed).normal(size=24 * days)


def test_independent_blocks_give_students_interval_of_the_means_of_stretches():
    values = noise(10, seed=INDEPENDENT)
    found = mean_interval(values, hours(10), block=DAY, level=0.05)
    means = values.reshape(5, -1).mean(axis=1)
    low, high = stats.t.interval(0.9, 4, loc=means.mean(), scale=stats.sem(means))

    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_gain_of_the_same_share_in_every_row_is_sure():
    before = np.exp(noise(10))
    found = gain_interval(before, 0.9 * before, hours(10), block=DAY, level=0.05)

    assert (found.low, found.mean, found.high) == pytest.approx((0.1, 0.1, 0.1))


def test_days_that_resemble_each_other_widen_the_bounds():
    days = np.repeat(np.sin(np.arange(20) / 2), 24)
    alike = mean_interval(days, hours(20), block=DAY, level=0.05)
    mixed = mean_interval(
        days.reshape(20, 24)[np.random.default_rng(0).permutation(20)].ravel(),
        hours(20),
        block=DAY,
        level=0.05,
    )

    assert alike.high - alike.low > mixed.high - mixed.low


def test_leaving_out_stretches_agrees_with_the_mean_of_errors():
    values = np.abs(noise(24, seed=2))  # a seed whose days do not happen to be alike
    zeros = pd.Series(np.zeros(len(values)))
    by_mean = mean_interval(values, hours(24), block=DAY, level=0.05)
    by_metric = metric_interval("mae", zeros, Answers(values), hours(24), block=DAY, level=0.05)

    assert by_metric.low == pytest.approx(by_mean.low)
    assert by_metric.high == pytest.approx(by_mean.high)


def test_a_ranking_gets_an_interval_around_it():
    score = np.clip(0.5 + noise(20) / 5, 0, 1)
    truth = pd.Series(np.where(score + noise(20, seed=1) / 5 > 0.5, "yes", "no"))
    answers = Answers(
        np.where(score > 0.5, "yes", "no").astype(object),
        np.column_stack([1 - score, score]),
        ("no", "yes"),
    )
    found = metric_interval("roc_auc", truth, answers, hours(20), block=DAY, level=0.025)

    assert 0.7 < found.low < found.mean < found.high < 1


def test_one_block_is_sure_of_nothing():
    found = mean_interval(noise(1), hours(1), block=DAY, level=0.05)

    assert (found.low, found.high) == (-np.inf, np.inf)


def test_the_order_of_rows_does_not_matter():
    values, times = noise(9), hours(9)
    order = np.random.default_rng(1).permutation(len(values))
    there = mean_interval(values, times, block=DAY, level=0.05)
    back = mean_interval(values[order], times[order], block=DAY, level=0.05)

    assert (back.low, back.high) == pytest.approx((there.low, there.high))


def test_a_day_with_most_of_the_rows_leaves_few_stretches_and_no_error():
    times = pd.concat([hours(6), pd.Series([hours(3).iloc[60]] * 5_000)], ignore_index=True)
    found = mean_interval(np.arange(len(times), dtype=float), times, block=DAY, level=0.05)

    assert found.blocks == 6
    assert found.low < found.mean < found.high


@pytest.mark.parametrize("dependence", [0.0, 0.9], ids=["independent rows", "dependent rows"])
@pytest.mark.parametrize("days", [8, 14], ids=["8 blocks", "14 blocks"])
def test_a_bound_fails_no_more_often_than_its_level(days, dependence):
    chance = np.random.default_rng(days)
    times, draws, failed = hours(days), 400, 0
    for _ in range(draws):
        values = np.asarray(stats_ar1(chance, len(times), dependence))
        failed += mean_interval(values, times, block=DAY, level=0.05).low > 0

    assert failed <= stats.binom.ppf(0.99, draws, 0.05)


def stats_ar1(chance, count, dependence):
    from scipy.signal import lfilter

    return lfilter([1], [1, -dependence], chance.normal(size=count + 100))[100:]


def test_weights_that_are_alike_change_no_interval_and_others_move_it():
    values, truth = np.abs(noise(24)), pd.Series(np.zeros(24 * 24))

    def bound(weights):
        return metric_interval(
            "mae", truth, Answers(values), hours(24), block=DAY, level=0.025, weights=weights
        )

    plain, alike = bound(None), bound(np.full(len(values), 3.0))
    assert (alike.low, alike.high) == pytest.approx((plain.low, plain.high))
    assert bound(values).mean == pytest.approx((values**2).sum() / values.sum())


def test_what_was_learnt_elsewhere_widens_an_interval():
    plain = mean_interval(noise(24), hours(24), block=DAY, level=0.025)
    sure = widened(plain, np.full(10, plain.mean), level=0.025)
    assert (sure.low, sure.high) == pytest.approx((2 * plain.mean - sure.high, sure.high))
    assert sure.error == pytest.approx(plain.error)
    unsure = widened(plain, plain.mean + np.linspace(-1, 1, 10) * plain.error, level=0.025)
    assert unsure.error > 1.5 * plain.error
    assert unsure.high - unsure.low > sure.high - sure.low
    assert widened(plain, np.array([1.0]), level=0.025).high == np.inf
    assert widened(plain, np.array([1.0, np.nan]), level=0.025).low == -np.inf
