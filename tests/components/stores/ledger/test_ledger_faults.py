"""Data faults in the ledger: found once, grown, ended; a ledger of old learns of them."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text

from components.errors import InvalidInputError
from components.faults import Fault
from components.known_faults import AUTO
from components.stores.ledger import open_ledger
from components.stores.ledger.connecting import connect
from components.stores.ledger.tables import HEAD, VERSION_TABLE

OLD = Path(__file__).with_name("ledger-0001.sql")
DAY = pd.Timestamp("2012-02-10", tz="UTC").as_unit("us")
FROZEN = Fault(DAY, DAY + pd.Timedelta("1D"), "frozen", "humidity", "0 in all 22 rows", 22)
NULLS = Fault(DAY, DAY + pd.Timedelta("2D"), "nulls", "heat", "60 %, 2 % before", 40)
BURST = Fault(DAY, DAY + pd.Timedelta("1D"), "id_burst", "id", "9 of one", 2, ("r1", "r2"))


@pytest.fixture
def find(ledger, as_of, now):
    def finding(*found, at=as_of):
        return ledger.record_faults("bikes", found, as_of=at, now=now, count=lambda one: one.rows)

    return finding


@pytest.fixture
def end(ledger, as_of, now):
    def ending(named, how="accepted", at=as_of):
        return ledger.end_fault(
            "bikes", named, how=how, who="Ada", why="new sensor", as_of=at, now=now
        )

    return ending


def test_a_fault_is_found_once_with_one_decision(ledger, find, as_of):
    new = find(FROZEN, BURST)
    assert {one.fault for one in new} == {FROZEN, BURST}
    assert find(FROZEN, BURST) == ()
    assert {one.fault for one in ledger.faults("bikes")} == {FROZEN, BURST}
    made = ledger.decisions("bikes")
    assert [(d.what, d.who, d.as_of, d.request_id) for d in made] == [
        ("data_fault", AUTO, as_of, None)
    ] * 2
    assert "frozen in humidity: 0 in all 22 rows" in [d.why for d in made]


def test_a_fault_that_grows_is_no_second_decision(ledger, find, as_of):
    find(FROZEN)
    longer = replace(FROZEN, until=DAY + pd.Timedelta("3D"), rows=70)
    assert find(longer, at=as_of + timedelta(days=2)) == ()
    (one,) = ledger.faults("bikes")
    assert (one.fault, one.at(pd.Timestamp(as_of)), one.key) == (longer, FROZEN, FROZEN.key)
    assert len(ledger.decisions("bikes")) == 1


def test_an_end_is_written_with_who_and_why(ledger, find, end, as_of):
    find(FROZEN, NULLS)
    later = as_of + timedelta(days=3)
    assert end("frozen:humidity", "discarded", at=later).state == "discarded"
    one = next(one for one in ledger.faults("bikes") if one.key == FROZEN.key)
    assert (one.state, one.who, one.why) == ("discarded", "Ada", "new sensor")
    assert one.ended_as_of == pd.Timestamp(later)
    last = ledger.decisions("bikes")[-1]
    assert (last.what, last.who, last.as_of) == ("data_fault", "Ada", later)
    assert last.why.startswith("discarded: new sensor (frozen in humidity")
    with pytest.raises(InvalidInputError, match=r"no open data fault is called 'frozen'"):
        end("frozen")


def test_faults_end_by_themselves_once_the_feed_is_clean(ledger, find, now):
    find(FROZEN, NULLS, at=(DAY + pd.Timedelta("2D")).to_pydatetime())
    week = pd.Timedelta("7D")
    early = (DAY + pd.Timedelta("15D")).to_pydatetime()
    (one,) = ledger.end_clean_faults("bikes", window=week, reference=8 * week, as_of=early, now=now)
    assert (one.key, one.state, one.who) == (FROZEN.key, "discarded", AUTO)
    assert (
        ledger.end_clean_faults("bikes", window=week, reference=8 * week, as_of=early, now=now)
        == ()
    )
    assert "clean for two windows" in ledger.decisions("bikes")[-1].why


def test_pipelines_do_not_share_faults(ledger, find):
    find(FROZEN)
    assert ledger.faults("elec2") == ()


def test_an_erased_record_leaves_no_id_behind(ledger, find):
    find(BURST, FROZEN)
    assert ledger.forget_records("bikes", {"r2", "r9"}) == 1
    burst = next(one for one in ledger.faults("bikes") if one.key == BURST.key)
    assert burst.fault.ids == ("r1", "erased")
    with ledger._database.reading() as connection:
        kept = connection.execute(text("SELECT ids, seen FROM ledger_faults")).all()
    assert "r2" not in str(kept)
    assert ledger.forget_records("bikes", {"r2"}) == 0


def test_many_looks_at_once_find_a_fault_once(url, ledger, as_of, now, at_once):
    def look(_number):
        with closing(open_ledger(url)) as own:
            found = own.record_faults(
                "bikes", [FROZEN], as_of=as_of, now=now, count=lambda one: one.rows
            )
            return len(found)

    assert sorted(at_once(8, look)) == [0] * 7 + [1]
    assert len(ledger.decisions("bikes")) == 1


def test_a_data_fault_takes_the_place_of_a_hold_on_the_same_window(ledger, as_of, now):
    said = {"window_end": as_of, "policy": "drift", "request_id": None, "as_of": as_of, "now": now}
    for action in ("hold", "data_fault", "hold"):
        ledger.write_verdict("bikes", action=action, reason=action, **said)
    assert [one.action for one in ledger.verdicts("bikes")] == ["data_fault"]


# --- a ledger of the first revision --------------------------------------------------------------


@pytest.fixture
def old(tmp_path):
    """Give the file of a ledger as the first revision left it, with rows in every table."""
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as made:
        made.executescript(OLD.read_text(encoding="utf-8"))
    return file


def content(file):
    """Read every table but the version, each row as it stands."""
    with closing(sqlite3.connect(file)) as opened:
        names = [n for (n,) in opened.execute("select name from sqlite_master where type='table'")]
        return {
            name: sorted(map(repr, opened.execute(f"select * from {name}")))
            for name in names
            if name != VERSION_TABLE
        }


def test_an_old_ledger_is_brought_up_to_date_and_keeps_everything(old, now):
    before = content(old)
    assert all(before[f"ledger_{name}"] for name in ("requests", "merges", "leases", "decisions"))
    with closing(open_ledger(f"sqlite:///{old}")) as ledger:
        assert ledger.champion("bikeshare").version == "2"
        assert {one.state for one in ledger.requests("bikeshare")} == {"closed", "open"}
        assert ledger.faults("bikeshare") == ()
        later = datetime(2012, 3, 8, tzinfo=UTC)
        ledger.record_faults(
            "bikeshare", [FROZEN], as_of=later, now=now, count=lambda one: one.rows
        )
        with ledger._database.reading() as connection:
            found = connection.execute(text(f"SELECT * FROM {VERSION_TABLE}")).scalar()
    assert found == HEAD
    after = content(old)
    assert after.pop("ledger_challengers") == []
    assert len(after.pop("ledger_faults")) == 1
    assert len(after.pop("ledger_decisions")) == len(before.pop("ledger_decisions")) + 1
    assert after == before


def test_an_old_ledger_killed_in_its_migration_is_as_it_was_and_then_whole(old, killed_at):
    before = content(old)
    killed_at("before-migration-commit", lambda: open_ledger(f"sqlite:///{old}"))
    assert content(old) == before
    with closing(open_ledger(f"sqlite:///{old}")) as ledger:
        assert ledger.faults("bikeshare") == ()
        assert ledger.champion("bikeshare").version == "2"


def test_an_old_ledger_on_a_server_is_brought_up_to_date(postgres_url, as_of, now):
    with closing(open_ledger(postgres_url)) as ledger:
        ledger.set_mark("bikes", "name", "value")
        ledger_id = ledger.ledger_id
    database = connect(postgres_url)
    with database.writing() as connection:  # as the first revision left it
        connection.execute(text("DROP TABLE ledger_challengers"))
        connection.execute(text("DROP TABLE ledger_faults"))
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0001'"))
    database.engine.dispose()
    with closing(open_ledger(postgres_url)) as ledger:
        assert (ledger.ledger_id, ledger.mark("bikes", "name")) == (ledger_id, "value")
        ledger.record_faults("bikes", [BURST], as_of=as_of, now=now, count=lambda one: one.rows)
        assert ledger.faults("bikes")[0].fault == BURST
