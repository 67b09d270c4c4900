"""Predictions get their truth by the join that is measured, as plain words would give it."""

from dataclasses import asdict

import pandas as pd
import pytest

from components.records import to_frame
from components.stores.ledger import Outcome
from flows.steps import maturing
from flows.steps.judging import judge_windows
from flows.steps.measuring import quality_of, windows_due
from flows.steps.scoring import score
from flows.steps.snapshots import predictions_labelled, predictions_made, versions_known
from monitoring.maturity import see


@pytest.fixture
def corrected(fresh, day, world):
    """Give a pipeline without a model, some of whose labels were corrected or taken back."""
    rows = world(60).assign(changed=lambda given: given["at"])
    fresh.change(updated="changed", label_delay="1d")
    fresh.write(rows)
    outcome = Outcome(pipeline="bikes", what="refused", who="Ada", why="no gain", as_of=day(14))
    fresh.ledger.record(outcome, now=fresh.clock())
    for number in (21, 28, 41):
        fresh.ingest(day(number))
        score(fresh.home, fresh.pipeline, as_of=day(number))
    again = rows.iloc[14 * 8 : 30 * 8 : 3].assign(changed=day(41.5).strftime("%Y-%m-%dT%H:%M:%S"))
    again["count"] = again["count"].astype(float) + 7
    again.iloc[::4, again.columns.get_loc("count")] = None
    fresh.write(pd.concat([rows, again]))
    fresh.ingest(day(42))
    return fresh


def plainly(care, window, as_of, age=None) -> pd.DataFrame:
    """Join with pandas, every version of every label in memory."""
    made = predictions_made(
        care.home.lake, care.pipeline, as_of=as_of, since=window.start, until=window.end
    )
    made = made.sort_values(["event_time", "record_id", "prediction_id"], ignore_index=True)
    labels = versions_known(care.home.lake, care.pipeline, "labels", as_of=as_of)
    return see(
        made, labels, pipeline=care.pipeline, window=window, as_known_at=as_of, at_maturity=age
    ).rows


@pytest.mark.parametrize("age", [None, pd.Timedelta("2D")])
def test_truth_is_what_a_join_in_memory_gives(corrected, day, age) -> None:
    moments = (day(29), day(42))
    found = {moment: judge(corrected, moment, age) for moment in moments}
    for moment, windows in found.items():
        assert windows
        for one in windows:
            expected = plainly(corrected, one.window, moment, age)
            pd.testing.assert_frame_equal(one.seen.rows, expected, check_exact=True)
    labels = to_frame(corrected.home.lake.read("bikes", "labels"))
    assert labels["label"].isna().any(), "some were taken back"
    assert labels["record_id"].duplicated().any(), "some were corrected"


def judge(care, moment, age):
    asked = judge_windows(
        care.home, care.pipeline, as_of=moment, at_maturity=age is not None, age=age
    )
    return asked.windows


def test_a_correction_counts_once_it_is_known_and_never_at_a_younger_age(corrected, day) -> None:
    window = judge(corrected, day(42), None)[0].window
    span = {"since": window.start, "until": window.end}

    def truth(**asked) -> pd.Series:
        rows = predictions_labelled(corrected.home.lake, corrected.pipeline, **span, **asked)
        return rows.set_index("record_id")["label"]

    before, now = truth(as_of=day(41)), truth(as_of=day(42))
    pd.testing.assert_series_equal(truth(as_of=day(42), age=pd.Timedelta("3D")), before)
    changed = before.ne(now) & now.notna()
    assert changed.any()
    assert (now - before)[changed].round(6).eq(7).all()
    assert (before.notna() & now.isna()).any()


def test_windows_farther_back_than_what_is_read_at_once_are_judged_the_same(
    corrected, day, monkeypatch
) -> None:
    before = [asdict(one) for one in judge(corrected, day(42), None)]
    monkeypatch.setattr(maturing, "CURVE_ROWS", 100)
    monkeypatch.setattr(
        maturing.label_versions,
        "__kwdefaults__",
        {**maturing.label_versions.__kwdefaults__, "most": 100},
    )
    after = [asdict(one) for one in judge(corrected, day(42), None)]
    for one, other in zip(before, after, strict=True):
        assert (one["score"], one["interval"]) == (other["score"], other["interval"])
        assert (one["naive"] is None) == (other["naive"] is None)
    window = windows_due(corrected.home, corrected.pipeline, as_of=day(42))[0]
    (live,) = [
        m
        for m in quality_of(corrected.home, corrected.pipeline, window, as_known_at=day(42))
        if m.name == "live_error"
    ]
    assert live.value == before[0]["score"]
