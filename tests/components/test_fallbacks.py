"""What stands in for a faulty value: as the pipeline file states it, and nowhere else."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from components.fallbacks import apply_fallbacks, stand_in_for_impossible
from components.faults import Fault
from components.pipelines import Pipeline

START = pd.Timestamp("2024-01-01", tz="UTC").as_unit("us")


def day(number: float) -> pd.Timestamp:
    return START + pd.Timedelta(days=number)


def pipeline(*, entity: str | None = None, **columns: Any) -> Pipeline:
    given = {
        "name": "bikes",
        "source": {"path": "bikes.csv"},
        "time": "at",
        "target": "count",
        "task": "regression",
        "label_delay": "1d",
        "columns": {"heat": "number", "rain": "number", "weather": "category", **columns},
        "entity": entity,
    }
    return Pipeline.model_validate(given)


def rows(first: int, count: int) -> pd.DataFrame:
    """Make one row a day; heat is the number of the day."""
    numbers = np.arange(first, first + count)
    return pd.DataFrame(
        {
            "record_id": [f"r{n}" for n in numbers],
            "event_time": START + pd.to_timedelta(numbers, unit="D").as_unit("us"),
            "heat": numbers.astype(float),
            "rain": numbers / 10,
            "weather": pd.Series(["clear"] * count, dtype="str"),
            "dock": pd.Series([f"d{n % 2}" for n in numbers], dtype="str"),
        }
    )


def fault(name: str = "frozen", column: str = "heat", *, since: int = 10, until: int = 12) -> Fault:
    return Fault(day(since), day(until), name, column, "as it was", 2)


FALLBACKS = {
    "last": {"kind": "number", "fallback": "last"},
    "default": {"kind": "number", "fallback": "default", "default": 7.5},
    "refuse": {"kind": "number", "fallback": "refuse"},
}


def test_where_nothing_is_stated_a_faulty_value_is_missing() -> None:
    fallen = apply_fallbacks(rows(9, 4), pipeline(), [fault()], rows(0, 9))
    assert fallen.rows["heat"].isna().tolist() == [False, True, True, False]
    said = {"heat": {"fault": "frozen", "what": "missing", "value": None}}
    assert fallen.used == [{}, said, said, {}]
    assert not fallen.refused.any()


def test_the_last_good_value_is_the_one_before_the_fault() -> None:
    spec = pipeline(heat=FALLBACKS["last"])
    fallen = apply_fallbacks(rows(9, 4), spec, [fault()], rows(0, 14))
    assert fallen.rows["heat"].tolist() == [9.0, 9.0, 9.0, 12.0]
    assert fallen.used[1] == {"heat": {"fault": "frozen", "what": "last", "value": 9.0}}


def test_the_last_good_value_is_that_of_the_same_entity_where_there_is_one() -> None:
    spec = pipeline(heat=FALLBACKS["last"], entity="dock")
    good = rows(0, 10)
    fallen = apply_fallbacks(rows(10, 2), spec, [fault()], good)
    assert fallen.rows["heat"].tolist() == [8.0, 9.0], "d0 was last seen on day 8, d1 on day 9"
    fallen = apply_fallbacks(rows(10, 2), spec, [fault()], good[good["dock"] == "d0"])
    assert fallen.rows["heat"].tolist() == [8.0, 8.0], "of d1 nothing is known"


def test_without_any_good_value_it_is_missing() -> None:
    spec = pipeline(heat=FALLBACKS["last"])
    fallen = apply_fallbacks(rows(10, 1), spec, [fault()], rows(0, 0))
    assert fallen.rows["heat"].isna().all()
    assert fallen.used[0]["heat"]["what"] == "missing"


def test_a_stated_value_stands_in() -> None:
    fallen = apply_fallbacks(
        rows(10, 3), pipeline(heat=FALLBACKS["default"]), [fault()], rows(0, 9)
    )
    assert fallen.rows["heat"].tolist() == [7.5, 7.5, 12.0]
    assert fallen.used[0]["heat"] == {"fault": "frozen", "what": "default", "value": 7.5}


def test_a_category_has_stand_ins_too() -> None:
    spec = pipeline(weather={"kind": "category", "fallback": "default", "default": "unknown"})
    fallen = apply_fallbacks(rows(10, 3), spec, [fault(column="weather")], rows(0, 9))
    assert fallen.rows["weather"].tolist() == ["unknown", "unknown", "clear"]
    assert fallen.rows["weather"].dtype == rows(0, 1)["weather"].dtype


def test_a_column_that_refuses_leaves_its_rows_unpredicted_until_the_fault_ends() -> None:
    spec = pipeline(heat=FALLBACKS["refuse"])
    fallen = apply_fallbacks(rows(10, 3), spec, [fault()], rows(0, 9))
    assert fallen.refused.tolist() == [True, True, False]
    assert fallen.rows["heat"].tolist() == [10.0, 11.0, 12.0]
    ended = apply_fallbacks(rows(10, 3), spec, [fault()], rows(0, 9), ended={fault().key})
    assert not ended.refused.any()
    assert ended.rows["heat"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize("name", ["nulls", "column_missing"])
def test_of_a_fault_that_leaves_values_out_those_that_are_there_stay(name: str) -> None:
    given = rows(10, 2)
    given.loc[0, "heat"] = None
    spec = pipeline(heat=FALLBACKS["last"])
    fallen = apply_fallbacks(given, spec, [fault(name)], rows(0, 10))
    assert fallen.rows["heat"].tolist() == [9.0, 11.0]
    assert [bool(used) for used in fallen.used] == [True, False]


@pytest.mark.parametrize("column", ["count", "at", "record_id"])
def test_a_fault_that_is_in_no_feature_changes_nothing(column: str) -> None:
    given = rows(9, 4)
    fallen = apply_fallbacks(given, pipeline(), [fault(column=column)], rows(0, 9))
    assert fallen.rows is given
    assert fallen.used == [{}] * 4


def test_two_faults_in_a_row_leave_one_stand_in_each() -> None:
    spec = pipeline(heat=FALLBACKS["last"], rain=FALLBACKS["default"])
    faults = [fault(), fault("unit_changed"), fault(column="rain")]
    fallen = apply_fallbacks(rows(10, 1), spec, faults, rows(0, 10))
    assert set(fallen.used[0]) == {"heat", "rain"}
    assert (fallen.rows["heat"][0], fallen.rows["rain"][0]) == (9.0, 7.5)


@given(
    first=some.integers(0, 20),
    count=some.integers(0, 8),
    faults=some.lists(
        some.builds(
            fault,
            some.sampled_from(["frozen", "nulls", "unit_changed"]),
            some.sampled_from(["heat", "rain", "weather", "count"]),
            since=some.integers(5, 12),
            until=some.integers(13, 18),
        ),
        max_size=4,
    ),
    way=some.sampled_from([None, *FALLBACKS]),
)
def test_only_what_a_fault_concerns_changes_and_every_change_is_told(
    first: int, count: int, faults: list[Fault], way: str | None
) -> None:
    spec = pipeline(**({"heat": FALLBACKS[way]} if way else {}))
    given, before = rows(first, count), rows(first, count)
    fallen = apply_fallbacks(given, spec, faults, rows(0, 5))
    pd.testing.assert_frame_equal(given, before)
    assert fallen.rows.dtypes.equals(given.dtypes)
    assert len(fallen.used) == len(fallen.refused) == count
    for name in ("heat", "rain", "weather"):
        told = np.array([name in used for used in fallen.used], dtype=bool)
        same = fallen.rows[name].eq(before[name]) | (fallen.rows[name].isna() & before[name].isna())
        assert same[~told].all()
        concerned = np.zeros(count, dtype=bool)
        for one in faults:
            concerned |= one.concerns(before) & (one.column == name)
        assert not (told & ~concerned).any()


def test_every_column_that_one_cause_spoils_has_its_own_stand_in() -> None:
    times = pd.date_range("2024-01-01", periods=3, freq="1D", tz="UTC")
    pipeline = Pipeline.model_validate(
        {
            "name": "rides", "file": "rides.yaml", "source": {"path": "rides.csv"}, "time": "at",
            "target": "count", "task": "regression", "label_delay": "1d",
            "columns": {
                "heat": {"kind": "number", "fallback": "default", "default": 20.0},
                "wind": {"kind": "number", "fallback": "last"},
            },
        }
    )  # fmt: skip
    rows = pd.DataFrame({"record_id": ["a", "b", "c"], "event_time": times})
    rows["heat"], rows["wind"] = [1.0, np.nan, np.nan], [5.0, np.nan, 7.0]
    gone = Fault(times[1], times[2] + pd.Timedelta("1D"), "nulls", "heat", "", 2, also=("wind",))

    fallen = apply_fallbacks(rows, pipeline, [gone], rows.iloc[:1])

    assert fallen.rows["heat"].tolist() == [1.0, 20.0, 20.0]
    assert fallen.rows["wind"].tolist() == [5.0, 5.0, 7.0]


def test_only_the_impossible_values_are_stood_in_for() -> None:
    spec = pipeline(heat=FALLBACKS["last"], rain=FALLBACKS["default"])
    given = rows(10, 3)
    before = given.copy()
    rules = {"r10": {"heat": "must be finite"}, "r11": {"rain": "must be at most 1", "gone": "?"}}
    fallen = apply_fallbacks(given, spec, [], rows(0, 0))
    fallen = stand_in_for_impossible(fallen, spec, rules, {"heat": {"r10": 3.0}})
    assert fallen.rows["heat"].tolist() == [3.0, 11.0, 12.0]
    assert fallen.rows["rain"].tolist() == [1.0, 7.5, 1.2]
    assert fallen.used == [
        {"heat": {"fault": "must be finite", "what": "last", "value": 3.0}},
        {"rain": {"fault": "must be at most 1", "what": "default", "value": 7.5}},
        {},
    ]
    pd.testing.assert_frame_equal(given, before)


def test_an_impossible_value_of_which_no_good_one_is_known_is_missing() -> None:
    spec = pipeline(heat=FALLBACKS["last"])
    fallen = apply_fallbacks(rows(10, 1), spec, [], rows(0, 0))
    fallen = stand_in_for_impossible(fallen, spec, {"r10": {"heat": "must be finite"}}, {})
    assert fallen.rows["heat"].isna().all()
    assert fallen.used[0]["heat"]["what"] == "missing"


def test_what_stands_in_for_a_data_fault_stays() -> None:
    spec = pipeline(heat=FALLBACKS["last"])
    fallen = apply_fallbacks(rows(10, 1), spec, [fault()], rows(0, 9))
    fallen = stand_in_for_impossible(
        fallen, spec, {"r10": {"heat": "must be finite"}}, {"heat": {"r10": 3.0}}
    )
    assert fallen.used[0]["heat"] == {"fault": "frozen", "what": "last", "value": 8.0}
