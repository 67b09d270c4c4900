"""A request ends in exactly one decision, written whole or not at all."""

from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import exc

from components.errors import InvalidInputError, StoreError
from components.stores.ledger import open_ledger
from components.stores.ledger.tables import decisions


@pytest.fixture
def request_id(ask):
    return ask("drift:2012-03-01")[0].id


@pytest.fixture
def lease(claim, request_id):
    return claim(request_id, flow_run_id="run-1")


def test_a_decision_reads_back_with_its_numbers(ledger, lease, outcome, now, as_of):
    said = outcome("refused", tested_version="8", numbers={"gain": 0.004, "low": float("nan")})
    decision = ledger.conclude(lease, said, promotion=None, now=now)
    assert ledger.decisions("bikeshare") == [decision]
    assert (decision.what, decision.tested_version) == ("refused", "8")
    assert decision.numbers == {"gain": 0.004, "low": None}
    assert (decision.at, decision.as_of, decision.recorded_at) == (as_of, as_of, now)


def test_a_decision_names_its_request_and_event(ledger, lease, outcome, now):
    ledger.mark_sent(lease.request_id, event_id="e-1", now=now)
    decision = ledger.conclude(lease, outcome("wait"), promotion=None, now=now)
    assert (decision.request_id, decision.event_id) == (lease.request_id, "e-1")
    assert ledger.decision_on(lease.request_id) == decision


def test_the_decision_closes_the_request_and_frees_the_pipeline(ledger, lease, outcome, now):
    ledger.conclude(lease, outcome("wait"), promotion=None, now=now)
    request = ledger.find(lease.request_id)
    assert (request.state, request.outcome, request.closed_at) == ("closed", "wait", now)
    assert ledger.lease("bikeshare") is None


def test_concluding_again_returns_the_decision_that_was_written(ledger, lease, outcome, new, now):
    said, promotion = outcome("promoted"), new("8", expected_epoch=0)
    first = ledger.conclude(lease, said, promotion=promotion, now=now)
    again = ledger.conclude(lease, replace(said, why="other"), promotion=promotion, now=now)
    assert again == first
    assert [decision.id for decision in ledger.decisions()] == [first.id]
    assert [promotion.epoch for promotion in ledger.promotions("bikeshare")] == [1]


def test_an_open_request_has_no_decision(ledger, request_id):
    assert ledger.decision_on(request_id) is None


def test_killed_before_the_commit_nothing_has_happened_and_a_rerun_decides_once(
    url, ledger, request_id, killed_at, outcome, new, now, ttl
):
    conclude = _concluding(url, request_id, outcome("promoted"), new("8", expected_epoch=0), ttl)
    killed_at("after-gate-before-cas", lambda: conclude("worker-1", now))
    assert ledger.decisions() == []
    assert ledger.champion("bikeshare") is None
    assert ledger.find(request_id).state == "leased"

    conclude("worker-2", now + ttl)
    assert [decision.what for decision in ledger.decisions()] == ["promoted"]
    assert [promotion.epoch for promotion in ledger.promotions("bikeshare")] == [1]


def test_killed_after_the_commit_a_rerun_finds_the_decision(
    url, ledger, request_id, killed_at, outcome, new, now, ttl
):
    conclude = _concluding(url, request_id, outcome("promoted"), new("8", expected_epoch=0), ttl)
    killed_at("after-cas", lambda: conclude("worker-1", now))

    assert conclude("worker-2", now + ttl) is None
    assert [decision.what for decision in ledger.decisions()] == ["promoted"]
    assert [promotion.epoch for promotion in ledger.promotions("bikeshare")] == [1]
    assert ledger.find(request_id).outcome == "promoted"


def _concluding(url, request_id, said, promotion, ttl):
    def conclude(holder, now):
        with closing(open_ledger(url)) as own:
            lease = own.claim(request_id, holder=holder, now=now, ttl=ttl)
            return lease and own.conclude(lease, said, promotion=promotion, now=now)

    return conclude


def test_a_failure_in_the_middle_leaves_everything_as_it_was(
    ledger, lease, outcome, new, now, monkeypatch
):
    def fail(*_args, **_named):
        raise RuntimeError("the lights went out")

    monkeypatch.setattr("components.stores.ledger.leasing.end", fail)
    with pytest.raises(RuntimeError):
        ledger.conclude(lease, outcome("promoted"), promotion=new("8", expected_epoch=0), now=now)
    assert ledger.decisions() == []
    assert ledger.champion("bikeshare") is None
    assert ledger.find(lease.request_id).state == "leased"


def test_the_database_itself_refuses_a_second_decision_on_a_request(ledger, lease, outcome, now):
    ledger.conclude(lease, outcome("wait"), promotion=None, now=now)
    with ledger._database.engine.begin() as connection:
        row = dict(connection.execute(decisions.select()).mappings().one())
        row.pop("id")
        with pytest.raises(exc.IntegrityError):
            connection.execute(decisions.insert(), row)


@pytest.mark.parametrize("what", ["promoted", "refused"])
def test_promoted_and_a_promotion_go_together(ledger, lease, outcome, new, now, what):
    promotion = None if what == "promoted" else new("8", expected_epoch=0)
    with pytest.raises(InvalidInputError, match="exactly when it brings a promotion"):
        ledger.conclude(lease, outcome(what), promotion=promotion, now=now)
    assert ledger.find(lease.request_id).state == "leased"


def test_a_decision_without_a_request_is_recorded_once(ledger, outcome, now):
    fault = outcome("data_fault", who="schedule", why="temp is null since 1 March")
    first = ledger.record(fault, now=now)
    assert ledger.record(fault, now=now) == first
    other = ledger.record(replace(fault, why="humidity is null since 1 March"), now=now)
    assert ledger.decisions() == [first, other]


def test_a_decision_on_a_request_cannot_go_around_its_lease(ledger, outcome, request_id, now):
    with pytest.raises(InvalidInputError, match="concluded under its lease"):
        ledger.record(outcome("hold", request_id=request_id), now=now)


def test_decisions_are_listed_newest_last(ledger, outcome, now):
    for pipeline in ("flights", "bikeshare", "flights"):
        ledger.record(outcome("hold", pipeline=pipeline, why=str(len(ledger.decisions()))), now=now)
    assert [decision.why for decision in ledger.decisions()] == ["0", "1", "2"]
    assert [decision.why for decision in ledger.decisions("flights")] == ["0", "2"]


def test_a_lease_from_another_ledger_is_refused(ledger, lease, outcome, now):
    stranger = replace(lease, request_id="rr-000000000000")
    with pytest.raises(StoreError, match="no request 'rr-000000000000'"):
        ledger.conclude(stranger, outcome("wait"), promotion=None, now=now)
