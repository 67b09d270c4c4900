from datetime import timedelta

import pandas as pd
import pytest

from components.faults import Fault
from components.known_faults import Faults
from components.pipelines.spec import Policy
from monitoring.measurements import Measurement
from monitoring.policies import History, WindowFacts, blocked, judge
from monitoring.windows import Window

START = pd.Timestamp("2026-01-01", tz="UTC")
DAY = pd.Timedelta("1D")
DRIFT = Policy(kind="drift", share=0.3, needed=2, of=3, cooldown=timedelta(days=14))


def facts(week, share):
    drifted = ("price", "town") if share else ()
    window = Window(START + 7 * week * DAY, START + 7 * (week + 1) * DAY)
    return WindowFacts(window, share, drifted, None, 168)


def ask(shares, *, policy=DRIFT, since=0, answered=None, fitted=0, max_age=None, at=None):
    """Judge after weekly windows with these shares; moments are days after the start."""
    at = 7 * len(shares) if at is None else at
    history = History(
        windows=tuple(facts(week, share) for week, share in enumerate(shares)),
        champion_since=None if since is None else START + since * DAY,
        last_answer=None if answered is None else START + answered * DAY,
        last_fit=None if fitted is None else START + fitted * DAY,
    )
    return judge(policy, history, as_of=START + at * DAY, max_age=max_age)


@pytest.mark.parametrize(
    ("shares", "action"),
    [
        pytest.param([0.0, 0.0, 0.5], "hold", id="one noisy window"),
        pytest.param([0.0, 0.5, 0.5], "retrain", id="two of three, the newest among them"),
        pytest.param([0.5, 0.0, 0.5], "retrain", id="relapse within three windows"),
        pytest.param([0.5, 0.5, 0.0], "hold", id="healed"),
        pytest.param([0.5, 0.5, None], "hold", id="the newest cannot tell"),
        pytest.param([0.5, None, 0.5], "retrain", id="one between cannot tell"),
        pytest.param([0.5, 0.5, 0.0, 0.0, 0.5], "hold", id="an old breach is forgotten"),
        pytest.param([0.29, 0.29, 0.29], "hold", id="below the share"),
        pytest.param([0.3, 0.3], "retrain", id="on the share, in the first two windows"),
        pytest.param([0.5], "hold", id="a single window"),
    ],
)
def test_drift_must_persist_and_still_be_there(shares, action):
    verdict = ask(shares)

    assert verdict.action == action
    assert verdict.cause == ("drift" if action == "retrain" else None)


def test_windows_of_an_earlier_champion_do_not_count():
    assert ask([0.5, 0.5, 0.5, 0.5], since=0).action == "retrain"
    assert ask([0.5, 0.5, 0.5, 0.5], since=21).action == "hold"
    assert ask([0.5, 0.5, 0.5, 0.5], since=14).action == "retrain"


def test_a_window_that_the_champion_partly_learnt_from_does_not_count():
    assert ask([0.5, 0.5], since=1).action == "hold"


def test_windows_that_end_later_are_not_looked_at():
    verdict = ask([0.5, 0.0, 0.5, 0.5], at=14)

    assert verdict.action == "hold"
    assert verdict.window_end == START + 14 * DAY


def test_the_order_of_windows_does_not_matter():
    windows = tuple(facts(week, share) for week, share in enumerate([0.5, 0.5, 0.0]))
    history = History(windows[::-1], START, None, None)

    assert judge(DRIFT, history, as_of=START + 21 * DAY, max_age=None).action == "hold"


def test_nothing_is_asked_within_the_cooldown():
    verdict = ask([0.5, 0.5, 0.5], answered=10)

    assert verdict.action == "hold"
    assert "answered 11 days ago, and the cooldown is 14d" in verdict.reason
    assert ask([0.5, 0.5, 0.5], answered=7).action == "retrain"


def test_the_reason_names_windows_columns_and_limit():
    assert ask([0.0, 0.5, 0.5]).reason == (
        "drift in 2 of the last 3 windows, the newest among them: 50% of the columns "
        "(price, town) in 2026-01-15 to 2026-01-22, the limit is 30%"
    )


def test_without_a_champion_there_is_nothing_to_drift_from():
    assert "no model is in charge yet" in ask([0.5, 0.5], since=None).reason


def test_never_means_never():
    verdict = ask([1.0, 1.0, 1.0], policy=Policy(kind="never"))

    assert (verdict.action, verdict.reason) == ("hold", "the policy is never to retrain")


@pytest.mark.parametrize(("at", "action"), [(27, "hold"), (28, "retrain"), (60, "retrain")])
def test_a_calendar_asks_once_the_period_is_over(at, action):
    verdict = ask([0.0], policy=Policy(kind="periodic", period=timedelta(days=28)), at=at)

    assert verdict.action == action
    assert verdict.cause == ("periodic" if action == "retrain" else None)


def test_the_period_runs_from_the_last_fit_promoted_or_not():
    policy = Policy(kind="periodic", period=timedelta(days=28), cooldown=timedelta(0))

    assert ask([], policy=policy, since=0, fitted=20, at=40).action == "hold"
    assert ask([], policy=policy, since=None, fitted=None, at=40).action == "hold"


EVERY_28_DAYS = Policy(kind="periodic", period=timedelta(days=28))


def first_tried(policy, *, fitted=None, answered=None, at=40):
    """Judge after a first training, ten days after the start, that gave no model."""
    history = History(
        windows=(),
        champion_since=None,
        last_answer=None if answered is None else START + answered * DAY,
        last_fit=None if fitted is None else START + fitted * DAY,
        last_tried=START + 10 * DAY,
    )
    return judge(policy, history, as_of=START + at * DAY, max_age=None)


@pytest.mark.parametrize("policy", [EVERY_28_DAYS, DRIFT], ids=lambda policy: policy.kind)
@pytest.mark.parametrize("answered", [None, 10], ids=["it failed", "it waited"])
def test_a_first_training_that_gave_no_model_is_tried_again(policy, answered):
    verdict = first_tried(policy, answered=answered)

    assert (verdict.action, verdict.cause) == ("retrain", "manual")
    assert verdict.reason == (
        "no model is in charge: the training of 2026-01-11 gave none, it is tried again"
    )


def test_a_first_training_that_was_refused_is_tried_again_when_it_is_due():
    assert first_tried(EVERY_28_DAYS, fitted=10, answered=10, at=37).action == "hold"
    due = first_tried(EVERY_28_DAYS, fitted=10, answered=10, at=38)
    assert (due.action, due.cause) == ("retrain", "periodic")
    assert first_tried(DRIFT, fitted=10, answered=10, at=23).action == "hold", "the cooldown"
    assert first_tried(DRIFT, fitted=10, answered=10, at=24).action == "retrain"


def test_never_does_not_try_a_first_training_again():
    assert first_tried(Policy(kind="never")).action == "hold"


@pytest.mark.parametrize("kind", ["never", "drift"])
def test_a_model_past_its_age_is_due_whatever_the_policy(kind):
    verdict = ask([0.0, 0.0], policy=Policy(kind=kind), max_age=timedelta(days=14))

    assert (verdict.action, verdict.cause) == ("retrain", "max_age")
    assert verdict.reason == "the model is 14 days old, 14d is the most it may be"


def test_age_is_no_excuse_within_the_cooldown():
    assert ask([0.0, 0.0], answered=7, max_age=timedelta(days=14)).action == "hold"


def test_a_younger_model_is_not_due():
    assert ask([0.0], max_age=timedelta(days=14)).action == "hold"


def measured(name, column, value, status, window):
    return Measurement(name, column, window, "m", value, 0.3, "above", status, 168, "")


def test_measurements_sum_up_to_the_facts_of_their_window(window):
    other = Window(window.end, window.end + 7 * DAY)
    found = [
        measured("drift", "price", 0.9, "breach", window),
        measured("drift", "stock", 0.1, "fine", window),
        measured("drift_share", None, 0.5, "breach", window),
        measured("live_error", None, 40.0, "fine", window),
        measured("drift_share", None, 0.9, "breach", other),
    ]

    assert WindowFacts.of(window, found) == WindowFacts(window, 0.5, ("price",), 40.0, 168)


def test_what_cannot_tell_is_no_fact(window):
    found = [
        measured("drift_share", None, None, "cannot_tell", window),
        measured("live_error", None, 12.0, "cannot_tell", window),
    ]

    assert WindowFacts.of(window, found) == WindowFacts(window, None, (), None, 168)
    assert WindowFacts.of(window, []).rows == 0


# --- data faults ---------------------------------------------------------------------------------

BROKEN = Fault(START + 30 * DAY, START + 31 * DAY, "frozen", "price", "7 in all 24 rows", 24)
OVER = Fault(START + 2 * DAY, START + 3 * DAY, "nulls", "town", "60 %, 2 % before", 14)


def asked_of(policy, faults, *, max_age=None, put_off=None):
    """Judge five windows that all drifted, a model a hundred days old, under data faults."""
    history = History(
        windows=tuple(facts(week, 0.9) for week in range(5)),
        champion_since=START,
        last_answer=None,
        last_fit=START - 65 * DAY,
        put_off=put_off,
    )
    return judge(policy, history, as_of=START + 35 * DAY, max_age=max_age, faults=faults)


EVERY_POLICY = [
    DRIFT,
    Policy(kind="periodic", period=timedelta(days=1)),
    Policy(kind="never"),
]


@pytest.mark.parametrize("policy", EVERY_POLICY, ids=lambda policy: policy.kind)
@pytest.mark.parametrize(
    "faults",
    [
        Faults(blocking=(BROKEN,), aside=(BROKEN,)),
        Faults(found=(BROKEN,), aside=(BROKEN,)),
        Faults(found=(OVER,), blocking=(BROKEN,), aside=(OVER, BROKEN)),
    ],
    ids=["in the newest window", "found just now", "both"],
)
def test_no_policy_asks_for_a_retraining_while_the_data_is_broken(policy, faults):
    verdict = asked_of(policy, faults, max_age=timedelta(days=1), put_off=START)
    assert (verdict.action, verdict.cause) == ("data_fault", None)
    assert "frozen in price: 7 in all 24 rows" in verdict.reason
    for fault in faults.found:
        assert f"{fault.fault} in {fault.column}: {fault.evidence}" in verdict.reason


def test_a_blocked_training_names_what_to_say_next():
    words = blocked([BROKEN], "prices")
    assert "`driftwheel diagnose prices`" in words
    ending = f"`driftwheel resolve prices {BROKEN.key} --accept|--discard|--reingest --reason …`"
    assert ending in words
    assert "resolve prices FAULT" in blocked([BROKEN, OVER], "prices")


@pytest.mark.parametrize(
    ("policy", "action"), list(zip(EVERY_POLICY, ["retrain", "retrain", "hold"], strict=True))
)
def test_once_a_fault_is_past_the_policy_judges_and_says_what_is_set_aside(policy, action):
    verdict = asked_of(policy, Faults(aside=(OVER, BROKEN)))
    assert verdict.action == action
    assert verdict.reason.endswith("38 rows of 2 data faults stay set aside")
    assert "set aside" not in asked_of(policy, Faults()).reason
    gap = Fault(START, START + DAY, "missing_period", "at", "no row", 0)
    assert "set aside" not in asked_of(policy, Faults(aside=(gap,))).reason
    with_gap = Faults(aside=(OVER, BROKEN, gap))
    assert asked_of(policy, with_gap).reason.endswith("38 rows of 2 data faults stay set aside")


def test_a_training_that_was_put_off_is_made_up_for():
    verdict = asked_of(Policy(kind="never"), Faults(aside=(BROKEN,)), put_off=START + 30 * DAY)
    assert (verdict.action, verdict.cause) == ("retrain", "manual")
    assert "training of 2026-01-31 was put off by a data fault" in verdict.reason
