"""Live error says in which state its labels are, and stays what it was as known at a moment."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from components.faults import Fault
from components.stores.ledger import Outcome
from flows.steps.maturing import measured_curve
from flows.steps.measuring import (
    look_again,
    looks_due,
    measure,
    measure_and_write,
    quality_of,
    windows_due,
)
from flows.steps.scoring import score
from flows.steps.snapshots import take_snapshot
from monitoring.windows import Window

HOUR = pd.Timedelta("1h")


@pytest.fixture
def late(fresh, day):
    """Give a pipeline without a model: 48 rows a day, labels of large counts take 30 h."""
    chance = np.random.default_rng(2)
    at = pd.Series(pd.date_range(day(0), day(40), freq="30min", inclusive="left"))
    count = chance.normal(100, 10, len(at)).round(3)
    counted = at + pd.to_timedelta(np.where(count > 105, 30, 1), unit="h")
    written = {"at": at, "counted": counted}
    rows = pd.DataFrame({name: t.dt.strftime("%Y-%m-%dT%H:%M:%S") for name, t in written.items()})
    rows = rows.assign(heat=chance.normal(size=len(at)).round(4), weather="clear", count=count)
    rows.loc[::50, ["count", "counted"]] = None  # nobody ever counts these
    fresh.write(rows)
    fresh.change(label_delay=None, label_time="counted")
    fresh.ingest(day(14))
    outcome = Outcome(pipeline="bikes", what="refused", who="Ada", why="no gain", as_of=day(14))
    fresh.ledger.record(outcome, now=fresh.clock())
    return fresh


def until(care, moment: pd.Timestamp) -> None:
    care.ingest(moment)
    score(care.home, care.pipeline, as_of=moment)


def named(measured) -> dict:
    return {one.name: one for one in measured}


def look_at(care, window: Window, moment: pd.Timestamp, **more):
    return named(quality_of(care.home, care.pipeline, window, as_known_at=moment, **more))


def test_a_window_is_corrected_when_it_ends_and_mature_once_its_labels_are_in(late, day) -> None:
    window = Window(day(14), day(21))
    until(late, day(21))
    young = look_at(late, window, day(21))["live_error"]
    until(late, day(23))
    grown = look_at(late, window, day(23))["live_error"]

    assert "; corrected: 308 of 336 rows have a label (92 %)" in young.reason
    assert "(95 %: " in young.reason
    assert "mature from 2024-01-23 06:00:00" in young.reason
    assert "; mature: 329 of 336 rows have a label (98 %)" in grown.reason
    assert young.status != "cannot_tell"
    assert young.value == pytest.approx(grown.value, rel=0.05)


def test_the_same_day_asked_twice_gives_the_same_bytes(late, day) -> None:
    window, then = Window(day(14), day(21)), day(21.5)
    until(late, then)

    def asked() -> tuple[str, str]:
        found = [
            *measure(late.home, late.pipeline, window, None, as_of=then),
            *quality_of(late.home, late.pipeline, window, as_known_at=then, at_maturity=5 * HOUR),
        ]
        snapshot = take_snapshot(late.home.lake, late.pipeline, as_of=then)
        return json.dumps([asdict(one) for one in found], default=str), snapshot.digest

    before = asked()
    until(late, day(40))
    corrected = pd.read_csv(late.pipeline.source_path)
    corrected["count"] += 50
    corrected["counted"] = day(39).strftime("%Y-%m-%dT%H:%M:%S")
    late.write(corrected)
    until(late, day(41))
    assert late.rows("labels")["record_id"].duplicated().any(), "there are corrections"

    assert asked() == before
    now = look_at(late, window, day(41))["live_error"]
    assert now.value > 40, "what is known now is another matter"


def test_how_long_labels_take_is_measured_with_every_window(late, day) -> None:
    until(late, day(21))
    for window in windows_due(late.home, late.pipeline, as_of=day(21)):
        measure_and_write(late.home, late.pipeline, window, as_of=day(21), flow_run_id="")
    rows = late.rows("measurements").set_index("name")
    told = rows.loc["label_maturity"]

    assert told["method"] == "kaplan_meier"
    assert told["value"] == pytest.approx(0.98, abs=0.001)
    assert told["reason"] == (
        "50 % by 1h, 95 % by 30h, 99 % by 30h of the labels that come; 2.0 % never; "
        "a fair age is 30h (99 % of those that come)"
    )
    curve, _ = measured_curve(late.home, late.pipeline, as_of=day(21))
    assert curve.share_at(2 * HOUR) == pytest.approx(0.98 * 0.69, abs=0.03)


def test_a_window_is_looked_at_once_more_when_it_is_mature(late, day) -> None:
    until(late, day(21))
    for window in windows_due(late.home, late.pipeline, as_of=day(21)):
        measure_and_write(late.home, late.pipeline, window, as_of=day(21), flow_run_id="")
    for moment in (day(21.5), day(22.3), day(22.5), day(28), day(35)):
        until(late, moment)
        for look in looks_due(late.home, late.pipeline, as_of=moment):
            look_again(late.home, late.pipeline, look, as_of=moment, flow_run_id="")
    rows = late.rows("measurements")
    looks = rows[rows["name"] == "live_error"].sort_values("known_time")

    assert list(looks["known_time"]) == [day(21), day(22.3)]
    assert "; mature: " in looks["reason"].iloc[1]


@pytest.fixture
def stated(fresh, day, world):
    """Give a pipeline without a model whose labels are said to come after an hour."""
    fresh.change(label_delay="1h")
    outcome = Outcome(pipeline="bikes", what="refused", who="Ada", why="no gain", as_of=day(14))
    fresh.ledger.record(outcome, now=fresh.clock())
    rows = world(60)
    rows.loc[5, "count"] = 100.0

    def live(moment, without=()):
        """Ingest, score and monitor as of a moment, while some labels are not there yet."""
        held = rows.copy()
        times = pd.to_datetime(held["at"], utc=True)
        for since, until_when in without:
            held.loc[(times >= since) & (times < until_when), "count"] = None
        fresh.write(held)
        until(fresh, moment)
        for window in windows_due(fresh.home, fresh.pipeline, as_of=moment):
            measure_and_write(fresh.home, fresh.pipeline, window, as_of=moment, flow_run_id="")
        for look in looks_due(fresh.home, fresh.pipeline, as_of=moment):
            look_again(fresh.home, fresh.pipeline, look, as_of=moment, flow_run_id="")
        found = fresh.rows("measurements").sort_values("known_time", kind="stable")
        return found[found["name"] == "live_error"], found[found["name"] == "label_maturity"]

    return live


def test_while_the_feed_of_labels_stops_a_window_waits_and_is_measured_once_it_caught_up(
    stated, day
) -> None:
    stopped = [(day(17), day(99))]
    live, waits = stated(day(22), stopped)
    assert live["status"].to_list() == ["cannot_tell"]
    assert "of the 56 that are due 43 % have one where 100 % usually do" in live["reason"].iloc[0]
    assert "99 % by 5.1d of" in waits["reason"].iloc[0]

    live, _ = stated(day(23), stopped)
    assert len(live) == 1, "nothing came, nothing is measured anew"
    live, _ = stated(day(24), ())
    assert live["status"].to_list()[0] == "cannot_tell"
    assert "; mature: 56 of 56 rows have a label (100 %)" in live["reason"].iloc[-1]
    assert live["value"].notna().iloc[-1]
    live, _ = stated(day(26), ())
    assert len(live) == 2


def test_labels_three_days_late_keep_a_window_waiting_until_they_are_there(stated, day) -> None:
    for moment in (21, 22, 23):
        live, waits = stated(day(moment), [(day(moment - 3), day(99))])
        assert set(live["status"]) == {"cannot_tell"}
    assert "a fair age is 3.1d (" in waits["reason"].iloc[0]
    live, _ = stated(day(25), [(day(22), day(99))])
    assert "; mature: 56 of 56 rows have a label (100 %)" in live["reason"].iloc[-1]


def test_where_some_labels_never_come_a_window_does_not_wait_for_them(stated, day) -> None:
    never = [(day(number), day(number + 0.375)) for number in range(40)]  # 3 of the 8 of a day
    live, waits = stated(day(21.5), never)
    assert "; mature: 35 of 56 rows have a label (62 %)" in live["reason"].iloc[-1]
    assert "37.5 % never come" in live["reason"].iloc[-1]
    assert waits.empty


def test_a_delay_that_is_kept_costs_no_second_look_and_no_curve(stated, day, monkeypatch) -> None:
    monkeypatch.setattr("flows.steps.maturing.with_first_label", None)  # nobody asks
    for moment in (21.5, 22.5, 28.5):
        live, waits = stated(day(moment))
    assert len(live) == 2
    assert live["status"].ne("cannot_tell").all()
    assert waits.empty


def test_where_rows_say_when_they_changed_labels_are_measured_by_that(
    stated, fresh, day, world
) -> None:
    """An UPDATE brings the label three days after the event, though an hour was stated."""
    fresh.change(updated="seen")
    times = pd.Series(pd.date_range(day(0), periods=60 * 8, freq="3h"))
    for moment in (21, 24.5):
        rows = world(60)
        done = times + pd.Timedelta("3D") <= day(moment)
        seen = times.where(~done, times + pd.Timedelta("3D"))
        rows.loc[~done, "count"] = None
        fresh.write(rows.assign(seen=seen.dt.strftime("%Y-%m-%dT%H:%M:%S")))
        until(fresh, day(moment))
        for window in windows_due(fresh.home, fresh.pipeline, as_of=day(moment)):
            measure_and_write(fresh.home, fresh.pipeline, window, as_of=day(moment), flow_run_id="")
        for look in looks_due(fresh.home, fresh.pipeline, as_of=day(moment)):
            look_again(fresh.home, fresh.pipeline, look, as_of=day(moment), flow_run_id="")
    rows = fresh.rows("measurements").sort_values("known_time", kind="stable")
    live = rows[rows["name"] == "live_error"]
    assert "; mature: " not in live["reason"].iloc[0]
    assert "; mature: 56 of 56 rows have a label (100 %)" in live["reason"].iloc[-1]
    told = rows[rows["name"] == "label_maturity"].iloc[0]
    assert told["method"] == "kaplan_meier"
    assert "a fair age is 3d (" in told["reason"]


def test_rows_of_a_fault_are_measured_neither_as_drift_nor_as_error(late, day) -> None:
    window = Window(day(14), day(21))
    until(late, day(23))
    fault = Fault(day(14), day(17), "frozen", "heat", "0 in all rows", 144)
    found = look_at(late, window, day(23), faults=[fault])

    assert (found["live_error"].rows, found["labelled_share"].rows) == (188, 192)
    spoiled = Fault(day(14), day(21), "frozen", "heat", "0 in all rows", 336)
    nothing = look_at(late, window, day(23), faults=[spoiled])["live_error"]
    assert (nothing.status, nothing.rows) == ("cannot_tell", 0)
    assert nothing.reason.endswith("; 336 rows are set aside for a data fault")


def test_rows_of_a_fault_are_left_out_of_drift(trained, day) -> None:
    until(trained, day(77))
    window, promotion = Window(day(70), day(77)), trained.ledger.champion("bikes")

    def drift(*faults: Fault):
        return named(
            measure(trained.home, trained.pipeline, window, promotion, as_of=day(77), faults=faults)
        )["drift_share"]

    assert (drift().rows, drift().status) == (56, "breach")
    none = drift(Fault(day(70), day(77), "unit_changed", "heat", "100 times", 56))
    assert none.status == "cannot_tell"
    assert "56 rows are set aside" in none.reason


def test_what_a_model_learns_from_had_a_fair_chance_of_a_label(late, day) -> None:
    from components.recipes import Recipe
    from flows.steps import training
    from flows.steps.rivals import Rival

    until(late, day(30))
    snapshot = take_snapshot(late.home.lake, late.pipeline, as_of=day(30))
    prepared = training.preprocess(snapshot, late.pipeline, Rival())
    assert prepared.fair_age == 30 * HOUR
    assert prepared.split.holdout["event_time"].max() == day(30) - 30 * HOUR
    recipe = Recipe("linear", late.pipeline.windows[0])
    twin = training.fit_on(prepared.split.train, recipe, late.pipeline, until=prepared.split.cut)
    assert twin.seen_until == prepared.split.cut - 30 * HOUR
    judged = training.evaluate(prepared, twin, late.pipeline, Rival(), snapshot)
    served = training.refit(snapshot, twin, judged, prepared, late.pipeline)
    assert served.seen_until == day(30) - 30 * HOUR
