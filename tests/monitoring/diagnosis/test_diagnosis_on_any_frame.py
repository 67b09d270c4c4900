from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.pipelines import Pipeline
from components.records import empty_frame, label_schema, quarantine_schema, record_schema
from monitoring.diagnosis import diagnose

AS_OF = pd.Timestamp("2026-06-01", tz="UTC")
KEYS = ["record_id", "event_time", "known_time"]


def pipeline_of(task="regression", **columns):
    return Pipeline(
        name="any",
        source={"path": "any.csv"},
        time="at",
        target="y",
        task=task,
        label_delay=timedelta(hours=1),
        columns=columns or {"x": "number", "c": "category"},
    )


PIPELINE = pipeline_of()
NOTHING = {
    "records": empty_frame(record_schema(PIPELINE)),
    "labels": empty_frame(label_schema(PIPELINE)),
    "quarantine": empty_frame(quarantine_schema()),
}


def frame(count, **columns):
    times = pd.date_range("2026-01-01", periods=count, freq="h", tz="UTC", unit="us")
    ids = [f"r{i}" for i in range(count)]
    return pd.DataFrame({"record_id": ids, "event_time": times, "known_time": times, **columns})


def labels_of(records, values):
    return records[KEYS].assign(label=values)


def test_no_rows_hold_no_fault():
    assert diagnose(**NOTHING, pipeline=PIPELINE, as_of=AS_OF) == ()


@pytest.mark.parametrize("count", [1, 2, 30, 400])
@pytest.mark.parametrize("x", [np.nan, 0.0, 7.5, np.inf])
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_constant_and_empty_columns_hold_no_fault_of_value(count, x, task):
    records = frame(count, x=np.full(count, x), c=pd.Series([None] * count, dtype="str"))
    labels = labels_of(records, np.ones(count) if task == "regression" else ["1"] * count)

    found = diagnose(
        records, labels, NOTHING["quarantine"], pipeline_of(task), as_of=records["event_time"].max()
    )

    assert found == ()


def test_frames_without_any_column_are_judged():
    bare = pd.DataFrame(index=range(5))

    assert diagnose(bare, bare, bare, PIPELINE, as_of=AS_OF) == ()


def test_rows_of_which_only_the_label_is_known_are_judged_without_a_warning():
    bare = pipeline_of().model_copy(update={"columns": {}})
    records = frame(60 * 24)
    labels = labels_of(records, np.random.default_rng(3).normal(10, 2, len(records)).round(2))

    assert diagnose(records, labels, records[:0], bare, as_of=AS_OF) == ()


def test_a_column_that_stands_twice_is_judged_as_absent():
    records = frame(300, x=np.arange(300.0), c=["a"] * 300)
    twice = pd.concat([records, records[["x"]]], axis=1)

    assert (
        diagnose(twice, NOTHING["labels"], NOTHING["quarantine"], PIPELINE, as_of=AS_OF) is not None
    )


def test_a_thousand_columns_are_judged():
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(1000)]
    values = pd.DataFrame(rng.normal(size=(24 * 12, 1000)), columns=names)
    records = pd.concat([frame(len(values)), values], axis=1)
    wide = pipeline_of(**dict.fromkeys(names, "number"))

    found = diagnose(
        records, NOTHING["labels"], NOTHING["quarantine"], wide, as_of=records["event_time"].max()
    )

    assert found == ()


cells = st.one_of(
    st.none(), st.floats(), st.integers(-(2**70), 2**70), st.text(max_size=4), st.booleans(),
    st.just(b"x"), st.dates(), st.lists(st.integers(), max_size=2),
)  # fmt: skip
moments = st.one_of(
    st.none(), st.text(max_size=5),
    st.datetimes(pd.Timestamp("1905-01-01"), pd.Timestamp("2250-01-01")),
)  # fmt: skip
rules = st.sampled_from(
    ["must be a number", "must be text", "column must be in the source", "must not be missing",
     "must be claimed by one row, not by rows that differ", "must be a time between", "odd"]
)  # fmt: skip


@st.composite
def odd_frames(draw):
    count = draw(st.integers(0, 40))

    def column(of):
        return pd.Series(draw(st.lists(of, min_size=count, max_size=count)), dtype=object)

    records = pd.DataFrame(
        {
            "record_id": column(st.one_of(st.none(), st.integers(0, 30), st.text(max_size=2))),
            "event_time": column(moments),
            "known_time": column(moments),
            "x": column(cells),
            "c": column(cells),
        }
    )
    labels = records[KEYS].assign(label=column(cells))
    lines = records[KEYS].assign(
        column=column(st.sampled_from(["x", "c", "y", "at", "?"])),
        rule=column(rules),
        value=column(st.one_of(st.none(), st.text(max_size=3))),
        row=column(
            st.sampled_from([None, "", "[]", "{", '{"x": "7"}', '{"since": 3, "rows": "a"}'])
        ),
    )
    return records, labels, lines


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(odd_frames(), st.sampled_from(["regression", "binary", "multiclass"]))
def test_no_frame_raises(frames, task):
    found = diagnose(*frames, pipeline_of(task), as_of=AS_OF)

    assert list(found) == sorted(found)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["all equal", "two values", "normal", "heavy", "huge", "tiny", "steps"]),
    st.floats(0, 1),
    st.sampled_from([1, 3, 24]),
)
def test_no_shape_of_values_raises(seed, shape, missing, per_day):
    rng = np.random.default_rng(seed)
    count = 24 * 20
    values = {
        "all equal": np.full(count, 3.0),
        "two values": rng.integers(0, 2, count).astype(float),
        "normal": rng.normal(size=count),
        "heavy": rng.standard_cauchy(count),
        "huge": rng.normal(size=count) * 1e300,
        "tiny": rng.normal(size=count) * 1e-300,
        "steps": np.repeat(rng.normal(size=count // 48), 48),
    }[shape]
    values[rng.random(count) < missing] = np.nan
    records = frame(count, x=values, c=rng.choice(["a", "b", "ü"], count))
    records["event_time"] = records["known_time"] = pd.date_range(
        "1960-01-01", periods=count, freq=f"{24 // per_day}h", tz="UTC", unit="us"
    )
    labels = labels_of(records, rng.normal(size=count))

    found = diagnose(records, labels, NOTHING["quarantine"], PIPELINE, as_of=AS_OF)

    assert all(fault.since < fault.until for fault in found)
