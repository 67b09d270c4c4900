"""`quality` as known at any moment, and `alerts`: documents, tables, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.stores.ledger import Outcome
from driftwheel.app import run
from flows.opening import open_home
from flows.settings import load_settings

PIPELINE = """
source: {path: trips.csv}
time: at
target: count
task: regression
label_time: counted
columns: {heat: number}
naive: [mean]
monitor: {window: 7d, least_rows: 10}
"""


def trips() -> pd.DataFrame:
    """48 rows a day for five weeks; labels of large counts take 30 h, others one."""
    chance = np.random.default_rng(2)
    at = pd.Series(pd.date_range("2024-01-01", "2024-02-05", freq="30min", inclusive="left"))
    count = chance.normal(100, 10, len(at)).round(3)
    late = pd.to_timedelta(np.where(count > 105, 30, 1), unit="h")
    rows = pd.DataFrame({"at": at, "heat": chance.normal(size=len(at)), "count": count})
    return rows.assign(counted=at + late)


@pytest.fixture(scope="module")
def _watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("asking")
    (home / "pipelines").mkdir()
    (home / "pipelines" / "trips.yaml").write_text(PIPELINE, encoding="utf-8")
    trips().to_csv(home / "pipelines" / "trips.csv", index=False)
    begin = pd.Timestamp("2024-01-08", tz="UTC")
    assert run(["--home", str(home), "ingest", "trips", "--as-of", "2024-01-08"]) == 0
    outcome = Outcome(pipeline="trips", what="refused", who="Ada", why="no gain", as_of=begin)
    open_home(load_settings(home)).ledger.record(outcome, now=begin)
    for moment in ("2024-01-15", "2024-01-22", "2024-01-29"):
        for step in ("ingest", "score"):
            assert run(["--home", str(home), step, "trips", "--as-of", moment]) == 0
    return home


@pytest.fixture
def ask(home: Path, _watched: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    del home  # the developer's own settings do not shine through

    def asked(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert run(["--home", str(_watched), *words]) == code
        return capsys.readouterr()

    return asked


def document(ask: Callable[..., Any], *words: str) -> Any:
    return json.loads(ask("quality", "trips", *words, "--json").out)


def test_quality_says_of_each_window_what_was_known_then(ask) -> None:
    done = document(ask, "--as-of", "2024-01-29")
    assert (done["pipeline"], done["metric"], done["at_maturity"]) == ("trips", "mae", False)
    assert done["as_of"].startswith("2024-01-29T00:00")
    *older, newest = done["windows"]
    assert [one["state"] for one in older] == ["mature"] * 2
    assert [one["rows"] for one in older] == [336] * 2
    assert newest["state"] == "corrected"
    assert 300 < newest["labelled"] < newest["rows"] == 336
    low, high = newest["score_ci"]
    assert low < newest["score"] < high
    assert newest["naive"] > 0
    assert newest["reason"].startswith("corrected: ")
    waits = done["maturity"]
    assert waits["known_by"] == {"50%": 3600.0, "95%": 108000.0, "99%": 108000.0}
    assert (waits["fair_age"], waits["never"]) == (108000.0, 0.0)


def test_the_same_day_asked_again_gives_the_same_bytes_though_more_is_known(ask) -> None:
    words = ("quality", "trips", "--as-of", "2024-01-22", "--json")
    then = ask(*words).out
    assert ask("ingest", "trips", "--as-of", "2024-02-04")
    assert ask("score", "trips", "--as-of", "2024-02-04")
    assert ask("maintain", "trips", "--as-of", "2024-02-04")
    assert ask(*words).out == then


def test_at_maturity_each_label_has_the_same_age(ask) -> None:
    done = document(ask, "--as-of", "2024-01-29", "--at-maturity")
    assert (done["at_maturity"], done["age"]) == (True, "30h")
    assert {one["state"] for one in done["windows"]} == {"mature"}
    assert done["windows"][-1]["rows"] == 336 - 59  # those younger are not looked at

    early = document(ask, "--as-of", "2024-01-29", "--at-maturity", "2h")
    assert early["age"] == "2h"
    assert {one["state"] for one in early["windows"]} == {"too_young"}, "only fast labels count"
    assert 0.6 < early["windows"][0]["labelled"] / early["windows"][0]["rows"] < 0.75


def test_windows_are_chosen_by_date(ask) -> None:
    done = document(ask, "--from", "2024-01-08", "--to", "2024-01-22", "--as-of", "2024-01-29")
    assert [one["from"][:10] for one in done["windows"]] == ["2024-01-08", "2024-01-15"]
    assert document(ask, "--as-of", "2023-01-01")["windows"] == []


def test_it_reads_as_a_table_within_80_columns_and_as_a_picture(ask, tmp_path) -> None:
    file = tmp_path / "new" / "q.png"
    said = ask("quality", "trips", "--as-of", "2024-01-29", "--plot", str(file))
    assert file.read_bytes().startswith(b"\x89PNG")
    assert max(map(len, said.out.splitlines())) <= 80
    assert "corrected" in said.out
    assert "50 % by 1h, 95 % by 30h, 99 % by 30h" in said.out
    before = file.read_bytes()
    ask("quality", "trips", "--as-of", "2024-01-29", "--plot", str(file))
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "words", [("3d",), ("--at-maturity", "soon"), ("--as-of", "yesterday"), ("--from", "x")]
)
def test_what_makes_no_sense_is_refused(ask, words) -> None:
    assert ask("quality", "trips", *words, code=2).err


def test_quality_and_alerts_of_a_home_in_which_nothing_happened(home, capsys) -> None:
    (home / "pipelines").mkdir()
    (home / "pipelines" / "trips.yaml").write_text(PIPELINE, encoding="utf-8")
    trips().to_csv(home / "pipelines" / "trips.csv", index=False)
    assert run(["--home", str(home), "quality", "trips", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["windows"] == []
    assert run(["--home", str(home), "alerts", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"alerts": [], "pending": 0, "channels": []}
    assert not (home / "ledger.db").exists(), "asking makes nothing"


def test_a_test_message_needs_an_address_and_says_which_did_not_take_it(ask, monkeypatch) -> None:
    assert "[alerts]" in ask("alerts", "test", code=2).err
    monkeypatch.setenv("DRIFTWHEEL_ALERTS_URLS", "json://ada:s3cret@127.0.0.1:9/s3cret")
    said = ask("alerts", "test", code=1)
    assert "alert url 1 (json://…) could not be reached" in said.out
    assert "s3cret" not in said.out + said.err
    (row,) = json.loads(ask("alerts", "test", "--json", code=1).out)["test"]
    assert row["problem"] == "alert url 1 (json://…) could not be reached"
    assert json.loads(ask("alerts", "--json").out)["channels"] == ["alert url 1 (json://…)"]


def test_neither_reaches_prefect() -> None:
    import subprocess
    import sys

    look = (
        "import sys; import driftwheel.asking, flows.steps.judging, flows.steps.alerting, "
        "monitoring.alerts, monitoring.quality_plot; "
        "sys.exit(any(name.split('.')[0] == 'prefect' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
