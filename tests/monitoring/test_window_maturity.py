"""A young window is waited for or corrected: no number flatters because labels are late."""

import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.maturity import fair_age_of
from monitoring.maturity import Usual, see, unknown
from monitoring.quality import quality
from monitoring.windows import Window

START = pd.Timestamp("2026-01-01", tz="UTC")
HOUR = pd.Timedelta("1h")
DAY = pd.Timedelta("1D")
WRONG = {"fast": 0.1, "slow": 0.4}  # how often the model is wrong, by outcome


def shop(days, seed=0, a_day=288, task="multiclass"):
    """Make rows whose labels take 2 h if the outcome is fast, 10 h if it is slow.

    A third is slow, and the model is wrong about these four times as often.
    """
    chance = np.random.default_rng(seed)
    rows = days * a_day
    events = pd.Series(pd.date_range(START, periods=rows, freq=DAY / a_day)).dt.as_unit("us")
    slow = chance.random(rows) < 1 / 3
    hours = chance.gamma(4, np.where(slow, 10, 2) / 4)
    label = np.where(slow, "slow", "fast").astype(object)
    wrong = chance.random(rows) < np.where(slow, WRONG["slow"], WRONG["fast"])
    said = np.where(wrong, np.where(slow, "fast", "slow"), label).astype(object)
    if task == "regression":
        label = np.where(slow, 20.0, 0.0) + chance.normal(size=rows)
        said = label + np.where(slow, 5.0, 1.0) * chance.normal(size=rows)
    return pd.DataFrame(
        {
            "record_id": [f"r{number}" for number in range(rows)],
            "event_time": events,
            "known_time": events,
            "prediction": said,
            "label": label,
            "label_known": (events + pd.to_timedelta(hours, unit="h")).dt.as_unit("us"),
        }
    )


def labels_of(rows):
    return rows[["record_id", "event_time", "label"]].assign(known_time=rows["label_known"])


def given(rows):
    values = rows["prediction"].to_numpy()
    return rows, Answers(values if values.dtype == object else values.astype(float))


def blind(rows):
    return given(rows.assign(prediction=rows["label"].iloc[0]))[1]


@pytest.fixture
def ask(make_pipeline):
    def run(rows, window, at, *, labels=None, at_maturity=None, usual=unknown, **fields):
        late = {"label_delay": None, "label_time": "told", "task": "multiclass"}
        made = rows.drop(columns=["label", "label_known"])
        found = quality(
            made[window.holds(made["event_time"])],
            labels_of(rows) if labels is None else labels,
            pipeline=make_pipeline(**{**late, "metric": "accuracy", **fields}),
            window=window,
            as_known_at=at,
            at_maturity=at_maturity,
            answer=given,
            naive=blind,
            usual=usual,
        )
        return {one.name: one for one in found}

    return run


def last_day(days):
    return Window(START + (days - 1) * DAY, START + days * DAY)


def accuracy(rows):
    return float((rows["prediction"] == rows["label"]).mean())


def bounds(measured):
    low, high = measured.reason.split("(95 %: ")[1].split(")")[0].split(" to ")
    return float(low), float(high)


def test_a_young_window_is_corrected_where_counting_what_is_known_flatters(ask):
    rows, window = shop(30, a_day=1440), last_day(30)
    found = ask(rows, window, window.end)["live_error"]
    inside = rows[window.holds(rows["event_time"])]
    known = inside[inside["label_known"] <= window.end]
    flattered = accuracy(known) - accuracy(inside)

    assert flattered > 0.02
    assert abs(found.value - accuracy(inside)) < flattered / 3
    assert "; corrected: " in found.reason
    assert found.status != "cannot_tell"
    low, high = bounds(found)
    assert low < accuracy(inside) < high


def test_once_the_window_is_mature_the_number_is_the_plain_one(ask):
    rows, window = shop(30), last_day(30)
    found = ask(rows, window, window.end + 2 * DAY)["live_error"]

    assert found.value == accuracy(rows[window.holds(rows["event_time"])])
    assert "; mature: 288 of 288 rows have a label (100 %)" in found.reason


def test_it_is_mature_when_its_youngest_row_had_a_fair_chance(ask, make_pipeline):
    rows, window = shop(30), last_day(30)
    rows.loc[rows.index[-1], "label_known"] = pd.NaT  # which never comes
    spec = make_pipeline(label_delay=None, label_time="told")
    known = labels_of(rows).dropna()
    fair = fair_age_of(known, spec, as_of=window.end + 3 * DAY)

    assert 15 * HOUR < fair < 25 * HOUR
    early, late = (
        ask(rows, window, window.end + age)["live_error"].reason for age in (fair / 2, 1.1 * fair)
    )
    assert "; corrected: " in early
    assert "; mature: " in late


def test_a_window_too_young_to_correct_is_waited_for_and_says_until_when(ask):
    rows, window = shop(30), last_day(30)
    hour = Window(window.end - HOUR, window.end)
    found = ask(rows, hour, window.end, monitor={"least_rows": 5})["live_error"]

    assert (found.value, found.status) == (None, "cannot_tell")
    assert "; waiting: " in found.reason
    assert "mature from 2026-01-31 " in found.reason


def test_without_older_labels_nobody_knows_how_long_which_takes(ask):
    rows, window = shop(1), last_day(1)
    found = ask(rows, window, START + 8 * HOUR)["live_error"]

    assert found.value is None
    assert "; waiting: " in found.reason
    assert ask(rows[:5], window, START + HOUR)["live_error"].value is None


def test_a_few_rows_that_stand_for_many_are_not_enough(ask):
    rows, window = shop(30), last_day(30)
    found = ask(rows, window, window.end, monitor={"least_rows": 250})["live_error"]

    assert found.value is None
    assert "worth" in found.reason


def test_numbers_are_corrected_by_their_size(ask):
    rows, window = shop(30, a_day=1440, task="regression"), last_day(30)
    found = ask(rows, window, window.end, task="regression", metric="mae")["live_error"]
    inside = rows[window.holds(rows["event_time"])]
    error = (inside["prediction"] - inside["label"]).abs()
    known = error[inside["label_known"] <= window.end]

    assert known.mean() < 0.9 * error.mean()
    assert found.value == pytest.approx(error.mean(), rel=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["accuracy", "mae"])
def test_the_interval_of_a_corrected_number_holds_the_truth_as_often_as_it_says(ask, metric):
    task = "regression" if metric == "mae" else "multiclass"
    held, off, plain = [], [], []
    for seed in range(200):
        rows, window = shop(8, seed=seed, task=task), last_day(8)
        found = ask(rows, window, window.end, metric=metric, task=task)["live_error"]
        inside = rows[window.holds(rows["event_time"])]
        known = (inside["label_known"] <= window.end).to_numpy()
        if metric == "mae":
            errors = (inside["prediction"] - inside["label"]).abs().to_numpy(dtype=float)
        else:
            errors = (inside["prediction"] == inside["label"]).to_numpy(dtype=float)
        low, high = bounds(found)
        held.append(low <= errors.mean() <= high)
        off.append(found.value - errors.mean())
        plain.append(errors[known].mean() - errors.mean())

    assert np.mean(held) >= 0.9
    assert abs(np.mean(off)) < abs(np.mean(plain)) / 8


def test_the_same_moment_asked_later_gives_the_same_numbers(ask):
    rows, window = shop(40), last_day(30)
    then = window.end + 3 * HOUR
    labels = labels_of(rows)
    asked_then = ask(rows, window, then, labels=labels[labels["known_time"] <= then])
    asked_later = ask(rows, window, then)

    assert "; corrected: " in asked_then["live_error"].reason
    assert asked_then == asked_later


def test_a_correction_known_later_does_not_reach_back(make_pipeline):
    rows, window = shop(30), last_day(30)
    spec = make_pipeline(label_delay=None, label_time="told", task="multiclass")
    made, then = rows.drop(columns=["label", "label_known"]), window.end + 2 * DAY
    before = labels_of(rows)
    wrong = before.assign(label="slow", known_time=then + HOUR)

    def seen(labels, **more):
        return see(made, labels, pipeline=spec, window=window, as_known_at=then, **more).rows

    both = pd.concat([wrong, before])
    pd.testing.assert_frame_equal(seen(both), seen(before))
    corrected = see(made, both, pipeline=spec, window=window, as_known_at=then + DAY).rows
    assert set(corrected["label"]) == {"slow"}


def test_quality_at_an_age_takes_each_label_as_it_was_then(ask):
    rows, window = shop(30), last_day(30)
    inside = rows[window.holds(rows["event_time"])]
    five = inside[inside["label_known"] - inside["event_time"] <= 5 * HOUR]
    later = window.end + 9 * DAY
    found = ask(rows, window, later, at_maturity=5 * HOUR)["live_error"]

    assert found.value == accuracy(five)
    assert "as known 5h after its event: slower ones, until" in found.reason
    assert "; partial: " in found.reason
    young = ask(rows, window, window.end, at_maturity=5 * HOUR)
    assert young["live_error"].rows == (five["event_time"] <= window.end - 5 * HOUR).sum()


def test_a_constant_delay_measures_what_is_due_as_it_is(ask):
    rows, window = shop(30), last_day(30)
    rows["label_known"] = rows["event_time"] + DAY / 2
    found = ask(rows, window, window.end, label_delay="12h", label_time=None)["live_error"]
    due = rows[window.holds(rows["event_time"])].iloc[:145]

    assert found.value == accuracy(due)
    assert "; mature: 145 of 288 rows have a label (50 %)" in found.reason
    assert "each is due 12h after its event" in found.reason
    none = ask(rows, window, window.start, label_delay="12h", label_time=None)["live_error"]
    assert (none.value, none.status) == (None, "cannot_tell")
    assert "; waiting: " in none.reason


HOURLY = {"label_delay": "1h", "label_time": None}


def stated(rows):
    """Let every label come an hour after its event, as the source states."""
    return rows.assign(label_known=rows["event_time"] + HOUR)


def test_a_stated_delay_that_was_not_kept_is_no_proof_that_labels_are_there(ask):
    rows, window = stated(shop(30)), last_day(30)
    slow = (rows["label"] == "slow") & (rows["event_time"] >= window.start)
    rows.loc[slow, "label_known"] = pd.NaT  # the slow ones are still to come
    found = ask(rows, window, window.end + HOUR, **HOURLY)["live_error"]

    assert (found.value, found.status) == (None, "cannot_tell")
    assert "; waiting: " in found.reason
    assert "of the 288 that are due 66 % have one where 100 % usually do" in found.reason
    in_time = ask(stated(shop(30)), window, window.end + HOUR, **HOURLY)["live_error"]
    assert "; mature: 288 of 288 rows have a label (100 %)" in in_time.reason


def test_labels_that_take_longer_than_stated_are_weighed_by_how_long_they_take(ask):
    rows, window = shop(30, a_day=1440), last_day(30)
    found = ask(rows, window, window.end, **HOURLY)["live_error"]
    inside = rows[window.holds(rows["event_time"])]
    known = inside[inside["label_known"] <= window.end]

    assert "; corrected: " in found.reason
    assert abs(found.value - accuracy(inside)) < (accuracy(known) - accuracy(inside)) / 3
    ripe = ask(rows, window, window.end + 2 * DAY, **HOURLY)["live_error"]
    assert ripe.value == accuracy(inside)


def test_where_some_labels_never_come_a_window_is_mature_with_the_usual_share(ask):
    rows, window = stated(shop(30)), last_day(30)
    rows.loc[rows.index % 20 == 0, "label_known"] = pd.NaT
    at = window.end + HOUR
    found = ask(rows, window, at, usual=lambda _: Usual.of([0.95] * 20), **HOURLY)["live_error"]

    assert "; mature: " in found.reason
    assert found.reason.endswith("5.0 % never come")
    assert found.value is not None
    unknown_past = ask(rows, window, at, **HOURLY)["live_error"]
    assert "; waiting: " in unknown_past.reason


@pytest.mark.parametrize("age", [2 * HOUR, 2 * DAY])
def test_a_window_whose_feed_of_labels_stopped_waits_however_old_it_is(ask, age):
    rows, window = shop(30), last_day(30)
    rows.loc[rows["label_known"] > window.end - DAY / 2, "label_known"] = pd.NaT

    def usual(before):
        assert before <= window.start
        return Usual.of([1.0] * 20)

    found = ask(rows, window, window.end + age, usual=usual)["live_error"]
    assert (found.value, found.status) == (None, "cannot_tell")
    assert "its labels are missing" in found.reason


def test_usual_is_what_most_older_stretches_had():
    with_a_gap = Usual.of([0.98, 0.97, 0.98, 0.99, 0.2, 0.0, 0.98])
    assert with_a_gap.share == 0.98
    assert with_a_gap.lacks(0.8, 0.01)
    assert not with_a_gap.lacks(0.94, 0.01)


def test_what_the_pipeline_says_of_maturity_counts(ask):
    rows, window = shop(30), last_day(30)
    found = ask(rows, window, window.end, mature_after="30min")["live_error"]
    assert "; corrected: " in found.reason
    found = ask(rows, window, window.end + HOUR, mature_after="30min")["live_error"]
    assert "; mature: " in found.reason


def test_nothing_predicted_cannot_tell(ask):
    rows, window = shop(3), Window(START + 20 * DAY, START + 21 * DAY)
    found = ask(rows, window, window.end)
    assert {one.status for one in found.values()} == {"cannot_tell"}
