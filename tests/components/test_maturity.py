"""How long labels take is measured from what was known, and no row is judged before its time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.maturity import (
    MaturityCurve,
    describe,
    fair_age,
    fair_age_of,
    labelled_curve,
    maturity_curve,
    short_age,
    status_curve,
)
from components.pipelines import Pipeline

START = pd.Timestamp("2024-01-01", tz="UTC")
HOUR, DAY = pd.Timedelta("1h"), pd.Timedelta("1D")


def events(days, a_day=24):
    return pd.Series(pd.date_range(START, periods=days * a_day, freq=DAY / a_day)).dt.as_unit("us")


def late(when, hours):
    return (when + pd.to_timedelta(hours, unit="h")).dt.as_unit("us")


def pipeline(**fields):
    given = {"name": "rides", "source": {"path": "r.csv"}, "time": "at", "target": "count"}
    given = {**given, "task": "regression", "label_time": "told", **fields}
    return Pipeline.model_validate(given)


def drawn(days, seed=0, mean=48.0):
    """Draw waits of two days on average; a tenth of the labels never comes."""
    chance = np.random.default_rng(seed)
    when = events(days)
    known = late(when, chance.exponential(mean, len(when)))
    return when, known.where(chance.random(len(when)) > 0.1)


def test_waits_are_of_all_records_and_what_never_comes_stays_unknown():
    when, known = drawn(300)
    curve = maturity_curve(when, known, as_of=START + 300 * DAY)

    assert curve.plateau == pytest.approx(0.9, abs=0.01)
    for age in (12 * HOUR, 2 * DAY, 5 * DAY):
        truth = 0.9 * (1 - np.exp(-(age / HOUR) / 48))
        assert curve.share_at(age) == pytest.approx(truth, abs=0.02)


def test_a_short_history_does_not_call_slow_labels_fast():
    off, plain, plateau = [], [], []
    for seed in range(30):
        when, known = drawn(8, seed=seed)
        now = START + 8 * DAY
        curve = maturity_curve(when, known, as_of=now)
        seen = known[known <= now]
        plain.append((seen - when[seen.index] <= DAY).mean() - (1 - np.exp(-0.5)))
        off.append(curve.share_at(DAY) - 0.9 * (1 - np.exp(-0.5)))
        by_labels = labelled_curve(when, known, as_of=now)
        plateau.append(by_labels.share_at(DAY) - (1 - np.exp(-0.5)) / (1 - np.exp(-4)))

    assert np.mean(plain) > 0.05, "what counting the labels seen would say"
    assert abs(np.mean(off)) < 0.01
    assert abs(np.mean(plateau)) < 0.02


def test_from_labelled_rows_alone_the_share_of_those_that_come_is_found():
    when, known = drawn(300)
    now = START + 300 * DAY
    both = maturity_curve(when, known, as_of=now)
    alone = labelled_curve(when, known, as_of=now)

    assert alone.plateau == 1
    for share in (0.1, 0.5, 0.9, 0.99):
        assert alone.age_of(share) / both.age_of(share) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("estimate", [maturity_curve, labelled_curve])
def test_nothing_known_later_is_looked_at(estimate):
    when, known = drawn(60)
    now = START + 30 * DAY
    spoilt = known.where(known <= now, known + 40 * DAY)
    before, after = (estimate(when, some, as_of=now) for some in (known, spoilt))

    np.testing.assert_array_equal(before.ages, after.ages)
    np.testing.assert_array_equal(before.shares, after.shares)


def test_a_label_known_before_its_event_counts_as_age_nothing():
    when = events(30)
    curve = maturity_curve(when, when - HOUR, as_of=START + 30 * DAY)

    assert (curve.share_at(pd.Timedelta(0)), curve.age_of(0.99)) == (1.0, pd.Timedelta(0))


def test_one_odd_label_among_the_oldest_rows_decides_nothing():
    when = events(100)
    known = late(when, 2)
    known.iloc[3] = START + 90 * DAY

    for estimate in (maturity_curve, labelled_curve):
        assert estimate(when, known, as_of=START + 100 * DAY).age_of(0.99) == 2 * HOUR


def test_a_table_filled_in_one_go_does_not_say_that_labels_take_a_year():
    when = events(400)
    loaded = START + 390 * DAY
    known = late(when, 3)
    known = known.where(known > loaded, loaded)
    now = START + 400 * DAY

    for estimate in (maturity_curve, labelled_curve):
        assert estimate(when, known, as_of=now).age_of(0.99) == 3 * HOUR
    only = labelled_curve(when, known, as_of=loaded + HOUR)
    assert fair_age(only, pipeline()) == pd.Timedelta(0), "nothing known, nothing held back"


def test_the_fair_age_is_what_the_pipeline_says_before_what_is_measured():
    when = events(30)
    rows = pd.DataFrame({"event_time": when, "known_time": late(when, 5)})
    now = START + 30 * DAY

    assert fair_age_of(rows, pipeline(), as_of=now) == 5 * HOUR
    assert fair_age_of(rows, pipeline(mature_after="9h"), as_of=now) == 9 * HOUR
    fixed = {"label_time": None, "label_delay": "1d"}
    assert fair_age_of(rows, pipeline(**fixed), as_of=now) == DAY
    assert fair_age_of(rows, pipeline(**fixed, mature_after="2d"), as_of=now) == 2 * DAY
    soon = pipeline(label_time=None, label_delay="0s")
    assert fair_age_of(rows, soon, as_of=now) == 5 * HOUR, "stated is the least, not a proof"
    exact = rows.assign(known_time=rows["event_time"])
    assert fair_age_of(exact, soon, as_of=now) == pd.Timedelta(0)


def test_too_few_labels_hold_no_row_back():
    when = events(30)[:9]
    rows = pd.DataFrame({"event_time": when, "known_time": late(when, 5)})
    assert fair_age_of(rows, pipeline(), as_of=START + DAY) == pd.Timedelta(0)
    assert fair_age_of(rows[:0], pipeline(), as_of=START + DAY) == pd.Timedelta(0)


def test_without_a_label_there_is_no_curve():
    nothing = pd.Series([], dtype="datetime64[us, UTC]")
    empty = maturity_curve(nothing, nothing, as_of=START)
    assert (empty.rows, empty.plateau, empty.age_of(0.5)) == (0, 0.0, None)
    assert empty.share_at(DAY) == 0
    assert describe(empty) == "no label is known of 0 records"

    when = events(2)
    unknown = pd.Series(pd.NaT, index=when.index, dtype="datetime64[us, UTC]")
    curve = maturity_curve(when, unknown, as_of=START + 9 * DAY)
    assert (curve.rows, curve.labelled, curve.plateau) == (48, 0, 0.0)
    assert describe(curve) == "no label is known of 48 records"


def test_who_has_a_label_now_says_how_long_they_take_where_no_label_does():
    chance = np.random.default_rng(0)
    when, now = events(60, 480), START + 60 * DAY
    waits = np.where(chance.random(len(when)) > 0.1, chance.exponential(72, len(when)), 1e6)
    curve = status_curve(when, late(when, waits) <= now, as_of=now)

    assert curve.plateau == pytest.approx(0.9, abs=0.02), "chance among the oldest is no step"
    for age in (DAY, 3 * DAY, 9 * DAY):
        truth = 0.9 * (1 - np.exp(-(age / HOUR) / 72))
        assert curve.share_at(age) == pytest.approx(truth, abs=0.15), "few steps, roughly right"


def test_labels_three_days_late_are_seen_to_be_though_less_was_stated():
    when = events(30)
    now = START + 30 * DAY
    curve = status_curve(when, when <= now - 3 * DAY, as_of=now)
    fixed = pipeline(label_time=None, label_delay="1h")

    assert fair_age(curve, fixed) == 3 * DAY
    kept = status_curve(when, when <= now - HOUR, as_of=now)
    assert fair_age(kept, fixed) == HOUR
    none = status_curve(when, when < START, as_of=now)
    assert (none.labelled, fair_age(none, fixed)) == (0, HOUR)


def test_a_curve_is_said_in_one_line():
    when, known = drawn(300)
    said = describe(maturity_curve(when, known, as_of=START + 300 * DAY))
    assert said.startswith("50 % by 32.5h, 95 % by ")
    assert said.endswith("% never")
    assert [short_age(age) for age in (DAY * 1.25, HOUR / 2, pd.Timedelta("7s"))] == [
        "30h",
        "30min",
        "7s",
    ]


def test_the_flights_wait_as_their_page_says(datasets):
    table = pd.read_parquet(
        datasets / "flights" / "flights.parquet", columns=["event_time", "label_time"]
    )
    when, known = (table[name].dt.tz_localize("UTC").dt.as_unit("us") for name in table)
    curve = maturity_curve(when, known, as_of=START)
    alone = labelled_curve(when, known, as_of=START)

    assert describe(curve) == (
        "50 % by 2.8h, 95 % by 6.4h, 99 % by 7.7h of the labels that come; 2.8 % never"
    )
    assert alone.age_of(0.99) == curve.age_of(0.99)


@given(
    waits=st.lists(
        st.none() | st.integers(-(10**9), 10**12).map(lambda n: pd.Timedelta(n, unit="us")),
        max_size=60,
    ),
    as_of=st.integers(-5, 40),
)
def test_whatever_the_waits_a_curve_rises_from_nothing_to_at_most_all(waits, as_of):
    when = events(2)[: len(waits)] if waits else events(1)[:0]
    waits = waits[: len(when)]
    known = when + pd.Series(waits, index=when.index, dtype="timedelta64[us]")
    now = START + as_of * HOUR
    for estimate in (maturity_curve, labelled_curve, status_curve):
        seen = known <= now if estimate is status_curve else known
        curve = estimate(when, seen, as_of=now)
        assert isinstance(curve, MaturityCurve)
        assert (np.diff(curve.ages) > 0).all()
        assert (np.diff(curve.shares) >= 0).all()
        assert (curve.ages >= 0).all()
        assert ((curve.shares >= 0) & (curve.shares <= 1)).all()
        assert describe(curve)
        assert fair_age(curve, pipeline()) >= pd.Timedelta(0)
