"""A look at any table ends in words: never in a traceback."""

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from components.looking import (
    Look,
    Roles,
    differing_claims,
    look,
    plausible_label_times,
    survey,
    truth_beside,
    unique_columns,
)
from components.looking.oddities import notice_frozen, notice_new_values
from components.looking.surveying import SAMPLE_ROWS
from components.looking.targets import notice_naive, read_target

NOW = pd.Timestamp("2026-01-01", tz="UTC")


def look_at(frame: pd.DataFrame, roles: Roles | None = None, size: int = 500) -> Look:
    roles = roles or Roles("at", "y")
    batches = pa.Table.from_pandas(frame, preserve_index=False).to_batches(size)
    found = survey(batches, roles)
    stated = None if roles.label_time else pd.Timedelta("1h")
    return look(found, roles, truth_beside(found, roles, stated), now=NOW)


def world(rows: int = 1_000) -> pd.DataFrame:
    chance = np.random.default_rng(1)
    at = pd.date_range("2024-01-01", periods=rows, freq="h")
    frame = pd.DataFrame({"at": at, "x": chance.normal(size=rows).round(3)})
    return frame.assign(
        word=chance.choice(["a", "b"], rows), y=frame["x"] + chance.normal(size=rows)
    )


def said(found: Look, word: str) -> str:
    return next((line for line in found.noticed if word in line), "")


def test_rows_in_the_future_out_of_order_and_twice_are_noticed() -> None:
    frame = world()
    frame.loc[10, "at"] = pd.Timestamp("2030-01-01")
    frame = pd.concat([frame, frame.iloc[500:505]], ignore_index=True)
    found = look_at(frame)
    assert "1 row is in the future" in said(found, "future")
    assert "not sorted" in said(found, "sorted")
    assert "5 rows are exact copies" in said(found, "copies")


def test_an_entity_that_is_left_out_is_named_with_the_reason() -> None:
    found = look_at(world().assign(who=range(1_000)), Roles("at", "y", entity="who"))
    assert "who" not in [one.name for one in found.features]
    assert [one.column for one in found.left_out if "whom" in one.reason] == ["who"]


def test_a_feed_that_stands_still_is_noticed_with_its_stretch() -> None:
    frame = world()
    frame.loc[300:340, "x"] = 0.0
    assert "stands still at 0 for 41 rows, from 2024-01-13 12:00" in said(look_at(frame), "stands")
    constant = pd.Series([1.0] * 500)
    assert notice_frozen("x", constant, frame["at"].iloc[:500].dt.tz_localize("UTC")) == []


def test_categories_that_come_late_are_noticed() -> None:
    frame = world()
    frame.loc[900:, "word"] = "new"
    assert "word: values that come only after" in said(look_at(frame), "only after")
    times = frame["at"].dt.tz_localize("UTC")
    assert notice_new_values("word", frame["word"].iloc[:800], times.iloc[:800]) == []


def test_a_target_that_grows_is_rare_or_repeats_itself_is_noticed() -> None:
    frame = world()
    grown = frame.assign(y=100 + frame["y"] + np.arange(1000) * 0.2)
    assert "its mean went from" in said(look_at(grown), "mean went")
    rare = frame.assign(y=np.where(frame["x"] > 2.2, "fraud", "fine"))
    assert "rare classes: fraud" in said(look_at(rare), "rare")
    again = frame.assign(y=(np.arange(1000) // 50 % 2).astype(str))
    assert "repeating the last known label is right in 9" in said(look_at(again), "repeating")
    rows = pd.DataFrame({"event_time": frame["at"].dt.tz_localize("UTC"), "label": frame["y"]})
    rows["known_time"] = rows["event_time"]
    assert notice_naive("y", rows, "regression") == []


def test_the_wait_for_labels_is_measured_and_one_before_the_event_is_noticed() -> None:
    frame = world()
    frame["known"] = frame["at"] + pd.Timedelta("3h")
    frame.loc[:4, "known"] = frame.loc[:4, "at"] - pd.Timedelta("1D")
    frame.loc[990:, ["y", "known"]] = None
    found = look_at(frame, Roles("at", "y", label_time="known"))
    assert "half of the labels are known after 3 hours" in said(found, "label delay")
    assert "5 labels (0.5%) are known before the event" in said(found, "before the event")
    assert "10 rows (1.0%) have no label" in said(found, "no label")


def test_a_label_filled_in_later_without_a_time_of_its_own_is_noticed() -> None:
    frame = world()
    frame.loc[990:, "y"] = None
    told = said(look_at(frame), "written into its row later")
    assert "counts as known 1 hour after the event" in told
    assert "--updated COL or --label-time COL" in told
    frame["changed"] = frame["at"]
    for roles in (Roles("at", "y", updated="changed"), Roles("at", "y", label_time="changed")):
        assert said(look_at(frame, roles), "written into its row later") == ""
    assert said(look_at(world()), "written into its row later") == ""


def test_the_last_label_that_is_repeated_is_that_of_the_same_one() -> None:
    frame = world().assign(who=np.tile(["a", "b"], 500))
    frame["y"] = np.where(frame["who"] == "a", 0.0, 100.0) + frame["x"] / 100
    assert "a strong rival" in said(look_at(frame, Roles("at", "y", entity="who")), "repeating")
    assert said(look_at(frame), "repeating") == ""


def test_ids_and_label_times_are_proposed_by_what_they_hold() -> None:
    frame = world().assign(order_id=lambda f: np.arange(len(f)), done=lambda f: f["at"])
    frame["born"] = frame["at"] - pd.Timedelta("1D")
    found = survey(pa.Table.from_pandas(frame).to_batches(), Roles("at", "y"))
    assert unique_columns(found, Roles("at", "y"))[0] == "order_id"
    assert plausible_label_times(found, Roles("at", "y")) == ["done"]
    assert differing_claims(found, ["at"]) == (0, "")
    assert differing_claims(found, ["word"])[0] == 1_000


def test_a_table_larger_than_the_sample_is_seen_whole_and_kept_in_part() -> None:
    rows = SAMPLE_ROWS + 150_000
    at = pd.date_range("2000-01-01", periods=rows, freq="min")
    table = pa.table({"at": at, "x": np.arange(rows) % 1000, "y": np.arange(rows) % 7})
    found = survey(table.to_batches(max_chunksize=70_000), Roles("at", "y"))
    assert (found.rows, len(found.facts)) == (rows, rows)
    assert SAMPLE_ROWS // 2 <= len(found.sample) <= SAMPLE_ROWS
    assert found.sample.index[0] == 0
    assert found.sample.index[-1] > 0.99 * rows
    assert (np.diff(found.sample.index) == 1).mean() > 0.99


def test_the_task_is_the_one_that_the_loop_would_tell() -> None:
    assert read_target("y", pd.Series(range(30)), None).task == "regression"
    assert read_target("y", pd.Series(["a", "b", "c"]), None).task == "multiclass"
    assert read_target("y", pd.Series([True, False]), None).task == "binary"
    assert "--task regression" in read_target("y", pd.Series([1, 2, 3]), None).noticed[0]
    assert "two values" in read_target("y", pd.Series([1, 1]), None).problem


any_cell = st.one_of(
    st.none(),
    st.integers(-(2**62), 2**62),
    st.floats(),
    st.text(max_size=5),
    st.booleans(),
    st.sampled_from(
        ["2024-01-01", "2024-01-02 03:00", "1", "1.5", "nan", "-", "2024-01-01T00:00Z"]
    ),
)


@st.composite
def any_table(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(2, 60))
    names = draw(st.lists(st.text(min_size=1, max_size=6), max_size=5))
    columns: list[pa.Array] = []
    for _ in range(len(names) + 2):
        cells = draw(st.lists(any_cell, min_size=rows, max_size=rows))
        kind = draw(st.sampled_from(["text", "float", "any"]))
        if kind == "float":
            numbers = [c if isinstance(c, float) else None for c in cells]
            columns.append(pa.array(numbers, pa.float64()))
        else:
            columns.append(pa.array([None if c is None else str(c) for c in cells], pa.string()))
    minutes = st.integers(0, 10**7)
    moments = draw(st.lists(minutes, min_size=rows, max_size=rows))
    times = pa.array([pd.Timestamp("1990-01-01") + pd.Timedelta(minutes=m) for m in moments])
    return pa.Table.from_arrays([times, *columns[:-1]], names=["at", "y", *names])


@settings(deadline=None, max_examples=60)
@given(any_table())
def test_a_look_at_any_table_ends_in_a_value(table: pa.Table) -> None:
    roles = Roles("at", "y")
    found = survey(table.to_batches(max_chunksize=17), roles)
    if "at" not in found.columns or "y" not in found.columns:
        return  # a name that stands twice is said before
    seen = look(found, roles, truth_beside(found, roles, pd.Timedelta("1h")), now=NOW)
    names = [one.name for one in seen.features] + [one.column for one in seen.left_out]
    assert set(names) == {name for name in table.column_names if name not in {"at", "y"}}
