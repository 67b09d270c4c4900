"""A row with an impossible value is answered where the pipeline file says what stands in."""

import json
import sqlite3
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake

from components.failpoints import failpoint
from components.faults import Fault
from components.pipelines.data import Column, Labels, Sink
from components.records import EVENT_TIME, QUARANTINE, RECORD_ID, RECORDS
from components.stores.lake import appending
from components.stores.ledger import Outcome
from driftwheel.onestep import _unanswered
from flows.steps import scoring
from flows.steps.erasing import erase
from flows.steps.last_good import last_good
from flows.steps.quarantined import Unanswered
from flows.steps.scoring import Scored, score
from flows.steps.sinking import push_predictions

BAD = 60 * 8 + 5  # a row of day 60, after the first decision
NUMBER = {"kind": "number", "max": 40}
LAST = {**NUMBER, "fallback": "last"}
DEFAULT = {**NUMBER, "fallback": "default", "default": 1.5}
REFUSE = {**NUMBER, "fallback": "refuse"}
CLEAR = {"kind": "category", "nulls": False, "fallback": "default", "default": "clear"}
ADVICE = "mend heat in the source"
STATE = ", or state `columns.heat.fallback` (last or default) in bikes.yaml"


def state(home: Any, heat: Any = LAST, weather: Any = "category") -> None:
    """Let the pipeline file say what the columns may hold, and what stands in for them."""
    columns = {"heat": Column.model_validate(heat), "weather": Column.model_validate(weather)}
    home.change(columns=columns)


def deliver(
    home: Any, rows: pd.DataFrame, until: pd.Timestamp, row: int = BAD, **cells: Any
) -> Any:
    """Take in a source that holds these cells in one row; gives the moment of the row."""
    given = rows.astype(dict.fromkeys(cells, object))
    for name, value in cells.items():
        given.loc[row, name] = value
    home.write(given)
    home.ingest(until)
    return pd.Timestamp(rows.loc[row, "at"], tz="UTC").as_unit("us")


def scored(home: Any, as_of: pd.Timestamp) -> Scored:
    return score(home.home, home.pipeline, as_of=as_of, flow_run_id="f-1")


def made_of(home: Any, moment: pd.Timestamp) -> list[dict[str, Any]]:
    made = home.rows("predictions")
    there = made[made[EVENT_TIME] == moment].astype(object)
    return there.where(there.notna(), None).to_dict("records")


def used_for(home: Any, moment: pd.Timestamp) -> dict[str, Any]:
    (made,) = made_of(home, moment)
    used: dict[str, Any] = json.loads(made["fallbacks"])
    return used


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (900, "must be at most 40"),
        ("warm", "must be a number"),
        ("inf", "must be finite"),
        ("-inf", "must be finite"),
        ("1e999", "must be finite"),
        ("1e308", "must be at most 40"),
    ],
)
def test_the_last_good_value_stands_in_for_an_impossible_one(
    trained, world, day, value, rule
) -> None:
    state(trained)
    moment = deliver(trained, world(), day(61), heat=value)
    done = scored(trained, day(61))
    assert (done.stood_in, done.unanswered) == (1, Unanswered())
    before = float(world().loc[BAD - 1, "heat"])
    assert used_for(trained, moment) == {"heat": {"fault": rule, "what": "last", "value": before}}
    (made,) = made_of(trained, moment)
    assert made["record_known_time"] == moment
    assert trained.rows(RECORDS)[EVENT_TIME].ne(moment).all(), "nothing is learnt from it"


def test_it_is_answered_as_the_champion_answers_what_stands_in(trained, world, day) -> None:
    state(trained, DEFAULT)
    moment = deliver(trained, world(), day(61), heat=900)
    scored(trained, day(61))
    promotion = trained.ledger.promotions("bikes")[-1]
    package = scoring.open_package(
        trained.home, trained.pipeline, digest=promotion.digest, uri=promotion.package_uri
    )
    given = pd.DataFrame({"heat": [1.5], "weather": [world().loc[BAD, "weather"]]})
    (made,) = made_of(trained, moment)
    np.testing.assert_array_equal([made["prediction"]], package.predict(given).values)
    assert made["model_version"] == promotion.version
    used = {"fault": "must be at most 40", "what": "default", "value": 1.5}
    assert used_for(trained, moment) == {"heat": used}


@pytest.mark.parametrize(("heat", "advice"), [(NUMBER, ADVICE + STATE), (REFUSE, ADVICE)])
def test_where_nothing_may_stand_in_it_is_counted_and_not_answered(
    trained, world, day, heat, advice
) -> None:
    state(trained, heat)
    moment = deliver(trained, world(), day(61), heat=900)
    expected = Unanswered(1, "heat", "must be at most 40", 1, advice)
    for _ in range(2):
        done = scored(trained, day(61))
        assert (done.stood_in, done.unanswered) == (0, expected)
    assert made_of(trained, moment) == []


def test_what_has_no_answer_is_said_in_words() -> None:
    told = {"quarantined": 3, "column": "heat", "rule": "must be at most 40", "rows": 2}
    words = _unanswered({**told, "advice": ADVICE})
    assert words == (
        "; 3 rows in quarantine have no answer, 2 because heat must be at most 40: "
        "mend heat in the source"
    )
    assert _unanswered({"quarantined": 0}) == ""


def test_every_faulty_column_needs_a_value_that_stands_in(trained, world, day) -> None:
    state(trained, LAST, {"kind": "category", "nulls": False})
    moment = deliver(trained, world(), day(61), heat=900, weather="")
    done = scored(trained, day(61))
    assert (done.unanswered.quarantined, done.unanswered.column) == (1, "weather")
    assert made_of(trained, moment) == []
    state(trained, LAST, CLEAR)
    assert scored(trained, day(61)).rows == 1
    used = used_for(trained, moment)
    assert set(used) == {"heat", "weather"}
    assert used["weather"] == {"fault": "must not be missing", "what": "default", "value": "clear"}


@pytest.mark.parametrize("value", [None, "nan", "NA"])
def test_a_value_stands_in_where_none_may_be_missing(trained, world, day, value) -> None:
    state(trained, {**DEFAULT, "nulls": False})
    moment = deliver(trained, world(), day(61), heat=value)
    scored(trained, day(61))
    assert used_for(trained, moment)["heat"]["fault"] == "must not be missing"


def test_scored_twice_it_has_one_prediction(trained, world, day) -> None:
    state(trained)
    moment = deliver(trained, world(), day(61), heat=900)
    assert scored(trained, day(61)).stood_in == 1
    assert scored(trained, day(61)) == Scored(0, {})
    assert scored(trained, day(61.5)).unanswered == Unanswered()
    assert len(made_of(trained, moment)) == 1


class Died(BaseException):
    """Stands for a process that ends at a point."""


@pytest.mark.parametrize(
    ("module", "point"),
    [
        (scoring, "chunk-scored"),
        (appending, "before-commit"),
        (appending, "after-commit"),
        (scoring, "chunk-committed"),
    ],
)
def test_died_on_the_way_and_run_again_it_has_one_prediction(
    trained, world, day, monkeypatch, module, point
) -> None:
    state(trained)
    moment = deliver(trained, world(), day(61), heat=900)

    def die(name: str) -> None:
        if name == point:
            raise Died
        failpoint(name)

    with monkeypatch.context() as patch:
        patch.setattr(module, "failpoint", die)
        with pytest.raises(Died):
            scored(trained, day(61))
    scored(trained, day(61))
    assert len(made_of(trained, moment)) == 1
    assert not trained.rows("predictions")[RECORD_ID].duplicated().any()


def test_corrected_later_it_keeps_the_prediction_it_has(trained, world, day) -> None:
    state(trained)
    moment = deliver(trained, world(), day(61), heat=900)
    scored(trained, day(61))
    before = made_of(trained, moment)
    trained.write(world())
    assert trained.ingest(day(61.5)).late == 1
    done = scored(trained, day(61.5))
    assert (done.stood_in, done.unanswered) == (0, Unanswered())
    assert made_of(trained, moment) == before


def test_corrected_before_anybody_scored_it_is_scored_as_it_is(trained, world, day) -> None:
    state(trained)
    moment = deliver(trained, world(), day(61), heat=900)
    trained.write(world())
    trained.ingest(day(61.5))
    assert scored(trained, day(61.5)).stood_in == 0
    (made,) = made_of(trained, moment)
    assert pd.isna(made["fallbacks"])


def test_a_correction_ends_the_silence(trained, world, day) -> None:
    state(trained, NUMBER)
    moment = deliver(trained, world(), day(61), heat=900)
    assert scored(trained, day(61)).unanswered.quarantined == 1
    trained.write(world())
    trained.ingest(day(61.5))
    assert scored(trained, day(61.5)).unanswered == Unanswered()
    assert len(made_of(trained, moment)) == 1


def test_a_bad_correction_changes_nothing_of_a_good_record(trained, world, day) -> None:
    state(trained)
    trained.ingest(day(61))
    moment = deliver(trained, world(), day(61.5), heat=900)
    assert scored(trained, day(61.5)).stood_in == 0
    assert len(made_of(trained, moment)) == 1


def test_a_bad_label_takes_nothing_from_the_answer(trained, world, day) -> None:
    state(trained)
    moment = deliver(trained, world(), day(62.5), count="many")
    done = scored(trained, day(62.5))
    assert (done.stood_in, done.unanswered) == (0, Unanswered())
    (made,) = made_of(trained, moment)
    assert pd.isna(made["fallbacks"])
    assert "count" in set(trained.rows(QUARANTINE)["column"])


def test_a_bad_label_beside_a_bad_value_is_no_second_row(trained, world, day) -> None:
    state(trained)
    moment = deliver(trained, world(), day(62.5), heat=900, count="many")
    done = scored(trained, day(62.5))
    assert (done.stood_in, done.unanswered) == (1, Unanswered())
    assert set(used_for(trained, moment)) == {"heat"}


def test_a_row_that_says_no_time_is_counted(trained, world, day) -> None:
    state(trained)
    deliver(trained, world(), day(61), at="at some time", heat=900)
    told = scored(trained, day(61)).unanswered
    assert (told.quarantined, told.rows) == (1, 1)


def under_care(home: Any, day: Any) -> None:
    outcome = Outcome(pipeline="bikes", what="refused", who="Ada", why="no gain", as_of=day(60))
    home.ledger.record(outcome, now=home.clock())


def test_history_is_neither_answered_nor_counted_what_waited_for_its_label_is(
    fresh, world, day
) -> None:
    state(fresh)
    rows = world()
    rows["heat"] = rows["heat"].astype(object)
    rows.loc[[40, 58 * 8, 59 * 8 + 3], "heat"] = 900
    deliver(fresh, rows, day(62))
    under_care(fresh, day)
    done = scored(fresh, day(62))
    assert (done.stood_in, done.unanswered) == (1, Unanswered())
    assert used_for(fresh, day(59 + 3 / 8))["heat"]["what"] == "last"


def test_where_labels_are_a_table_of_their_own_they_say_what_is_history(fresh, world, day) -> None:
    rows = world()
    truth = rows[["at", "count"]].assign(id=rows["at"], seen=rows["at"])
    truth["seen"] = pd.to_datetime(truth["seen"]) + pd.Timedelta("1D")
    folder = fresh.pipeline.source_path.parent
    truth.drop(index=[50]).to_csv(folder / "truth.csv", index=False)
    fresh.change(label_delay=None, id="at", labels=Labels(path="truth.csv", id="id", time="seen"))
    state(fresh)
    rows["heat"] = rows["heat"].astype(object)
    rows.loc[[40, 50, BAD], "heat"] = 900
    deliver(fresh, rows.drop(columns="count"), day(62))
    under_care(fresh, day)
    assert scored(fresh, day(62)).stood_in == 2
    assert made_of(fresh, day(40 / 8)) == []
    assert len(made_of(fresh, day(50 / 8))) == 1, "its label never came"


def test_the_last_good_value_is_that_of_the_same_entity(fresh, world, day) -> None:
    fresh.change(entity="weather")
    state(fresh)
    rows = world()
    moment = deliver(fresh, rows, day(61), heat=900)
    under_care(fresh, day)
    scored(fresh, day(61))
    before = rows[:BAD][rows["weather"][:BAD] == rows["weather"][BAD]]
    assert used_for(fresh, moment)["heat"]["value"] == float(before["heat"].iloc[-1])


@pytest.mark.parametrize(
    ("name", "column", "back"),
    [("unit_changed", "heat", 6), ("nulls", "heat", 1), ("frozen", "weather", 1)],
)
def test_the_last_good_value_is_none_that_a_data_fault_made_wrong(
    trained, world, day, name, column, back
) -> None:
    deliver(trained, world(), day(61))
    rows = trained.rows(RECORDS)
    rows = rows[rows[EVENT_TIME] == day(BAD / 8)]
    fault = Fault(day(60), day(61), name, column, "as it was", 5)
    found = last_good(trained.home, trained.pipeline, rows, "heat", [fault], as_of=day(61))
    assert list(found.values()) == [world().loc[BAD - back, "heat"]]


def test_in_the_stretch_of_a_data_fault_the_fault_says_what_stands_in(trained, world, day) -> None:
    state(trained)
    moment = deliver(trained, world(), day(61), heat=900)
    fault = Fault(day(60), day(61), "unit_changed", "heat", "in another unit", 8)
    trained.ledger.record_faults(
        "bikes", [fault], as_of=day(61), now=trained.clock(), count=lambda _: 8, flow_run_id=""
    )
    assert scored(trained, day(61)).stood_in == 9, "it stands to the end"
    used = used_for(trained, moment)["heat"]
    before = float(world().loc[60 * 8 - 1, "heat"])
    assert used == {"fault": "unit_changed", "what": "last", "value": before}


def test_a_moment_sees_nothing_of_rows_known_later(trained, world, day) -> None:
    state(trained)
    moment = deliver(trained, world(), day(61), heat=900)
    done = scored(trained, day(60.5))
    assert (done.stood_in, done.unanswered) == (0, Unanswered())
    assert scored(trained, day(61)).stood_in == 1
    assert len(made_of(trained, moment)) == 1


def test_long_text_is_scored_as_it_was_read(trained, world, day, monkeypatch) -> None:
    state(trained)
    text = "fog " * 100
    seen = []
    real = scoring._answers
    monkeypatch.setattr(scoring, "_answers", lambda *a: seen.append(a[3]) or real(*a))
    moment = deliver(trained, world(), day(61), heat=900, weather=text)
    scored(trained, day(61))
    (rows,) = seen
    assert rows.set_index(EVENT_TIME).loc[moment, "weather"] == text


def test_history_features_see_nothing_of_the_impossible_value(
    fresh, world, day, monkeypatch
) -> None:
    fresh.change(history=[{"last": "heat"}])
    state(fresh)
    seen = []
    real = scoring._answers
    monkeypatch.setattr(scoring, "_answers", lambda *a: seen.append(a[3]) or real(*a))
    moment = deliver(fresh, world(), day(61), heat=900)
    under_care(fresh, day)
    scored(fresh, day(61))
    (rows,) = seen
    before = world().loc[BAD - 1, "heat"]
    given = rows.set_index(EVENT_TIME)["heat_last"]
    assert given[moment] == given[moment + pd.Timedelta("3h")] == before


def test_the_sink_gets_the_answer(trained, world, day, tmp_path, monkeypatch) -> None:
    state(trained)
    monkeypatch.setenv("BIKES_SINK", f"sqlite:///{tmp_path / 'sink.db'}")
    trained.change(
        sink=Sink(url="${BIKES_SINK}"),
        places={"BIKES_SINK": f"sqlite:///{tmp_path / 'sink.db'}"},
    )
    moment = deliver(trained, world(), day(61), heat=900)
    rows = scored(trained, day(61)).rows
    assert push_predictions(trained.home, trained.pipeline) == rows
    with sqlite3.connect(tmp_path / "sink.db") as sink:
        sent = {row[0] for row in sink.execute("select record_id from predictions")}
    assert made_of(trained, moment)[0][RECORD_ID] in sent


def test_who_is_erased_is_not_answered(trained, world, day) -> None:
    state(trained)
    moment = deliver(trained, world(), day(61), heat=900)
    (gone,) = trained.rows(QUARANTINE)[RECORD_ID].unique()
    erase(
        trained.home, trained.pipeline, ids=[gone], reason="asked", who="Ada", now=trained.clock()
    )
    assert scored(trained, day(61)).unanswered == Unanswered()
    assert made_of(trained, moment) == []


def test_a_quarantine_from_before_features_were_kept_is_counted(trained, world, day) -> None:
    state(trained)
    deliver(trained, world(), day(61), heat=900)
    path = f"{trained.home.lake.root}/bikes/{QUARANTINE}"
    held = trained.home.lake.read("bikes", QUARANTINE).drop_columns(["features"])
    write_deltalake(DeltaTable(path), held, mode="overwrite", schema_mode="overwrite")
    done = scored(trained, day(61))
    assert (done.stood_in, done.unanswered.quarantined) == (0, 1)
    trained.write(world())
    trained.ingest(day(61.5))
    assert scored(trained, day(61.5)).unanswered == Unanswered()
