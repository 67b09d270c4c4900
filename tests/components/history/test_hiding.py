"""What a data fault spoils is unknown to history, as if it had never been given."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.faults import Fault
from components.history import HistoryIndex, add_history
from components.history.hiding import in_force_for_history, relevant
from components.pipelines import Pipeline

START = pd.Timestamp("2024-01-01", tz="UTC").as_unit("us")
HISTORY = (
    {"last": "label"},
    {"mean": "label", "over": "3d", "by": "place"},
    {"trend": "label", "over": "6d"},
    {"last": "x"},
    {"mean": "x", "over": "2d"},
    {"count": "x"},
    {"last": "place", "back": "1d"},
    {"count": "records", "over": "2d", "by": "who"},
)


def pipeline(history=HISTORY) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "p",
            "source": {"path": "p.csv"},
            "time": "t",
            "target": "y",
            "id": "id",
            "entity": "who",
            "task": "regression",
            "label_delay": "1d",
            "columns": {"x": "number", "place": "category"},
            "history": history,
        }
    )


def at(day: float) -> pd.Timestamp:
    return START + pd.Timedelta(days=day)


def times(days: np.ndarray) -> pd.Series:
    return pd.Series(START + pd.to_timedelta(days, unit="D")).dt.as_unit("us")


def world(seed: int = 0, rows: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make four records a day; some are corrected, and some labels come late."""
    chance = np.random.default_rng(seed)
    events = np.arange(rows) / 4
    records = pd.DataFrame({"record_id": [f"r{n:03d}" for n in range(rows)]})
    records["event_time"], records["known_time"] = times(events), times(events)
    records["x"] = chance.normal(size=rows)
    records["place"] = pd.Series(chance.choice(["a", "b"], rows), dtype="str")
    records["who"] = pd.Series(chance.choice(["u", "v"], rows), dtype="str")
    labels = records[["record_id", "event_time"]].copy()
    labels["known_time"] = times(events + 1 + chance.exponential(0.5, rows))
    labels["label"] = chance.normal(size=rows)
    again = records.sample(rows // 6, random_state=seed)
    later = again["known_time"] + pd.Timedelta(days=2)
    records = pd.concat([records, again.assign(known_time=later, x=-again["x"])])
    return records.reset_index(drop=True), labels


def fault(name: str, column: str, since: float = 5, until: float = 7, ids=()) -> Fault:
    return Fault(at(since), at(until), name, column, "", 8, ids)


def of(records, labels, spoiled=(), pipe=None) -> pd.DataFrame:
    rows = records.drop_duplicates("record_id")
    return HistoryIndex.of(records, labels, pipe or pipeline(), spoiled).at(rows)


def inside(rows: pd.DataFrame, one: Fault) -> pd.Series:
    return pd.Series(one.concerns(rows), rows.index)


def nulled(rows: pd.DataFrame, one: Fault, *columns: str) -> pd.DataFrame:
    return rows.assign(**{name: rows[name].mask(inside(rows, one)) for name in columns})


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 99),
    since=st.floats(1, 10),
    length=st.floats(0.25, 4),
    times_as_much=st.sampled_from([100.0, -1.0, 0.0]),
)
def test_a_column_in_another_unit_changes_no_later_history(
    seed: int, since: float, length: float, times_as_much: float
) -> None:
    records, labels = world(seed)
    one = fault("unit_changed", "x", since, since + length)
    wrong = records["x"].where(~inside(records, one), records["x"] * times_as_much)
    spoiled = records.assign(x=wrong)
    told = of(spoiled, labels, [one])
    pd.testing.assert_frame_equal(told, of(nulled(records, one, "x"), labels), check_exact=True)


def test_without_the_fault_the_spoiled_values_would_be_seen() -> None:
    records, labels = world()
    one = fault("unit_changed", "x")
    spoiled = records.assign(x=records["x"].where(~inside(records, one), records["x"] * 100))
    told, untold = of(spoiled, labels, [one]), of(spoiled, labels)
    differ = ~np.isclose(told["x_mean_2d"], untold["x_mean_2d"], equal_nan=True)
    rows = records.drop_duplicates("record_id")
    assert rows.loc[differ, "event_time"].between(at(5), at(9.01)).all()
    assert differ.sum() > 8


@pytest.mark.parametrize("ids", [(), ("r021", "r023")])
def test_broken_labels_are_not_used(ids) -> None:
    records, labels = world()
    one = fault("labels_broken", "y", ids=ids)
    flipped = labels.assign(label=labels["label"].where(~inside(labels, one), -labels["label"]))
    clean = nulled(labels, one, "label")
    assert clean["label"].isna().sum() == (len(ids) or 8)
    pd.testing.assert_frame_equal(of(records, flipped, [one]), of(records, clean))


@pytest.mark.parametrize("name", ["duplicated", "clock_jump", "id_burst"])
def test_rows_that_are_wrong_as_a_whole_are_not_even_counted(name) -> None:
    records, labels = world()
    one = fault(name, "t" if name != "id_burst" else "who")
    there = records.drop_duplicates("record_id")
    keep = ~inside(records, one)
    told = of(records, labels, [one])
    absent = of(records[keep], labels[~inside(labels, one)])
    index = there.index[~inside(there, one)]
    pd.testing.assert_frame_equal(told.loc[index], absent.loc[index], check_exact=True)


def test_a_gap_hides_nothing_of_the_rows_that_came_after_all() -> None:
    records, labels = world()
    gap = fault("missing_period", "t")
    assert records["event_time"].between(gap.since, gap.until).any()
    pd.testing.assert_frame_equal(of(records, labels, [gap]), of(records, labels), check_exact=True)


def test_columns_in_another_order_spoil_all_features_and_no_label() -> None:
    records, labels = world()
    one = fault("columns_shifted", "x")
    told = of(records, labels, [one])
    clean = of(nulled(records, one, "x", "place"), labels)
    pd.testing.assert_frame_equal(told, clean, check_exact=True)
    assert told["label_last"].equals(of(records, labels)["label_last"])


def test_missing_values_spoil_none_that_is_there() -> None:
    records, labels = world()
    for name in ("nulls", "column_missing"):
        told = of(records, labels, [fault(name, "x")])
        pd.testing.assert_frame_equal(told, of(records, labels), check_exact=True)


def test_a_spoiled_version_hides_the_one_before_it() -> None:
    """A correction that is faulty does not bring back what it corrected."""
    records, labels = world(rows=8)
    last = records.iloc[[6]].assign(x=1e6, known_time=at(1.6), event_time=at(1.5))
    records = pd.concat([records.iloc[:8], last], ignore_index=True)
    one = fault("unit_changed", "x", 1.5, 1.6)
    asked = of(records, labels, [one], pipeline(({"last": "x"},)))
    assert asked["x_last"].iloc[7] == records["x"].iloc[5]


def test_only_faults_that_history_looks_at_are_relevant() -> None:
    pipe = pipeline(({"last": "label"},))
    faults = [fault("unit_changed", "x"), fault("labels_broken", "y"), fault("duplicated", "t")]
    assert relevant(faults, pipe) == tuple(sorted(faults[1:]))
    assert relevant(faults, pipeline(())) == ()
    records, labels = world()
    assert add_history(
        records, records=records, labels=labels, pipeline=pipeline(()), spoiled=faults
    ).equals(records)


def test_where_records_are_predicted_a_feature_stays_doubtful_and_a_gap_does_not() -> None:
    pipe = pipeline()
    shifted, gap = fault("unit_changed", "x"), fault("missing_period", "t")
    on = [fault("unit_changed", "x", 5, 900), fault("missing_period", "t", 5, 900)]
    assert in_force_for_history([shifted, gap], on, pipe) == tuple(sorted([on[0], gap]))
