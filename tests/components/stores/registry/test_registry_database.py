import logging
import sqlite3
import subprocess
import sys

import pytest

from components.errors import PackageError
from components.packages.scorer import load_package
from components.stores.registry import Registry

# Importing MLflow in each would take most of the time: one process imports, and forks.
COLD_STARTS = """
import os, sys, traceback
from pathlib import Path
import mlflow.store.tracking.sqlalchemy_store
from components.stores.registry import Registry

def start():
    registry = Registry(sys.argv[1], owner="us", artifacts=Path(sys.argv[2]))
    with registry.run("bike", name="a training") as run:
        run.log_metrics({"loss": 1.0})

def child():
    try:
        start()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

started = [os.fork() or child() for _ in range(6)]
sys.exit(sum(os.waitpid(each, 0)[1] != 0 for each in started))
"""


def test_six_cold_starts_at_once_share_one_database(tmp_path):
    file = tmp_path / "mlruns" / "mlflow.db"
    command = [sys.executable, "-c", COLD_STARTS, f"sqlite:///{file}", str(tmp_path / "artifacts")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(file) as database:
        assert database.execute("select count(*) from runs").fetchone() == (6,)
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()


def test_opening_writes_nothing_where_the_user_works(tmp_path, home, open_registry, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    open_registry(home).ensure("bike")
    assert list((tmp_path / "work").iterdir()) == []
    with sqlite3.connect(home / "mlruns" / "mlflow.db") as database:
        paths = [row[0] for row in database.execute("select artifact_location from experiments")]
    database.close()
    assert not [path for path in paths if "work" in path]


def test_making_the_database_leaves_logging_as_it_was(tmp_path, capfd):
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    Registry(uri, owner="us", artifacts=tmp_path / "artifacts").ensure("bike")
    assert (list(root.handlers), root.level) == before
    assert capfd.readouterr().err == ""


@pytest.fixture
def moved(tmp_path, home, open_registry, package, rows):
    """A home with one version, carried to another place."""
    registry = open_registry(home)
    with registry.run("bike", name="a training") as run:
        uri = run.log_package(package, rows.head())
        run.log_text("hello", "note.txt")
    registry.register("bike", uri, run.id)
    assert registry.moved_from() is None
    (tmp_path / "archive").mkdir()
    return home.rename(tmp_path / "archive" / "a 100% new home"), home, uri


def test_a_moved_home_says_where_it_was(moved, open_registry, tmp_path):
    now, before, uri = moved
    registry = open_registry(now)
    assert registry.moved_from() == str(before / "mlruns" / "artifacts")
    with pytest.raises(PackageError, match="doctor"):
        registry.fetch(uri, tmp_path / "fetched")


def test_a_moved_home_works_again_once_its_paths_are_mended(moved, open_registry, tmp_path):
    now, before, uri = moved
    registry = open_registry(now)
    assert registry.mend_paths() >= 4
    assert registry.moved_from() is None
    assert registry.mend_paths() == 0
    load_package(registry.fetch(uri, tmp_path / "by uri")).probe()
    load_package(registry.fetch_version("bike", "1", tmp_path / "by version")).probe()
    with registry.run("bike", name="the next") as run:
        run.log_text("hello", "note.txt")
    with sqlite3.connect(now / "mlruns" / "mlflow.db") as database:
        whole = "\n".join(database.iterdump())
    database.close()
    assert f"{before}/" not in whole


def test_mending_leaves_paths_alone_that_only_begin_alike(home, open_registry, tmp_path):
    registry = open_registry(home)
    registry.ensure("bike")
    alike = f"{home}/mlruns/artifacts-of-somebody/x"
    with sqlite3.connect(home / "mlruns" / "mlflow.db") as database:
        database.execute(
            "insert into experiments (name, artifact_location, lifecycle_stage, workspace) "
            "values ('x', ?, 'active', 'default')",
            (alike,),
        )
    database.close()
    now = home.rename(tmp_path / "elsewhere")
    open_registry(now).mend_paths()
    with sqlite3.connect(now / "mlruns" / "mlflow.db") as database:
        query = "select artifact_location from experiments where name = 'x'"
        assert database.execute(query).fetchone() == (alike,)
    database.close()


def test_a_stale_lock_file_of_a_killed_process_blocks_nobody(home, open_registry):
    (home / "mlruns" / "mlflow.db.lock").touch()
    open_registry(home).ensure("bike")
