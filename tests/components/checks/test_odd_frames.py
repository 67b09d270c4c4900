"""Two thousand frames that nobody should send: each is checked, or refused in words."""

from collections.abc import Iterator
from datetime import UTC, timedelta, timezone
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from components.checks import check_rows
from components.checks import rows as rows_module
from components.errors import DriftwheelError
from components.pipelines import Pipeline
from components.records import quarantine_schema, record_schema, to_arrow
from components.values import parse_numbers, parse_text, parse_times

pytestmark = pytest.mark.slow

AS_OF = pd.Timestamp("2011-06-01", tz="UTC")
ZONES = [UTC, timezone(timedelta(hours=-9, minutes=-30)), timezone(timedelta(hours=14))]
MOMENTS = st.one_of(
    st.datetimes(),  # from year 1 to 9999, naive
    st.datetimes(timezones=st.sampled_from(ZONES)),
    st.datetimes(timezones=st.timezones(), allow_imaginary=False),  # both folds of autumn
    st.sampled_from(["1969-12-31T23:59:59Z", "2150-01-01", "2011-10-30 02:30:00+01:00", "1883"]),
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.sampled_from(["", "nan", "-inf", "1e400", "2011-01-01", "0x1f", "True", "2011", "١٢"]),
    st.binary(max_size=3),
    MOMENTS,
    st.dates(),
    st.timedeltas(),
    st.decimals(),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=2),
    st.just(pd.NaT),
    st.just(pd.NA),
    st.just(np.datetime64("NaT")),
    st.just(np.array([1.0, np.nan])),
    st.just({"a": 1}),
    st.just(object()),
)
ALIKE = st.sampled_from(
    [
        st.integers(-(2**63), 2**63 - 1).map(np.int64),
        st.floats(),
        st.booleans(),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.datetimes(),
        MOMENTS,
        st.timedeltas(max_value=timedelta(days=10**5), min_value=timedelta(0)),
        st.sampled_from(["2011-01-01", "2011-01-01", "2012-01-01"]),
    ]
)
NAMES = ("at", "temp", "weather", "count", "changed")


COLUMNS = {
    "temp": {"kind": "number", "min": -40, "max": 60, "nulls": False},
    "weather": {"kind": "category"},
}


def pipeline_of(
    task: str,
    *,
    updated: bool = False,
    named: bool = False,
    columns: dict[str, dict[str, object]] = COLUMNS,
) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "bikes",
            "source": {"path": "bikes.csv"},
            "time": "at",
            "id": "number" if named else None,
            "target": "count",
            "task": task,
            "label_delay": "1d",
            "updated": "changed" if updated else None,
            "columns": columns,
        }
    )


FRAMES_AT_ONCE = 20


@st.composite
def odd_frames(draw: st.DrawFn, count: int = FRAMES_AT_ONCE) -> list[pd.DataFrame]:
    """Draw values of every kind once, then lay them out as so many frames, by a drawn seed."""
    odd = draw(st.lists(ODD, min_size=6, max_size=2 * count))
    alike = [draw(st.lists(draw(ALIKE), min_size=3, max_size=6)) for _ in range(count // 2 + 1)]
    more = draw(st.text(max_size=5).filter(lambda name: name not in NAMES))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    return [_frame_of(odd, alike, more, chance) for _ in range(count)]


def _frame_of(
    odd: list[object], alike: list[list[object]], more: str, chance: np.random.Generator
) -> pd.DataFrame:
    rows = int(chance.integers(0, 4))
    made = {}
    for name in NAMES:
        values = alike[chance.integers(len(alike))] if chance.random() < 0.5 else odd
        plain = pd.Series([values[chance.integers(len(values))] for _ in range(rows)], dtype=object)
        made[name] = plain if chance.random() < 0.5 else plain.infer_objects()
    if rows and chance.random() < 0.5:
        made["at"] = pd.Series(["2011-01-01"] * rows)
    frame = pd.DataFrame(made)
    shape = ["plain", "plain", "plain", "twice", "lacking", "more"][chance.integers(6)]
    if shape == "twice":
        frame = frame.iloc[:, [*range(len(NAMES)), int(chance.integers(len(NAMES)))]]
    elif shape == "lacking":
        frame = frame.drop(columns=NAMES[chance.integers(len(NAMES))])
    elif shape == "more":
        frame[more] = 1
    return frame


@pytest.fixture(scope="module", autouse=True)
def _schemas_made_once() -> Iterator[None]:
    """Make the schema of each pipeline once: a frame of three rows costs less to check."""
    made: dict[int, object] = {}
    build = rows_module.schema_of

    def remembered(pipeline: Pipeline) -> object:
        if id(pipeline) not in made:
            made[id(pipeline)] = build(pipeline)
        return made[id(pipeline)]

    with mock.patch.object(rows_module, "schema_of", remembered):
        yield


PIPELINES = {
    (task, updated, named): pipeline_of(task, updated=updated, named=named)
    for task in ("regression", "multiclass")
    for updated in (False, True)
    for named in (False, True)
}


ASKED = [(*about, moment) for about in PIPELINES for moment in (None, AS_OF)]


@settings(
    max_examples=2_000 // FRAMES_AT_ONCE,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(odd_frames(), st.integers(0, len(ASKED) - 1))
def test_every_row_of_an_odd_frame_is_good_or_set_aside_or_known_later(
    frames: list[pd.DataFrame], first: int
) -> None:
    for place, rows in enumerate(frames, first):
        _check(rows, *ASKED[place % len(ASKED)])


def _check(
    rows: pd.DataFrame, task: str, updated: bool, named: bool, as_of: pd.Timestamp | None
) -> None:
    pipeline = PIPELINES[task, updated, named]
    if named:  # so that each row can be told from the others
        rows = rows.assign(number=range(len(rows)))
    try:
        checked = check_rows(rows, pipeline, as_of=as_of)
    except DriftwheelError as problem:
        said = str(problem)
        assert any(words in said for words in ("readable time", "stands twice", "is not in"))
        return
    aside = to_arrow(checked.quarantine, quarantine_schema())
    keys = ["record_id", "event_time", "known_time", "temp", "weather"]
    made = to_arrow(checked.good[keys], record_schema(pipeline)).to_pandas()
    assert np.isfinite(made["temp"].dropna()).all()
    assert not made.duplicated(["record_id", "known_time"]).any()
    assert made["known_time"].notna().all()
    if as_of is not None:
        assert (made["known_time"] <= as_of).all()
    elif named:
        found = {*made["record_id"], *aside["record_id"].to_pylist()} - {None}
        assert found == {str(number) for number in range(len(rows))}


def test_a_thousand_columns_are_checked_in_one_go() -> None:
    names = [f"x{number}" for number in range(1_000)]
    columns = {name: {"kind": "number", "max": 10} for name in names}
    pipeline = pipeline_of("regression", columns=columns)
    values = {name: [1.0, float(number)] for number, name in enumerate(names)}
    frame = pd.DataFrame({"at": ["2011-01-01", "2011-01-02"], "count": [1, 2], **values})
    checked = check_rows(frame, pipeline)
    assert len(checked.good) == 1
    assert len(checked.quarantine) == 989


@settings(max_examples=100, deadline=None)
@given(st.lists(ODD, max_size=4))
def test_whatever_is_parsed_keeps_its_length(values: list[object]) -> None:
    raw = pd.Series(values, dtype=object)
    for parse in (parse_numbers, parse_text, parse_times):
        parsed = parse(raw)
        assert len(parsed.values) == len(parsed.unreadable) == len(raw)
        assert parsed.values[parsed.unreadable].isna().all()


@pytest.mark.parametrize(
    "raw",
    [
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1.5, None], dtype="Float64"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series(["1", None], dtype="category"),
        pd.Series(["1", None], dtype="string"),
        pd.Series([1j, None]),
        pd.Series(pd.to_datetime(["2011-01-01", None])),
        pd.Series(pd.to_timedelta(["1D", None])),
        pd.Series(pd.period_range("2011", periods=2, freq="D")),
        pd.Series(pd.interval_range(0, 2)),
        pd.Series([1, 0], dtype="Sparse[int64]"),
        pd.Series(np.array(["2011-01-01", "9999999-01-01"], dtype="datetime64[s]")),
    ],
    ids=lambda raw: str(raw.dtype),
)
def test_every_kind_of_column_can_be_read_or_not(raw: pd.Series) -> None:
    for parse in (parse_numbers, parse_text, parse_times):
        parsed = parse(raw)
        assert len(parsed.values) == len(parsed.unreadable) == 2
        assert parsed.values[parsed.unreadable].isna().all()
