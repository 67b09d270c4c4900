"""A replay sees the past as it was: every version, and the history known at the time."""

import pandas as pd
import pytest

from components.faults import Fault
from components.history import add_history
from components.pipelines import Pipeline
from flows.steps.past import Past

START = pd.Timestamp("2024-01-01", tz="UTC")
HISTORY = (
    {"last": "label"},
    {"mean": "label", "over": "3d"},
    {"last": "x", "back": "1d"},
    {"count": "records", "over": "2d"},
)


def at(day: float) -> pd.Timestamp:
    return START + pd.Timedelta(day, unit="D")


def frame(rows: list[tuple], last: str) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["record_id", "event_time", "known_time", last])
    for name in ("event_time", "known_time"):
        made[name] = pd.to_datetime(made[name].map(at), utc=True).astype("datetime64[us, UTC]")
    return made.astype({"record_id": "str", last: "float64"})


RECORDS = frame([(f"r{n}", n, n, float(n)) for n in range(10)], "x")
LABELS = frame([(f"r{n}", n, n + 2, 10.0 * n) for n in range(10)], "label")
LATER = frame([("r3", 3, 8, -1.0)], "x")
CORRECTED = frame([("r4", 4, 8, -1.0)], "label")


@pytest.fixture(name="pipeline")
def _pipeline() -> Pipeline:
    given = {"name": "p", "source": {"path": "p.csv"}, "time": "t", "target": "y", "id": "id"}
    given |= {"task": "regression", "label_delay": "2d", "columns": {"x": "number"}}
    return Pipeline.model_validate(given | {"history": HISTORY})


@pytest.fixture(name="past")
def _past(pipeline) -> Past:
    records = pd.concat([RECORDS, LATER], ignore_index=True)
    return Past.of(records, pd.concat([LABELS, CORRECTED], ignore_index=True), pipeline)


def test_a_label_says_whom_its_record_is_about(pipeline) -> None:
    records = RECORDS.assign(who=["a", "b"] * 5)
    moved = LATER.assign(who="c")
    about = pipeline.model_copy(update={"entity": "who", "history": ()})
    past = Past.of(pd.concat([records, moved], ignore_index=True), LABELS, about)
    told = past.labels_known(at(12)).set_index("record_id")["who"]
    assert (told["r0"], told["r1"], told["r3"]) == ("a", "b", "c")


def test_a_moment_sees_the_versions_that_were_the_newest_then(past) -> None:
    seen = past.records_known(at(7)).set_index("record_id")["x"]
    assert seen.to_dict() == {f"r{n}": float(n) for n in range(8)}
    assert past.records_known(at(8)).set_index("record_id")["x"]["r3"] == -1.0
    labels = past.labels_known(at(8)).set_index("record_id")["label"]
    assert labels["r4"] == -1.0
    assert set(labels.index) == {f"r{n}" for n in range(7)}


def test_history_is_what_was_known_when_the_record_was_to_be_predicted(past, pipeline) -> None:
    names = [one.name for one in pipeline.history]
    for moment in (5, 9, 20):
        rows = past.labelled(at(moment)).set_index("record_id")[names]
        live = add_history(
            RECORDS[RECORDS["known_time"] <= at(moment)],
            records=RECORDS[RECORDS["known_time"] <= at(moment)],
            labels=LABELS[LABELS["known_time"] <= at(moment)],
            pipeline=pipeline,
        ).set_index("record_id")[names]
        early = [name for name in rows.index if int(name[1:]) < 8]
        pd.testing.assert_frame_equal(rows.loc[early], live.loc[early], check_exact=True)


def test_a_correction_is_seen_by_the_records_after_it_and_by_none_before(past) -> None:
    last = past.scored.set_index("record_id")["label_mean_3d"]
    assert last["r7"] == pytest.approx(50.0), "of day 5 alone: the label of day 4 is outside"
    assert last["r6"] == pytest.approx(40.0), "of day 4, as it stood on day 6"
    assert past.scored.set_index("record_id")["x_last_back_1d"].loc["r4"] == 3.0


def test_every_version_of_a_record_has_the_history_of_its_first(past, pipeline) -> None:
    names = [one.name for one in pipeline.history]
    before = past.records_known(at(7)).set_index("record_id").loc["r3", names]
    after = past.records_known(at(9)).set_index("record_id").loc["r3", names]
    assert before.equals(after)


def test_what_a_fault_spoils_is_unknown_to_later_history_and_to_nobody_else(past) -> None:
    dead = Fault(at(5), at(6), "unit_changed", "x", "", 1)
    blind = past.knowing([dead])
    seen, now = (one.scored.set_index("record_id")["x_last_back_1d"] for one in (past, blind))
    assert (seen["r6"], now["r6"]) == (5.0, 4.0)
    assert seen.drop("r6").equals(now.drop("r6"))
    learnt = blind.labelled(at(20)).set_index("record_id")
    assert (learnt.loc["r6", "x_last_back_1d"], learnt.loc["r5", "x"]) == (4.0, 5.0)
    assert past.knowing([dead]) is blind
    assert past.knowing([Fault(at(5), at(6), "nulls", "x", "", 1)]) is past


def test_a_label_that_was_withdrawn_is_none_from_then_on(pipeline) -> None:
    gone = frame([("r4", 4, 8, None)], "label")
    past = Past.of(RECORDS, pd.concat([LABELS, gone], ignore_index=True), pipeline)
    for read in (past.labels_known, past.labelled):
        assert "r4" in set(read(at(7))["record_id"])
        assert "r4" not in set(read(at(8))["record_id"])
        assert read(at(20))["label"].notna().all()
    assert past.scored.set_index("record_id")["label"].isna()["r4"]
