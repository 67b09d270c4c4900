"""A verdict to retrain and its request stand together, or neither does."""

from contextlib import closing
from datetime import timedelta

import pytest

from components.stores.ledger import open_ledger


@pytest.fixture
def hold(ledger, as_of, now):
    def holding(**given):
        usual = {"window_end": as_of, "action": "hold", "reason": "1 of 9 columns drifted"}
        usual |= {"policy": "drift", "as_of": as_of, "now": now}
        return ledger.write_verdict("bikeshare", **{**usual, **given})

    return holding


@pytest.fixture
def retrain(ledger, as_of, now):
    def asking(key="drift:2012-03-01", *, to=ledger, **given):
        usual = {"window_end": as_of, "reason": "3 of 9 columns drifted", "cause": "drift"}
        usual |= {"policy": "drift", "as_of": as_of, "now": now}
        return to.retrain_verdict("bikeshare", key=key, **{**usual, **given})

    return asking


def test_a_verdict_on_a_window_is_written_once(ledger, hold):
    assert hold()
    assert not hold(reason="judged again")
    (verdict,) = ledger.verdicts("bikeshare")
    assert (verdict.action, verdict.reason) == ("hold", "1 of 9 columns drifted")


def test_policies_and_windows_have_verdicts_of_their_own(ledger, hold, as_of):
    assert hold(policy="periodic", window_end=as_of + timedelta(days=7))
    assert hold(window_end=as_of + timedelta(days=7))
    assert hold()
    assert [verdict.policy for verdict in ledger.verdicts("bikeshare")] == [
        "drift",
        "drift",
        "periodic",
    ]


def test_a_verdict_on_no_complete_window_stands_at_its_as_of(ledger, hold, as_of):
    assert hold(window_end=None)
    assert ledger.verdicts("bikeshare")[0].window_end == as_of


def test_a_verdict_to_retrain_names_its_request(ledger, retrain):
    request, created = retrain(evidence={"drift_share": 0.33}, champion="3")
    assert created
    assert ledger.find(request.id) == request
    (verdict,) = ledger.verdicts("bikeshare")
    assert (verdict.action, verdict.request_id) == ("retrain", request.id)


def test_the_same_verdict_again_finds_its_request(ledger, retrain):
    first, _ = retrain()
    assert retrain() == (first, False)
    assert len(ledger.verdicts("bikeshare")) == len(ledger.requests()) == 1


def test_ten_monitors_at_once_write_one_verdict_and_one_request(url, ledger, retrain, at_once):
    def watching(_number):
        with closing(open_ledger(url)) as own:
            return retrain(to=own)[1]

    assert sorted(at_once(10, watching)) == [False] * 9 + [True]
    assert len(ledger.verdicts("bikeshare")) == len(ledger.requests()) == 1


def test_a_hold_gives_way_when_the_same_window_comes_to_call_for_retraining(ledger, hold, retrain):
    hold()
    request, created = retrain()
    assert created
    (verdict,) = ledger.verdicts("bikeshare")
    assert (verdict.action, verdict.request_id) == ("retrain", request.id)


def test_a_verdict_to_retrain_never_turns_back_into_a_hold(ledger, hold, retrain):
    retrain()
    assert not hold()
    assert ledger.verdicts("bikeshare")[0].action == "retrain"


def test_killed_before_the_outbox_there_is_neither_verdict_nor_request(
    url, ledger, retrain, killed_at
):
    killed_at("verdict-before-outbox", lambda: retrain(to=open_ledger(url)))
    assert ledger.verdicts("bikeshare") == ledger.requests() == []
    assert retrain()[1]


def test_killed_after_the_outbox_there_are_both(url, ledger, retrain, killed_at):
    killed_at("after-outbox", lambda: retrain(to=open_ledger(url)))
    (verdict,), (request,) = ledger.verdicts("bikeshare"), ledger.requests()
    assert verdict.request_id == request.id
    assert retrain() == (request, False)


def test_when_the_verdict_cannot_be_written_the_request_is_not_either(ledger, retrain, monkeypatch):
    def fail(*_args):
        raise RuntimeError("the lights went out")

    monkeypatch.setattr("components.stores.ledger.verdicts.write_retrain", fail)
    with pytest.raises(RuntimeError):
        retrain()
    assert ledger.requests() == []


def test_a_mark_is_kept_and_overwritten(ledger):
    assert ledger.mark("bikeshare", "ingested") is None
    ledger.set_mark("bikeshare", "ingested", "2012-03-01")
    ledger.set_mark("bikeshare", "ingested", "2012-03-02")
    ledger.set_mark("flights", "ingested", "2008-01-01")
    assert ledger.mark("bikeshare", "ingested") == "2012-03-02"
