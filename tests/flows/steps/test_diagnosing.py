"""What the loop does with data faults: looks, sets aside, waits, and says so."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.errors import InvalidInputError
from components.fallbacks import apply_fallbacks
from components.faults import Fault, without_faulty
from flows.steps import diagnosing, retraining, training
from flows.steps.diagnosing import (
    ending_by_themselves,
    faults_now,
    look_for_faults,
    standing,
)
from flows.steps.resolving import read_again
from flows.steps.rivals import open_rival
from flows.steps.scoring import score
from flows.steps.watching import watch
from monitoring import diagnosis


class Engine:
    """A diagnosis that knows the truth: faults of the feed, found once their data is there."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.since: list[pd.Timestamp | None] = []
        self.silences: list[Any] = []

    def __call__(self, records: Any, *_: Any, as_of: Any, since: Any, **more: Any) -> Any:
        self.since.append(since)
        self.silences.append(more["silences"])
        newest = records["event_time"].max()
        seen = (fault for fault in self.faults if fault.since <= newest and fault.since < as_of)
        return tuple(sorted(fault for fault in seen if since is None or fault.until > since))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(diagnosis, "diagnose", made)
    return made


@pytest.fixture
def fault(day):
    def making(since: float, until: float, name: str = "frozen", column: str = "heat") -> Fault:
        rows = int((until - since) * 8)
        return Fault(day(since), day(until), name, column, "as it was all day", rows)

    return making


def look(care, moment: pd.Timestamp) -> Any:
    return look_for_faults(care.home, care.pipeline, as_of=moment, clock=care.clock)


def monitor(care, moment: pd.Timestamp) -> Any:
    return watch(care.home, care.pipeline, as_of=moment, clock=care.clock)


def accept(care, named: str, moment: pd.Timestamp, how: str = "accepted") -> None:
    care.ledger.end_fault(
        "bikes", named, how=how, who="Ada", why="so it is", as_of=moment, now=care.clock()
    )


# --- what comes late -----------------------------------------------------------------------------


def test_a_look_is_told_how_late_rows_and_labels_were_at_those_before(care, day, engine) -> None:
    look(care, day(40))
    look(care, day(41))
    first, second = engine.silences
    assert (first.rows, first.labels) == ((), ())
    hour = 3_600_000_000
    assert [0 <= one.longest <= 24 * hour for one in second.rows] == [True]
    assert len(second.labels) == 1


def test_a_missing_period_whose_rows_are_there_ends_by_itself_and_is_written(
    care, day, engine
) -> None:
    gap = Fault(day(55), day(57), "missing_period", "at", "no row", 0)
    engine.faults = [gap]
    assert look(care, day(60)).blocking == (gap,)

    engine.faults = []
    assert look(care, day(61)) == diagnosing.Faults()

    (one,) = care.ledger.faults("bikes")
    assert (one.state, one.who, one.why) == ("reingested", "auto", "the rows have come")
    assert faults_now(care.home, care.pipeline, as_of=day(60)).blocking == (gap,)


# --- looking -------------------------------------------------------------------------------------


def test_a_moment_is_looked_at_once_while_nothing_comes_in(care, day, engine, fault) -> None:
    engine.faults = [fault(55, 56)]
    first = look(care, day(60))
    assert (first.found, first.blocking, first.aside) == ((fault(55, 56),),) * 3
    assert look(care, day(60)) == first
    assert len(engine.since) == 1
    assert [d.why for d in care.ledger.decisions("bikes")] == ["frozen in heat: as it was all day"]


def test_the_next_look_goes_on_from_the_one_before(care, day, engine) -> None:
    look(care, day(60))
    care.ingest(day(67))
    look(care, day(67))
    whole, since = engine.since
    assert whole is None
    assert day(40) < since <= day(60) - pd.Timedelta("7D")


def test_rows_that_came_in_long_after_they_were_known_are_looked_at_too(
    care, day, engine, world
) -> None:
    rows = world()
    care.write(rows.drop(index=range(8, 16)))  # a day of January is still to come
    fresh = care
    look(fresh, day(60))
    care.write(pd.concat([rows, rows.loc[8:15].assign(at=rows["at"][8:16].str[:-1] + "1")]))
    care.ingest(day(61))
    look(care, day(61))
    assert engine.since == [None, None]


def test_an_earlier_moment_asked_later_knows_what_was_known_then(care, day, engine, fault) -> None:
    engine.faults = [fault(50, 51), fault(58, 59)]
    look(care, day(60))
    assert look(care, day(55)).aside == (fault(50, 51),)
    assert standing(care.home, care.pipeline, as_of=day(60)) == (fault(50, 51), fault(58, 59))
    assert standing(care.home, care.pipeline, as_of=day(54)) == ()


# --- training ------------------------------------------------------------------------------------


def test_nothing_is_trained_while_a_fault_stands_in_the_newest_window(
    care, day, engine, fault
) -> None:
    engine.faults = [fault(55, 56)]
    decision = care.train(day(60))
    assert (decision.what, decision.tested_version, decision.first) == ("data_fault", None, True)
    assert "frozen in heat: as it was all day" in decision.why
    assert care.ledger.find(decision.request_id).state == "closed"
    assert care.home.registry.versions("bikes") == []
    assert care.train(day(60)) == decision, "the same moment, the same answer"
    accept(care, "frozen", day(60))
    assert care.train(day(60)).what == "promoted"


def test_rows_of_a_fault_are_neither_learnt_from_nor_judged_on(
    care, day, engine, fault, monkeypatch
) -> None:
    seen: list[pd.DataFrame] = []
    real = training.preprocess

    def keep(snapshot: Any, *more: Any) -> Any:
        seen.append(snapshot.rows)
        return real(snapshot, *more)

    monkeypatch.setattr(training, "preprocess", keep)
    engine.faults = [fault(50, 51), fault(20, 22, "nulls", "weather")]
    decision = care.train(day(60))
    assert decision.what == "promoted"
    (rows,) = seen
    assert len(without_faulty(rows, engine.faults)) == len(rows) == 8 * (59 - 3)
    run = care.mlflow_run(decision.mlflow_run_id)
    assert "2 data faults" in run.data.tags["driftwheel.set_aside"]
    assert care.ledger.decisions("bikes")[-1].what == "promoted"


def test_a_request_that_is_taken_up_again_sets_aside_what_it_first_did(
    care, day, engine, fault, monkeypatch
) -> None:
    request = care.ask(day(60))

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    engine.faults = [fault(50, 51)]
    with monkeypatch.context() as patched:
        patched.setattr(retraining, "record_gate", fail)
        with pytest.raises(KeyboardInterrupt):
            care.carry(request.id)
    engine.faults = [fault(50, 51), fault(40, 41), fault(58, 59)]
    care.write(pd.read_csv(care.pipeline.source_path))
    care.ingest(day(62))
    look(care, day(62))
    assert care.carry(request.id, holder="another").what == "promoted"
    run = care.mlflow_run(care.ledger.decisions("bikes")[-1].mlflow_run_id)
    assert "1 data fault" in run.data.tags["driftwheel.set_aside"]


# --- monitoring ----------------------------------------------------------------------------------


def test_a_fault_is_a_verdict_of_its_own_until_the_window_is_past_it(
    trained, day, engine, fault
) -> None:
    engine.faults = [fault(65, 66)]
    actions = []
    for number in (63, 66, 70, 77):
        trained.ingest(day(number))
        actions.append(monitor(trained, day(number)).verdict.action)
    assert actions == ["hold", "data_fault", "data_fault", "hold"]
    written = {v.as_of: v for v in trained.ledger.verdicts("bikes")}
    assert "frozen in heat: as it was all day" in written[day(66)].reason
    assert "8 rows of 1 data fault stay set aside" in written[day(77)].reason
    assert trained.ledger.pending("bikes") == []
    found = [d for d in trained.ledger.decisions("bikes") if d.what == "data_fault"]
    assert [(d.as_of, d.who) for d in found] == [(day(66), "auto")]


def test_a_fault_is_not_called_drift(trained, day, engine, fault, world) -> None:
    rows = world()
    broken = slice(8 * 64, 8 * 67 - 1)
    rows.loc[broken, "heat"] = 1000.0
    trained.write(rows)
    trained.ingest(day(70))
    engine.faults = [fault(63.9, 67, "unit_changed")]
    watched = monitor(trained, day(70))
    drift = {m.column: m.status for m in watched.measurements if m.name == "drift"}
    assert drift["heat"] == "fine"


def test_a_training_that_was_put_off_is_asked_for_again(care, day, engine, fault) -> None:
    engine.faults = [fault(55, 56)]
    assert care.train(day(60)).what == "data_fault"
    care.ingest(day(67))
    watched = monitor(care, day(67))
    assert (watched.verdict.action, watched.verdict.cause) == ("retrain", "manual")
    assert care.carry(watched.request.id).what == "promoted"
    assert monitor(care, day(67)).verdict.action == "hold"


# --- how faults end ------------------------------------------------------------------------------


def test_live_a_fault_stays_open_in_a_demo_it_ends_by_itself(care, day, engine, fault) -> None:
    engine.faults = [fault(40, 41)]
    look(care, day(60))
    assert care.ledger.faults("bikes")[0].state == "open"
    with ending_by_themselves(care.ledger, "bikes"):
        care.ingest(day(61))
        look(care, day(61))
    (one,) = care.ledger.faults("bikes")
    assert (one.state, one.who) == ("discarded", "auto")
    assert standing(care.home, care.pipeline, as_of=day(61)) == (fault(40, 41),)


def test_a_fault_that_was_mended_ends_one_that_is_still_there_does_not(
    care, day, engine, fault
) -> None:
    engine.faults = [fault(55, 56)]
    look(care, day(60))
    given = {"who": "Ada", "why": "mended", "as_of": None, "now": day(900), "clock": care.clock}
    done = read_again(care.home, care.pipeline, "frozen", **given)
    assert (done.gone, done.known.state, done.corrected) == (False, "open", 0)
    engine.faults = []
    done = read_again(care.home, care.pipeline, "frozen", **given)
    assert (done.gone, done.known.state) == (True, "reingested")
    assert done.known.ended_as_of == done.as_of == day(60), "of the data, not of the clock"
    told = f"read as of {day(60):%Y-%m-%d}: 481 records, 0 of them corrected"
    assert done.in_words().startswith(told)
    assert faults_now(care.home, care.pipeline, as_of=day(60)).aside == ()
    with pytest.raises(InvalidInputError, match="nothing is open"):
        read_again(care.home, care.pipeline, "frozen", **given)


# --- scoring -------------------------------------------------------------------------------------


def falls_back(care, **heat: Any) -> None:
    care.change(columns={"heat": {"kind": "number", **heat}, "weather": "category"})


def test_while_a_fault_goes_on_what_is_stated_stands_in_and_is_logged(
    trained, day, engine, fault
) -> None:
    falls_back(trained, fallback="default", default=0.25)
    trained.ingest(day(62))
    engine.faults = [fault(61, 62)]
    look(trained, day(62))
    trained.ingest(day(63))  # it goes on: nobody has looked at this day yet
    done = score(trained.home, trained.pipeline, as_of=day(63))
    made = trained.rows("predictions").set_index("event_time")["fallbacks"]
    assert done.stood_in == made.notna().sum() == 8 + 8 + 1
    assert made[made.index < day(61)].isna().all()
    assert json.loads(made[day(62.5)]) == {
        "heat": {"fault": "frozen", "what": "default", "value": 0.25}
    }


def test_the_prediction_is_the_champions_answer_to_the_stand_in(
    trained, day, engine, fault
) -> None:
    falls_back(trained, fallback="last")
    trained.ingest(day(62))
    engine.faults = [fault(61, 62)]
    look(trained, day(62))
    score(trained.home, trained.pipeline, as_of=day(62))
    made = trained.rows("predictions").set_index("record_id")["prediction"]
    records = trained.rows("records")
    rows = records[records["event_time"] >= day(61)].reset_index(drop=True)
    force = diagnosing.faults_in_force(trained.home, trained.pipeline, as_of=day(62))
    fallen = apply_fallbacks(rows, trained.pipeline, force.faults, records)
    expected = open_rival(trained.home, trained.pipeline).model.predict(
        fallen.rows[list(trained.pipeline.features)]
    )
    inside = fallen.rows["record_id"].isin(made.index).to_numpy()
    np.testing.assert_allclose(made[rows["record_id"][inside]], expected.values[inside])
    assert len(set(fallen.rows["heat"])) == 1


def test_a_column_that_refuses_keeps_its_records_waiting_until_the_fault_ends(
    trained, day, engine, fault
) -> None:
    falls_back(trained, fallback="refuse")
    trained.ingest(day(62))
    engine.faults = [fault(61, 62)]
    look(trained, day(62))
    done = score(trained.home, trained.pipeline, as_of=day(62))
    made = trained.rows("predictions")
    assert done.refused == 9
    assert not made["event_time"].between(day(61), day(62), inclusive="left").any()
    accept(trained, "frozen", day(62))
    later = score(trained.home, trained.pipeline, as_of=day(62))
    assert (later.rows, later.refused) == (9, 0)


def test_nothing_stands_in_where_nothing_is_wrong(trained, day, engine) -> None:
    trained.ingest(day(62))
    look(trained, day(62))
    done = score(trained.home, trained.pipeline, as_of=day(62))
    assert (done.stood_in, done.refused) == (0, 0)
    assert trained.rows("predictions")["fallbacks"].isna().all()


# --- with the real diagnosis ---------------------------------------------------------------------


def test_no_model_learns_from_rows_in_another_unit(fresh, day, world, monkeypatch) -> None:
    """A day of heat in another unit: its rows are in no training set of the loop."""
    learnt: list[pd.DataFrame] = []
    real = training.fit_on

    def keep(rows: pd.DataFrame, *more: Any, **named: Any) -> Any:
        trained = real(rows, *more, **named)
        learnt.append(trained.rows)
        return trained

    monkeypatch.setattr(training, "fit_on", keep)
    rows = world()
    injected = rows.index[8 * 47 : 8 * 49]
    rows.loc[injected, "heat"] = rows.loc[injected, "heat"] * 100
    fresh.write(rows)
    for number in (50, 60):
        fresh.ingest(day(number))
        fresh.train(day(number))
    assert [d.what for d in fresh.ledger.decisions("bikes") if d.request_id] == [
        "data_fault",
        "promoted",
    ]
    assert learnt
    bad = set(pd.to_datetime(rows.loc[injected, "at"], utc=True))
    for trained in learnt:
        assert not bad & set(trained["event_time"])


def test_a_diagnosis_reads_the_source_itself_where_nothing_was_ingested(fresh, day, world) -> None:
    rows = world()
    rows.loc[8 * 47 : 8 * 49 - 1, "heat"] *= 100
    fresh.write(rows)
    found = diagnosing.look_at_source(fresh.pipeline, as_of=day(50))
    assert {(one.fault, one.column) for one in found} == {("unit_changed", "heat")}
    assert not fresh.home.lake.exists("bikes", "records")
