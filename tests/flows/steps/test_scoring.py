"""Every record is predicted once, by whoever was in charge when it became known."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from components.faults import Fault
from components.output import Output
from components.output.values import Reaches
from components.records import prediction_schema
from components.stores.ledger import Outcome
from flows.steps import scoring
from flows.steps.erasing import erase
from flows.steps.in_charge import versions_for
from flows.steps.measuring import quality_of
from flows.steps.rivals import NAIVE, open_rival
from flows.steps.scoring import Scored, prediction_id, score
from flows.steps.snapshots import take_snapshot
from monitoring.windows import Window


def under_care(care, day) -> None:
    """Let a first decision stand on day 60, without a model."""
    outcome = Outcome(pipeline="bikes", what="refused", who="Ada", why="no gain", as_of=day(60))
    care.ledger.record(outcome, now=care.clock())


def test_new_records_are_scored_once_by_the_champion(trained, day) -> None:
    trained.ingest(day(62))
    done = score(trained.home, trained.pipeline, as_of=day(62), flow_run_id="f-1")
    assert done == Scored(25, {"2": 25}), (
        "two days, the one that waited for its labels, and one row"
    )
    made = trained.rows("predictions")
    assert not made["record_id"].duplicated().any()
    assert not made["prediction_id"].duplicated().any()
    assert set(made["channel"]) == {"batch"}
    assert set(made["flow_run_id"]) == {"f-1"}
    assert set(made["known_time"]) == {day(62)}


def test_scoring_twice_changes_nothing(trained, day) -> None:
    trained.ingest(day(62))
    score(trained.home, trained.pipeline, as_of=day(62))
    version = trained.home.lake.version("bikes", "predictions")
    assert score(trained.home, trained.pipeline, as_of=day(62)) == Scored(0, {})
    assert trained.home.lake.version("bikes", "predictions") == version


def test_day_by_day_and_at_once_predict_the_same(retrained, trained, day) -> None:
    retrained.ingest(day(104))
    score(retrained.home, retrained.pipeline, as_of=day(104))
    at_once = retrained.rows("predictions").set_index("record_id")["prediction"]
    for number in (61, 62, 63):
        trained.ingest(day(number))
        score(trained.home, trained.pipeline, as_of=day(number))
    daily = trained.rows("predictions").set_index("record_id")["prediction"]
    both = at_once.index.intersection(daily.index)
    assert len(both) > 20
    pd.testing.assert_series_equal(at_once[both], daily[both])


def test_each_record_is_scored_by_the_version_in_charge_at_its_time(retrained, day) -> None:
    retrained.ingest(day(110))
    done = score(retrained.home, retrained.pipeline, as_of=day(110))
    assert done.by_version == {"2": 41 * 8 + 1, "4": 10 * 8}
    made = retrained.rows("predictions")
    by_second = made[made["model_version"] == "4"]
    assert by_second["event_time"].min() > day(100)


def test_the_prediction_is_what_the_champion_answers_to_the_record(trained, day) -> None:
    trained.ingest(day(61))
    score(trained.home, trained.pipeline, as_of=day(61))
    made = trained.rows("predictions")
    records = trained.rows("records").set_index("record_id").loc[made["record_id"]]
    champion = open_rival(trained.home, trained.pipeline).model
    expected = champion.predict(records[list(trained.pipeline.features)]).values
    np.testing.assert_array_equal(made["prediction"].to_numpy(), expected)
    assert made["features"].isna().all()
    assert made["record_known_time"].tolist() == records["known_time"].tolist()


def test_until_a_model_is_promoted_the_naive_baseline_answers(care, day) -> None:
    under_care(care, day)
    care.ingest(day(62))
    done = score(care.home, care.pipeline, as_of=day(62))
    assert set(done.by_version) == {NAIVE}
    assert care.rows("predictions")["prediction"].notna().all()


def test_what_waited_before_the_first_decision_is_scored_history_is_not(care, day) -> None:
    done = score(care.home, care.pipeline, as_of=day(60))
    made = care.rows("predictions")
    assert done.by_version == {NAIVE: len(made)}
    early = made[made["event_time"] <= day(59)]
    assert early["event_time"].tolist() == [day(5 / 8)], "its label never came"
    assert len(made) == 8 + 1


def test_a_record_whose_target_is_null_is_scored_like_any_other(trained, day) -> None:
    score(trained.home, trained.pipeline, as_of=day(60))
    made = trained.rows("predictions")
    assert day(5 / 8) in set(made["event_time"])


def test_a_corrected_record_keeps_the_prediction_it_has(trained, world, day) -> None:
    trained.ingest(day(61))
    score(trained.home, trained.pipeline, as_of=day(61))
    before = trained.rows("predictions")
    rows = world()
    rows.loc[60 * 8 + 3, "heat"] = 50.0
    trained.write(rows)
    trained.ingest(day(61.5))
    trained_later = score(trained.home, trained.pipeline, as_of=day(61.5))
    assert trained_later.rows == 4
    after = trained.rows("predictions")
    pd.testing.assert_frame_equal(
        after[after["known_time"] == day(61)].reset_index(drop=True), before
    )


def test_an_earlier_moment_does_not_see_later_records(trained, day) -> None:
    trained.ingest(day(70))
    score(trained.home, trained.pipeline, as_of=day(61))
    assert trained.rows("predictions")["event_time"].max() == day(61)


def test_the_same_record_and_channel_have_the_same_id() -> None:
    assert prediction_id("r", "batch") == prediction_id("r", "batch")
    assert len({prediction_id(r, c) for r in ("r", "s") for c in ("batch", "online")}) == 4


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        ([], [NAIVE] * 5),
        ([("1", 10)], ["1"] * 5),
        ([("1", 10), ("2", 20)], ["1", "1", "1", "2", "2"]),
        ([("1", 10), ("2", 30), ("1", 30)], ["1"] * 5),
        ([("1", 10), ("2", 20), ("1", 35), ("3", 15)], ["1", "1", "3", "3", "3"]),
        ([("1", 10), ("2", 99)], ["1"] * 5),
    ],
    ids=["none", "first", "second", "rolled back at once", "a later epoch began earlier", "future"],
)
def test_the_newest_epoch_that_had_begun_is_in_charge(day, epochs, expected) -> None:
    promotions = [SimpleNamespace(version=v, as_of=day(d)) for v, d in epochs]
    moments = pd.Series([day(5), day(15), day(20), day(21), day(40)])
    labelled = pd.Series([pd.NaT] * 5, dtype=moments.dtype)
    assert versions_for(promotions, moments, labelled, as_of=day(50)).tolist() == expected


def test_no_model_answers_a_record_whose_label_it_may_have_learnt(day) -> None:
    promotions = [SimpleNamespace(version="1", as_of=day(10))]
    moments = pd.Series([day(5), day(9.5), day(11)])
    labelled = moments + pd.Timedelta("1D")
    answered = versions_for(promotions, moments, labelled, as_of=day(50)).tolist()
    assert answered == [NAIVE, "1", "1"]


def test_who_was_erased_while_a_run_scored_is_not_written_by_it(trained, day, monkeypatch) -> None:
    trained.ingest(day(62))
    gone = trained.rows("records").sort_values("event_time")["record_id"].iloc[-3]
    answers = scoring._answers

    def meanwhile(*given):
        found = answers(*given)
        erase(
            trained.home,
            trained.pipeline,
            ids=[gone],
            reason="asked",
            who="Ada",
            now=trained.clock(),
        )
        return found

    monkeypatch.setattr(scoring, "_answers", meanwhile)
    done = score(trained.home, trained.pipeline, as_of=day(62))
    made = trained.rows("predictions")
    assert done.rows == len(made) == 24
    assert gone not in set(made["record_id"])


HEAT_BEFORE = {"last": "heat"}


def spoil(care, day) -> Fault:
    """Let a person's ledger say that the heat of day 60 was wrong, known since."""
    fault = Fault(day(60), day(61), "unit_changed", "heat", "in another unit", 8)
    care.ledger.record_faults(
        care.name, [fault], as_of=day(62), now=care.clock(), count=lambda _: 8, flow_run_id=""
    )
    return fault


def test_history_of_what_is_scored_sees_nothing_of_what_a_fault_spoils(
    care, day, world, monkeypatch
) -> None:
    care.change(history=[HEAT_BEFORE, {"mean": "heat", "over": "2d"}])
    under_care(care, day)
    rows = world()
    rows.loc[60 * 8 : 60 * 8 + 7, "heat"] = 1e6
    care.write(rows)
    care.ingest(day(62))
    fault = spoil(care, day)
    seen = {}

    def answers(home, pipeline, version, rows, as_of):
        seen.update(rows.set_index("event_time").to_dict("index"))
        return real(home, pipeline, version, rows, as_of)

    real = scoring._answers
    monkeypatch.setattr(scoring, "_answers", answers)
    done = score(care.home, care.pipeline, as_of=day(62))
    assert done.stood_in == 8
    made = care.rows("predictions").set_index("event_time")
    spoiled = (made.index >= fault.since) & (made.index < fault.until)
    assert made["fallbacks"].notna().tolist() == spoiled.tolist()
    first_after = seen[day(61)]
    assert first_after["heat_last"] == rows.loc[60 * 8 - 1, "heat"]
    of_history = [one for row in seen.values() for name, one in row.items() if "heat_" in name]
    assert max(of_history) < 10
    # The same values that a training as of then learns from.
    taken = take_snapshot(care.home.lake, care.pipeline, as_of=day(62), aside=(fault,)).rows
    for _, row in taken[taken["event_time"] >= day(59.5)].iterrows():
        if row["event_time"] in seen:
            assert seen[row["event_time"]]["heat_last"] == row["heat_last"]


def test_the_past_is_read_once_however_many_versions_answer(retrained, day, monkeypatch) -> None:
    reads = []
    real = scoring.versions_known
    monkeypatch.setattr(
        scoring, "versions_known", lambda *a, **k: reads.append(a[2]) or real(*a, **k)
    )
    retrained.ingest(day(105))
    assert len(score(retrained.home, retrained.pipeline, as_of=day(105)).by_version) == 2
    assert reads == [], "without history only what waits is read"
    retrained.change(history=[HEAT_BEFORE])
    retrained.ingest(day(110))
    score(retrained.home, retrained.pipeline, as_of=day(110))
    assert reads == ["records", "labels"]
    score(retrained.home, retrained.pipeline, as_of=day(110))
    assert reads == ["records", "labels"], "nothing waits"


def test_what_waits_is_found_as_by_the_plainest_words(retrained, day) -> None:
    retrained.ingest(day(110))
    score(retrained.home, retrained.pipeline, as_of=day(104))
    pending = scoring._pending(retrained.home, retrained.pipeline, day(110))
    records, made = retrained.rows("records"), retrained.rows("predictions")
    labels = retrained.rows("labels").set_index("record_id")["known_time"]
    wait = records[
        (records["known_time"] <= day(110)) & ~records["record_id"].isin(made["record_id"])
    ]
    known = wait["record_id"].map(labels[labels <= day(110)])
    ours = known.isna() | (known > day(60)) | (wait["known_time"] >= day(60))
    assert set(pending["record_id"]) == set(wait.loc[ours, "record_id"])
    found = pending.set_index("record_id")["labelled"]
    expected = pd.Series(known[ours].array, index=wait.loc[ours, "record_id"])
    pd.testing.assert_series_equal(
        found, expected[found.index], check_names=False, check_dtype=False
    )


def test_a_label_that_is_corrected_later_makes_no_learnt_row_wait(trained, day, world) -> None:
    trained.ingest(day(70))
    score(trained.home, trained.pipeline, as_of=day(70))
    rows = world()
    counted = pd.to_numeric(rows["count"], errors="coerce")
    rows.loc[160:170, "count"] = (counted + 50).loc[160:170]  # of day 20; learnt on day 60
    trained.write(rows)
    assert trained.ingest(day(71)).labels == 11 + 8
    pending = scoring._pending(trained.home, trained.pipeline, day(71))
    assert (pending["event_time"] >= day(69)).all()


def with_output(monkeypatch, output) -> None:
    """Let whoever is in charge have learnt this for its answers."""
    opened = scoring.open_package

    def open_with(*given, **named):
        return replace(opened(*given, **named), output=output)

    monkeypatch.setattr(scoring, "open_package", open_with)


def test_intervals_stand_beside_the_predictions_and_their_coverage_is_measured(
    trained, day, monkeypatch
) -> None:
    with_output(monkeypatch, Output(conformal=Reaches(0.9, (100.0,), (1.0, 2.5), (50, 50))))
    trained.ingest(day(70))
    score(trained.home, trained.pipeline, as_of=day(70))
    made = trained.rows("predictions")
    reach = np.where(made["prediction"] < 100, 1.0, 2.5)
    np.testing.assert_allclose(made["interval_low"], made["prediction"] - reach)
    np.testing.assert_allclose(made["interval_high"], made["prediction"] + reach)
    assert made[["threshold", "prediction_set"]].isna().all(axis=None)

    window = Window(day(61), day(68))
    measured = quality_of(trained.home, trained.pipeline, window, as_known_at=day(70))
    coverage = next(one for one in measured if one.name == "coverage")
    truth = trained.rows("labels").set_index("record_id")["label"]
    inside = made[window.holds(made["event_time"])].set_index("record_id")
    gap = (truth.reindex(inside.index) - inside["prediction"]).abs()
    expected = (gap <= np.where(inside["prediction"] < 100, 1.0, 2.5)).mean()
    assert coverage.value == pytest.approx(expected)
    assert 0 < coverage.value < 1
    assert coverage.rows == 56


def test_a_table_of_old_gets_the_columns_of_intervals_and_reads_as_null(trained, day) -> None:
    schema = prediction_schema(trained.pipeline)
    news = {"interval_low", "interval_high", "prediction_set", "threshold"}
    old = pa.schema([field for field in schema if field.name not in news])
    shutil.rmtree(Path(trained.home.lake_uri) / "bikes" / "predictions")
    trained.home.lake.create("bikes", "predictions", old)
    score(trained.home, trained.pipeline, as_of=day(60))
    made = trained.rows("predictions")
    assert len(made) > 0
    assert made[sorted(news)].isna().all(axis=None)
