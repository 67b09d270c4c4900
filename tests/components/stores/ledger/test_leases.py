"""One lease at a time a pipeline; whoever lost it cannot write."""

from contextlib import closing
from datetime import timedelta

import pytest

from components.errors import LeaseLostError, StoreError
from components.stores.ledger import open_ledger


@pytest.fixture
def request_id(ask):
    return ask("drift:2012-03-01")[0].id


def test_a_claim_gives_a_lease_and_marks_the_request(ledger, request_id, claim, now, ttl):
    lease = claim(request_id, flow_run_id="run-1", by_reconcile=True)
    assert (lease.token, lease.expires_at, lease.holder) == (1, now + ttl, "worker-1")
    request = ledger.find(request_id)
    assert (request.state, request.flow_run_id, request.by_reconcile) == ("leased", "run-1", True)
    assert ledger.lease("bikeshare") == lease


def test_another_gets_nothing_while_the_lease_runs(request_id, claim, now, ttl):
    assert claim(request_id) is not None
    assert claim(request_id, "worker-2", now=now + ttl - timedelta(seconds=1)) is None


def test_sixteen_claims_at_once_give_one_lease(url, request_id, at_once, now, ttl):
    def claiming(number):
        with closing(open_ledger(url)) as own:
            lease = own.claim(request_id, holder=f"worker-{number}", now=now, ttl=ttl)
            return lease.token if lease else None

    answers = at_once(16, claiming)
    assert sorted(answers, key=str) == [1] + [None] * 15


def test_a_lease_that_ran_out_can_be_taken_with_a_larger_token(request_id, claim, now, ttl):
    first = claim(request_id)
    second = claim(request_id, "worker-2", now=now + ttl)
    assert (first.token, second.token) == (1, 2)


def test_the_token_grows_with_every_claim_of_the_pipeline(
    ledger, ask, claim, outcome, now, request_id
):
    tokens = [claim(request_id).token]
    ledger.release(ledger.lease("bikeshare"))
    lease = claim(request_id)
    tokens.append(lease.token)
    ledger.conclude(lease, outcome("refused"), promotion=None, now=now)
    tokens.append(claim(ask("drift:2012-03-08")[0].id).token)
    assert tokens == [1, 2, 3]


def test_pipelines_do_not_wait_for_each_other(ask, claim, request_id):
    claim(request_id)
    assert claim(ask("k", pipeline="flights")[0].id, "worker-2").token == 1


def test_the_same_holder_may_claim_again_and_its_older_lease_is_lost(
    ledger, request_id, claim, outcome, now
):
    older, newer = claim(request_id), claim(request_id)
    assert newer.token == older.token + 1
    with pytest.raises(LeaseLostError):
        ledger.conclude(older, outcome("refused"), promotion=None, now=now)


def test_a_closed_request_cannot_be_claimed(ledger, request_id, claim, outcome, now, ttl):
    ledger.conclude(claim(request_id), outcome("refused"), promotion=None, now=now)
    assert claim(request_id, now=now + 2 * ttl) is None


def test_an_unknown_request_cannot_be_claimed(claim):
    with pytest.raises(StoreError, match="no request 'rr-0' in this ledger"):
        claim("rr-0")


def test_a_heartbeat_lets_the_lease_run_its_full_time_again(ledger, request_id, claim, now, ttl):
    lease = ledger.heartbeat(claim(request_id), now=now + ttl / 2)
    assert lease.expires_at == now + ttl / 2 + ttl
    assert claim(request_id, "worker-2", now=now + ttl) is None


def test_a_heartbeat_of_a_lease_that_was_taken_says_who_has_it(ledger, request_id, claim, now, ttl):
    stale = claim(request_id)
    claim(request_id, "worker-2", now=now + ttl)
    with pytest.raises(LeaseLostError, match=r"has passed to worker-2 \(token 2\)"):
        ledger.heartbeat(stale, now=now + ttl)


def test_a_heartbeat_after_the_decision_is_refused(ledger, request_id, claim, outcome, now):
    lease = claim(request_id)
    ledger.conclude(lease, outcome("refused"), promotion=None, now=now)
    with pytest.raises(LeaseLostError, match="given back, or its request is closed"):
        ledger.heartbeat(lease, now=now)


def test_a_lease_given_back_leaves_the_request_open_for_the_next(ledger, request_id, claim, now):
    ledger.release(claim(request_id))
    assert ledger.find(request_id).state == "open"
    assert [request.id for request in ledger.pending(now=now)] == [request_id]
    assert ledger.lease("bikeshare") is None
    assert claim(request_id, "worker-2").token == 2


def test_giving_back_a_lost_lease_does_not_touch_its_taker(ledger, request_id, claim, now, ttl):
    stale = claim(request_id)
    newer = claim(request_id, "worker-2", now=now + ttl)
    ledger.release(stale)
    assert ledger.lease("bikeshare") == newer


def test_a_stale_holder_cannot_conclude(ledger, request_id, claim, outcome, new, now, ttl):
    stale = claim(request_id)
    claim(request_id, "worker-2", now=now + ttl)
    with pytest.raises(LeaseLostError, match="nothing was written"):
        ledger.conclude(
            stale, outcome("promoted"), promotion=new("9", expected_epoch=0), now=now + ttl
        )
    assert ledger.decisions() == []
    assert ledger.champion("bikeshare") is None


def test_a_stale_holder_in_another_process_cannot_conclude(
    url, ledger, request_id, claim, outcome, at_once, now, ttl
):
    stale = claim(request_id)
    newer = claim(request_id, "worker-2", now=now + ttl)

    def conclude_late(_number):
        with closing(open_ledger(url)) as own:
            return own.conclude(stale, outcome("refused"), promotion=None, now=now + ttl)

    (answer,) = at_once(1, conclude_late)
    assert answer.startswith("LeaseLostError")
    assert ledger.conclude(newer, outcome("wait"), promotion=None, now=now + ttl).what == "wait"


def test_a_stale_holder_cannot_conclude_after_its_taker_did(
    ledger, request_id, claim, outcome, now, ttl
):
    stale = claim(request_id)
    newer = claim(request_id, "worker-2", now=now + ttl)
    ledger.conclude(newer, outcome("refused"), promotion=None, now=now + ttl)
    with pytest.raises(LeaseLostError):
        ledger.conclude(stale, outcome("wait"), promotion=None, now=now + ttl)
    assert [decision.what for decision in ledger.decisions()] == ["refused"]


def test_a_lease_that_ran_out_but_was_taken_by_nobody_may_conclude(
    ledger, request_id, claim, outcome, now, ttl
):
    lease = claim(request_id)
    late = now + 10 * ttl
    assert ledger.conclude(lease, outcome("wait"), promotion=None, now=late).what == "wait"


def test_a_lease_given_back_cannot_conclude(ledger, request_id, claim, outcome, now):
    lease = claim(request_id)
    ledger.release(lease)
    with pytest.raises(LeaseLostError, match="given back"):
        ledger.conclude(lease, outcome("wait"), promotion=None, now=now)
