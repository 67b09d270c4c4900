"""A person who was erased is nowhere, in no version, and does not come back; the rest stays."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.errors import ErasedError, InvalidInputError, StoreError
from components.records import to_frame
from flows.steps import erasing
from flows.steps.erased import Erased, erased, hide
from flows.steps.erased_packages import SAMPLES
from flows.steps.erasing import erase
from flows.steps.rebuilding import rebuild
from flows.steps.rivals import open_rival
from flows.steps.scoring import score

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
RIDER = "rider-ida-0815"
TABLES = ("records", "labels", "predictions", "quarantine")


def hits(root: Path, *texts: str, but: Path) -> list[str]:
    """Search every byte under a folder, and every value of every Parquet file."""
    found = []
    for file in (f for f in root.rglob("*") if f.is_file() and f != but):
        said = file.read_bytes()
        if file.suffix == ".parquet":
            said += json.dumps(pq.read_table(file).to_pylist(), default=str).encode()
        found += [f"{file.relative_to(root)}: {text}" for text in texts if text.encode() in said]
    return found


def riding(care, world, *, days: int = 61) -> None:
    """Let every trip be of one of four riders, and one row of each be broken."""
    rows = world(days)
    riders = [RIDER, "rider-bob-0816", "rider-carl-0817", "rider-dora-0818"]
    rows.insert(1, "rider", [riders[at % 4] for at in range(len(rows))])
    rows.insert(
        0, "trip", [f"trip-{at:04d}-{rider[6:9]}" for at, rider in enumerate(rows["rider"])]
    )
    rows["heat"] = rows["heat"].astype(object)
    rows.loc[8:11, "heat"] = "broken"
    care.write(rows)


@pytest.fixture(scope="module")
def conftest():
    """Give what this folder's conftest defines."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("conftest.py"))))


@pytest.fixture(scope="module")
def _ridden(_ingested, tmp_path_factory, world, day, conftest) -> Path:
    """A pipeline with ids and an entity, trained on day 60, with predictions and quarantine."""
    root = tmp_path_factory.mktemp("ridden") / "home"
    shutil.copytree(_ingested / "mlruns", root / "mlruns")
    file = root / "pipelines" / "bikes.yaml"
    file.parent.mkdir()
    file.write_text(conftest.PIPELINE + "\nid: trip\nentity: rider\n", encoding="utf-8")
    care = conftest.open_care(root)
    riding(care, world)
    care.ingest(day(60))
    assert care.train(day(60)).what == "promoted"
    score(care.home, care.pipeline, as_of=day(60.5))
    care.ingest(day(61))
    score(care.home, care.pipeline, as_of=day(61))
    care.ledger.close()
    return root


@pytest.fixture
def riders(_ridden, tmp_path, conftest):
    """Give a copy of that home of one's own."""
    return conftest.open_care(shutil.copytree(_ridden, tmp_path / "home"))


def erase_them(care, **more):
    given = {"reason": "asked for it", "who": "Ada", "now": NOW, **more}
    return erase(care.home, care.pipeline, **given)


def trips(care, table: str, **more) -> pd.DataFrame:
    return to_frame(care.home.lake.read("bikes", table, **more))


def test_nobody_is_found_anywhere_thereafter(riders) -> None:
    root, source = riders.home.root, riders.pipeline.source_path
    before = {table: trips(riders, table) for table in TABLES}
    assert hits(root, RIDER, "-ida", but=source)
    done = erase_them(riders, entities=[RIDER])
    assert hits(root, RIDER, "-ida", but=source) == []
    for table in TABLES:
        theirs = before[table]["record_id"].str.endswith("-ida")
        assert done.removed[table] == theirs.sum() > 0, table
        after = trips(riders, table)
        assert set(after["record_id"]) == set(before[table].loc[~theirs, "record_id"])


def test_one_record_goes_alone(riders) -> None:
    done = erase_them(riders, ids=["trip-0100-ida"])
    assert {done.removed["records"], done.removed["labels"]} == {1}
    assert hits(riders.home.root, "trip-0100-ida", but=riders.pipeline.source_path) == []
    assert "trip-0104-ida" in set(trips(riders, "records")["record_id"])


def test_a_snapshot_that_held_them_says_so_and_gives_the_rest(riders) -> None:
    before = rebuild(riders.home, "bikes", "2").rows
    theirs = before["record_id"].str.endswith("-ida")
    done = erase_them(riders, entities=[RIDER])
    assert done.snapshots["2"] == theirs.sum()
    assert set(done.packages) == {"1", "2"}
    with pytest.raises(ErasedError) as told:
        rebuild(riders.home, "bikes", "2")
    for words in (f"erased: {theirs.sum()} of the {len(before):,} rows", "2026-01-05",
                  "asked for it", "--remaining"):  # fmt: skip
        assert words in str(told.value)
    left = rebuild(riders.home, "bikes", "2", remaining=True)
    assert (left.erased, left.stated_rows) == (theirs.sum(), len(before))
    pd.testing.assert_frame_equal(left.rows, before[~theirs].reset_index(drop=True))


def test_a_snapshot_that_did_not_hold_them_opens_as_before(riders) -> None:
    before = rebuild(riders.home, "bikes", "2")
    old = before.rows["record_id"].min()
    assert old > "trip-0100"
    done = erase_them(riders, ids=["trip-0100-ida"])
    assert "2" not in done.snapshots
    after = rebuild(riders.home, "bikes", "2")
    assert (after.digest, after.erased) == (before.digest, 0)


def test_two_erasures_add_up(riders) -> None:
    before = rebuild(riders.home, "bikes", "2").rows
    last = before["record_id"].tolist()
    erase_them(riders, ids=[last[3], last[50]])
    erase_them(riders, ids=[last[4], last[10], "trip-0001-bob"], reason="again")
    left = rebuild(riders.home, "bikes", "2", remaining=True)
    assert left.erased == 4
    gone = before["record_id"].isin([last[at] for at in (3, 4, 10, 50)])
    pd.testing.assert_frame_equal(left.rows, before[~gone].reset_index(drop=True))


def test_one_erasure_after_another(riders, monkeypatch) -> None:
    def stop(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(erasing, "wanted_in", stop)
        with pytest.raises(OSError, match="disk"):
            erase_them(riders, ids=["trip-0300-ida"])
    with pytest.raises(StoreError, match="was not finished, or is under way"):
        erase_them(riders, ids=["trip-0301-bob"])
    erase_them(riders, ids=["trip-0300-ida"])
    assert erase_them(riders, ids=["trip-0301-bob"]).removed["records"] == 1


def test_again_changes_nothing_and_keeps_the_first_word(riders) -> None:
    first = erase_them(riders, entities=[RIDER])
    later = datetime(2027, 1, 1, tzinfo=UTC)
    again = erase_them(riders, entities=[RIDER], now=later, who="Bob", reason="other")
    assert (again.at, again.who, again.removed) == (first.at, first.who, first.removed)
    assert set(again.rewritten.values()) == {0}
    assert again.snapshots == first.snapshots
    rebuild(riders.home, "bikes", "2", remaining=True)


def test_somebody_unknown_is_remembered_all_the_same(riders) -> None:
    done = erase_them(riders, ids=["trip-nobody"])
    assert set(done.removed.values()) == {0}
    assert erased(riders.home.lake, "bikes").mask(pd.Series(["trip-nobody", "x"])).tolist() == [
        True, False,
    ]  # fmt: skip


def test_what_is_remembered_knows_a_person_again_but_names_nobody(riders) -> None:
    erase_them(riders, entities=[RIDER], ids=["trip-0002-car"])
    told = erased(riders.home.lake, "bikes")
    assert told
    ids = pd.Series(["trip-0000-ida", "trip-0002-car", "trip-0003-dor", "new", None])
    who = pd.Series(["x", "y", "z", RIDER, RIDER])
    assert told.mask(ids).tolist() == [True, True, False, False, False]
    assert told.mask(ids, who).tolist() == [True, True, False, True, True]
    assert told.mask(None, who).tolist() == [False, False, False, True, True]
    (one,) = told.erasures
    assert (one.reason, one.who, one.state) == ("asked for it", "Ada", "done")
    assert not Erased([])
    assert hide("a", "s") != hide("a", "t")


def copies_of(care) -> list[Path]:
    return sorted(care.home.packages.rglob("reference.parquet"))


def test_fetched_copies_go_and_registered_packages_are_named_with_their_places(riders) -> None:
    open_rival(riders.home, riders.pipeline)
    assert copies_of(riders)
    done = erase_them(riders, entities=[RIDER])
    assert copies_of(riders) == []
    assert list(riders.home.packages.iterdir()) == [], "nothing half removed is left"
    assert done.copies == 1
    said = "\n".join(done.theirs)
    for version, place in done.packages.items():
        assert f"{version} ({place})" in said
        held = {file.name for file in Path(place).rglob("*")}
        assert set(SAMPLES) <= held, "the files that are named are those that hold rows"
    assert "not rewritten" in said
    assert open_rival(riders.home, riders.pipeline).version == "2", "fetched again when needed"
    assert erase_them(riders, entities=[RIDER]).copies == 1, "again, and again it goes"


def test_a_copy_of_a_version_that_did_not_learn_from_them_stays(riders) -> None:
    open_rival(riders.home, riders.pipeline)
    done = erase_them(riders, ids=["trip-0100-ida"])
    assert ("2" in done.packages, done.copies, len(copies_of(riders))) == (False, 0, 1)


@pytest.mark.parametrize("visit", [1, 3, 5])
def test_killed_anywhere_it_completes_the_second_time(riders, visit, clone) -> None:
    before = {table: trips(riders, table)["record_id"] for table in TABLES}
    code = """
import sys
from datetime import datetime, UTC
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from conftest import open_care
from components.failpoints import arm
from flows.steps.erasing import erase
care = open_care(Path(sys.argv[1]))
arm({"erased-from-file": int(sys.argv[2])})
erase(care.home, care.pipeline, entities=["rider-ida-0815"], reason="asked for it", who="Ada",
      now=datetime(2026, 1, 5, tzinfo=UTC))
"""
    here = Path(__file__).parent
    child = subprocess.run(
        [sys.executable, "-c", code, str(riders.home.root), str(visit), str(here)],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone)},
        capture_output=True,
        check=False,
    )
    assert child.returncode == -9, child.stderr.decode()[-2000:]
    for table, names in before.items():
        staying = set(names[~names.str.endswith("-ida")])
        assert staying <= set(trips(riders, table)["record_id"]), "nobody else is lost"
    with pytest.raises(ErasedError, match="was not finished"):
        rebuild(riders.home, "bikes", "2")
    erase_them(riders, entities=[RIDER])
    assert hits(riders.home.root, RIDER, "-ida", but=riders.pipeline.source_path) == []
    for table, names in before.items():
        staying = sorted(names[~names.str.endswith("-ida")])
        assert sorted(trips(riders, table)["record_id"]) == staying
    assert rebuild(riders.home, "bikes", "2", remaining=True).erased


@pytest.mark.parametrize(
    "given",
    [{}, {"ids": [""]}, {"ids": ["a"], "reason": " "}],
    ids=["nobody", "an empty id", "no reason"],
)
def test_wrong_use_is_said_and_nothing_written(riders, given) -> None:
    with pytest.raises(InvalidInputError):
        erase_them(riders, **given)
    assert not erased(riders.home.lake, "bikes")


def test_an_entity_without_an_entity_column_is_wrong_use(care) -> None:
    with pytest.raises(InvalidInputError, match="names no entity"):
        erase_them(care, entities=["ida"])


def test_what_is_not_ours_is_said_with_what_to_do(riders) -> None:
    riders.change(sink={"url": "${SHOP}", "table": "scores"})
    done = erase_them(riders, ids=["trip-0300-ida", "o'hara"])
    said = "\n".join(done.theirs)
    assert "delete from scores where record_id in ('o''hara', 'trip-0300-ida')" in said
    assert "bikes.csv is yours and was not touched" in said


def test_a_quarantined_row_is_found_by_its_json_whatever_its_id(riders) -> None:
    rows = trips(riders, "quarantine")
    assert rows["row"].str.contains(RIDER).any()
    pipeline = riders.pipeline
    whom = erasing.Whom(frozenset({"7"}), frozenset({RIDER}))
    said = [
        ('{"trip": "7", "rider": "x"}', True),
        ('{"trip": 7}', True),
        ('{"trip": 70}', False),
        (f'{{"rider": "{RIDER}"}}', True),
        (f'{{"other": "{RIDER}"}}', False),
        (f"torn {RIDER}", True),
        ("[1]", False),
        (None, False),
    ]
    for text, expected in said:
        assert erasing._in_json(text, pipeline, whom) is expected, text
