"""Rows are checked one by one, and what fails is set aside with its reason."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from components.checks import ABSENT, Checked, check_rows
from components.errors import PipelineFileError, SourceError
from components.pipelines import Pipeline
from components.records import quarantine_schema, to_arrow
from components.values import parse_times

DAY = timedelta(days=1)


def pipeline_of(**changes: object) -> Pipeline:
    given = {
        "name": "bikes",
        "source": {"path": "bikes.csv"},
        "time": "at",
        "target": "count",
        "task": "regression",
        "label_delay": DAY,
        "columns": {
            "temp": {"kind": "number", "min": -40, "max": 60, "nulls": False},
            "weather": {"kind": "category"},
        },
        **changes,
    }
    return Pipeline.model_validate(given)


def frame(**columns: list[object]) -> pd.DataFrame:
    rows = len(next(iter(columns.values()))) if columns else 3
    made = {
        "at": [f"2011-01-{1 + row:02d} 05:00" for row in range(rows)],
        "temp": [float(row) for row in range(rows)],
        "weather": ["Clear"] * rows,
        "count": list(range(rows)),
    }
    return pd.DataFrame({**made, **columns})


def faults(checked: Checked) -> list[tuple[object, ...]]:
    lines = checked.quarantine[["column", "rule", "value"]].astype(object)
    return list(lines.where(lines.notna(), None).itertuples(index=False, name=None))


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


# --- rules --------------------------------------------------------------------------------------


def test_good_rows_pass_with_their_keys_and_times() -> None:
    checked = check_rows(frame(), pipeline_of())
    assert checked.quarantine.empty
    first = checked.good.iloc[0]
    assert first["record_id"] == "2011-01-01T05:00:00Z"
    assert first["event_time"] == first["known_time"] == utc("2011-01-01 05:00")
    assert first["label_known_time"] == utc("2011-01-02 05:00")
    assert (first["temp"], first["weather"], first["label"]) == (0.0, "Clear", 0.0)


@pytest.mark.parametrize(
    ("value", "rule", "written"),
    [
        ("warm", "must be a number", "warm"),
        ([1, 2], "must be a number", "[1, 2]"),
        (np.inf, "must be finite", "inf"),
        ("1e400", "must be finite", "1e400"),
        (10**400, "must be finite", None),
        (-41, "must be at least -40", "-41"),
        ("61", "must be at most 60", "61"),
        (None, "must not be missing", None),
        ("", "must not be missing", ""),
        ("NaN", "must not be missing", "NaN"),
        (pd.NA, "must not be missing", None),
        ("1_000", "must be a number", "1_000"),
        (datetime(2011, 1, 1, tzinfo=None), "must be a number", "2011-01-01 00:00:00"),  # noqa: DTZ001
        (b"1", "must be a number", "b'1'"),
        (1j, "must be a number", "1j"),
    ],
)
def test_a_bad_value_is_named_with_its_column_and_rule(
    value: object, rule: str, written: str | None
) -> None:
    bad = frame(temp=pd.Series([1.0, value, 3.0], dtype=object))
    checked = check_rows(bad, pipeline_of())
    assert [fault[:2] for fault in faults(checked)] == [("temp", rule)]
    assert written is None or faults(checked)[0][2] == written
    assert list(checked.good["temp"]) == [1.0, 3.0]


def test_a_number_is_the_same_number_however_it_is_written() -> None:
    values = pd.Series([7, "7", " 7.0 ", np.int8(7), Decimal(7), np.float32(7)], dtype=object)
    assert list(check_rows(frame(temp=values), pipeline_of()).good["temp"]) == [7.0] * 6


def test_a_category_is_the_same_category_however_it_is_written() -> None:
    values = pd.Series([7, "7", 7.0, np.int64(7)], dtype=object)
    assert set(check_rows(frame(weather=values), pipeline_of()).good["weather"]) == {"7"}


def test_leading_zeros_and_the_word_na_are_values_of_a_category() -> None:
    kept = check_rows(frame(weather=["007", "NA", ""]), pipeline_of()).good["weather"]
    assert list(kept[:2]) == ["007", "NA"]
    assert pd.isna(kept[2])


def test_a_missing_value_is_fine_where_the_column_may_be_null() -> None:
    checked = check_rows(frame(weather=[None, None, None]), pipeline_of())
    assert checked.quarantine.empty
    assert checked.good["weather"].isna().all()


def test_text_that_no_file_can_hold_is_set_aside() -> None:
    odd = frame(weather=pd.Series(["Clear", "\ud800", ["Mist"]], dtype=object))
    checked = check_rows(odd, pipeline_of())
    assert [fault[:2] for fault in faults(checked)] == [("weather", "must be text")] * 2
    assert len(checked.good) == 1


def test_every_broken_rule_of_a_row_is_a_line_of_its_own() -> None:
    checked = check_rows(frame(temp=["99"], at=["2011-01-01"], weather=[b"x"]), pipeline_of())
    assert [fault[0] for fault in faults(checked)] == ["temp", "weather"]
    row = json.loads(checked.quarantine.loc[0, "row"])
    assert row == {"at": "2011-01-01", "temp": "99", "weather": "b'x'", "count": "0"}
    assert checked.quarantine.loc[0, "source"] == "bikes.csv"


# --- times --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["5 o'clock", "01/02/2011", "now", "today", 20110101, "2011-02-30", "0001-01-01", True],
)
def test_a_time_that_cannot_be_read_is_set_aside(value: object) -> None:
    bad = frame(at=pd.Series(["2011-01-01", value, "2011-01-03"], dtype=object))
    checked = check_rows(bad, pipeline_of(), as_of=utc("2011-06-01"))
    assert [fault[0] for fault in faults(checked)] == ["at"]
    assert len(checked.good) == 2
    assert checked.quarantine.loc[0, "known_time"] == utc("2011-06-01")


def test_a_missing_time_is_set_aside() -> None:
    checked = check_rows(frame(at=["2011-01-01", None, ""]), pipeline_of())
    assert [fault[:2] for fault in faults(checked)] == [("at", "must not be missing")] * 2


def test_times_of_every_kind_are_the_same_moment_in_utc() -> None:
    values = [
        "2011-01-01T05:00:00Z",
        "2011-01-01 07:00:00+02:00",
        datetime(2011, 1, 1, 5),  # noqa: DTZ001 - a naive time is UTC
        pd.Timestamp("2011-01-01 14:00", tz="Asia/Tokyo"),
        np.datetime64("2011-01-01T05:00"),
    ]
    times = parse_times(pd.Series(values, dtype=object)).values
    assert set(times) == {utc("2011-01-01 05:00")}
    assert str(times.dtype) == "datetime64[us, UTC]"
    assert parse_times(pd.Series([date(2011, 1, 1)], dtype=object)).values[0] == utc("2011-01-01")


def test_a_source_without_one_readable_time_is_refused_with_its_first_value() -> None:
    with pytest.raises(SourceError, match=r"no row of bikes\.csv has a readable time.*'5 pm'"):
        check_rows(frame(at=["5 pm", "6 pm"]), pipeline_of())


# --- what was known when ------------------------------------------------------------------------


def test_nothing_that_was_unknown_then_is_looked_at() -> None:
    rows = frame(at=["2011-01-01", "2011-01-02", "2011-01-03"], temp=[1, 99, 99])
    checked = check_rows(rows, pipeline_of(), as_of=utc("2011-01-02"))
    assert list(checked.good["record_id"]) == ["2011-01-01T00:00:00Z"]
    assert len(checked.quarantine) == 1
    assert list(checked.good["label"]) == [0.0]


def test_a_label_is_unknown_until_its_delay_is_over() -> None:
    rows = frame(at=["2011-01-01", "2011-01-02"])
    good = check_rows(rows, pipeline_of(), as_of=utc("2011-01-02 23:59")).good
    assert list(good["label"].isna()) == [False, True]


def test_a_bad_label_spares_its_record_and_is_not_known_early() -> None:
    rows = frame(at=["2011-01-01"], count=["many"])
    early = check_rows(rows, pipeline_of(), as_of=utc("2011-01-01"))
    assert early.quarantine.empty
    late = check_rows(rows, pipeline_of(), as_of=utc("2011-01-02"))
    assert faults(late) == [("count", "must be a number", "many")]
    assert late.quarantine.loc[0, "known_time"] == utc("2011-01-02")
    assert len(early.good) == len(late.good) == 1
    assert late.good["label"].isna().all()


def test_a_label_without_its_time_is_set_aside() -> None:
    pipeline = pipeline_of(label_delay=None, label_time="landed")
    rows = frame(landed=["2011-01-05", None, "never"], count=[1, 2, 3])
    checked = check_rows(rows, pipeline)
    assert sorted(fault[:2] for fault in faults(checked))[1] == ("landed", "must not be missing")
    assert len(checked.quarantine) == 2
    assert list(checked.good["label"].notna()) == [True, False, False]


def test_a_row_without_label_and_label_time_breaks_no_rule() -> None:
    pipeline = pipeline_of(label_delay=None, label_time="landed")
    checked = check_rows(frame(landed=[None], count=[None], at=["2011-01-01"]), pipeline)
    assert checked.quarantine.empty
    assert len(checked.good) == 1


# --- rows that claim the same record ------------------------------------------------------------


def test_a_row_that_stands_twice_counts_once() -> None:
    checked = check_rows(frame(at=["2011-01-01"] * 2, temp=[1, 1], count=[5, 5]), pipeline_of())
    assert checked.quarantine.empty
    assert len(checked.good) == 1


def test_a_copy_that_has_the_label_lends_it() -> None:
    rows = frame(at=["2011-01-01"] * 2, temp=[1, 1], count=[None, 5])
    assert list(check_rows(rows, pipeline_of()).good["label"]) == [5.0]


def test_rows_that_claim_one_record_and_differ_are_all_set_aside() -> None:
    rows = frame(at=["2011-01-01", "2011-01-01", "2011-01-02"], temp=[1, 2, 3])
    checked = check_rows(rows, pipeline_of())
    assert {fault[1] for fault in faults(checked)} == {
        "must be claimed by one row, not by rows that differ"
    }
    assert len(checked.quarantine) == 2
    assert list(checked.good["temp"]) == [3.0]


def test_the_first_known_claim_stands_whatever_comes_later() -> None:
    pipeline = pipeline_of(id="id")
    rows = frame(id=[1, 1, 2], at=["2011-01-02", "2011-01-01", "2011-01-01"], temp=[5, 6, 7])
    at_once = check_rows(rows, pipeline).good
    first = check_rows(rows, pipeline, as_of=utc("2011-01-01")).good
    assert list(at_once["temp"]) == list(first["temp"]) == [6.0, 7.0]


def test_with_an_updated_column_a_later_row_is_a_correction() -> None:
    pipeline = pipeline_of(updated="changed")
    rows = frame(
        at=["2011-01-01"] * 3,
        changed=["2011-01-01", "2011-01-05", "2011-01-05"],
        temp=[1, 2, 2],
    )
    checked = check_rows(rows, pipeline)
    assert list(checked.good["temp"]) == [1.0, 2.0]
    clash = check_rows(rows.assign(temp=[1, 2, 3]), pipeline)
    assert list(clash.good["temp"]) == [1.0]
    assert len(clash.quarantine) == 2


def test_labels_that_contradict_each_other_are_set_aside_and_the_record_stays() -> None:
    rows = frame(at=["2011-01-01"] * 2, temp=[1, 1], count=[5, 6])
    checked = check_rows(rows, pipeline_of())
    assert [fault[0] for fault in faults(checked)] == ["count", "count"]
    assert len(checked.good) == 1
    assert checked.good["label"].isna().all()


def test_an_entity_tells_records_of_one_moment_apart() -> None:
    rows = frame(at=["2011-01-01"] * 3, dock=["a", "b", None])
    checked = check_rows(rows, pipeline_of(entity="dock"))
    assert list(checked.good["record_id"]) == [
        "2011-01-01T00:00:00Z|a",
        "2011-01-01T00:00:00Z|b",
    ]
    assert faults(checked) == [("dock", "must not be missing", None)]


def test_a_whole_number_id_is_written_without_a_point() -> None:
    good = check_rows(frame(id=[1.0, 2.0, 3.0]), pipeline_of(id="id")).good
    assert list(good["record_id"]) == ["1", "2", "3"]


# --- the table as a whole -----------------------------------------------------------------------


def test_a_column_that_nothing_can_be_done_without_is_named_with_the_nearest_spelling() -> None:
    rows = frame().rename(columns={"count": "cout"})
    with pytest.raises(SourceError) as problem:
        check_rows(rows, pipeline_of(), part="march.csv")
    said = str(problem.value)
    assert "column 'count' (field 'target'" in said
    assert "march.csv of bikes.csv" in said
    assert "did you mean cout?" in said


def test_an_absent_feature_is_missing_in_every_row_and_one_line_says_so() -> None:
    rows = frame().rename(columns={"temp": "tempp"})
    checked = check_rows(rows, pipeline_of(), part="march.csv")
    assert checked.good["temp"].isna().tolist() == [True] * 3
    assert faults(checked) == [("temp", ABSENT, "tempp")]
    line = checked.quarantine.iloc[0]
    assert json.loads(line["row"]) == {
        "part": "march.csv",
        "rows": 3,
        "since": "2011-01-01T05:00:00+00:00",
        "until": "2011-01-03T05:00:00+00:00",
    }
    assert pd.isna(line["record_id"])
    assert line["event_time"] == utc("2011-01-01 05:00")
    to_arrow(checked.quarantine, quarantine_schema())


def test_where_labels_have_a_table_the_source_needs_no_target() -> None:
    labels = {"path": "truth.csv", "id": "day", "time": "landed"}
    pipeline = pipeline_of(label_delay=None, labels=labels, id="at")
    checked = check_rows(frame().drop(columns="count"), pipeline)
    assert checked.quarantine.empty
    assert checked.good["label"].isna().all()


def test_a_column_that_stands_twice_is_refused() -> None:
    rows = frame()
    rows.insert(0, "temp", 1.0, allow_duplicates=True)
    with pytest.raises(SourceError, match=r"'temp'.*stands twice"):
        check_rows(rows, pipeline_of())


@pytest.mark.parametrize("name", ["known_time", "Event_Time", "TEMP", "label", "_dw_x", " "])
def test_a_feature_whose_name_is_taken_is_refused(name: str) -> None:
    columns = {"temp": {"kind": "number"}, name: {"kind": "number"}}
    with pytest.raises(PipelineFileError, match="rename the column"):
        check_rows(frame(**{name: [1, 2, 3]}), pipeline_of(columns=columns))


def test_no_rows_are_no_fault() -> None:
    checked = check_rows(frame().head(0), pipeline_of())
    assert checked.good.empty
    assert checked.quarantine.empty
    assert list(checked.quarantine.columns) == quarantine_schema().names


def test_the_frame_that_is_checked_stays_as_it_was() -> None:
    rows = frame(temp=["1", "x", ""], at=["2011-01-01", "?", "2011-01-01"])
    before = rows.copy(deep=True)
    check_rows(rows, pipeline_of(), as_of=utc("2011-01-01"))
    pd.testing.assert_frame_equal(rows, before)


def test_the_index_of_the_frame_means_nothing() -> None:
    rows = frame(temp=[1, 99, 3])
    odd = rows.set_index(pd.Index([7, 7, 7]))
    pd.testing.assert_frame_equal(
        check_rows(rows, pipeline_of()).good, check_rows(odd, pipeline_of()).good
    )


# --- what scoring reads of a row that was set aside ---------------------------------------------


def kept(checked: Checked) -> list[object]:
    """Give the features of each line as they were read; None where none are kept."""
    texts = checked.quarantine["features"].astype(object)
    return [json.loads(text) if isinstance(text, str) else None for text in texts]


def test_a_row_with_an_impossible_value_keeps_what_was_read_of_it() -> None:
    long = "fog " * 100
    rows = frame(temp=[900, "warm", "inf"], weather=[long, "", "rain"])
    read = [{"temp": 900.0, "weather": long}, {}, {"weather": "rain"}]
    checked = check_rows(rows, pipeline_of())
    assert sorted(map(str, kept(checked))) == sorted(map(str, read))


def test_a_category_is_kept_as_records_hold_it() -> None:
    checked = check_rows(frame(temp=[900] * 3, weather=[1.0, 2.5, True]), pipeline_of())
    assert [one["weather"] for one in kept(checked)] == ["1", "2.5", "True"]


def test_a_row_that_no_record_can_be_made_of_keeps_nothing() -> None:
    times = ["?", "2011-01-02 05:00", "2011-01-03 05:00"]
    rows = frame(at=times, temp=[900, 900, 5], count=[0, 1, np.inf])
    checked = check_rows(rows, pipeline_of())
    by_column = list(zip(checked.quarantine["column"], kept(checked), strict=True))
    assert ("temp", None) in by_column
    assert ("at", None) in by_column
    assert ("count", None) in by_column, "the record itself is good"
    assert ("temp", {"temp": 900.0, "weather": "Clear"}) in by_column


def test_rows_that_contradict_each_other_keep_nothing() -> None:
    rows = frame(at=["2011-01-01"] * 3)
    assert set(kept(check_rows(rows, pipeline_of()))) == {None}
