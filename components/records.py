"""The columns of the five tables, and the way between pandas frames and arrow tables.

All times are UTC, in microseconds: ``datetime64[us, UTC]`` in pandas, ``timestamp('us', 'UTC')``
in arrow. A number that is missing is null, not NaN.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from components.errors import StoreError
from components.pipelines import Pipeline

RECORD_ID = "record_id"
EVENT_TIME = "event_time"
KNOWN_TIME = "known_time"
LABEL = "label"
INTERVAL_LOW = "interval_low"
INTERVAL_HIGH = "interval_high"
PREDICTION_SET = "prediction_set"

RECORDS = "records"
LABELS = "labels"
PREDICTIONS = "predictions"
QUARANTINE = "quarantine"
MEASUREMENTS = "measurements"

UTC_TIME = pa.timestamp("us", "UTC")
_KEYS = ((RECORD_ID, pa.string()), (EVENT_TIME, UTC_TIME), (KNOWN_TIME, UTC_TIME))
_KEY_NAMES = frozenset(name for name, _ in _KEYS)
_KINDS = {"number": pa.float64(), "category": pa.string()}


def record_schema(pipeline: Pipeline) -> pa.Schema:
    """Columns of `records`: the keys, the pipeline's features, then the entity if it is none."""
    features = ((name, _KINDS[column.kind]) for name, column in pipeline.columns.items())
    entity = pipeline.entity
    whose = [(entity, pa.string())] if entity and entity not in pipeline.columns else []
    return pa.schema([*_KEYS, *features, *whose])


def carried(pipeline: Pipeline) -> list[str]:
    """Name what a record holds beside its keys: the features, and the entity."""
    return [name for name in record_schema(pipeline).names if name not in _KEY_NAMES]


def label_schema(pipeline: Pipeline) -> pa.Schema:
    """Columns of `labels`; the label is a number in regression, else the class's name.

    `event_time` is null where labels come in a table of their own: it is the record's.
    """
    return pa.schema([*_KEYS, (LABEL, _answer_type(pipeline))])


def prediction_schema(pipeline: Pipeline) -> pa.Schema:
    """Columns of `predictions`.

    `known_time` is the moment the prediction was made. A batch refers to the features by
    `record_known_time`, in `records` or, where a value was impossible, in `quarantine`; the
    endpoint writes them out as JSON in `features`. `fallbacks` says as JSON which columns were
    faulty, and what stood in for them; null where none was. `interval_low`, `interval_high` are
    what the answer's interval reaches from and to, `prediction_set` the classes that the true
    one is among, and `threshold` the probability from which on the positive class was said; null
    where the version that answered has learnt none.
    """
    return pa.schema(
        [
            ("prediction_id", pa.string()),
            *_KEYS,
            ("model_version", pa.string()),
            ("channel", pa.string()),
            ("prediction", _answer_type(pipeline)),
            ("probabilities", pa.list_(pa.float64())),
            ("record_known_time", UTC_TIME),
            ("features", pa.string()),
            ("flow_run_id", pa.string()),
            ("fallbacks", pa.string()),
            (INTERVAL_LOW, pa.float64()),
            (INTERVAL_HIGH, pa.float64()),
            (PREDICTION_SET, pa.list_(pa.string())),
            ("threshold", pa.float64()),
        ]
    )


def quarantine_schema() -> pa.Schema:
    """Columns of `quarantine`: one line a broken rule, with the row as JSON.

    `row` is for people: what stands in the source, long values cut. `features` is what scoring
    reads: the features and the entity as they were read, without what cannot be; null where the
    row is no record that a value was wrong in.
    """
    text = ("column", "rule", "value", "row", "source", "features")
    return pa.schema([*_KEYS, *((name, pa.string()) for name in text)])


def measurement_schema() -> pa.Schema:
    """Columns of `measurements`; `known_time` is the moment as of which was measured."""
    return pa.schema(
        [
            ("measurement_id", pa.string()),
            ("window_start", UTC_TIME),
            ("window_end", UTC_TIME),
            (KNOWN_TIME, UTC_TIME),
            ("name", pa.string()),
            ("column", pa.string()),
            ("method", pa.string()),
            ("value", pa.float64()),
            ("threshold", pa.float64()),
            ("direction", pa.string()),
            ("status", pa.string()),
            ("rows", pa.int64()),
            ("reason", pa.string()),
            ("model_version", pa.string()),
            ("reference", pa.string()),
            ("flow_run_id", pa.string()),
        ]
    )


def table_schemas(pipeline: Pipeline) -> dict[str, pa.Schema]:
    """Schemas of the five tables of a pipeline, by table name."""
    return {
        RECORDS: record_schema(pipeline),
        LABELS: label_schema(pipeline),
        PREDICTIONS: prediction_schema(pipeline),
        QUARANTINE: quarantine_schema(),
        MEASUREMENTS: measurement_schema(),
    }


def to_arrow(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Turn a frame into a table of exactly this schema; columns that it lacks become null.

    Raises
    ------
    StoreError
        If the frame holds a column that the schema does not know, or values that do not fit.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": [1.0, float("nan")]})
    >>> to_arrow(frame, pa.schema([("x", pa.float64())])).to_pylist()
    [{'x': 1.0}, {'x': None}]

    """
    unknown = [str(name) for name in frame.columns if name not in schema.names]
    if unknown:
        raise StoreError(
            f"a table with the columns {', '.join(schema.names)} cannot take {', '.join(unknown)}; "
            "leave them out or add them to the schema"
        )
    arrays = [_array(frame, field) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Turn a table into a frame: UTC times in microseconds, text as ``str``, missing as NaN."""
    frame: pd.DataFrame = table.to_pandas()
    return frame


def empty_frame(schema: pa.Schema) -> pd.DataFrame:
    """Make a frame of no rows with the columns of a schema."""
    return to_frame(schema.empty_table())


def record_ids(event_times: pd.Series, entity: pd.Series | None = None) -> pd.Series:
    """Name records that have no id of their own: the event time in ISO, and the entity if any.

    Parameters
    ----------
    event_times : Series of datetime64[us, UTC]
    entity : Series of str, optional
        Whom or what the record is about; of the same index.

    Examples
    --------
    >>> times = pd.Series(pd.to_datetime(["2011-01-01 05:00"], utc=True))
    >>> record_ids(times)[0], record_ids(times, pd.Series(["dock 4"]))[0]
    ('2011-01-01T05:00:00Z', '2011-01-01T05:00:00Z|dock 4')

    """
    moments = event_times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    written = np.datetime_as_string(moments, unit="s").astype(object)
    fine = moments != moments.astype("datetime64[s]")
    written[fine] = np.datetime_as_string(moments[fine], unit="us")
    names = pd.Series(written, index=event_times.index, dtype="str") + "Z"
    return names if entity is None else names + "|" + entity.astype("str")


def _answer_type(pipeline: Pipeline) -> pa.DataType:
    return pa.float64() if pipeline.resolved_task == "regression" else pa.string()


def _array(frame: pd.DataFrame, field: pa.Field) -> pa.Array:
    if field.name not in frame.columns:
        return pa.nulls(len(frame), field.type)
    try:
        made = pa.Array.from_pandas(frame[field.name], type=field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as problem:
        raise StoreError(
            f"column {field.name!r} must hold {field.type}. "
            f"Got {frame[field.name].dtype}: {problem}"
        ) from problem
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made
