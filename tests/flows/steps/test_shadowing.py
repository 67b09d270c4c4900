"""A challenger answers beside the champion until labels say which is better; nobody gets hurt."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.errors import StoreUnreachableError
from driftwheel.reading import _standing, _waits
from flows.steps import everyday, shadowing
from flows.steps.measuring import quality_of
from flows.steps.shadowing import compare_so_far, in_shadow, judge_beside
from flows.steps.snapshots import predictions_made
from flows.steps.taking_charge import promote_by_hand
from flows.steps.training import Prepared
from flows.steps.watching import recall
from monitoring.windows import Window

SHADOW = {"mode": "shadow", "margin": 0.02, "level": 0.05, "block": "6h"}


def live(care: Any, moment: pd.Timestamp) -> dict[str, Any]:
    """Ingest and score as of a moment."""
    care.ingest(moment)
    return everyday.score(care.home, care.pipeline, as_of=moment, clock=care.clock)


def look(care: Any, moment: pd.Timestamp) -> Any:
    return judge_beside(care.home, care.pipeline, as_of=moment, clock=care.clock)


def answered(care: Any, channel: str) -> pd.DataFrame:
    rows = care.rows("predictions")
    return rows[rows["channel"] == channel]


# --- training ------------------------------------------------------------------------------------


def test_a_challenger_learns_from_everything_known_and_waits_for_labels(shadowed, day) -> None:
    decision = shadowed.ledger.decisions()[-1]
    assert (decision.what, decision.tested_version, decision.served_version) == ("wait", "3", "3")
    assert decision.why.startswith("answers in shadow beside version 2 until labels come")
    assert shadowed.ledger.find(decision.request_id).state == "closed"
    assert shadowed.ledger.champion("bikes").version == "2"
    assert shadowed.home.registry.aliases("bikes") == {"champion": "2", "challenger": "3"}
    waiting = in_shadow(shadowed.home, "bikes")
    assert (waiting.version, waiting.expected_epoch, waiting.as_of) == ("3", 1, day(100))


def test_nothing_is_held_out(day) -> None:
    times = pd.date_range(day(0), periods=5, freq="D")
    rows = pd.DataFrame({"event_time": times, "known_time": times})
    prepared = Prepared(split=None, recipe=None)  # type: ignore[arg-type]
    snapshot: Any = SimpleNamespace(rows=rows, as_of=day(9))
    split = shadowing.nothing_held_out(prepared, snapshot).split
    assert (len(split.train), len(split.holdout), split.cut) == (5, 0, day(9))


def test_a_new_training_takes_the_place_of_the_challenger_before(shadowed, day) -> None:
    live(shadowed, day(103))
    assert shadowed.train(day(103)).what == "wait"
    assert in_shadow(shadowed.home, "bikes").version == "4"
    ended = shadowed.ledger.decisions()[-1]
    assert ended.what == "superseded"
    assert "version 3 waited for labels; version 4" in ended.why
    done = live(shadowed, day(104))
    assert done["shadow"]["version"] == "4"
    assert set(answered(shadowed, "shadow")["model_version"]) == {"3", "4"}


def test_who_only_watches_puts_nobody_in_shadow(trained, day) -> None:
    trained.ingest(day(100))
    trained.change(gate={"mode": "shadow"}, mode="watch")
    decision = trained.train(day(100))
    assert (decision.what, decision.served_version) == ("wait", None)
    assert decision.why.startswith("would answer in shadow")
    assert trained.ledger.waiting("bikes") is None
    assert [one.number for one in trained.home.registry.versions("bikes")] == ["1", "2"]


# --- answering -----------------------------------------------------------------------------------


def test_the_challenger_answers_what_the_champion_answered_each_record_once(shadowed, day) -> None:
    first = live(shadowed, day(101))
    assert first["shadow"] == {"version": "3", "rows": 8, "what": "", "said": ""}
    assert live(shadowed, day(101))["shadow"]["rows"] == 0
    live(shadowed, day(102))
    theirs, ours = answered(shadowed, "batch"), answered(shadowed, "shadow")
    assert len(ours) == 16
    assert not ours["record_id"].duplicated().any()
    assert set(ours["record_id"]) <= set(theirs["record_id"])
    assert not shadowed.rows("predictions")["prediction_id"].duplicated().any()
    assert set(ours["model_version"]) == {"3"}
    assert ours["record_known_time"].min() > day(100), "it may have learnt from earlier ones"


def test_what_is_answered_in_shadow_leaves_the_champions_side_as_it_is(
    shadowed, trained, day
) -> None:
    alone = trained.home, trained.pipeline
    trained.ingest(day(100))
    trained.ingest(day(107))
    everyday.score(*alone, as_of=day(107), clock=trained.clock)
    live(shadowed, day(107))
    columns = ["prediction_id", "record_id", "prediction"]
    both = [
        answered(care, "batch")[columns].sort_values("record_id").reset_index(drop=True)
        for care in (shadowed, trained)
    ]
    pd.testing.assert_frame_equal(*both)
    since, until = day(98), day(105)
    window = Window(since, until)
    live_error = [
        quality_of(care.home, care.pipeline, window, as_known_at=day(107))
        for care in (shadowed, trained)
    ]
    assert live_error[0] == live_error[1]
    made = predictions_made(
        shadowed.home.lake, shadowed.pipeline, as_of=day(107), since=since, until=until
    )
    assert set(made["channel"]) == {"batch"}


@pytest.mark.parametrize(
    "problem",
    [StoreUnreachableError("MLflow does not answer"), ZeroDivisionError("by zero")],
    ids=["foreseen", "not foreseen"],
)
def test_a_challenger_that_fails_does_not_fail_the_champion(
    shadowed, day, monkeypatch, problem
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise problem

    with monkeypatch.context() as patched:
        patched.setattr(shadowing, "score_beside", fail)
        done = live(shadowed, day(101))
    assert done["rows"] > 0
    assert done["shadow"]["rows"] == 0
    assert done["shadow"]["said"].startswith("did not answer in shadow: ")
    assert len(answered(shadowed, "shadow")) == 0
    assert live(shadowed, day(101))["shadow"]["rows"] == 8, "the next run makes up for it"


def test_without_a_challenger_nothing_is_answered_in_shadow(trained, day) -> None:
    assert live(trained, day(101))["shadow"] is None
    assert look(trained, day(101)) is None


# --- judging -------------------------------------------------------------------------------------


def test_before_there_are_labels_enough_it_goes_on(shadowed, day) -> None:
    live(shadowed, day(102))
    before = shadowed.ledger.decisions()
    seen = look(shadowed, day(102))
    assert (seen.version, seen.what) == ("3", "wait")
    assert "needs at least 40 labelled rows" in seen.said
    assert shadowed.ledger.decisions() == before
    assert in_shadow(shadowed.home, "bikes") is not None


def test_one_that_wins_takes_charge_under_its_own_request(shadowed, day) -> None:
    asked = shadowed.ledger.decisions()[-1]
    live(shadowed, day(125))
    watched = everyday.monitor(
        shadowed.home, shadowed.pipeline, as_of=day(125), clock=shadowed.clock
    )
    assert watched.shadow.what == "promoted"
    decision = shadowed.ledger.decisions()[-1]
    assert (decision.what, decision.who, decision.served_version) == ("promoted", "monitor", "3")
    assert decision.request_id == asked.request_id
    assert decision.numbers["evidence"] >= 20
    assert "at whatever moment one looks" in decision.why
    champion = shadowed.ledger.champion("bikes")
    assert (champion.version, champion.epoch, champion.as_of) == ("3", 2, day(125))
    assert shadowed.home.registry.aliases("bikes") == {
        "champion": "3",
        "challenger": "3",
        "previous": "2",
    }
    assert look(shadowed, day(125)) is None
    assert live(shadowed, day(126))["by_version"] == {"3": 8}


def test_one_that_wins_is_held_against_the_limits(shadowed, day) -> None:
    live(shadowed, day(125))
    shadowed.change(gate={**SHADOW, "limits": {"size": 0.01}}, slices=("weather",))
    seen = look(shadowed, day(125))
    assert seen.what == "refused"
    assert "but a limit is exceeded: size of the package" in seen.said
    limits = {one["name"] for one in shadowed.ledger.decisions()[-1].numbers["limits"]}
    assert {"slice weather = rain", "latency of one row", "negative flips"} <= limits
    assert shadowed.ledger.champion("bikes").version == "2"


def test_one_that_wins_waits_for_whoever_has_to_approve(shadowed, day) -> None:
    live(shadowed, day(125))
    shadowed.change(mode="propose", approvers=("Ada",))
    seen = look(shadowed, day(125))
    assert seen.what == "wait"
    assert "version 3 waits for the approval of Ada" in seen.said
    assert shadowed.ledger.champion("bikes").version == "2"
    waiting = shadowed.ledger.waiting("bikes")
    assert (waiting.version, waiting.awaits) == ("3", "approval")
    said = {"who": "Ada", "why": "fine", "as_of": day(126), "clock": shadowed.clock}
    decision = promote_by_hand(shadowed.home, shadowed.pipeline, version="3", **said)
    assert decision.what == "promoted"
    assert shadowed.ledger.champion("bikes").version == "3"


def test_one_that_loses_is_refused_and_answers_no_more(shadowed, day, monkeypatch) -> None:
    real = shadowing._answered_by_both

    def swapped(*given: Any, **more: Any) -> Any:
        rows, theirs, ours = real(*given, **more)
        return rows, ours, theirs

    monkeypatch.setattr(shadowing, "_answered_by_both", swapped)
    live(shadowed, day(125))
    seen = look(shadowed, day(125))
    decision = shadowed.ledger.decisions()[-1]
    assert (seen.what, decision.what, decision.served_version) == ("refused", "refused", None)
    assert shadowed.ledger.champion("bikes").version == "2"
    assert live(shadowed, day(126))["shadow"] is None


def test_where_the_champion_changed_the_comparison_ends(shadowed, day) -> None:
    live(shadowed, day(103))
    said = {"who": "Ada", "why": "a hunch", "as_of": day(103), "clock": shadowed.clock}
    promote_by_hand(shadowed.home, shadowed.pipeline, version="1", **said)
    assert live(shadowed, day(104))["shadow"] is None, "there is nobody to be compared with"
    seen = look(shadowed, day(104))
    assert seen.what == "superseded"
    assert "the champion changed while version 3 was in shadow" in seen.said
    assert shadowed.ledger.waiting("bikes") is None
    assert shadowed.ledger.champion("bikes").version == "1"


def test_both_sides_are_compared_on_the_same_records_whose_labels_are_due(shadowed, day) -> None:
    live(shadowed, day(110))
    waiting = in_shadow(shadowed.home, "bikes")
    rows, theirs, ours = shadowing._answered_by_both(
        shadowed.home, shadowed.pipeline, waiting, "2", day(109), as_of=day(110)
    )
    assert rows["event_time"].max() < day(109)
    assert rows["label"].notna().all()
    made = shadowed.rows("predictions").set_index(["record_id", "channel"])["prediction"]
    for channel, answers in (("batch", theirs), ("shadow", ours)):
        expected = [made[(record, channel)] for record in rows["record_id"]]
        np.testing.assert_array_equal(answers.values, expected)
    decision = compare_so_far(shadowed.home, shadowed.pipeline, waiting, as_of=day(110))
    assert (decision.test, decision.rival) == ("better_so_far", "version 2")


def test_what_cannot_be_judged_now_is_judged_later(shadowed, day, monkeypatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StoreUnreachableError("the lake does not answer")

    live(shadowed, day(125))
    with monkeypatch.context() as patched:
        patched.setattr(shadowing, "compare_so_far", fail)
        seen = look(shadowed, day(125))
    assert (seen.what, seen.said) == ("", "could not be judged: the lake does not answer")
    assert shadowed.ledger.champion("bikes").version == "2"
    assert look(shadowed, day(125)).what == "promoted"


def test_a_registry_away_after_the_promotion_leaves_only_the_aliases_behind(
    shadowed, day, monkeypatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StoreUnreachableError("MLflow does not answer")

    live(shadowed, day(125))
    monkeypatch.setattr(shadowed.home.registry, "aliases", fail)
    seen = look(shadowed, day(125))
    assert seen.what == "promoted"
    assert "aliases lag behind until the next reconcile" in seen.said
    assert shadowed.ledger.champion("bikes").version == "3"


def test_with_nobody_in_charge_the_rival_is_the_naive_baseline(care, day) -> None:
    care.change(gate={"mode": "shadow", "block": "6h"})
    decision = care.train(day(60))
    assert (decision.what, decision.first) == ("wait", True)
    assert "beside the naive baseline" in decision.why
    live(care, day(64))
    assert care.ledger.waiting("bikes").version == "1"
    assert len(answered(care, "shadow")) == 32
    seen = look(care, day(69))
    assert (seen.version, seen.what) == ("1", "wait")


def test_status_shows_who_is_in_shadow(shadowed) -> None:
    row = _standing(shadowed.home, shadowed.pipeline).row
    assert (row["waiting"]["version"], row["waiting"]["awaits"]) == ("3", "labels")
    ((name, words),) = _waits(row)
    assert (name, "judged once labels have come" in words) == ("in shadow", True)


def test_what_ended_in_shadow_is_no_training_for_the_policy(shadowed, day) -> None:
    live(shadowed, day(125))
    look(shadowed, day(125))
    history = recall(shadowed.home, shadowed.pipeline, (), as_of=day(126))
    assert (history.last_fit, history.champion_since) == (day(100), day(125))
