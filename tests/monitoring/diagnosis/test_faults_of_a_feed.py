"""A made feed of ten weeks, and each fault in one day of it."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from components.checks import check_rows
from components.faults import Fault, without_faulty
from components.pipelines import Pipeline
from components.records import KNOWN_TIME, LABEL, RECORD_ID, empty_frame, quarantine_schema
from monitoring.diagnosis import diagnose
from monitoring.diagnosis.arrivals import ABSENT
from monitoring.diagnosis.frozen import Runs, too_long
from monitoring.diagnosis.look import HOUR

START = pd.Timestamp("2026-01-05", tz="UTC")
DAYS = 70
BAD = START + pd.Timedelta(days=63)
END = START + pd.Timedelta(days=DAYS)


def pipeline_of(**changes):
    given = {
        "name": "weather",
        "source": {"path": "weather.csv"},
        "time": "at",
        "id": "id",
        "target": "y",
        "task": "regression",
        "label_delay": timedelta(hours=1),
        "columns": {
            "hour": "number", "temp": "number", "wind": "number", "sky": "category",
            "pressure": {"kind": "number", "min": 900, "max": 1100},
        },
    }  # fmt: skip
    return Pipeline(**{**given, **changes})


PIPELINE = pipeline_of()


@pytest.fixture
def feed():
    rng = np.random.default_rng(7)
    times = pd.date_range(START, END, freq="30min", inclusive="left")
    of_day = (times.hour + times.minute / 60).to_numpy()
    slow = np.cumsum(rng.normal(0, 0.15, len(times)))
    temp = np.round(12 + 6 * np.sin((of_day - 9) / 24 * 2 * np.pi) + slow, 1)
    wind = np.round(np.abs(rng.normal(14, 5, len(times)))) * 1.5
    y = 50 + 3 * temp + 20 * np.sin(of_day / 24 * 2 * np.pi) + rng.normal(0, 4, len(times))
    sky = rng.choice(["clear", "cloud", "rain"], len(times), p=[0.5, 0.3, 0.2])
    pressure = np.round(1013 + np.cumsum(rng.normal(0, 0.2, len(times))), 1)
    hour = times.hour.astype(float)
    features = {"hour": hour, "temp": temp, "wind": wind, "sky": sky, "pressure": pressure}
    return pd.DataFrame({"id": np.arange(len(times)), "at": times, **features, "y": y})


def bad_day(raw, days=1):
    return (raw["at"] >= BAD) & (raw["at"] < BAD + pd.Timedelta(days=days))


def taken_in(raw, pipeline=PIPELINE, as_of=END):
    checked = check_rows(raw, pipeline, as_of=as_of)
    good = checked.good
    labels = good[good[LABEL].notna()]
    labels = labels[[RECORD_ID, "event_time", "label_known_time", LABEL]]
    labels = labels.rename(columns={"label_known_time": KNOWN_TIME})
    return good.drop(columns=[LABEL, "label_known_time"]), labels, checked.quarantine


def faults_of(raw, pipeline=PIPELINE, as_of=END, **asked):
    frames = taken_in(raw, pipeline, as_of)
    return diagnose(*frames, pipeline, as_of=as_of, **asked)


def only(faults):
    assert len(faults) == 1, faults
    return faults[0]


def nulls(raw):
    raw.loc[raw.index[bad_day(raw)][::3], "temp"] = np.nan


def all_null(raw):
    raw.loc[bad_day(raw), "wind"] = np.nan


def gone(raw):
    raw.loc[raw["at"] >= BAD, "wind"] = np.nan


def hundredfold(raw):
    raw.loc[bad_day(raw), "wind"] *= 100


def out_of_bounds(raw):
    raw.loc[bad_day(raw), "pressure"] *= 100


def fahrenheit(raw):
    raw.loc[bad_day(raw), "temp"] = raw["temp"] * 1.8 + 32


def swapped(raw):
    day = bad_day(raw)
    raw.loc[day, ["temp", "pressure"]] = raw.loc[day, ["pressure", "temp"]].to_numpy()


def stuck(raw):
    raw.loc[bad_day(raw), "temp"] = 11.1


def all_stuck(raw):
    day = bad_day(raw)
    for name in PIPELINE.columns:
        raw.loc[day, name] = raw.loc[day, name].iloc[0]


def yesterday_again(raw):
    names = [*PIPELINE.columns, "y"]
    day, before = bad_day(raw), bad_day(raw.assign(at=raw["at"] + pd.Timedelta(days=1)))
    for name in names:
        raw.loc[day, name] = raw.loc[before, name].to_list()


def clock_moved(raw):
    raw.loc[bad_day(raw), "at"] += pd.Timedelta(hours=5)


def other_words(raw):
    raw.loc[bad_day(raw), "sky"] = raw["sky"].str.upper()


def labels_reversed(raw):
    day = bad_day(raw)
    raw.loc[day, "y"] = 2 * raw["y"].mean() - raw.loc[day, "y"]


def labels_stop(raw):
    raw.loc[raw["at"] >= BAD, "y"] = np.nan


def labels_in_other_unit(raw):
    raw.loc[bad_day(raw), "y"] *= 1000


def no_rows(raw):
    raw.drop(index=raw.index[bad_day(raw)], inplace=True)  # noqa: PD002 - the fixture's own


@pytest.mark.parametrize(
    ("spoil", "fault", "column"),
    [
        (nulls, "nulls", "temp"),
        (all_null, "nulls", "wind"),
        (gone, "column_missing", "wind"),
        (hundredfold, "unit_changed", "wind"),
        (out_of_bounds, "unit_changed", "pressure"),
        (fahrenheit, "unit_changed", "temp"),
        (swapped, "columns_shifted", "temp"),
        (stuck, "frozen", "temp"),
        (all_stuck, "frozen", "at"),
        (yesterday_again, "duplicated", "at"),
        (clock_moved, "clock_jump", "at"),
        (other_words, "encoding_changed", "sky"),
        (labels_reversed, "labels_broken", "y"),
        (labels_stop, "labels_broken", "y"),
        (labels_in_other_unit, "labels_broken", "y"),
        (no_rows, "missing_period", "at"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_is_found_by_its_name_and_column(feed, spoil, fault, column):
    spoil(feed)

    found = only(faults_of(feed))

    assert (found.fault, found.column) == (fault, column)
    assert any(character.isdigit() for character in found.evidence)


def test_labels_that_follow_how_a_number_stands_within_its_day_are_found_reversed(feed):
    rng = np.random.default_rng(5)
    within = rng.normal(0, 1, len(feed))
    levels = np.repeat(rng.normal(0, 30, DAYS), 48)  # so that no level says much of a label
    feed["temp"] = np.round(levels + within, 1)
    feed["y"] = np.where(within + rng.normal(0, 0.7, len(feed)) > 0, "up", "down")
    binary = pipeline_of(task="binary")
    clean = faults_of(feed, binary)
    feed.loc[bad_day(feed), "y"] = feed["y"].map({"up": "down", "down": "up"})

    found = only(faults_of(feed, binary))

    assert clean == ()
    assert (found.fault, found.column, found.rows) == ("labels_broken", "y", 48)


def test_a_clean_feed_holds_no_fault(feed):
    assert faults_of(feed) == ()


@pytest.mark.parametrize("spoil", [nulls, hundredfold, stuck, other_words, clock_moved])
def test_exactly_the_spoiled_rows_are_set_aside(feed, spoil):
    before = feed.copy()
    spoil(feed)
    names = [*PIPELINE.columns, "at"]
    same = (feed[names] == before[names]) | (feed[names].isna() & before[names].isna())
    spoiled = set(feed.loc[~same.all(axis=1), "id"].map(str))
    records, labels, quarantine = taken_in(feed)

    faults = diagnose(records, labels, quarantine, PIPELINE, as_of=END)

    kept = set(without_faulty(records, faults)[RECORD_ID])
    assert not kept & spoiled
    assert len(kept) >= len(records) - len(spoiled) - 2  # a frozen value may have stood before


def test_a_part_without_a_column_says_so_with_its_new_name(feed):
    records, labels, quarantine = taken_in(feed)
    day = (records["event_time"] >= BAD) & (records["event_time"] < BAD + pd.Timedelta(days=1))
    records.loc[day, "wind"] = np.nan
    part = {
        "part": "monday.csv",
        "since": str(BAD),
        "until": str(records.loc[day, "event_time"].max()),
    }
    line = {
        "event_time": BAD, "known_time": BAD, "column": "wind", "rule": ABSENT,
        "value": "wind_kmh", "row": json.dumps({**part, "rows": int(day.sum())}),
    }  # fmt: skip
    quarantine = pd.concat([quarantine, pd.DataFrame([line])], ignore_index=True)

    found = only(diagnose(records, labels, quarantine, PIPELINE, as_of=END))

    assert (found.fault, found.column, found.rows) == ("column_renamed", "wind", 48)
    assert "wind_kmh" in found.evidence
    assert "monday.csv" in found.evidence


def test_numbers_that_become_words_are_a_change_of_type(feed):
    feed["temp"] = feed["temp"].astype(object)
    feed.loc[bad_day(feed), "temp"] = [f"{t} C" for t in feed.loc[bad_day(feed), "temp"]]

    found = only(faults_of(feed))

    assert (found.fault, found.column) == ("type_changed", "temp")


def test_many_rows_of_one_id_are_a_burst_and_known_by_it(feed):
    burst = pd.concat([feed.iloc[[3100]]] * 60).assign(temp=np.arange(60) / 10)
    feed = pd.concat([feed, burst], ignore_index=True)

    found = only(faults_of(feed))

    assert (found.fault, found.ids) == ("id_burst", ("3100",))


def test_a_burst_of_one_entity_is_found(feed):
    pipeline = pipeline_of(entity="who")
    feed["who"] = np.arange(len(feed)) % 6
    times = pd.date_range(BAD, periods=500, freq="10s")
    burst = feed.sample(500, random_state=1).assign(at=times, hour=times.hour, who=3)
    feed = pd.concat([feed, burst.assign(id=range(10_000, 10_500))], ignore_index=True)

    assert "id_burst" in {fault.fault for fault in faults_of(feed, pipeline)}


def test_what_is_ignored_is_not_found(feed):
    stuck(feed)
    for ignored in ("frozen", "frozen:temp"):
        pipeline = pipeline_of(diagnosis={"ignore": (ignored,)})
        assert faults_of(feed, pipeline) == ()
    elsewhere = pipeline_of(diagnosis={"ignore": ("frozen:wind",)})
    assert only(faults_of(feed, elsewhere)).fault == "frozen"


def test_the_hour_that_clocks_are_set_is_no_jump(feed):
    # A feed in UTC whose hour is New York's: from 8 March 2026 on it stands an hour nearer.
    feed["hour"] = feed["at"].dt.tz_convert("America/New_York").dt.hour

    assert faults_of(feed) == ()


def test_nothing_known_later_is_seen(feed):
    stuck(feed)
    frames = taken_in(feed, as_of=END)

    assert diagnose(*frames, PIPELINE, as_of=BAD) == ()


def test_the_order_of_rows_changes_nothing(feed):
    nulls(feed)
    records, labels, quarantine = taken_in(feed)
    mixed = [frame.sample(frac=1, random_state=3) for frame in (records, labels, quarantine)]

    before = diagnose(records, labels, quarantine, PIPELINE, as_of=END)

    assert diagnose(*mixed, PIPELINE, as_of=END) == before


@pytest.mark.parametrize("spoil", [nulls, hundredfold, stuck, clock_moved, labels_reversed])
def test_judging_the_newest_week_gives_what_judging_all_gives(feed, spoil):
    spoil(feed)
    since = BAD - pd.Timedelta(days=1)

    newest = faults_of(feed, since=since)

    assert newest == tuple(f for f in faults_of(feed) if f.until > since)


def test_a_stretch_in_another_unit_is_spoiled_from_its_first_value_to_its_last(feed):
    night = bad_day(feed) & feed["at"].dt.hour.between(3, 6)
    feed.loc[night, "wind"] = 0.3  # a hundredfold it is as usual as any
    hundredfold(feed)

    fault = only(faults_of(feed))

    assert (fault.fault, fault.rows, fault.ids) == ("unit_changed", 48, ())


@pytest.mark.parametrize("kelvin", [False, True])
def test_another_temperature_scale_spoils_cold_hours_as_well(feed, kelvin):
    day = bad_day(feed)
    noise = np.random.default_rng(2).normal(0, 1.5, len(feed))
    feed["temp"] = np.round(12 + 6 * np.sin((feed["hour"] - 9) / 24 * 2 * np.pi) + noise, 1)
    feed.loc[day, "temp"] -= 3  # °F of cold hours lie near the warmest °C
    feed.loc[day, "temp"] = feed["temp"] + 273.15 if kelvin else feed["temp"] * 1.8 + 32

    fault = only(faults_of(feed))

    assert (fault.fault, fault.column, fault.rows) == ("unit_changed", "temp", 48)


def test_flags_of_rows_refused_for_another_column_are_read_as_the_checks_do(feed):
    columns = {**PIPELINE.columns, "late": "number"}
    pipeline = pipeline_of(columns=columns)
    feed["late"] = feed["at"].dt.minute == 0
    out_of_bounds(feed)

    found = only(faults_of(feed, pipeline))

    assert (found.fault, found.column) == ("unit_changed", "pressure")


def test_a_common_value_in_many_rows_in_a_row_is_chance():
    rng = np.random.default_rng(0)
    size = 20_000
    late, code = (rng.random(size) < 0.2).astype(float), np.array([0.0, 1.0])
    first = np.concatenate(([0], 1 + np.flatnonzero(np.diff(late))))
    length = np.diff(np.append(first, size))
    hours = length * HOUR
    runs = Runs(first, length, first * HOUR, hours, late[first].astype(int), np.arange(size))
    short = np.flatnonzero(length <= 8)
    run = int(np.argmax(length))

    assert length[run] > 3 * 8 + 3
    assert not too_long(runs, run, short, code)
    stuck = replace(runs, length=np.where(np.arange(len(length)) == run, 300, length))
    stuck = replace(stuck, lasted=stuck.length * HOUR)
    assert too_long(stuck, run, short, code)


def test_a_fault_that_stands_goes_on_beyond_the_reference_unless_it_was_accepted(feed):
    since, later = START + pd.Timedelta(days=21), START + pd.Timedelta(days=60)
    feed.loc[feed["at"] >= since, "wind"] *= 100
    pipeline = pipeline_of(diagnosis={"reference": timedelta(days=14)})
    known = Fault(since, later, "unit_changed", "wind", "100 times what is meant", 39 * 48)
    asked = {"since": later, "known": [known]}

    assert [f.column for f in faults_of(feed, pipeline, **asked)] == ["wind"]
    assert faults_of(feed, pipeline, **asked, accepted=[known]) == ()


def test_a_fault_that_stays_keeps_its_key_from_day_to_day(feed):
    feed.loc[feed["at"] >= BAD, "wind"] *= 100
    keys = {only(faults_of(feed, as_of=BAD + pd.Timedelta(days=d))).key for d in (1, 2, 5)}

    assert len(keys) == 1


def test_no_quarantine_and_no_labels_is_no_fault(feed):
    records, labels, _ = taken_in(feed)

    assert (
        diagnose(records, labels[:0], empty_frame(quarantine_schema()), PIPELINE, as_of=END) == ()
    )


def test_the_first_rows_of_a_day_are_no_fault_until_the_day_has_rows(feed):
    later = [feed.assign(at=feed["at"] + pd.Timedelta(minutes=5 * step)) for step in range(6)]
    dense = pd.concat(later).sort_values("at", ignore_index=True)
    dense["id"] = np.arange(len(dense))
    dense.loc[dense["at"] >= BAD, "wind"] = np.nan
    missing = {hours: faults_of(dense, as_of=BAD + pd.Timedelta(hours=hours)) for hours in (1, 6)}

    assert missing[1] == ()
    assert [fault.column for fault in missing[6]] == ["wind"]
