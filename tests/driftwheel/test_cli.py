"""The command line: its exit codes, its one JSON document, and mistakes answered in words."""

import gzip
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.stores.registry import Registry
from flows.opening import open_home
from flows.running import wall_clock
from flows.settings import load_settings
from flows.steps import everyday

PIPELINE = """
source: {path: rides.csv}
time: at
target: count
task: regression
label_delay: 1d
columns: {heat: number}
candidates: [linear]
window: last 20d
first_train: 2024-02-10
holdout: {least_rows: 40, most: 14d}
monitor: {window: 7d, least_rows: 10}
"""
STEPS = ("ingest", "train", "score", "monitor", "retrain", "reconcile", "maintain")
TRAINED = "2024-02-10"
LATER = "2024-02-19"


def write_source(file: Path, days: int = 60) -> None:
    heat = np.random.default_rng(5).normal(size=days * 8)
    at = pd.date_range("2024-01-01", periods=days * 8, freq="3h")
    count = (100 + 10 * heat).round(3)
    pd.DataFrame({"at": at, "heat": heat.round(4), "count": count}).to_csv(file, index=False)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home with one pipeline; MLflow's migrations are done, nothing was ingested."""
    root = tmp_path_factory.mktemp("template") / "home"
    folder = root / "pipelines"
    folder.mkdir(parents=True)
    (folder / "rides.yaml").write_text(PIPELINE, encoding="utf-8")
    write_source(folder / "rides.csv")
    uri = f"sqlite:///{root / 'mlruns' / 'mlflow.db'}"
    Registry(uri, owner="nobody", artifacts=root / "unused").moved_from()
    return root


@pytest.fixture
def rides(template: Path, tmp_path: Path) -> Path:
    """Give a home of one's own."""
    return Path(shutil.copytree(template, tmp_path / "rides"))


# --- one JSON document a command -----------------------------------------------------------------


def test_the_whole_loop_speaks_json_and_nothing_else(rides: Path, say: Any) -> None:
    def told(*words: str) -> Any:
        return say("--home", rides, *words, "--json").json

    assert told("status")["pipelines"][0]["champion"] == "naive"
    assert told("history", "rides") == {"decisions": []}
    assert told("ingest", "rides", "--as-of", TRAINED)["records"] == 40 * 8 + 1
    first = told("train", "rides", "--as-of", TRAINED)
    assert (first["what"], first["served_version"], first["first"]) == ("promoted", "2", True)
    assert told("ingest", "rides", "--as-of", LATER)["labels"] == 9 * 8
    assert told("score", "rides", "--as-of", LATER)["by_version"] == {"2": 10 * 8}
    seen = told("monitor", "rides", "--as-of", LATER)
    assert (seen["verdict"], seen["windows"]) == ("hold", 1)
    assert {m["name"] for m in seen["measurements"]} >= {"drift", "live_error"}
    again = told("retrain", "rides", "--as-of", LATER)
    assert again["what"] in {"refused", "wait"}
    lost = told("reconcile", "rides")
    assert (lost["pipeline"], lost["taken_up"], lost["moved_by_hand"]) == ("rides", [], [])
    assert set(told("maintain", "rides")["merged"]) >= {"records", "labels", "predictions"}
    decisions = told("history", "rides")["decisions"]
    assert [one["what"] for one in decisions if one["what"] != "hold"] == [
        "promoted",
        again["what"],
    ]
    by_hand = told("promote", "rides", "--version", "1", "--reason", "a hunch")
    assert (by_hand["what"], by_hand["why"]) == ("promoted", "a hunch")
    back = told("rollback", "rides", "--reason", "it was none")
    assert (back["what"], back["served_version"]) == ("rolled_back", "2")
    assert told("promote", "rides", "--revert", "--reason", "tidy")["reverted"] == []
    row = told("status", "rides")
    assert (row["pipeline"], row["champion"]) == ("rides", "2")
    assert row["live_error"] < row["naive_error"]


def test_the_decision_fields_are_those_that_others_rely_on(rides: Path, say: Any) -> None:
    say("--home", rides, "ingest", "rides", "--as-of", "2024-01-03")
    decision = say("--home", rides, "train", "rides", "--as-of", "2024-01-03", "--json").json
    assert decision["what"] == "wait", "a wait is a result: exit code 0"
    promised = "at pipeline what who why request_id event_id flow_run_id by_reconcile"
    promised += " tested_version served_version first"
    assert set(promised.split()) <= set(decision)
    assert decision["at"] == "2024-01-03T00:00:00+00:00"
    listed = say("--home", rides, "history", "--json").json["decisions"]
    assert listed == [decision]


def test_a_backtest_speaks_json_and_draws_a_picture(rides: Path, say: Any) -> None:
    said = say("--home", rides, "backtest", "rides", "--policy", "never", "--policy",
               "periodic:7d", "--json")  # fmt: skip
    document = said.json
    assert set(document["policies"]) == {"never", "periodic:7d"}
    assert document["policies"]["never"]["retrainings"] == 0
    assert (rides / "reports" / "backtest-rides.png").stat().st_size > 1_000
    assert not (rides / "lake").exists(), "the lake is untouched"


def test_doctor_speaks_json_whatever_it_finds(rides: Path, say: Any) -> None:
    said = say("--home", rides, "doctor", "--json")
    findings = json.loads(said.out)
    assert said.code == (0 if all(one["ok"] for one in findings) else 1)
    assert all(one["mend"] for one in findings if not one["ok"])


def test_without_a_server_the_person_is_told_on_standard_error(rides: Path, say: Any) -> None:
    said = say("--home", rides, "ingest", "rides", "--json")
    assert said.words == "(no Prefect server; `driftwheel up` starts one)"
    assert json.loads(said.out)["records"] > 0


def test_tables_for_people_are_no_json(rides: Path, say: Any) -> None:
    assert "rides: 17 records and 9 labels added" in " ".join(
        say("--home", rides, "ingest", "rides", "--as-of", "2024-01-03").out.split()
    )
    assert "naive" in say("--home", rides, "status").out
    empty = say("--home", rides, "history")
    assert (empty.code, empty.out) == (0, "")
    assert "nothing was decided yet" in empty.words


def test_an_alias_moved_by_hand_is_told_until_a_person_settles_it(rides: Path, say: Any) -> None:
    for step in ("ingest", "train"):
        say("--home", rides, step, "rides", "--as-of", TRAINED)
    registry = open_home(load_settings(rides)).registry
    registry.point("rides", champion="1")
    told = "alias 'champion' was moved by hand to version 1 (the ledger says 2)"
    assert say("--home", rides, "status", "rides", "--json").json["moved_by_hand"] == [told]
    assert "driftwheel promote rides --version N" in say("--home", rides, "status").words
    assert say("--home", rides, "reconcile", "rides", "--json").json["moved_by_hand"] == [told]
    assert registry.aliases("rides")["champion"] == "1"
    reverted = say("--home", rides, "promote", "rides", "--revert", "--reason", "tidy", "--json")
    assert reverted.json["reverted"] == [told]
    written = say("--home", rides, "history", "--json").json["decisions"][-1]
    assert (written["what"], written["why"]) == ("hold", f"tidy ({told}: set back)")
    assert "set back" in say("--home", rides, "history").out, "a person's word is always listed"
    assert registry.aliases("rides")["champion"] == "2"
    assert say("--home", rides, "status", "rides", "--json").json["moved_by_hand"] == []


def test_a_request_that_waits_is_pending_and_reconcile_carries_it_out(
    rides: Path, say: Any
) -> None:
    say("--home", rides, "ingest", "rides", "--as-of", "2024-01-03")
    home = open_home(load_settings(rides))
    spec, moment = home.pipeline("rides"), pd.Timestamp("2024-01-03", tz="UTC")
    request = everyday.request_training(
        home, spec, as_of=moment, clock=wall_clock, who="Ada", why="a hunch"
    )
    assert say("--home", rides, "status", "rides", "--json").json["pending"] == [
        {"request_id": request.id, "cause": "manual", "state": "open"}
    ]
    done = say("--home", rides, "reconcile", "rides", "--json").json
    assert done["taken_up"] == [{"request_id": request.id, "what": "wait"}]
    (decision,) = say("--home", rides, "history", "--json").json["decisions"]
    assert decision["by_reconcile"] is True
    again = say("--home", rides, "retrain", "rides", "--as-of", "2024-01-03", "--json").json
    assert again["what"] == "no-op", "the same request again"


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [*STEPS, "backtest", "status", "history"])
def test_a_misspelt_pipeline_is_named_with_the_nearest(rides: Path, say: Any, step: str) -> None:
    said = say("--home", rides, step, "rdies")
    assert said.code == 2
    assert "no pipeline named 'rdies'" in said.words
    assert "did you mean rides?" in said.words
    assert said.out == ""
    assert not (rides / "lake").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["rollback", "rdies", "--reason", "x"],
        ["promote", "rdies", "--version", "1", "--reason", "x"],
        ["promote", "rdies", "--revert", "--reason", "x"],
        ["up", "rdies"],
        ["deploy", "rdies"],
    ],
    ids=" ".join,
)
def test_who_decides_about_a_misspelt_pipeline_hears_the_nearest(
    rides: Path, say: Any, words: list[str]
) -> None:
    said = say("--home", rides, *words)
    assert said.code == 2
    assert "did you mean rides?" in said.words


@pytest.mark.parametrize(
    "words",
    [
        ["nosuchcommand"],
        ["train"],
        ["train", "rides", "--nosuchoption"],
        ["train", "rides", "--as-of", "yesterday"],
        ["rollback", "rides"],
        ["promote", "rides", "--reason", "x"],
        ["promote", "rides", "--reason", "x", "--version", "1", "--revert"],
        ["promote", "rides", "--reason", "x", "--version", "7"],
        ["backtest", "rides", "--policy", "nver"],
        ["backtest", "rides", "--policy", "periodic:0d"],
        ["backtest", "rides", "--from", "soon"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_code_2(rides: Path, say: Any, words: list[str]) -> None:
    said = say("--home", rides, *words)
    assert said.code == 2
    assert said.words
    assert said.out == ""


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["train", "rdies"], "UnknownPipelineError", "no pipeline named 'rdies'"),
        (["train"], "UsageError", "Missing argument"),
        (["nosuchcommand"], "UsageError", "No such command"),
        (["backtest", "rides", "--policy", "nver"], "InvalidInputError", "unknown policy 'nver'"),
    ],
    ids=" ".join,
)
def test_with_json_a_mistake_is_one_document_that_names_its_kind(
    rides: Path, say: Any, words: list[str], kind: str, said: str
) -> None:
    told = say("--home", rides, *words, "--json")
    document = json.loads(told.out)
    assert (told.code, document["exit_code"], document["kind"]) == (2, 2, kind)
    assert document["error"].startswith(said)
    assert kind not in told.words, "to a person a message leads with what is wrong"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "rides"],
        ["score", "rides"],
        ["monitor", "rides"],
        ["rollback", "rides", "--reason", "x"],
        ["backtest", "rides", "--from", "2030-01-01"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_exit_code_1(rides: Path, say: Any, words: list[str]) -> None:
    said = say("--home", rides, *words)
    assert said.code == 1
    assert said.words
    assert said.out == ""


def test_ctrl_c_ends_a_command_in_a_word(
    rides: Path, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("driftwheel.reading.status", interrupted)
    said = say("--home", rides, "status")
    assert (said.code, said.out) == (130, "")
    assert "stopped" in said.words


def test_a_misspelt_command_is_named(say: Any) -> None:
    assert "statsu" in say("statsu").words


def test_no_command_at_all_shows_help(say: Any) -> None:
    assert say().code in {0, 2}
    said = say("--help")
    assert said.code == 0
    for panel in ("Everyday", "One step", "Expert"):
        assert panel in said.out


def test_the_version_is_told(say: Any) -> None:
    said = say("--version")
    assert (said.code, said.out.split()[0]) == (0, "driftwheel")


def test_a_mistake_in_the_pipeline_file_is_named(rides: Path, say: Any) -> None:
    file = rides / "pipelines" / "rides.yaml"
    file.write_text(PIPELINE.replace("candidates", "candidats"), encoding="utf-8")
    said = say("--home", rides, "ingest", "rides")
    assert said.code == 2
    assert "did you mean candidates?" in said.words
    assert str(file) in said.words


def test_a_mistake_in_the_config_is_named(rides: Path, say: Any) -> None:
    (rides / "driftwheel.toml").write_text('prefx = "a"')
    said = say("--home", rides, "status")
    assert said.code == 2
    assert "did you mean prefix?" in said.words


def test_an_mlflow_server_that_is_down_fails_in_words(rides: Path, say: Any) -> None:
    (rides / "driftwheel.toml").write_text('mlflow_tracking_uri = "http://127.0.0.1:9"')
    say("--home", rides, "ingest", "rides", "--as-of", TRAINED)
    said = say("--home", rides, "train", "rides", "--as-of", TRAINED)
    assert said.code == 1
    assert "does not answer" in said.words
    assert "mlflow_tracking_uri" in said.words


# --- the source ----------------------------------------------------------------------------------


def spoil(source: Path, how: str) -> None:
    text = source.read_bytes()
    if how == "missing":
        source.unlink()
    elif how == "empty":
        source.write_bytes(b"")
    elif how == "header only":
        source.write_bytes(text.splitlines(keepends=True)[0])
    elif how == "without a column":
        source.write_bytes(text.replace(b"heat", b"haet", 1))
    elif how == "truncated gzip":
        source.write_bytes(gzip.compress(text)[:-200])
    elif how == "no table":
        source.write_bytes(b"\x00\xff\xfe" * 400)
    elif how == "a folder":
        source.unlink()
        source.mkdir()


@pytest.mark.parametrize(
    "how",
    [
        "missing",
        "empty",
        "header only",
        "truncated gzip",
        "no table",
        "a folder",
    ],
)
@pytest.mark.parametrize("step", ["ingest", "backtest"])
def test_a_bad_source_is_exit_code_2_with_the_file(
    rides: Path, say: Any, how: str, step: str
) -> None:
    source = rides / "pipelines" / "rides.csv"
    spoil(source, how)
    said = say("--home", rides, step, "rides")
    assert said.code == 2
    assert "rides.csv" in said.words
    assert not (rides / "lake").exists()


def test_a_source_without_a_feature_is_taken_and_the_fault_is_named(rides: Path, say: Any) -> None:
    spoil(rides / "pipelines" / "rides.csv", "without a column")
    said = say("--home", rides, "ingest", "rides", "--as-of", "2024-03-01")
    assert (said.code, "480 records" in said.out) == (0, True)
    found = say("--home", rides, "diagnose", "rides", "--as-of", "2024-03-01", "--json")
    (fault,) = json.loads(found.out)["faults"]
    assert (fault["fault"], fault["column"]) == ("column_renamed", "heat")
    assert "haet" in fault["evidence"]


def test_a_source_that_breaks_leaves_what_was_ingested(rides: Path, say: Any) -> None:
    say("--home", rides, "ingest", "rides", "--as-of", "2024-01-10")
    spoil(rides / "pipelines" / "rides.csv", "truncated gzip")
    assert say("--home", rides, "ingest", "rides", "--as-of", "2024-01-20").code == 2
    write_source(rides / "pipelines" / "rides.csv")
    done = say("--home", rides, "ingest", "rides", "--as-of", "2024-01-20", "--json").json
    assert done["records"] == 80


# --- the home, and the processes -----------------------------------------------------------------


def test_the_home_is_found_from_the_directory_one_works_in(
    rides: Path, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rides / "driftwheel.toml").touch()
    monkeypatch.chdir(rides / "pipelines")
    assert say("status", "rides", "--json").json["pipeline"] == "rides"


def test_the_home_may_come_from_the_environment(
    rides: Path, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTWHEEL_HOME", str(rides))
    assert say("status", "rides", "--json").json["pipeline"] == "rides"


def test_an_empty_folder_is_a_home_with_the_shipped_pipelines(home: Path, say: Any) -> None:
    (row,) = say("--home", home, "status", "--json").json["pipelines"]
    assert (row["pipeline"], row["shipped"], row["in_use"]) == ("bikeshare", True, False)
    assert say("--home", home, "status").words == ""
    said = say("--home", home, "status").out.split("\n")
    assert said == ["bikeshare  shipped as an example, not in use here", ""]


def test_shipped_examples_come_after_ones_own(rides: Path, say: Any) -> None:
    rows = say("--home", rides, "status", "--json").json["pipelines"]
    assert [(row["pipeline"], row["shipped"]) for row in rows] == [
        ("rides", False),
        ("bikeshare", True),
    ]
    assert rows[0]["live_error_why"] == "nothing was scored yet; `driftwheel score rides` does"


@pytest.mark.parametrize("option", ["--prefect-port", "--mlflow-port"])
def test_up_on_a_port_that_is_taken_is_said_and_starts_nothing(
    rides: Path, say: Any, option: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = say("--home", rides, "up", option, port)
    assert said.code == 1
    assert str(port) in said.words
    assert said.words.startswith(f"port {port} on 127.0.0.1 is not free")


def test_the_console_script_ends_without_a_traceback(rides: Path) -> None:
    command = [sys.executable, "-m", "driftwheel", "--home", str(rides), "train", "rdies"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=rides.parent)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "did you mean rides?" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_standard_output_of_the_console_script_is_json_alone(rides: Path) -> None:
    command = [sys.executable, "-m", "driftwheel", "--home", str(rides), "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=rides.parent)
    assert {row["pipeline"] for row in json.loads(done.stdout)["pipelines"]} == {
        "bikeshare",
        "rides",
    }
