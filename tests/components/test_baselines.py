from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from components.baselines import best_naive, naive_answers
from components.errors import NotEnoughHistoryError

START = pd.Timestamp("2026-01-01", tz="UTC")
HOUR = pd.Timedelta("1h")
DAY = timedelta(days=1)


def hourly(count, *, delay="1h", label=None):
    events = pd.Series(pd.date_range(START, periods=count, freq="h"))
    return pd.DataFrame(
        {
            "event_time": events,
            "known_time": events + pd.Timedelta(delay),
            "label": np.arange(count, dtype=float) if label is None else label,
        }
    )


def answer(kind, rows, labels, *, known_by=None, season=DAY):
    return naive_answers(
        kind, rows, labels, task="regression", season=season, known_by=known_by
    ).values


@pytest.mark.parametrize("kind", ["last", "season", "mean"])
def test_no_row_sees_a_label_that_was_unknown_at_its_event_time(kind):
    labels = hourly(60, delay="5h")
    answers = answer(kind, labels, labels)
    for row in range(60):
        seen = labels[labels["known_time"] <= labels["event_time"][row]]
        assert answers[row] == answer(kind, labels.iloc[[row]], seen)[0]
        assert answers[row] <= max(0, row - 5)


def test_the_last_known_label_is_the_newest_event_not_the_newest_arrival():
    labels = hourly(3)
    labels["known_time"] = [START + 9 * HOUR, START + 2 * HOUR, START + 3 * HOUR]
    rows = pd.DataFrame({"event_time": [START + 10 * HOUR]})

    assert answer("last", rows, labels)[0] == 2.0


def test_a_season_back_is_the_same_hour_of_the_day_before():
    labels = hourly(60)

    assert answer("season", labels, labels)[30] == 6.0


def test_a_season_that_is_still_unknown_gives_way_to_the_one_before():
    labels = hourly(80, delay="30h")

    assert answer("season", labels, labels)[60] == 60 - 48


def test_an_hour_that_never_was_gives_way_to_the_season_before_it():
    labels = hourly(80).drop(index=30).reset_index(drop=True)
    rows = pd.DataFrame({"event_time": [START + 54 * HOUR]})

    assert answer("season", rows, labels)[0] == 6.0


def test_without_any_season_the_last_label_answers():
    labels = hourly(10)
    rows = pd.DataFrame({"event_time": [START + 9.5 * HOUR]})

    assert answer("season", rows, labels)[0] == 8.0


@pytest.mark.parametrize(
    ("corrected_at", "seen"),
    [pytest.param(20, 99.0, id="before the row"), pytest.param(25, 0.0, id="after the row")],
)
def test_a_corrected_label_counts_from_when_it_was_corrected(corrected_at, seen):
    labels = pd.concat([hourly(30), hourly(1, label=[99.0])], ignore_index=True)
    labels.loc[30, "known_time"] = START + corrected_at * HOUR
    rows = pd.DataFrame({"event_time": [START + 24 * HOUR]})

    assert answer("season", rows, labels)[0] == seen


def test_the_mean_is_of_what_was_known():
    labels = hourly(10)

    assert answer("mean", labels, labels).tolist() == [0, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]


def test_known_by_holds_for_all_rows_yet_none_sees_its_own_label():
    labels = hourly(10)
    seen = answer("last", labels, labels, known_by=START + 5 * HOUR)

    assert seen.tolist() == [0, 0, 1, 2, 3, 4, 4, 4, 4, 4]


def test_a_label_known_at_once_does_not_answer_its_own_row():
    labels = hourly(3, delay="0h")

    assert answer("last", labels, labels).tolist() == [0, 0, 1]


@pytest.mark.parametrize("kind", ["last", "season", "mean"])
def test_with_nothing_known_the_answer_is_nought(kind):
    rows, labels = hourly(3), hourly(3).iloc[:0]

    assert answer(kind, rows, labels).tolist() == [0, 0, 0]


def test_rows_may_come_in_any_order_and_stay_as_they_were():
    labels = hourly(40)
    shuffled = labels.sample(frac=1, random_state=0)
    kept = shuffled.copy()

    answers = answer("season", shuffled, shuffled)

    assert answers.tolist() == answer("season", labels, labels)[shuffled.index].tolist()
    pd.testing.assert_frame_equal(shuffled, kept)


def classes_of(label):
    labels = hourly(len(label), label=label)
    return naive_answers(
        "last", labels, labels, task="binary", classes=("no", "yes"), season=DAY, known_by=None
    )


def test_a_guess_is_trusted_as_often_as_it_was_right():
    steady = classes_of(["yes"] * 200)
    fickle = classes_of(["yes", "no"] * 100)

    assert list(steady.values[:2]) == ["no", "yes"]  # nothing known, then the first label
    assert steady.probabilities[-1] == pytest.approx([0.01, 0.99], abs=0.005)
    assert fickle.probabilities[-1] == pytest.approx([0.5, 0.5])


def test_the_majority_answers_with_its_frequency():
    labels = hourly(50, label=["no", "yes", "yes", "yes", "yes"] * 10)
    found = naive_answers(
        "majority", labels, labels, task="binary", classes=("no", "yes"), season=DAY, known_by=None
    )

    assert found.values[-1] == "yes"
    assert found.probabilities[-1] == pytest.approx([0.2, 0.8], abs=0.02)
    assert found.probabilities.sum(axis=1) == pytest.approx(1)


def test_without_a_class_nothing_can_be_named():
    with pytest.raises(NotEnoughHistoryError, match=r"needs a known label to name a class"):
        naive_answers(
            "last", hourly(2), hourly(0), task="binary", classes=(), season=DAY, known_by=None
        )


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"one of last, season, mean, majority\. Got 'median'"):
        answer("median", hourly(3), hourly(3))


# --- of many -------------------------------------------------------------------------------------

SHOPS = ("north", "south")


def shops(count, *, delay="1h"):
    """Give each shop a label an hour, those of the south 1000 above those of the north."""
    both = [
        hourly(count, delay=delay, label=np.arange(count) + 1000.0 * at).assign(shop=shop)
        for at, shop in enumerate(SHOPS)
    ]
    rows = pd.concat(both).sort_values("event_time", kind="stable", ignore_index=True)
    return rows.drop(index=rows.index[rows["shop"].eq("south") & (rows["label"] == 1002.0)])


def of_shop(kind, rows, labels, **more):
    given = {"task": "regression", "season": DAY, "known_by": None, "entity": "shop", **more}
    return naive_answers(kind, rows, labels, **given).values


@pytest.mark.parametrize("kind", ["last", "season"])
def test_a_shop_is_answered_as_if_it_stood_alone(kind):
    labels = shops(80, delay="3h")
    answers = pd.Series(of_shop(kind, labels, labels), labels.index)
    for shop in SHOPS:
        alone = labels[labels["shop"] == shop]
        informed = alone["event_time"] > START + 5 * HOUR
        expected = answer(kind, alone, alone)[informed]
        assert (answers[alone.index][informed] == expected).all()


def test_no_shop_sees_a_label_of_its_own_that_was_unknown():
    labels = shops(60, delay="5h")
    answers = of_shop("last", labels, labels)
    for row in (20, 71, 100):
        asked = labels.iloc[[row]]
        seen = labels[labels["known_time"] <= asked["event_time"].iloc[0]]
        assert answers[row] == of_shop("last", asked, seen)[0]


@pytest.mark.parametrize("who", ["east", None])
def test_a_new_shop_gets_the_last_label_of_anybody(who):
    labels = shops(10)
    rows = pd.DataFrame({"event_time": [START + 20 * HOUR], "shop": [who]})

    assert of_shop("season", rows, labels)[0] == 1009.0
    assert of_shop("last", rows, labels[:0])[0] == 0.0


def test_the_trust_in_a_guess_of_many_is_in_guesses_of_the_same_one():
    labels = shops(100)
    labels["label"] = labels["shop"].map({"north": "no", "south": "yes"})
    given = {"task": "binary", "classes": ("no", "yes"), "season": DAY, "known_by": None}
    of_each = naive_answers("last", labels, labels, entity="shop", **given)
    mixed = naive_answers("last", labels, labels, **given)

    assert (of_each.values[4:] == labels["label"][4:]).all()
    assert of_each.probabilities[-1].max() > 0.95 > mixed.probabilities[-1].max()


def best(rows, labels, kinds):
    return best_naive(
        rows, rows["label"], labels, kinds=kinds, task="regression", season=DAY, metric="mae"
    )


def test_the_best_baseline_has_the_smallest_loss():
    daily = hourly(240, label=np.tile(np.arange(24.0), 10))
    found = best(daily, daily, ["mean", "last", "season"])

    assert found.kind == "season"
    assert found.loss < 2


def test_without_rows_the_first_kind_is_as_good_as_any():
    found = best(hourly(0), hourly(5), ["last", "mean"])

    assert found.kind == "last"
    assert np.isnan(found.loss)
