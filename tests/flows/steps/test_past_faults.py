"""Faults that stand: looked at week after week, they go on until the feed is back."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from components.checks import check_rows
from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID
from flows.steps.past import Past
from flows.steps.past_faults import PastFaults

START = pd.Timestamp("2026-06-29", tz="UTC")
BAD = START + pd.Timedelta(days=63)
"""Two months before clocks are set in New Zealand, Australia, Europe and America."""
WEEKS = 8
DAY = pd.Timedelta(days=1)


def pipeline_of(window: int) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "weather",
            "source": {"path": "weather.csv"},
            "time": "at",
            "id": "id",
            "target": "y",
            "task": "regression",
            "label_delay": timedelta(hours=1),
            "monitor": {"window": timedelta(days=window)},
            "columns": {"hour": "number", "temp": "number", "wind": "number", "sky": "category"},
        }
    )


@pytest.fixture
def feed() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    times = pd.date_range(START, BAD + (7 * WEEKS + 10) * DAY, freq="h", inclusive="left")
    of_day = times.hour.to_numpy()
    temp = np.round(
        12 + 6 * np.sin((of_day - 9) / 24 * 2 * np.pi) + rng.normal(0, 1, len(times)), 1
    )
    wind = np.round(np.abs(rng.normal(30, 8, len(times)))) * 1.5
    sky = rng.choice(["clear", "cloud", "rain"], len(times), p=[0.5, 0.3, 0.2])
    y = 50 + 3 * temp + 20 * np.sin(of_day / 24 * 2 * np.pi) + rng.normal(0, 4, len(times))
    return pd.DataFrame(
        {
            "id": np.arange(len(times)), "at": times, "hour": of_day.astype(float),
            "temp": temp, "wind": wind, "sky": sky, "y": y,
        }
    )  # fmt: skip


def past_of(raw: pd.DataFrame, pipeline: Pipeline) -> Past:
    checked = check_rows(raw, pipeline, as_of=raw["at"].max() + 9 * DAY)
    good = checked.good
    labels = good[[RECORD_ID, EVENT_TIME, "label_known_time", LABEL]]
    labels = labels.rename(columns={"label_known_time": KNOWN_TIME})
    records = good.drop(columns=[LABEL, "label_known_time"])
    return Past.of(records, labels, pipeline, checked.quarantine)


def looks_over(raw: pd.DataFrame, window: int = 7) -> PastFaults:
    pipeline = pipeline_of(window)
    return PastFaults(past_of(raw, pipeline), pipeline, START, BAD - 5 * DAY)


def clock_moved(raw: pd.DataFrame, bad: pd.Series) -> None:
    raw.loc[bad, "at"] += pd.Timedelta(hours=1)


def hundredfold(raw: pd.DataFrame, bad: pd.Series) -> None:
    raw.loc[bad, "wind"] *= 100


def half_missing(raw: pd.DataFrame, bad: pd.Series) -> None:
    raw.loc[raw.index[bad][::2], "temp"] = np.nan


def other_words(raw: pd.DataFrame, bad: pd.Series) -> None:
    raw.loc[bad, "sky"] = raw["sky"].str.upper()


def swapped(raw: pd.DataFrame, bad: pd.Series) -> None:
    raw.loc[bad, ["hour", "wind"]] = raw.loc[bad, ["wind", "hour"]].to_numpy()


def stuck(raw: pd.DataFrame, bad: pd.Series) -> None:
    raw.loc[bad, "temp"] = 11.1


def labels_reversed(raw: pd.DataFrame, bad: pd.Series) -> None:
    raw.loc[bad, "y"] = raw["y"].max() + raw["y"].min() - raw["y"]


def labels_a_hundredfold(raw: pd.DataFrame, bad: pd.Series) -> None:
    raw.loc[bad, "y"] *= 100


ALL = [
    clock_moved, hundredfold, half_missing, other_words, swapped, stuck, labels_reversed,
    labels_a_hundredfold,
]  # fmt: skip


@pytest.mark.parametrize("window", [7, 2])
@pytest.mark.parametrize("spoil", ALL)
def test_what_is_faulty_from_then_on_is_set_aside_in_every_look_of_eight_weeks(
    feed: pd.DataFrame, spoil, window: int
) -> None:
    before = feed.copy()
    spoil(feed, feed["at"] >= BAD)
    spoiled = set(feed["id"][(feed != before).any(axis=1)].map(str))
    looks = looks_over(feed, window)

    learnable = []
    for week in range(WEEKS):
        moment = BAD + (7 * week + 5) * DAY
        rows = looks.past.records_known(moment)
        due = rows[rows[RECORD_ID].isin(spoiled) & (rows[EVENT_TIME] < moment - DAY)]
        aside = np.zeros(len(due), dtype=bool)
        for fault in looks.aside(moment):
            aside |= fault.concerns(due)
        learnable.append(int((~aside).sum()))

    assert learnable == [0] * WEEKS


@pytest.mark.parametrize("spoil", ALL)
def test_a_fault_ends_when_the_feed_is_back(feed: pd.DataFrame, spoil) -> None:
    back = BAD + 21 * DAY
    spoil(feed, (feed["at"] >= BAD) & (feed["at"] < back))

    known = looks_over(feed).look(BAD + 49 * DAY).known

    ends = {one.fault.until for one in known if one.fault.fault != "missing_period"}
    assert ends
    assert max(ends) <= back + pd.Timedelta(hours=2)


def test_history_takes_what_stays_for_a_whole_reference_as_the_new_normal(
    feed: pd.DataFrame,
) -> None:
    hundredfold(feed, feed["at"] >= BAD)
    looks = looks_over(feed)

    states = {
        weeks: [one.state_at(BAD + 7 * weeks * DAY) for one in looks.look(BAD + 65 * DAY).known]
        for weeks in (7, 9)
    }
    said = [words for one in looks.since(BAD + 65 * DAY, None) for _, words in one.ended]

    assert states == {7: ["open"], 9: ["accepted"]}
    assert "taken as the new normal" in said[0]


def test_a_fault_goes_on_in_rows_that_are_all_refused(feed: pd.DataFrame) -> None:
    hundredfold(feed, feed["at"] >= BAD)
    feed.loc[(feed["at"] >= BAD) & (feed["wind"] == 0), "wind"] = 900.0
    given = pipeline_of(7).model_dump()
    given["columns"]["wind"] = {"kind": "number", "min": 0, "max": 200}
    pipeline = Pipeline.model_validate(given)
    looks = PastFaults(past_of(feed, pipeline), pipeline, START, BAD - 5 * DAY)

    one = next(o for o in looks.look(BAD + 23 * DAY).known if o.fault.fault == "unit_changed")

    assert one.fault.rows == pytest.approx(23 * 24, abs=2)
    assert one.fault.until >= BAD + 23 * DAY - pd.Timedelta(hours=2)


def test_a_history_that_ends_is_no_missing_period(feed: pd.DataFrame) -> None:
    looks = looks_over(feed[feed["at"] < BAD + 10 * DAY])

    assert looks.aside(BAD + 14 * DAY) == ()
