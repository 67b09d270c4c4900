"""Rows that are erased are gone from every file of a table; all others stay as they were."""

import json
import subprocess
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from components.errors import CommitConflictError
from components.records import UTC_TIME
from components.stores.lake import Lake, Wanted, appending, values_held
from components.stores.lake import erasing as lake_erasing

SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("known_time", UTC_TIME),
        ("x", pa.float64()),
        ("shares", pa.list_(pa.float64())),
    ]
)
NOON = pd.Timestamp("2011-04-02 12:00", tz="UTC")
GONE = ("ada-lovelace", "alan-turing")


def batch(*names: str) -> pa.Table:
    rows = [
        {
            "record_id": name,
            "known_time": NOON,
            "x": float(at),
            "shares": [0.25, None] if at else None,
        }
        for at, name in enumerate(names)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def wanted(names: Iterable[str] = GONE, *, plain: tuple[str, ...] = GONE) -> Wanted:
    among = pa.array(sorted(names))
    quoted = ", ".join(f"'{name[::-1]}'" for name in names)
    return Wanted(
        columns=("record_id",),
        marks=lambda rows: pc.fill_null(
            pc.is_in(rows["record_id"], value_set=among), fill_value=False
        ),
        conditions=lambda: [f"reverse(record_id) in ({quoted})"],
        plain=plain,
    )


def ids(lake: Lake, version: int | None = None) -> list[str]:
    return sorted(lake.read("bikes", "records", version=version)["record_id"].to_pylist())


def hits(root: Path, *texts: str) -> list[str]:
    """Search every byte, and every value of every Parquet file."""
    found = []
    for file in (file for file in root.rglob("*") if file.is_file()):
        said = file.read_bytes()
        if file.suffix == ".parquet":
            said += json.dumps(pq.read_table(file).to_pylist(), default=str).encode()
            said += str(pq.read_metadata(file).to_dict()).encode()
        found += [f"{file}: {text}" for text in texts if text.encode() in said]
    return found


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A table with four commits, a checkpoint, a compaction and a commit thereafter."""
    made = Lake(str(tmp_path / "lake"))
    made.create("bikes", "records", SCHEMA)
    for number, names in enumerate(
        [
            ("ada-lovelace", "bob"),
            ("carl", "alan-turing"),
            ("dora", "eve"),
            ("finn", "ada-lovelace"),
        ]
    ):
        made.commit("bikes", "records", batch(*names), producer="ingest", version=number)
    DeltaTable(made.root + "/bikes/records").create_checkpoint()
    made.compact("bikes", "records")
    made.commit("bikes", "records", batch("gil"), producer="ingest", version=9)
    return made


def test_erased_rows_are_in_no_version_and_the_others_in_all(lake: Lake) -> None:
    before = {version: ids(lake, version) for version in range(7)}
    assert "ada-lovelace" in before[2]
    done = lake.erase("bikes", "records", wanted())
    assert done.rows == 3
    for version, names in before.items():
        assert ids(lake, version) == [name for name in names if name not in GONE]
    assert ids(lake) == ["bob", "carl", "dora", "eve", "finn", "gil"]


def test_no_byte_of_the_table_says_the_name(lake: Lake) -> None:
    assert hits(Path(lake.root), *GONE)
    lake.erase("bikes", "records", wanted())
    assert hits(Path(lake.root), *GONE) == []


def test_a_statistic_of_a_file_that_is_gone_says_nothing_either(lake: Lake) -> None:
    lake.vacuum("bikes", "records", keep_versions=[], older_than=timedelta(0))
    lake.erase("bikes", "records", wanted())
    assert hits(Path(lake.root), *GONE) == []


def test_a_condition_that_somebody_deleted_by_is_not_kept(lake: Lake) -> None:
    DeltaTable(lake.root + "/bikes/records").delete("record_id = 'ada-lovelace'")
    lake.erase("bikes", "records", wanted())
    assert hits(Path(lake.root), *GONE) == []
    assert lake.commits("bikes", "records")[0]["operation"]


def test_values_are_as_they_were_to_the_last_bit(lake: Lake) -> None:
    def others(version: int) -> pa.Table:
        rows = lake.read("bikes", "records", version=version)
        kept = rows.filter(pc.invert(pc.is_in(rows["record_id"], value_set=pa.array(GONE))))
        return kept.sort_by([("record_id", "ascending"), ("x", "ascending")])

    before = {version: others(version) for version in range(1, 7)}
    lake.erase("bikes", "records", wanted())
    for version, rows in before.items():
        assert others(version).equals(rows)


def test_other_tools_still_open_every_version(lake: Lake) -> None:
    lake.erase("bikes", "records", wanted())
    for version in range(lake.version("bikes", "records") + 1):
        opened = DeltaTable(lake.root + "/bikes/records", version=version)
        for action in pa.table(opened.get_add_actions(flatten=True)).to_pylist():
            file = Path(lake.root) / "bikes" / "records" / action["path"]
            assert file.stat().st_size == action["size_bytes"]
            if action.get("num_records") is not None:
                assert pq.read_metadata(file).num_rows == action["num_records"]
    assert lake.compact("bikes", "records") >= 0
    lake.commit("bikes", "records", batch("hal"), producer="ingest", version=10)
    DeltaTable(lake.root + "/bikes/records").create_checkpoint()
    assert ids(lake) == ["bob", "carl", "dora", "eve", "finn", "gil", "hal"]


def test_doing_it_again_changes_nothing(lake: Lake) -> None:
    lake.erase("bikes", "records", wanted())
    before = {f: f.read_bytes() for f in Path(lake.root).rglob("*") if f.is_file()}
    again = lake.erase("bikes", "records", wanted())
    assert (again.rows, again.files) == (0, 0)
    assert {f: f.read_bytes() for f in Path(lake.root).rglob("*") if f.is_file()} == before


@pytest.mark.parametrize(
    "point", ["erased-from-newest:1", "erased-from-file:1", "erased-from-file:3"]
)
def test_a_kill_in_between_loses_nothing_and_a_second_run_completes(lake: Lake, point: str) -> None:
    code = """
import sys
sys.path.insert(0, sys.argv[3])
from test_lake_erasing import wanted
from components.failpoints import arm
from components.stores.lake import Lake
name, visit = sys.argv[2].split(":")
arm({name: int(visit)})
Lake(sys.argv[1]).erase("bikes", "records", wanted())
"""
    here = Path(__file__)
    child = subprocess.run(
        [sys.executable, "-c", code, lake.root, point, str(here.parent)],
        cwd=here.parents[3],
        capture_output=True,
        check=False,
    )
    assert child.returncode == -9, child.stderr.decode()
    staying = {"bob", "carl", "dora", "eve", "finn"}
    assert staying <= set(ids(lake))
    assert {"bob", "carl"} <= set(ids(lake, 2))
    lake.erase("bikes", "records", wanted())
    assert hits(Path(lake.root), *GONE) == []
    assert set(ids(lake)) == {*staying, "gil"}
    assert ids(lake, 4) == sorted(staying)


def test_a_row_that_comes_in_meanwhile_goes_as_well(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = iter([batch("ada-lovelace", "ivy")])

    def meanwhile(name: str) -> None:
        for rows in came if name == "erased-from-newest" else ():
            lake.commit("bikes", "records", rows, producer="ingest", version=20)

    monkeypatch.setattr(lake_erasing, "failpoint", meanwhile)
    lake.erase("bikes", "records", wanted())
    assert "ivy" in ids(lake)
    assert hits(Path(lake.root), *GONE) == []


def test_a_writer_that_never_stops_is_said(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    number = iter(range(100, 999))
    monkeypatch.setattr(lake_erasing, "ATTEMPTS", 2)

    def meanwhile(name: str) -> None:
        if name == "erased-from-newest":
            rows = batch("ada-lovelace")
            lake.commit("bikes", "records", rows, producer="ingest", version=next(number))

    monkeypatch.setattr(lake_erasing, "failpoint", meanwhile)
    with pytest.raises(CommitConflictError, match="stop it and run erase again"):
        lake.erase("bikes", "records", wanted())


def test_a_file_in_many_row_groups_keeps_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appending, "_ROWS_A_GROUP", 512)
    lake = Lake(str(tmp_path / "lake"))
    lake.create("bikes", "records", SCHEMA)
    names = [*(f"rider-{n}" for n in range(5_000)), *GONE]
    lake.commit("bikes", "records", batch(*names), producer="ingest", version=1)
    (file,) = Path(lake.root, "bikes", "records").glob("*.parquet")
    assert pq.read_metadata(file).num_row_groups > 5
    length = file.stat().st_size
    lake.erase("bikes", "records", wanted())
    assert file.stat().st_size == length
    assert pq.read_table(file)["record_id"].to_pylist() == names[:-2]


def test_values_of_chosen_rows_are_found_in_old_versions_too(lake: Lake) -> None:
    DeltaTable(lake.root + "/bikes/records").delete("record_id = 'ada-lovelace'")
    folder = lake.folder("bikes", "records")
    found = values_held(folder, "record_id", lambda rows: pc.starts_with(rows["record_id"], "a"))
    assert found == set(GONE)
