"""Who cannot take charge yet waits in the ledger, one a pipeline, until one decision ends it."""

from contextlib import closing
from dataclasses import replace

import pytest

from components.errors import InvalidInputError, StoreError
from components.stores.ledger import NewChallenger, open_ledger
from components.stores.ledger.tables import challengers


def challenger(version: str = "8", awaits: str = "approval", epoch: int = 0) -> NewChallenger:
    return NewChallenger(
        awaits=awaits,
        version=version,
        tested_version="7",
        digest=f"sha256:{version}",
        package_uri=f"models:/{version}",
        expected_epoch=epoch,
    )


@pytest.fixture
def wait(ledger, ask, claim, outcome, now):
    """Close a request with a challenger that waits."""

    def waiting(key: str, new: NewChallenger):
        lease = claim(ask(key)[0].id)
        said = outcome("wait", tested_version="7", served_version=new.version)
        decision = ledger.conclude(lease, said, promotion=None, challenger=new, now=now)
        return lease, decision

    return waiting


def test_a_challenger_waits_from_the_decision_that_closed_its_request(ledger, wait, as_of) -> None:
    lease, decision = wait("one", challenger())
    waiting = ledger.waiting("bikeshare")
    assert (waiting.version, waiting.awaits, waiting.expected_epoch) == ("8", "approval", 0)
    assert (waiting.request_id, waiting.decision_id) == (lease.request_id, decision.id)
    assert (waiting.as_of, waiting.settled_by) == (as_of, None)
    assert ledger.find(lease.request_id).state == "closed"
    assert ledger.champion("bikeshare") is None


def test_concluding_again_lets_it_wait_once(ledger, wait, outcome, now) -> None:
    lease, decision = wait("one", challenger())
    again = ledger.conclude(
        lease, outcome("wait"), promotion=None, challenger=challenger(), now=now
    )
    assert again == decision
    assert len(ledger.challengers("bikeshare")) == 1


def test_a_challenger_that_may_take_charge_does_under_its_own_request(
    ledger, wait, outcome, now
) -> None:
    lease, first = wait("one", challenger())
    said = outcome("promoted", who="Ada", served_version="8", tested_version="7")
    decision = ledger.settle(ledger.waiting("bikeshare"), said, now=now)
    assert (decision.what, decision.who, decision.request_id) == (
        "promoted",
        "Ada",
        lease.request_id,
    )
    champion = ledger.champion("bikeshare")
    assert (champion.version, champion.digest, champion.epoch) == ("8", "sha256:8", 1)
    assert (champion.who, champion.decision_id) == ("Ada", decision.id)
    assert ledger.waiting("bikeshare") is None
    assert ledger.challengers("bikeshare")[0].settled_by == decision.id
    assert [d.request_id for d in ledger.decisions("bikeshare")] == [lease.request_id] * 2
    assert ledger.decision_on(lease.request_id) == first, "what closed it is what closed it"


def test_settling_again_changes_nothing(ledger, wait, outcome, now) -> None:
    wait("one", challenger())
    waiting = ledger.waiting("bikeshare")
    first = ledger.settle(waiting, outcome("promoted", who="Ada"), now=now)
    assert ledger.settle(waiting, outcome("refused", who="Eve"), now=now) == first
    assert len(ledger.promotions("bikeshare")) == 1
    assert len(ledger.decisions("bikeshare")) == 2


def test_where_the_champion_changed_meanwhile_nobody_is_promoted(
    ledger, wait, outcome, promote, now
) -> None:
    wait("one", challenger())
    promote("3")
    decision = ledger.settle(ledger.waiting("bikeshare"), outcome("promoted"), now=now)
    assert (decision.what, decision.served_version) == ("superseded", None)
    assert "judged against epoch 0, found epoch 1 (version 3" in decision.why
    assert ledger.champion("bikeshare").version == "3"
    assert ledger.waiting("bikeshare") is None


def test_one_that_comes_later_takes_the_place_of_one_that_waits(ledger, wait) -> None:
    first, _ = wait("one", challenger("8", "labels"))
    second, _ = wait("two", challenger("9", "labels"))
    assert ledger.waiting("bikeshare").version == "9"
    ended = ledger.decisions("bikeshare")[-1]
    assert (ended.what, ended.request_id) == ("superseded", first.request_id)
    assert f"version 9 of {second.request_id} waits in its place" in ended.why


def test_what_won_in_shadow_may_wait_for_a_person(ledger, wait, outcome, now) -> None:
    wait("one", challenger("8", "labels"))
    shadow = ledger.waiting("bikeshare")
    decision = ledger.settle(shadow, outcome("wait"), then_awaits="approval", now=now)
    waiting = ledger.waiting("bikeshare")
    assert (waiting.awaits, waiting.decision_id) == ("approval", decision.id)
    assert waiting.request_id == shadow.request_id
    assert ledger.settle(waiting, outcome("promoted"), now=now).what == "promoted"


def test_who_goes_on_waiting_must_say_for_what(ledger, wait, outcome, now) -> None:
    wait("one", challenger())
    waiting = ledger.waiting("bikeshare")
    with pytest.raises(InvalidInputError, match="exactly where the decision is 'wait'"):
        ledger.settle(waiting, outcome("wait"), now=now)
    with pytest.raises(InvalidInputError, match="exactly where the decision is 'wait'"):
        ledger.settle(waiting, outcome("refused"), then_awaits="approval", now=now)


def test_a_challenger_waits_by_a_decision_to_wait_and_by_no_other(
    ledger, ask, claim, outcome, now
) -> None:
    lease = claim(ask("one")[0].id)
    with pytest.raises(InvalidInputError, match="a challenger waits by a decision 'wait'"):
        ledger.conclude(lease, outcome("refused"), promotion=None, challenger=challenger(), now=now)
    assert ledger.decisions() == [], "both or neither"
    assert ledger.find(lease.request_id).state == "leased"


def test_the_database_itself_lets_one_wait_a_pipeline(ledger, wait, outcome, now) -> None:
    wait("one", challenger())
    other = ledger.record(outcome("hold"), now=now)
    row = {name: getattr(ledger.waiting("bikeshare"), name) for name in challengers.c.keys()}  # noqa: SIM118 - not a mapping

    def write() -> None:
        with ledger._database.writing() as connection:
            connection.execute(challengers.insert(), {**row, "decision_id": other.id})

    with pytest.raises(StoreError, match="refused a row"):
        write()
    assert len(ledger.challengers("bikeshare")) == 1


def test_killed_while_it_begins_to_wait_nothing_has_happened(
    url, ledger, ask, claim, outcome, now, killed_at
) -> None:
    lease = claim(ask("one")[0].id)

    def work() -> None:
        with closing(open_ledger(url)) as own:
            own.conclude(lease, outcome("wait"), promotion=None, challenger=challenger(), now=now)

    killed_at("after-gate-before-cas", work)
    assert ledger.challengers("bikeshare") == []
    assert ledger.decisions() == []
    ledger.conclude(lease, outcome("wait"), promotion=None, challenger=challenger(), now=now)
    assert ledger.waiting("bikeshare").version == "8"


def test_of_many_who_settle_at_once_one_does(url, ledger, wait, outcome, now, at_once) -> None:
    wait("one", challenger())
    waiting = ledger.waiting("bikeshare")

    def work(number: int) -> int:
        with closing(open_ledger(url)) as own:
            said = replace(outcome("promoted"), who=f"person {number}")
            return own.settle(waiting, said, now=now).id

    assert len(set(at_once(4, work))) == 1
    assert len(ledger.promotions("bikeshare")) == 1
