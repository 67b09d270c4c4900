"""A feed that is always late is not missing; one that is later than ever is."""

import numpy as np
import pandas as pd
import pytest

from components.pipelines import Pipeline
from components.records import empty_frame, quarantine_schema
from monitoring.diagnosis import Silences, diagnose
from monitoring.diagnosis.silences import longest_usual

START = pd.Timestamp("2026-01-05", tz="UTC").as_unit("us")
DAY = 86_400_000_000
HOUR = pd.Timedelta("1h")
PIPELINE = Pipeline.model_validate(
    {
        "name": "shop",
        "source": {"path": "shop.csv"},
        "time": "at",
        "target": "y",
        "task": "regression",
        "label_delay": HOUR.to_pytimedelta(),
        "columns": {"x": {"kind": "number"}},
    }
)
QUARANTINE = empty_frame(quarantine_schema())


def micros(days: float) -> int:
    return int(START.timestamp()) * 1_000_000 + int(days * DAY)


def feed(days: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    times = pd.date_range(START, periods=24 * days, freq="h").as_unit("us")
    x = np.random.default_rng(1).normal(size=len(times))
    keys = {"record_id": times.strftime("%m-%d %H"), "event_time": times}
    records = pd.DataFrame({**keys, "known_time": times, "x": x})
    return records, pd.DataFrame({**keys, "known_time": times + HOUR, "label": 3 * x})


def looked(rows_late: float, labels_late: float, until: int) -> Silences:
    heard = Silences()
    for day in range(until - 20, until):
        heard = heard.seen(micros(day - rows_late), micros(day - labels_late), taken=micros(day))
    return heard


def found(moment: int, *, rows: int, labels: int, silences: Silences) -> list[str]:
    records, answers = feed(70)
    as_of = START + pd.Timedelta(days=moment)
    answers = answers[answers["event_time"] < START + pd.Timedelta(days=labels)]
    records = records[records["event_time"] < START + pd.Timedelta(days=rows)]
    seen = diagnose(
        records, answers, QUARANTINE, PIPELINE, as_of=as_of, taken=as_of, silences=silences
    )
    return [fault.fault for fault in seen]


@pytest.mark.parametrize("late", [0, 2, 6])
def test_rows_that_always_come_so_late_are_not_missing(late: int) -> None:
    # The newest row lies an hour before the days that came.
    heard = looked(late + 1 / 24, late + 1 / 24, 60)
    assert found(60, rows=60 - late, labels=60 - late, silences=heard) == []
    assert found(64, rows=60 - late, labels=60 - late, silences=heard) == ["missing_period"]


@pytest.mark.parametrize("late", [0, 2])
def test_labels_that_always_come_so_late_are_not_broken(late: int) -> None:
    heard = looked(1 / 24, late + 1 / 24, 60)
    assert found(60, rows=60, labels=60 - late, silences=heard) == []
    assert found(64, rows=64, labels=60 - late, silences=heard) == ["labels_broken"]


def test_nothing_is_missing_at_the_end_while_nobody_knows_how_a_feed_delivers() -> None:
    assert found(64, rows=60, labels=59, silences=Silences()) == []
    once = Silences().seen(micros(60 - 1 / 24), micros(60 - 1 / 24), taken=micros(60))
    assert found(66, rows=60, labels=60, silences=once) == []
    assert found(69, rows=60, labels=60, silences=once) == ["missing_period"]


def test_one_outage_among_many_deliveries_does_not_blind() -> None:
    heard = looked(0, 0, 40).seen(micros(40), None, taken=micros(45))
    heard = heard.seen(micros(46), None, taken=micros(46)).seen(micros(47), None, taken=micros(47))
    assert longest_usual(heard.rows, micros(47)) == 0


def test_what_lasts_says_nothing_of_itself() -> None:
    heard = looked(0, 0, 40).seen(micros(40), None, taken=micros(49))
    assert longest_usual(heard.rows, micros(40)) == 0


def test_silences_are_written_and_read() -> None:
    heard = looked(1, 2, 40)
    assert Silences.from_plain(heard.as_plain()) == heard
    assert Silences.from_plain({}) == Silences()
