"""`diagnose` and `resolve`: faults said in one JSON document, and ended by a person's word."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from driftwheel.trusting import _outcome, print_faults

PIPELINE = """
source: {path: rides.csv}
time: at
target: count
task: regression
label_delay: 1d
columns: {heat: number, rain: number}
candidates: [linear]
holdout: {least_rows: 40, most: 14d}
monitor: {window: 7d, least_rows: 10}
"""
THEN = "2024-02-21"  # the fault is of the 19th


def rides(*, broken: bool) -> pd.DataFrame:
    chance = np.random.default_rng(5)
    at = pd.date_range("2024-01-01", periods=51 * 24, freq="1h")
    heat = 20 + 5 * chance.normal(size=len(at))
    rows = pd.DataFrame({"at": at, "heat": heat, "rain": chance.exponential(size=len(at))})
    rows["count"] = (100 + 10 * heat).round(3)
    if broken:
        rows.loc[(at >= "2024-02-19") & (at < "2024-02-20"), "heat"] *= 100
    return rows


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "rides.yaml").write_text(PIPELINE, encoding="utf-8")
    rides(broken=True).to_csv(folder / "rides.csv", index=False)
    return tmp_path


@pytest.fixture
def say(home: Path, say: Callable[..., Any]) -> Callable[..., Any]:
    """Say it of the home with the fault."""
    return lambda *words: say("--home", home, *words)


def diagnosed(say: Any, moment: str = THEN) -> Any:
    return say("diagnose", "rides", "--as-of", moment, "--json").json


def test_right_after_init_the_source_itself_is_diagnosed(say: Any, home: Path) -> None:
    done = diagnosed(say)
    assert (done["pipeline"], done["verdict"], done["blocking"]) == ("rides", "data_fault", True)
    (fault,) = done["faults"]
    assert (fault["fault"], fault["column"], fault["rows"]) == ("unit_changed", "heat", 24)
    assert fault["since"].startswith("2024-02-19T00:00")
    assert fault["evidence"]
    assert not (home / "lake").exists()
    assert diagnosed(say, "2024-02-15")["verdict"] == "ok"


def test_a_fault_is_diagnosed_in_the_lake_discarded_and_told_in_history(say: Any) -> None:
    say("ingest", "rides", "--as-of", THEN)
    (fault,) = diagnosed(say)["faults"]
    assert fault["state"] == "open"
    assert say("train", "rides", "--as-of", THEN, "--json").json["what"] == "data_fault"
    ended = say("resolve", "rides", fault["key"], "--discard", "--reason", "a bad day", "--json")
    assert ended.json["state"] == "discarded"
    after = diagnosed(say)
    assert (after["verdict"], after["blocking"], after["faults"]) == ("ok", False, [])
    assert [one["key"] for one in after["ended"]] == [fault["key"]]
    told = say("history", "rides", "--json").json["decisions"]
    said = [(one["who"] == "auto", one["why"]) for one in told if one["what"] == "data_fault"]
    assert said[0][0]
    assert said[0][1].startswith("unit_changed in heat")
    assert said[-1][1].startswith("discarded: a bad day")


def test_reading_the_source_again_ends_what_was_mended_and_nothing_else(
    say: Any, home: Path
) -> None:
    say("ingest", "rides", "--as-of", THEN)
    diagnosed(say)
    ask = ("resolve", "rides", "unit_changed", "--reingest", "--reason", "mended")
    still = say(*ask, "--json").json
    assert still["state"] == "open"
    assert "is still there" in say(*ask).out
    rides(broken=False).to_csv(home / "pipelines" / "rides.csv", index=False)
    done = say(*ask, "--json").json
    assert done["state"] == "reingested"
    assert done["ended_as_of"] == done["ingested"]["as_of"] == f"{THEN}T00:00:00+00:00"
    assert done["ingested"]["corrected"] == 24
    assert diagnosed(say)["verdict"] == "ok"


def test_a_person_reads_what_is_wrong_and_what_to_do(say: Any) -> None:
    say("ingest", "rides", "--as-of", THEN)
    told = say("diagnose", "rides", "--as-of", THEN)
    assert told.code == 0
    assert "unit_changed" in told.out
    assert "--accept (it is the new normal)" in " ".join(told.err.split())
    lines = told.out.splitlines()
    (line,) = [line for line in lines if "unit_changed" in line]
    assert line.strip() == "unit_changed in heat, 2024-02-19: 24 rows set aside"
    assert max(map(len, lines)) <= 80
    (fault,) = diagnosed(say)["faults"]
    ends = f"driftwheel resolve rides {fault['key']} --reingest|--accept|--discard --reason …"
    assert ends in " ".join(told.out.split())
    assert "the data is well" in say("diagnose", "rides", "--as-of", "2024-02-15").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("frozen", "--accept", "--reason", "x"), "no open data fault is called 'frozen' in rides"),
        (("unit_changed", "--reason", "x"), "exactly one of --reingest, --accept and --discard"),
        (("unit_changed", "--accept", "--discard", "--reason", "x"), "exactly one of"),
        (("unit_changed", "--accept"), "--reason"),
    ],
    ids=["unknown", "no way", "two ways", "no reason"],
)
def test_what_cannot_be_resolved_is_said_and_is_2(say: Any, words: Any, told: str) -> None:
    say("ingest", "rides", "--as-of", THEN)
    diagnosed(say)
    done = say("resolve", "rides", *words)
    assert done.code == 2
    assert told in " ".join(done.err.split())


def test_a_gap_concerns_no_rows_and_that_is_what_is_said(capsys: Any) -> None:
    gap = {"fault": "missing_period", "column": "at", "rows": 0, "since": "2024-02-19T05:00:00"}
    lacking = {**gap, "key": "df-1", "until": "2024-02-20T00:00:00", "evidence": "no row from 5"}
    print_faults({"pipeline": "rides", "as_of": THEN, "faults": [lacking]})
    said = capsys.readouterr().out
    assert "missing_period in at, 2024-02-19: no rows arrived; nothing to set aside" in said
    assert "0 rows" not in said
    ended = {**gap, "state": "discarded"}
    assert _outcome("rides", ended).endswith(
        "has ended: no rows arrived, and none are asked for; those that still come count as any "
        "others"
    )
