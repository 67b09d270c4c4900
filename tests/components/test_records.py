"""Frames and arrow tables say the same in both directions."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from components.errors import StoreError
from components.pipelines import Pipeline
from components.records import (
    UTC_TIME,
    empty_frame,
    prediction_schema,
    record_ids,
    table_schemas,
    to_arrow,
    to_frame,
)


def pipeline_of(task: str) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "bikes",
            "source": {"path": "bikes.csv"},
            "time": "at",
            "target": "count",
            "task": task,
            "label_delay": "1d",
            "columns": {"temp": "number", "weather": "category"},
        }
    )


def test_every_table_of_a_pipeline_has_its_schema() -> None:
    schemas = table_schemas(pipeline_of("regression"))
    assert list(schemas) == ["records", "labels", "predictions", "quarantine", "measurements"]
    assert schemas["records"].names == [
        "record_id",
        "event_time",
        "known_time",
        "temp",
        "weather",
    ]
    assert all("known_time" in schema.names for schema in schemas.values())


@pytest.mark.parametrize(("task", "kind"), [("regression", pa.float64()), ("binary", pa.string())])
def test_answers_are_numbers_or_class_names(task: str, kind: pa.DataType) -> None:
    schemas = table_schemas(pipeline_of(task))
    assert schemas["labels"].field("label").type == kind
    assert schemas["predictions"].field("prediction").type == kind


def test_a_frame_comes_back_as_it_went() -> None:
    schema = prediction_schema(pipeline_of("binary"))
    moment = pd.Timestamp("2011-01-01 05:00:00.000001", tz="UTC")
    frame = pd.DataFrame(
        {
            "prediction_id": ["p1", "p2"],
            "known_time": [moment, pd.NaT],
            "prediction": ["yes", None],
            "probabilities": [[0.25, 0.75], None],
        }
    )
    back = to_frame(to_arrow(frame, schema))
    assert back.loc[0, "known_time"] == moment
    assert str(back["known_time"].dtype) == "datetime64[us, UTC]"
    assert list(back.loc[0, "probabilities"]) == [0.25, 0.75]
    assert back.loc[1, ["prediction", "probabilities", "known_time"]].isna().all()
    assert back["features"].isna().all()


def test_a_missing_number_is_null_not_nan() -> None:
    made = to_arrow(pd.DataFrame({"x": [1.0, np.nan]}), pa.schema([("x", pa.float64())]))
    assert made["x"].null_count == 1


def test_a_misspelt_column_is_not_lost_in_silence() -> None:
    with pytest.raises(StoreError, match="cannot take y"):
        to_arrow(pd.DataFrame({"x": [1.0], "y": [2.0]}), pa.schema([("x", pa.float64())]))


def test_values_of_another_type_are_refused_with_the_column() -> None:
    with pytest.raises(StoreError, match="column 'at' must hold timestamp"):
        to_arrow(pd.DataFrame({"at": ["soon"]}), pa.schema([("at", UTC_TIME)]))


def test_a_frame_of_no_rows_has_the_columns_and_types() -> None:
    frame = empty_frame(pa.schema([("at", UTC_TIME), ("x", pa.float64())]))
    assert frame.empty
    assert list(map(str, frame.dtypes)) == ["datetime64[us, UTC]", "float64"]


def test_fractions_of_a_second_tell_records_apart() -> None:
    times = pd.Series(pd.to_datetime(["2011-01-01T05:00:00.0", "2011-01-01T05:00:00.5"], utc=True))
    assert list(record_ids(times)) == ["2011-01-01T05:00:00Z", "2011-01-01T05:00:00.500000Z"]


def test_a_record_without_a_readable_time_has_a_name_all_the_same() -> None:
    times = pd.Series([pd.NaT], dtype="datetime64[us, UTC]")
    assert list(record_ids(times)) == ["NaTZ"]
