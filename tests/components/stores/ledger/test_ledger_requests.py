"""One cause, one request; one request in flight a pipeline."""

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import exc

from components.errors import InvalidInputError, StoreError
from components.stores.ledger import open_ledger
from components.stores.ledger.tables import requests


def test_a_request_reads_back_as_it_was_written(ask, ledger, as_of, now):
    request, created = ask("drift:2012-03-01", champion="7", evidence={"drift_share": 0.4})
    assert created
    assert ledger.find(request.id) == request
    assert request.champion_version == "7"
    assert request.evidence == {"drift_share": 0.4}
    assert (request.as_of, request.written_at, request.state) == (as_of, now, "open")
    assert (request.event_id, request.outcome, request.closed_at) == (None, None, None)


def test_a_request_id_looks_like_rr(ask):
    assert re.fullmatch(r"rr-[0-9a-f]{12}", ask("drift:2012-03-01")[0].id)


def test_ten_identical_alerts_from_ten_processes_make_one_request(url, ledger, ask, at_once):
    def alert(_number):
        with closing(open_ledger(url)) as own:
            request, created = ask("drift:2012-03-01", to=own)
            return request.id, created

    answers = at_once(10, alert)
    assert len({request_id for request_id, _ in answers}) == 1
    assert sorted(created for _, created in answers) == [False] * 9 + [True]
    assert len(ledger.requests()) == 1


def test_the_same_key_finds_its_request_after_it_was_closed(ledger, ask, claim, outcome, now):
    request, _ = ask("drift:2012-03-01")
    ledger.conclude(claim(request.id), outcome("refused"), promotion=None, now=now)
    again, created = ask("drift:2012-03-01")
    assert (again.id, again.state, created) == (request.id, "closed", False)


def test_the_same_key_in_another_pipeline_is_another_request(ask):
    assert ask("max_age:2012-03")[0].id != ask("max_age:2012-03", pipeline="flights")[0].id


def test_the_same_cause_in_another_ledger_has_another_id(ask, tmp_path):
    with closing(open_ledger(f"sqlite:///{tmp_path / 'other.db'}")) as other:
        assert ask("drift:2012-03-01", to=other)[0].id != ask("drift:2012-03-01")[0].id


@pytest.mark.parametrize("in_hand", [False, True], ids=["open", "leased"])
def test_a_second_cause_joins_the_request_in_flight(ledger, ask, claim, in_hand):
    first, _ = ask("drift:2012-03-01")
    if in_hand:
        claim(first.id)
    second, created = ask("max_age:2012-03", cause="max_age", reason="the model is 90 days old")
    assert (second.id, created) == (first.id, False)
    (merge,) = ledger.merges(first.id)
    assert (merge.key, merge.cause, merge.reason) == (
        "max_age:2012-03",
        "max_age",
        "the model is 90 days old",
    )


def test_a_cause_that_joined_a_request_buys_no_other_later(ledger, ask, claim, outcome, now):
    first, _ = ask("drift:2012-03-01")
    ask("max_age:2012-03")
    ledger.conclude(claim(first.id), outcome("refused"), promotion=None, now=now)
    assert ask("max_age:2012-03")[0].id == first.id
    assert len(ledger.merges(first.id)) == 1


def test_a_new_cause_after_the_decision_is_a_new_request(ledger, ask, claim, outcome, now):
    first, _ = ask("drift:2012-03-01")
    ledger.conclude(claim(first.id), outcome("refused"), promotion=None, now=now)
    second, created = ask("drift:2012-03-08")
    assert created
    assert second.id != first.id


def test_the_database_itself_refuses_a_second_request_of_a_key(ledger, ask, claim, outcome, now):
    request, _ = ask("drift:2012-03-01")
    ledger.conclude(claim(request.id), outcome("refused"), promotion=None, now=now)
    with pytest.raises(exc.IntegrityError):
        _insert_beside(ledger, request.id, key="drift:2012-03-01")


def test_the_database_itself_refuses_a_second_request_in_flight(ledger, ask):
    request, _ = ask("drift:2012-03-01")
    with pytest.raises(exc.IntegrityError):
        _insert_beside(ledger, request.id, key="another")


def _insert_beside(ledger, request_id, *, key):
    with ledger._database.engine.begin() as connection:
        found = connection.execute(requests.select().where(requests.c.id == request_id))
        row = {**found.mappings().one(), "id": "rr-000000000000", "key": key, "state": "open"}
        connection.execute(requests.insert(), row)


def test_the_sent_event_is_noted(ledger, ask, now):
    request, _ = ask("drift:2012-03-01")
    ledger.mark_sent(request.id, event_id="e-1", now=now)
    found = ledger.find(request.id)
    assert (found.event_id, found.event_sent_at) == ("e-1", now)


def test_an_event_of_an_unknown_request_is_an_error(ledger, now):
    with pytest.raises(StoreError, match="no request 'rr-0'"):
        ledger.mark_sent("rr-0", event_id="e-1", now=now)


def test_an_unknown_request_is_not_found(ledger):
    assert ledger.find("rr-0") is None


def test_pending_are_those_open_and_those_whose_lease_ran_out(
    ledger, ask, claim, outcome, now, ttl
):
    waiting = ask("k", pipeline="waiting")[0].id
    in_hand = ask("k", pipeline="in-hand")[0].id
    closed = ask("k", pipeline="closed")[0].id
    claim(in_hand)
    lease = claim(closed)
    ledger.conclude(lease, outcome("refused", pipeline="closed"), promotion=None, now=now)

    assert [request.id for request in ledger.pending(now=now)] == [waiting]
    later = {request.id for request in ledger.pending(now=now + ttl)}
    assert later == {waiting, in_hand}
    assert {request.id for request in ledger.pending()} == {waiting, in_hand}
    assert [request.id for request in ledger.pending("in-hand", now=now + ttl)] == [in_hand]


def test_requests_are_listed_oldest_first(ledger, ask, now):
    ask("b", pipeline="elec2", now=now)
    ask("a", pipeline="bikeshare", now=now - timedelta(days=1))
    assert [request.pipeline for request in ledger.requests()] == ["bikeshare", "elec2"]
    assert [request.pipeline for request in ledger.requests("elec2")] == ["elec2"]


@pytest.mark.parametrize(
    "given",
    [
        datetime(2012, 3, 1, 12, 0, 0, 1, tzinfo=UTC),
        datetime(2012, 3, 1, 13, 0, 0, 1, tzinfo=timezone(timedelta(hours=1))),
        datetime(2012, 3, 1, 7, 0, 0, 1, tzinfo=ZoneInfo("America/New_York")),
        pd.Timestamp("2012-03-01 12:00:00.000001", tz="UTC"),
        pd.Timestamp("2012-03-01 12:00:00.000001002", tz="UTC"),
    ],
    ids=["UTC", "an hour ahead", "New York", "pandas", "pandas with nanoseconds"],
)
def test_times_come_back_in_utc_to_the_microsecond(ask, ledger, given):
    found = ledger.find(ask("k", as_of=given)[0].id).as_of
    assert found == datetime(2012, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
    assert found.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(ask, ledger):
    with pytest.raises(InvalidInputError, match=r"with a time zone. Got '2012-03-01T00:00:00'"):
        ask("k", as_of=datetime(2012, 3, 1))  # noqa: DTZ001 - the claim
    assert ledger.requests() == []


def test_evidence_keeps_what_json_can_hold(ask):
    evidence = {
        "share": np.float32(0.5),
        "rows": np.int64(3),
        "drifted": np.True_,
        "nothing": float("nan"),
        "endless": np.inf,
        "end": pd.Timestamp("2012-03-01", tz="UTC"),
        "columns": ("temp", "humidity"),
        "errors": np.array([1.0, np.nan]),
        "window": {"rows": 9},
    }
    assert ask("k", evidence=evidence)[0].evidence == {
        "share": 0.5,
        "rows": 3,
        "drifted": True,
        "nothing": None,
        "endless": None,
        "end": "2012-03-01T00:00:00+00:00",
        "columns": ["temp", "humidity"],
        "errors": [1.0, None],
        "window": {"rows": 9},
    }


def test_names_with_quotes_and_any_script_are_kept(ask, ledger):
    request, _ = ask("k'; DROP TABLE ledger_requests; --", reason='größer "als" 2 €\n{{ x }}')
    assert ledger.find(request.id).reason == 'größer "als" 2 €\n{{ x }}'
