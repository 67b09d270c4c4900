"""`doctor` sees what is wrong, names the command that mends it, and changes nothing by looking."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from components.errors import StoreUnreachableError
from components.stores.lake.scratch import scratch
from components.stores.ledger import NewPromotion, Outcome
from driftwheel.doctor import CHECKS, Finding, examine, installation, machine
from flows.opening import open_home
from flows.settings import Settings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PIPELINE = "name: bikes\nsource: {path: bikes.csv}\ntime: at\ntarget: count\nlabel_delay: 1d\n"


def complaints(settings: Settings, check: str, *, mend: bool = False) -> list[Finding]:
    found = examine(settings, mend=mend)
    assert [one.check for one in found if not one.ok and not one.mend] == []
    return [one for one in found if one.check == check and not one.ok]


def said(settings: Settings, check: str, *, mend: bool = False) -> str:
    return "; ".join(one.found for one in examine(settings, mend=mend) if one.check == check)


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


# --- looking ------------------------------------------------------------------------------------


def test_an_empty_home_is_healthy_and_stays_empty(home: Path) -> None:
    found = examine(Settings(home=home))
    assert [one for one in found if not one.ok] == []
    assert files_of(home) == []


def test_a_home_that_does_not_exist_yet_is_not_made_by_looking(tmp_path: Path) -> None:
    absent = tmp_path / "deep" / "home"
    assert [one for one in examine(Settings(home=absent)) if not one.ok] == []
    assert not absent.parent.exists()


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_folder: Path) -> timedelta:
        raise RuntimeError("no such clock")

    monkeypatch.setattr(machine, "_dated", broken)
    found = examine(Settings(home=home))
    (one,) = [one for one in found if not one.ok]
    assert (one.check, one.found) == (
        "clock",
        "could not be examined (RuntimeError: no such clock)",
    )
    assert one.mend
    assert found[-1].check != "clock"


def test_every_check_knows_a_way_out_when_even_looking_fails() -> None:
    assert [check.name for check in CHECKS if not check.mend] == []


# --- the installation ---------------------------------------------------------------------------


def test_another_python_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.sys, "version_info", (3, 13, 1))
    (one,) = complaints(Settings(home=home), "Python")
    assert "needs 3.11" in one.found
    assert one.mend.startswith("make install")


def test_a_package_other_than_the_lock_has_it_is_named_with_both_versions(
    home: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "constraints.txt"
    lock.write_text(f"rich==1.0\npsutil=={psutil.__version__}\n", encoding="utf-8")
    found = examine(Settings(home=home), lock=lock)
    (one,) = [one for one in found if not one.ok]
    assert one.found.startswith("not as locked: rich ")
    assert "(lock: 1.0)" in one.found
    assert "psutil" not in one.found
    assert one.mend == "make clean install"


def test_a_package_that_is_needed_and_absent_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = installation._installed()
    monkeypatch.setattr(
        installation, "_installed", lambda: {k: v for k, v in there.items() if k != "skops"}
    )
    (one,) = complaints(Settings(home=home), "versions")
    assert one.found == "not installed: skops"


# --- the machine --------------------------------------------------------------------------------


def test_a_home_that_cannot_be_written_is_told_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (one,) = complaints(Settings(home=tmp_path / "file" / "home"), "storage")
    assert str(tmp_path / "file") in one.found
    assert "--home" in one.mend


def test_a_lake_elsewhere_is_tried_as_well(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (one,) = complaints(Settings(home=home, lake=str(tmp_path / "file" / "lake")), "storage")
    assert one.found.startswith("the lake ")


def test_a_full_disk_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(home)
    full = type(usage)(usage.total, usage.used, 200 * 2**20)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: full)
    (one,) = complaints(Settings(home=home), "storage")
    assert one.found == "0.20 GiB free, needs 1"


def test_a_file_system_with_another_clock_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_dated", lambda _: timedelta(seconds=-90))
    (one,) = complaints(Settings(home=home), "clock")
    assert "-90 s" in one.found
    assert "set-ntp" in one.mend


def test_a_ledger_written_in_the_future_is_told(home: Path) -> None:
    outcome = Outcome(pipeline="bikes", what="hold", who="policy", why="calm", as_of=NOW)
    open_home(Settings(home=home)).ledger.record(outcome, now=NOW + timedelta(days=2))
    late = examine(Settings(home=home), now=NOW + timedelta(days=3))
    early = examine(Settings(home=home), now=NOW)
    assert [one.check for one in late if not one.ok] == []
    (one,) = [one for one in early if not one.ok]
    assert one.check == "clock"
    assert "2026-11-23 12:00" in one.found


# --- the stores ---------------------------------------------------------------------------------


def test_a_broken_pipeline_file_is_named_with_its_field(home: Path) -> None:
    (home / "pipelines").mkdir()
    file = home / "pipelines" / "bikes.yaml"
    file.write_text(PIPELINE.replace("target:", "tarrget:"), encoding="utf-8")
    (one,) = complaints(Settings(home=home), "pipelines")
    assert "tarrget" in one.found
    assert one.mend == f"edit {file}"


def test_a_ledger_that_is_no_database_is_told_with_what_to_do(home: Path) -> None:
    (home / "ledger.db").write_bytes(b"not a database at all" * 100)
    (one,) = complaints(Settings(home=home), "ledger")
    assert str(home / "ledger.db") in one.found


def test_a_missing_ledger_beside_runs_is_told_and_no_new_one_is_made(home: Path) -> None:
    (home / "mlruns").mkdir()
    (home / "mlruns" / "mlflow.db").touch()
    (one,) = complaints(Settings(home=home), "ledger")
    assert "would not own" in one.found
    assert not (home / "ledger.db").exists()


def test_a_server_that_does_not_answer_is_told(home: Path) -> None:
    open_home(Settings(home=home)).ledger.close()
    away = Settings(home=home, mlflow_tracking_uri="http://127.0.0.1:9")
    (one,) = complaints(away, "MLflow")
    assert "does not answer" in one.found
    assert "mlflow_tracking_uri" in one.mend


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home with a registered model, which only its copies are changed."""
    home = tmp_path_factory.mktemp("lived") / "home"
    home.mkdir()
    opened = open_home(Settings(home=home))
    opened.registry.ensure("bikeshare")
    opened.ledger.close()
    return home


def test_a_moved_home_is_told_and_mended_only_when_asked(lived_in: Path, tmp_path: Path) -> None:
    moved = Settings(home=Path(shutil.copytree(lived_in, tmp_path / "elsewhere")))

    (one,) = complaints(moved, "MLflow")
    assert str(lived_in) in one.found
    assert one.mend == "driftwheel doctor --mend"

    assert said(moved, "MLflow", mend=True).startswith("mended: ")
    assert complaints(moved, "MLflow") == []


def test_an_alias_moved_by_hand_is_told_with_both_ways_out(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=home)
    opened = open_home(settings)
    promotion = NewPromotion(version="3", digest="d", package_uri="u", expected_epoch=0, who="me")
    outcome = Outcome(pipeline="bikeshare", what="promoted", who="me", why="first", as_of=NOW)
    opened.ledger.promote(outcome, promotion=promotion, now=NOW)
    (home / "mlruns").mkdir()
    (home / "mlruns" / "mlflow.db").touch()
    monkeypatch.setattr(
        "flows.steps.aliases.moved_by_hand", lambda _home, _name: ["alias 'champion' was moved"]
    )
    (one,) = complaints(settings, "aliases")
    assert one.found == "bikeshare: alias 'champion' was moved"
    assert "promote bikeshare --revert" in one.mend
    assert "--version" in one.mend


# --- the servers --------------------------------------------------------------------------------


@contextmanager
def prefect_of(version: str) -> Iterator[str]:
    """Answer as a Prefect server of this version would."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(version).encode())

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_prefect_server_of_our_version_is_fine(home: Path) -> None:
    with prefect_of("3.8.8") as api:
        assert complaints(Settings(home=home, prefect_api_url=api), "Prefect") == []


def test_a_prefect_server_of_another_version_is_told(home: Path) -> None:
    with prefect_of("3.1.0") as api:
        (one,) = complaints(Settings(home=home, prefect_api_url=api), "Prefect")
    assert "3.1.0" in one.found
    assert one.mend.startswith("pip install prefect==")


def test_a_named_prefect_server_that_is_away_is_told(home: Path) -> None:
    (one,) = complaints(
        Settings(home=home, prefect_api_url="http://me:secret@127.0.0.1:9/api"), "Prefect"
    )
    assert one.found == "http://me:…@127.0.0.1:9/api does not answer"


def leave_behind(home: Path, *, pid: int, started: float) -> Path:
    file = home / "prefect" / "server.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"api_url": "", "pid": pid, "started": started}), encoding="utf-8")
    return file


def test_the_state_of_a_killed_process_is_told_and_removed_only_when_asked(home: Path) -> None:
    settings = Settings(home=home)
    # Our own process id, taken over from one that started long ago.
    file = leave_behind(home, pid=os.getpid(), started=1.0)

    (one,) = complaints(settings, "processes")
    assert one.mend == "driftwheel doctor --mend"
    assert file.exists()

    assert said(settings, "processes", mend=True).startswith("mended: ")
    assert not file.exists()


def test_the_state_of_a_living_process_is_left_alone(home: Path) -> None:
    file = leave_behind(home, pid=os.getpid(), started=psutil.Process().create_time())
    assert f"runs as process {os.getpid()}" in said(Settings(home=home), "processes", mend=True)
    assert file.exists()


def test_an_unreachable_store_is_told_in_its_own_words(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_self: object, _name: str, _table: str) -> bool:
        raise StoreUnreachableError("the bucket does not answer; look at its address")

    monkeypatch.setattr("components.stores.lake.Lake.exists", away)
    (one,) = complaints(Settings(home=home), "lake")
    assert one.found == "the bucket does not answer; look at its address"
    assert "lake" in one.mend


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder in which temporary ones are made a place of the test's own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def rows_left(temporary: Path, name: str) -> Path:
    folder = temporary / name
    folder.mkdir()
    (folder / "00000.arrow").write_bytes(b"x" * 1000)
    return folder


def gone() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_rows_that_a_killed_ingest_left_behind_are_found_and_removed(
    home: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = rows_left(temporary, f"driftwheel-ingest-{gone()}-abc")
    with scratch("ingest") as ours:
        assert "1 folders" in said(Settings(home=home), "scratch")
        assert complaints(Settings(home=home), "scratch") == []
        monkeypatch.setattr(machine, "MOST_LEFT", 1000)
        (found,) = complaints(Settings(home=home), "scratch")
        assert found.mend == "driftwheel doctor --mend"
        assert "mended: removed 1 folders" in said(Settings(home=home), "scratch", mend=True)
        assert (left.exists(), ours.exists()) == (False, True)
        assert said(Settings(home=home), "scratch") == ""


def test_what_names_no_process_is_left_for_a_day_and_what_is_not_ours_for_ever(
    home: Path, temporary: Path
) -> None:
    old, new, other = (
        rows_left(temporary, name)
        for name in ("driftwheel-ingest-xyz", "driftwheel-sink-xyz", "driftwheel-other-1-x")
    )
    for folder in (old, other):
        os.utime(folder, (0, 0))
    examine(Settings(home=home), mend=True)
    assert [one.exists() for one in (old, new, other)] == [False, True, True]


def test_a_process_that_got_the_number_of_one_that_is_gone_is_another(
    home: Path, temporary: Path
) -> None:
    folder = rows_left(temporary, f"driftwheel-ingest-{os.getpid()}-abc")
    os.utime(folder, (0, 0))
    examine(Settings(home=home), mend=True)
    assert not folder.exists()
