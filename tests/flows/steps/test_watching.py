"""Each window is measured once, judged in words, and many alarms are one request.

Live error is measured once more when the labels are in.
"""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from rich.console import Console

from components.baselines import naive_answers
from components.metrics import metric_value
from components.stores.ledger import Outcome
from driftwheel.demo.summing_up import sum_up
from driftwheel.reading import _newest_quality, print_status
from flows.steps.measuring import looks_due, read_measurements, windows_due
from flows.steps.rivals import NAIVE
from flows.steps.scoring import score
from flows.steps.snapshots import labels_known
from flows.steps.watching import watch


def until(care, moment: pd.Timestamp) -> None:
    """Ingest and score as of a moment."""
    care.ingest(moment)
    score(care.home, care.pipeline, as_of=moment)


def look(care, moment: pd.Timestamp):
    return watch(care.home, care.pipeline, as_of=moment, clock=care.clock)


def live_errors(care, moment: pd.Timestamp, name: str = "live_error") -> dict:
    """Give the measurement of each window's end that counts at a moment."""
    kept = read_measurements(care.home, care.pipeline, as_of=moment)
    return {m.window.end: m for m in kept if m.name == name}


def hold(care, moment: pd.Timestamp) -> None:
    """Let a first decision stand, without a model."""
    outcome = Outcome(pipeline="bikes", what="refused", who="Ada", why="no gain", as_of=moment)
    care.ledger.record(outcome, now=care.clock())


def test_before_the_first_decision_nothing_is_measured(care, day) -> None:
    seen = look(care, day(60))
    assert (seen.windows, seen.measurements, seen.request) == (0, (), None)
    assert seen.verdict.action == "hold"


def test_a_window_that_began_before_the_first_model_is_not_measured(trained, day) -> None:
    trained.ingest(day(91))
    due = windows_due(trained.home, trained.pipeline, as_of=day(91))
    assert [window.start for window in due] == [day(63), day(70), day(77), day(84)]


def test_a_window_is_measured_once(trained, day) -> None:
    until(trained, day(70))
    seen = look(trained, day(70))
    assert seen.windows == 1
    measured = {m.name for m in seen.measurements}
    assert {"drift", "drift_share", "live_error", "naive_error", "labelled_share"} <= measured
    version = trained.home.lake.version("bikes", "measurements")
    again = look(trained, day(70.5))
    assert again.windows == 0
    assert again.measurements == seen.measurements
    assert trained.home.lake.version("bikes", "measurements") == version


def test_windows_that_were_missed_are_measured_afterwards(trained, day) -> None:
    until(trained, day(91))
    assert look(trained, day(91)).windows == 4
    rows = trained.rows("measurements")
    assert sorted(set(rows["window_end"])) == [day(70), day(77), day(84), day(91)]
    assert not rows["measurement_id"].duplicated().any()
    assert set(rows["known_time"]) == {day(91)}
    assert set(rows["model_version"]) == {"2"}


def test_an_earlier_moment_asked_later_adds_nothing(trained, day) -> None:
    until(trained, day(77))
    look(trained, day(77))
    before = trained.home.lake.version("bikes", "measurements")
    look(trained, day(70))
    assert trained.home.lake.version("bikes", "measurements") == before


def test_the_live_error_is_that_of_the_predictions_whose_label_is_known(trained, day) -> None:
    until(trained, day(70))
    found = {m.name: m for m in look(trained, day(70)).measurements}
    assert found["live_error"].rows == 6 * 8 + 1, "of the seventh day the first label only"
    assert found["labelled_share"].value == pytest.approx(49 / 56)
    made = trained.rows("predictions").merge(trained.rows("labels"), on="record_id")
    inside = made[(made["event_time_x"] >= day(63)) & (made["event_time_x"] < day(70))]
    error = (inside["prediction"] - inside["label"]).abs().mean()
    assert found["live_error"].value == pytest.approx(error)
    assert found["live_error"].value < found["naive_error"].value


def test_one_window_of_drift_asks_for_nothing_two_do(trained, day) -> None:
    until(trained, day(77))
    once = look(trained, day(77))
    assert (once.verdict.action, once.request) == ("hold", None)
    assert "1 of the last 2 windows drifted" in once.verdict.reason
    until(trained, day(84))
    twice = look(trained, day(84))
    assert (twice.verdict.action, twice.verdict.cause) == ("retrain", "drift")
    assert "heat" in twice.verdict.reason
    request = trained.ledger.find(twice.request.id)
    assert (request.cause, request.reason, request.as_of) == (
        "drift",
        twice.verdict.reason,
        day(84),
    )
    assert (request.state, request.champion_version) == ("open", "2")
    verdicts = trained.ledger.verdicts("bikes")
    assert [(v.action, v.request_id) for v in verdicts] == [
        ("hold", None),
        ("retrain", request.id),
    ]


def test_ten_monitors_are_one_request_and_one_copy_of_each_number(trained, day) -> None:
    until(trained, day(84))
    with ThreadPoolExecutor(3) as several:
        seen = list(several.map(lambda _: look(trained, day(84)), range(10)))
    assert len({one.request.id for one in seen}) == 1
    assert len(trained.ledger.pending("bikes")) == 1
    assert len(trained.ledger.verdicts("bikes")) == 1
    assert not trained.rows("measurements")["measurement_id"].duplicated().any()


def test_a_later_alarm_joins_the_request_that_waits(trained, day) -> None:
    until(trained, day(91))
    first = look(trained, day(84)).request
    later = look(trained, day(91)).request
    assert later is not None
    assert later.id == first.id
    assert len(trained.ledger.merges(first.id)) == 1


def test_within_the_cooldown_nothing_is_asked(trained, day) -> None:
    trained.change(policy={"kind": "drift", "share": 0.5, "needed": 2, "of": 3, "cooldown": "30d"})
    until(trained, day(84))
    seen = look(trained, day(84))
    assert (seen.verdict.action, seen.request) == ("hold", None)
    assert "the cooldown is 30d" in seen.verdict.reason
    assert trained.ledger.pending("bikes") == []


def test_a_champion_too_old_is_asked_to_be_replaced(trained, day) -> None:
    trained.change(max_age="9d")
    trained.change(policy={"kind": "never", "cooldown": "5d"})
    until(trained, day(70))
    seen = look(trained, day(70))
    assert seen.verdict.cause == "max_age"
    assert trained.ledger.find(seen.request.id).cause == "max_age"


def test_windows_of_an_earlier_champion_do_not_count_against_this_one(retrained, day) -> None:
    until(retrained, day(105))
    seen = look(retrained, day(105))
    assert seen.windows == 6
    assert seen.verdict.action == "hold"
    assert "no window measured since the champion took charge" in seen.verdict.reason
    until(retrained, day(112))
    look(retrained, day(112))
    rows = retrained.rows("measurements").set_index("window_end")["model_version"]
    assert set(rows[day(105)]) == {"2"}, "version 4 took charge within it"
    assert set(rows[day(112)]) == {"4"}


def test_without_a_model_the_naive_baseline_is_watched(care, day) -> None:
    hold(care, day(60))
    until(care, day(70))
    seen = look(care, day(70))
    assert {m.name for m in seen.measurements} == {"live_error", "naive_error", "labelled_share"}
    assert set(care.rows("measurements")["model_version"]) == {NAIVE}
    assert "no model is in charge" in seen.verdict.reason


# --- labels that come late -----------------------------------------------------------------------


def test_the_live_error_is_measured_again_once_the_last_label_is_in(trained, day) -> None:
    until(trained, day(70))
    first = {m.name: m for m in look(trained, day(70)).measurements}
    until(trained, day(71))
    seen = look(trained, day(71))
    again = {m.name: m for m in seen.measurements}
    assert seen.windows == 0
    assert (first["live_error"].rows, again["live_error"].rows) == (49, 56)
    assert again["labelled_share"].value == 1
    assert again["drift_share"] == first["drift_share"]
    rows = trained.rows("measurements")
    late = rows[rows["known_time"] == day(71)]
    assert sorted(late["name"]) == ["labelled_share", "live_error", "naive_error"], "no drift"
    assert set(late["model_version"]) == {"2"}
    assert set(late["reference"]) == set(rows["reference"])
    assert not rows["measurement_id"].duplicated().any()
    assert live_errors(trained, day(70.9))[day(70)] == first["live_error"], "as it was known then"


def test_what_was_measured_again_is_measured_no_third_time(trained, day) -> None:
    until(trained, day(77))
    look(trained, day(70))
    look(trained, day(77))
    assert [one.window.end for one in looks_due(trained.home, trained.pipeline, as_of=day(78))] == [
        day(77)
    ]
    version = trained.home.lake.version("bikes", "measurements")
    for moment in (day(77), day(77.5), day(70)):
        look(trained, moment)
    assert trained.home.lake.version("bikes", "measurements") == version


def test_ten_monitors_measure_live_error_again_once(trained, day) -> None:
    until(trained, day(72))
    look(trained, day(70))
    with ThreadPoolExecutor(3) as several:
        list(several.map(lambda _: look(trained, day(72)), range(10)))
    rows = trained.rows("measurements")
    assert (rows["name"] == "live_error").sum() == 2


@pytest.fixture
def slow(fresh, world, day):
    """Give a pipeline without a model whose labels come ten days after the event."""
    fresh.write(world(60))
    fresh.change(label_delay="10d")
    fresh.ingest(day(14))
    hold(fresh, day(14))
    return fresh


def test_labels_that_come_later_than_a_window_is_wide_are_measured(slow, day) -> None:
    for number in (21, 28, 35, 42):
        until(slow, day(number))
        look(slow, day(number))
    live = live_errors(slow, day(42))
    told = {end: (m.status != "cannot_tell", m.rows) for end, m in live.items()}
    assert told == {
        day(21): (True, 56),
        day(28): (True, 56),
        day(35): (False, 0),
        day(42): (False, 0),
    }
    assert live_errors(slow, day(28))[day(21)].status == "cannot_tell"


def test_the_status_shows_the_newest_live_error_that_can_tell(slow, day) -> None:
    for number in (21, 28, 35, 42):
        until(slow, day(number))
        look(slow, day(number))
    shown = _newest_quality(slow.home, slow.pipeline)
    assert shown["live_error"] == live_errors(slow, day(42))[day(28)].value
    assert shown["naive_error"] == live_errors(slow, day(42), "naive_error")[day(28)].value
    assert (shown["window_start"], shown["window"]) == (day(21).isoformat(), day(28).isoformat())
    assert (shown["drift_window"], shown["drift"]) == (day(42).isoformat(), None)
    console = Console(record=True, width=200)
    about = {"pipeline": "bikes", "champion": "naive", "since": None, "metric": "mae"}
    rest: dict[str, object] = {"pending": [], "moved_by_hand": [], "data_faults": []}
    rest |= {"last_decision": None, "waiting": None}
    place = {"shipped": False, "in_use": True}
    print_status(console, [{**about, **shown, **rest, **place}])
    said = " ".join(console.export_text().split())
    assert "mae over the 7d to 2024-01-29" in said
    assert "the window to 2024-02-12 cannot tell: " in said, "and why the newest says nothing"


@pytest.fixture
def trickling(fresh, world, day):
    """Give a pipeline where every other label takes 20 days, the rest an hour."""
    rows = world(60)
    counted = pd.to_datetime(rows["at"], utc=True) + pd.Timedelta("1h")
    counted[::2] += pd.Timedelta("20D")
    fresh.write(rows.assign(counted=counted.dt.strftime("%Y-%m-%dT%H:%M:%S")))
    fresh.change(label_delay=None, label_time="counted")
    fresh.ingest(day(14))
    hold(fresh, day(14))
    return fresh


def test_labels_with_times_of_their_own_are_looked_at_as_they_come(trickling, day) -> None:
    for number in (21, 35, 36, 42):
        until(trickling, day(number))
        look(trickling, day(number))
        look(trickling, day(number))
    rows = trickling.rows("measurements")
    looks = rows[(rows["name"] == "live_error") & (rows["window_end"] == day(21))]
    looks = looks.sort_values("known_time")
    assert list(looks["known_time"]) == [day(21), day(36), day(42)], "at 35 too few were new"
    assert list(looks["rows"]) == [28, 36, 56]
    assert live_errors(trickling, day(42))[day(21)].rows == 56


def test_windows_long_past_are_looked_at_once_they_are_mature_not_before(
    trickling, day, monkeypatch
) -> None:
    until(trickling, day(28))
    look(trickling, day(28))
    until(trickling, day(36))
    due = looks_due(trickling.home, trickling.pipeline, as_of=day(36))
    assert [one.window.end for one in due] == [day(21)]
    monkeypatch.setattr("flows.steps.measuring.LOOK_BACK", 1)
    assert looks_due(trickling.home, trickling.pipeline, as_of=day(36)) == []
    until(trickling, day(42))
    due = looks_due(trickling.home, trickling.pipeline, as_of=day(42))
    assert [one.window.end for one in due] == [day(21)], "its slowest label takes 20 days"


# --- beside the naive baseline -------------------------------------------------------------------


def naive_error_of(care, kind: str, rows: pd.DataFrame, moment: pd.Timestamp) -> float:
    labels = labels_known(care.home.lake, care.pipeline, as_of=moment)
    season = care.pipeline.season
    said = naive_answers(kind, rows, labels, task="regression", season=season, known_by=None)
    return metric_value(care.pipeline.resolved_metric, rows["label"], said)


def labelled_between(care, start: pd.Timestamp, end: pd.Timestamp, *, known) -> pd.DataFrame:
    labels = labels_known(care.home.lake, care.pipeline, as_of=known)
    return labels[(labels["event_time"] >= start) & (labels["event_time"] < end)]


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_the_naive_baseline_beside_it_is_chosen_before_the_window(trained, day, metric) -> None:
    trained.change(metric=metric)
    until(trained, day(78))
    look(trained, day(78))
    beside = live_errors(trained, day(78), "naive_error")[day(77)].value
    rows = labelled_between(trained, day(70), day(77), known=day(78))
    mean, last = (naive_error_of(trained, kind, rows, day(78)) for kind in ("mean", "last"))
    assert last < mean, "in hindsight, in the new world, another one is better"
    assert beside == pytest.approx(mean)


def test_where_no_label_was_known_before_the_window_it_is_the_first_kind(slow, day) -> None:
    slow.ledger.record(
        Outcome(pipeline="bikes", what="refused", who="Ada", why="no gain", as_of=day(7)),
        now=slow.clock(),
    )
    until(slow, day(42))
    look(slow, day(42))
    rows = labelled_between(slow, day(7), day(14), known=day(42))
    mean, last = (naive_error_of(slow, kind, rows, day(42)) for kind in ("mean", "last"))
    assert mean < last, "the first kind is the worse one here"
    beside = live_errors(slow, day(42), "naive_error")[day(14)]
    assert beside.value == pytest.approx(last)


def test_the_demo_sums_up_with_the_naive_baseline_chosen_at_its_start(trained, day) -> None:
    trained.change(metric="rmse")
    until(trained, day(78))
    worth = sum_up(trained.home, trained.pipeline, start=day(70), end=day(78))
    rows = labelled_between(trained, day(70), day(78), known=day(78))
    assert worth.rows == len(rows)
    assert worth.naive == pytest.approx(naive_error_of(trained, "mean", rows, day(78)))


# --- classes -------------------------------------------------------------------------------------


@pytest.fixture
def classes(fresh, world, day):
    """Give a pipeline of classes: from day 24 on there is a third one."""
    rows = world(50)
    third = ("ab" * 96 + "abc" * 70)[: len(rows)]
    fresh.write(rows.assign(count=list(third)))
    fresh.change(task="multiclass")
    fresh.ingest(day(14))
    hold(fresh, day(14))
    return fresh


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc"])
def test_a_class_that_appears_later_is_measured_not_stumbled_over(classes, day, metric) -> None:
    classes.change(metric=metric)
    for number in (21, 24, 28, 35):
        until(classes, day(number))
    assert look(classes, day(35)).windows == 3
    rows = classes.rows("measurements")
    live = rows[rows["name"] == "live_error"].set_index("window_end")
    assert live["value"].notna().all()
    assert (live["rows"] > 40).all()


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "roc_auc"])
def test_a_window_without_any_label_cannot_tell(classes, day, metric) -> None:
    classes.change(metric=metric)
    classes.change(label_delay="60d")
    until(classes, day(28))
    live = next(m for m in look(classes, day(21)).measurements if m.name == "live_error")
    assert (live.status, live.value, live.rows) == ("cannot_tell", None, 0)


def test_a_first_training_that_waited_is_asked_for_again_by_the_loop(fresh, world, day) -> None:
    fresh.write(world(60))
    fresh.ingest(day(5))
    first = fresh.train(day(5))
    assert first.what == "wait"
    assert first.why.endswith("more are needed")
    until(fresh, day(28))
    asked = look(fresh, day(28))
    assert (asked.verdict.action, asked.verdict.cause) == ("retrain", "manual")
    assert asked.request.state == "open"
    assert "no model is in charge: the training of" in asked.verdict.reason
