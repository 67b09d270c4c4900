"""Numbers with a decimal comma and days with the day or month first, read as they are meant."""

from datetime import date

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import PipelineFileError
from components.pipelines import read_pipeline
from components.sources import deliver
from components.sources.written import in_iso, with_point

PIPELINE = """
source: {{path: rides.csv, {how}}}
time: at
target: count
task: regression
label_delay: 1d
columns: {{heat: number, note: category}}
"""


@settings(deadline=None)
@given(st.decimals(min_value=-(10**9), max_value=10**9, places=3))
def test_a_number_means_the_same_however_it_is_written(number) -> None:
    german = f"{number:,.3f}".translate(str.maketrans(",.", ".,"))
    (read,) = with_point(pa.array([german])).to_pylist()
    assert float(read) == float(number)


@pytest.mark.parametrize("text", ["1,2,3", "1.5.2", "about 1,5", "1,5 %", ",5", "12.34,5", ""])
def test_what_is_no_number_with_a_comma_stays_as_it_is(text: str) -> None:
    assert with_point(pa.array([text])).to_pylist() == [text]


@settings(deadline=None, max_examples=50)
@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.booleans(), st.sampled_from("./-"))
def test_a_day_means_the_same_however_it_is_written(day, day_first, between) -> None:
    order = ["%d", "%m", "%Y"] if day_first else ["%m", "%d", "%Y"]
    text = day.strftime(between.join(order))
    (read,) = in_iso(pa.array([text]), day_first=day_first).to_pylist()
    assert read == day.strftime("%Y-%m-%dT00:00:00")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("1/2/2024 12:00 AM", "2024-01-02T00:00:00"),
        ("1/2/2024 12:05 p.m.", "2024-01-02T12:05:00"),
        ("1/2/99, 23:59:59.25", "1999-01-02T23:59:59.25"),
        ("2/30/2024", "2/30/2024"),
        ("13/1/2024", "13/1/2024"),
        ("2024-01-02", "2024-01-02"),
    ],
)
def test_hours_halves_of_the_day_and_days_that_are_none(text: str, read: str) -> None:
    assert in_iso(pa.array([text]), day_first=False).to_pylist() == [read]


def test_only_the_columns_that_are_named_are_rewritten(tmp_path) -> None:
    file = tmp_path / "rides.yaml"
    file.write_text(PIPELINE.format(how="decimal_comma: [heat], day_first: [at]"), "utf-8")
    (tmp_path / "rides.csv").write_text(
        "at;heat;note;count\n1.2.2024 05:00;1.000,5;1,5;7\n", encoding="utf-8"
    )
    records = deliver(read_pipeline(file), as_of=pd.Timestamp("2030-01-01", tz="UTC")).records
    assert str(records["event_time"][0]) == "2024-02-01 05:00:00+00:00"
    assert records[["heat", "note"]].iloc[0].tolist() == [1000.5, "1,5"]


def test_a_column_is_written_in_one_way(tmp_path) -> None:
    file = tmp_path / "rides.yaml"
    file.write_text(PIPELINE.format(how="month_first: [at], day_first: [at]"), "utf-8")
    with pytest.raises(PipelineFileError, match="at stands twice"):
        read_pipeline(file)
