"""The real thing, once: a Prefect server, a served process, an event, an automation.

Two homes go through the first weeks of the demo: one undisturbed, one killed while its
retraining is under way. The demo retrains once in that stretch, on 2011-04-30.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest
from deltalake import DeltaTable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STEPS = 5
RETRAINED = "2011-04-30T00:00:00+00:00"
TASKS = ("snapshot", "preprocess", "fit", "evaluate", "package", "register", "gate")


def command(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "driftwheel", "--home", str(home), *arguments]


def environment() -> dict[str, str]:
    """Give an environment without settings of the developer's own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DRIFTWHEEL_", "PREFECT_"))}
    return {**kept, "COLUMNS": "200"}


@contextmanager
def demo(home: Path, *, steps: int = STEPS) -> Iterator["subprocess.Popen[str]"]:
    """Run the demo in a process group of its own; nothing of it outlives the block."""
    with (home.parent / "said.txt").open("a", encoding="utf-8") as heard:
        process = subprocess.Popen(
            command(home, "demo", "--steps", str(steps), "--json"),
            cwd=home.parent,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=heard,
            text=True,
            start_new_session=True,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(home: Path) -> str:
    """Give what the demos of a home said to the person."""
    return (home.parent / "said.txt").read_text(encoding="utf-8")


def through(home: Path, *, steps: int = STEPS) -> dict[str, Any]:
    """Run the demo to its end, and give the one document that it writes."""
    with demo(home, steps=steps) as process:
        out, _ = process.communicate()
    assert process.returncode == 0, said(home)
    document: dict[str, Any] = json.loads(out)
    return document


def ask(home: Path, *arguments: str) -> dict[str, Any]:
    """Run a reading command, and give its document."""
    done = subprocess.run(
        command(home, *arguments, "--json"),
        cwd=home.parent,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def left_running(home: Path) -> list[str]:
    """Name the processes that work for a home: by command line, environment or directory."""
    found = []
    for process in psutil.process_iter():
        try:
            traces = [*process.cmdline(), *process.environ().values(), process.cwd()]
            if process.pid != os.getpid() and any(str(home) in trace for trace in traces):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def decisions(home: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask(home, "history", "bikeshare")["decisions"]
    return [row for row in rows if row["what"] != "hold"]


def untimed(decision: dict[str, Any]) -> dict[str, Any]:
    """Give the numbers of a decision, without how long a package took to answer."""
    numbers = decision["numbers"]
    limits = [one for one in numbers.get("limits", ()) if "latency" not in one["name"]]
    return {**numbers, "limits": limits}


def trainings(home: Path) -> list[dict[str, Any]]:
    """Give the decisions on requests, without the data faults found on the way."""
    return [one for one in decisions(home) if one["request_id"]]


def counts(home: Path) -> dict[str, int]:
    """Count the rows of each table; each id must stand there once."""
    found = {}
    ids = {"predictions": "prediction_id", "measurements": "measurement_id"}
    for table in ("records", "labels", "predictions", "measurements"):
        files = DeltaTable(home / "lake" / "bikeshare" / table).file_uris()
        name = ids.get(table, "record_id")
        with duckdb.connect() as reader:
            query = f"select count(*), count(distinct {name}) from read_parquet($1)"
            every, different = reader.execute(query, [files]).fetchall()[0]
        assert every == different, table
        found[table] = every
    return found


def book(home: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask a home's ledger."""
    with closing(sqlite3.connect(home / "ledger.db", timeout=30)) as ledger:
        return ledger.execute(query).fetchall()


def prefect(home: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    """Ask the database of a home's Prefect server."""
    with closing(sqlite3.connect(home / "prefect" / "prefect.db", timeout=30)) as database:
        return database.execute(query, values).fetchall()


def until(look: Callable[[], Any], process: "subprocess.Popen[str]", home: Path) -> Any:
    """Wait until `look` gives something true, while a demo runs."""
    deadline = time.monotonic() + 300
    while not (found := look()):
        assert process.poll() is None, said(home)
        assert time.monotonic() < deadline, said(home)
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Give the home of a demo that nobody disturbed, and its document."""
    home = tmp_path_factory.mktemp("calm") / "home"
    home.mkdir()
    return home, through(home)


def test_the_demo_retrains_by_itself_and_leaves_nothing_running(
    calm: tuple[Path, dict[str, Any]],
) -> None:
    home, document = calm
    assert left_running(home) == []
    assert (document["retrainings"], document["by_reconcile"]) == (1, 0)
    assert len(document["timeline"]) == STEPS + 1
    first, second = trainings(home)
    assert (first["what"], first["first"]) == ("promoted", True)
    assert (second["at"], second["by_reconcile"]) == (RETRAINED, False)
    assert second["what"] in {"promoted", "refused", "wait"}
    assert second["numbers"]["rows"] > 0


def test_request_event_and_flow_run_of_the_retraining_are_in_prefect(
    calm: tuple[Path, dict[str, Any]],
) -> None:
    home, _ = calm
    retrained = trainings(home)[-1]
    ((payload,),) = prefect(
        home,
        "select payload from events where replace(id, '-', '') = ?",
        _hex(retrained["event_id"]),
    )
    assert json.loads(payload)["request_id"] == retrained["request_id"]
    ((state, parameters, created_by),) = prefect(
        home,
        "select state_type, parameters, created_by from flow_run where replace(id, '-', '') = ?",
        _hex(retrained["flow_run_id"]),
    )
    assert state == "COMPLETED"
    assert json.loads(parameters)["request_id"] == retrained["request_id"]
    assert json.loads(created_by)["type"] == "AUTOMATION"


def test_the_graph_of_the_retraining_shows_its_tasks(calm: tuple[Path, dict[str, Any]]) -> None:
    home, _ = calm
    rows = prefect(
        home,
        "select name from task_run where replace(flow_run_id, '-', '') = ? and state_type = ?",
        _hex(trainings(home)[-1]["flow_run_id"]),
        "COMPLETED",
    )
    named = {name.rpartition("-")[0] for (name,) in rows}
    assert set(TASKS) <= named


def test_the_flows_leave_artifacts(calm: tuple[Path, dict[str, Any]]) -> None:
    home, _ = calm
    rows = prefect(home, "select key, type, data from artifact where key is not null")
    kinds = {(key, kind) for key, kind, _ in rows}
    assert ("measurements-bikeshare", "table") in kinds
    assert ("decision-bikeshare", "markdown") in kinds
    measured = [data for key, _, data in rows if key == "measurements-bikeshare"]
    assert len(measured) == STEPS
    assert "temp_c" in measured[-1]


def test_no_flow_run_was_left_unfinished(calm: tuple[Path, dict[str, Any]]) -> None:
    home, _ = calm
    states = Counter(prefect(home, "select state_type from flow_run"))
    assert set(states) == {("COMPLETED",)}


def test_a_backtest_of_the_same_stretch_decides_the_same(
    calm: tuple[Path, dict[str, Any]],
) -> None:
    home, document = calm
    result = ask(home, "backtest", "bikeshare", "--policy", "drift", "--to", document["to"])
    row = result["policies"]["drift"]
    replayed = [(one["at"], one["event"]) for one in row["timeline"] if one["event"]]
    decided = decisions(home)
    assert replayed == [(one["at"], one["what"]) for one in decided]
    reasons = [one["reason"] for one in row["timeline"] if one["event"]]
    for one, reason in zip(decided, reasons, strict=True):
        assert _but_for_versions(one["why"]) in _but_for_versions(reason)


def test_ctrl_c_ends_the_demo_in_words_and_running_it_again_changes_nothing(
    calm: tuple[Path, dict[str, Any]],
) -> None:
    home, document = calm
    before, rows = decisions(home), counts(home)
    with demo(home) as process:
        until((home / "prefect" / "server.json").exists, process, home)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, said(home)
    assert out == ""
    assert said(home).rstrip().endswith("stopped")
    assert "Traceback" not in said(home)
    assert left_running(home) == []

    again = through(home)
    assert left_running(home) == []
    assert (decisions(home), counts(home)) == (before, rows)
    assert {**again, "seconds": 0} == {**document, "seconds": 0}


def test_a_demo_killed_during_its_retraining_goes_on_where_it_was(
    calm: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    in_hand = "select id from ledger_requests where cause = 'drift' and state = 'leased'"
    with demo(home) as process:
        until(
            lambda: (home / "ledger.db").exists() and _tables(home) and book(home, in_hand),
            process,
            home,
        )
        os.killpg(process.pid, signal.SIGKILL)
    until_gone = time.monotonic() + 60
    while left_running(home) and time.monotonic() < until_gone:
        time.sleep(0.05)
    assert left_running(home) == []

    document = through(home)
    assert left_running(home) == []
    assert document["by_reconcile"] == 1
    undisturbed, _ = calm
    kept = ("at", "what", "why", "tested_version", "served_version", "first")
    assert [[*map(one.get, kept), untimed(one)] for one in decisions(home)] == [
        [*map(one.get, kept), untimed(one)] for one in decisions(undisturbed)
    ]
    assert counts(home) == counts(undisturbed)
    assert book(home, "select count(*) from ledger_requests where state <> 'closed'") == [(0,)]
    stuck = prefect(
        home, "select name from flow_run where state_type in ('RUNNING', 'PENDING', 'CANCELLING')"
    )
    assert stuck == []


def _tables(home: Path) -> bool:
    return bool(book(home, "select 1 from sqlite_master where name = 'ledger_requests'"))


def _hex(given: str) -> str:
    return given.replace("-", "")


def _but_for_versions(reason: str) -> str:
    """Leave out how a version is numbered: a backtest counts promotions, MLflow versions."""
    words = reason.split()
    return " ".join(
        "N" if i and words[i - 1] == "version" else word for i, word in enumerate(words)
    )
