"""Who is in charge: compare-and-set, one promotion an epoch, rollback in one step."""

from contextlib import closing

import pytest
from sqlalchemy import exc

from components.errors import StoreError
from components.stores.ledger import open_ledger
from components.stores.ledger.tables import promotions


def test_before_the_first_promotion_nobody_is_in_charge(ledger):
    assert ledger.champion("bikeshare") is None
    assert ledger.previous("bikeshare") is None


def test_a_promotion_puts_its_version_in_charge(ledger, ask, claim, outcome, new, now, as_of):
    lease = claim(ask("drift:2012-03-01")[0].id)
    promotion = new("8", expected_epoch=0, tested_version="7")
    decision = ledger.conclude(lease, outcome("promoted"), promotion=promotion, now=now)
    champion = ledger.champion("bikeshare")
    assert (champion.epoch, champion.version, champion.tested_version) == (1, "8", "7")
    assert (champion.digest, champion.package_uri) == ("sha256:8", "models:/8")
    assert (champion.decision_id, champion.who) == (decision.id, "gate")
    assert (champion.at, champion.as_of) == (now, as_of)
    assert champion.previous_version is None


def test_the_next_promotion_remembers_whom_it_followed(ledger, promote):
    promote("1")
    promote("2")
    champion = ledger.champion("bikeshare")
    assert (champion.epoch, champion.version, champion.previous_version) == (2, "2", "1")
    assert ledger.previous("bikeshare").version == "1"


def test_a_challenger_judged_against_an_older_champion_is_superseded(
    ledger, ask, claim, outcome, new, now, promote
):
    promote("1")
    lease = claim(ask("drift:2012-03-01")[0].id)
    promote("2", who="anna")
    said = outcome("promoted", tested_version="3", served_version="4")
    decision = ledger.conclude(lease, said, promotion=new("4", expected_epoch=1), now=now)
    assert decision.what == "superseded"
    assert "judged against epoch 1, found epoch 2 (version 2" in decision.why
    assert (decision.tested_version, decision.served_version) == ("3", None)
    assert ledger.champion("bikeshare").version == "2"
    assert ledger.find(lease.request_id).outcome == "superseded"


def test_promoting_the_same_version_again_changes_nothing(ledger, promote):
    first = promote("1")
    assert promote("1") == first
    assert len(ledger.promotions("bikeshare")) == 1


def test_of_sixteen_promoters_against_one_champion_one_wins(
    url, ledger, at_once, outcome, new, now
):
    def race(number):
        with closing(open_ledger(url)) as own:
            version = new(f"v{number}", expected_epoch=0)
            return own.promote(
                outcome("promoted", why=str(number)), promotion=version, now=now
            ).what

    answers = at_once(16, race)
    assert sorted(answers) == ["promoted"] + ["superseded"] * 15
    assert [promotion.epoch for promotion in ledger.promotions("bikeshare")] == [1]
    assert len(ledger.decisions()) == 16


def test_racing_promoters_share_no_epoch_and_the_newest_is_champion(
    url, ledger, at_once, outcome, new, now
):
    def race(number):
        won = 0
        with closing(open_ledger(url)) as own:
            for turn in range(8):
                champion = own.champion("bikeshare")
                epoch = champion.epoch if champion else 0
                version = new(f"{number}.{turn}", expected_epoch=epoch)
                decision = own.promote(outcome("promoted"), promotion=version, now=now)
                won += decision.what == "promoted"
        return won

    won = sum(at_once(8, race))
    epochs = [promotion.epoch for promotion in ledger.promotions("bikeshare")]
    assert epochs == list(range(1, won + 1))
    assert ledger.champion("bikeshare") == ledger.promotions("bikeshare")[-1]
    whats = [decision.what for decision in ledger.decisions()]
    assert (whats.count("promoted"), len(whats)) == (won, 64)


def test_the_database_itself_refuses_a_second_promotion_of_an_epoch(ledger, promote, outcome, now):
    promote("1")
    other = ledger.record(outcome("hold"), now=now)
    with ledger._database.engine.begin() as connection:
        row = dict(connection.execute(promotions.select()).mappings().one())
        with pytest.raises(exc.IntegrityError):
            connection.execute(promotions.insert(), {**row, "decision_id": other.id})


@pytest.fixture
def roll_back(ledger, now, as_of):
    def rolling(expected_epoch, **given):
        usual = {"who": "anna", "why": "answers look wrong", "as_of": as_of, "now": now}
        return ledger.roll_back("bikeshare", expected_epoch=expected_epoch, **{**usual, **given})

    return rolling


def test_a_rollback_puts_the_previous_version_in_charge(ledger, promote, roll_back):
    promote("1")
    promote("2")
    decision = roll_back(2)
    assert (decision.what, decision.who, decision.served_version) == ("rolled_back", "anna", "1")
    champion = ledger.champion("bikeshare")
    assert (champion.epoch, champion.version, champion.digest) == (3, "1", "sha256:1")
    assert (champion.rolled_back_epoch, champion.decision_id) == (2, decision.id)


def test_rolling_back_the_same_epoch_twice_changes_nothing(ledger, promote, roll_back):
    for version in "123":
        promote(version)
    first = roll_back(3)
    assert roll_back(3) == first
    assert [promotion.version for promotion in ledger.promotions("bikeshare")] == list("1232")


def test_eight_rollbacks_at_once_are_one(url, ledger, promote, at_once, now, as_of):
    for version in "123":
        promote(version)

    def rolling(number):
        with closing(open_ledger(url)) as own:
            who = f"person-{number}"
            return own.roll_back(
                "bikeshare", who=who, why="bad", as_of=as_of, now=now, expected_epoch=3
            ).id

    assert len(set(at_once(8, rolling))) == 1
    assert ledger.champion("bikeshare").version == "2"


def test_a_second_rollback_goes_further_back_not_to_the_one_just_left(ledger, promote, roll_back):
    for version in "123":
        promote(version)
    roll_back(3)
    assert ledger.previous("bikeshare").version == "1"
    roll_back(4)
    assert ledger.champion("bikeshare").version == "1"
    with pytest.raises(StoreError, match="no earlier champion than version 1"):
        roll_back(5)


def test_a_promotion_after_a_rollback_returns_to_the_one_restored(ledger, promote, roll_back):
    promote("1")
    promote("2")
    roll_back(2)
    promote("3")
    assert ledger.previous("bikeshare").version == "1"


def test_a_rollback_of_an_epoch_that_is_no_longer_in_charge_is_refused(ledger, promote, roll_back):
    for version in "123":
        promote(version)
    with pytest.raises(StoreError, match=r"asked to roll back epoch 2 .* found epoch 3 in charge"):
        roll_back(2)
    assert ledger.champion("bikeshare").version == "3"


def test_without_a_champion_there_is_nothing_to_roll_back(roll_back):
    with pytest.raises(StoreError, match="has no champion yet"):
        roll_back(0)


def test_without_an_earlier_champion_a_rollback_is_refused(ledger, promote, roll_back):
    promote("1")
    with pytest.raises(StoreError, match="no earlier champion"):
        roll_back(1)
    assert [decision.what for decision in ledger.decisions()] == ["promoted"]
