"""`snapshot` and `erase` at the terminal: what they print, and how they end."""

import json
from types import SimpleNamespace

import pytest

from components.errors import StoreError
from driftwheel.app import run
from driftwheel.keeping import _require_version
from flows.steps.carding import Card

PIPELINE = """
source: {path: trips.csv}
time: at
target: count
task: regression
label_delay: 1d
id: trip
entity: rider
columns: {heat: number}
"""


@pytest.fixture
def rides(home, monkeypatch):
    """A home with a pipeline whose source holds three trips, ingested."""
    (home / "pipelines").mkdir()
    (home / "pipelines" / "rides.yaml").write_text(PIPELINE, encoding="utf-8")
    (home / "pipelines" / "trips.csv").write_text(
        "trip,at,rider,heat,count\n"
        "t-1,2024-01-01,ada,1,10\nt-2,2024-01-02,bob,2,20\nt-3,2024-01-03,ada,3,30\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("DRIFTWHEEL_HOME", str(home))
    assert run(["ingest", "rides", "--as-of", "2024-02-01"]) == 0
    return home


def answer(capsys, *arguments: str) -> dict:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_erasing_says_in_json_what_went(rides, capsys) -> None:
    done = answer(capsys, "erase", "rides", "--entity", "ada", "--reason", "asked for it", "--yes")
    assert done["removed"]["records"] == done["removed"]["labels"] == 2
    assert (done["pipeline"], done["reason"], done["snapshots"]) == ("rides", "asked for it", {})
    assert "ada" not in json.dumps(done)


def test_erasing_says_in_words_what_is_left_to_do(rides, capsys) -> None:
    assert run(["erase", "rides", "--id", "t-2", "--reason", "gone", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "erased for good" in said
    assert "left to you: the source trips.csv is yours" in said


@pytest.mark.parametrize(
    "given",
    [
        ["erase", "rides", "--reason", "why", "--yes"],
        ["erase", "rides", "--id", "t-1", "--yes"],
        ["snapshot", "rides", "--version", "1", "--to", "rows.json"],
        ["snapshot", "rides"],
        ["snapshot", "nobody", "--version", "1"],
        ["card", "nobody"],
        ["card", "rides", "--to", "no such folder/card.md"],
    ],
    ids=["nobody", "no reason", "a suffix", "no version", "a pipeline", "no card", "no folder"],
)
def test_wrong_use_ends_with_2_and_erases_nothing(rides, capsys, given) -> None:
    assert run(given) == 2
    assert not (rides / "lake" / "rides" / "_erased").exists()


def test_a_version_that_there_is_not_ends_with_1(rides, capsys) -> None:
    assert run(["snapshot", "rides", "--version", "7"]) == 1
    said = capsys.readouterr().err
    assert "no version 7 of rides; it has none yet: `driftwheel train rides`" in said


def test_a_version_that_there_is_not_names_those_that_there_are() -> None:
    numbers = [SimpleNamespace(number=str(number)) for number in (1, 2, 5)]
    home = SimpleNamespace(registry=SimpleNamespace(versions=lambda _: numbers))
    _require_version(home, "rides", "5")
    with pytest.raises(StoreError, match="no version 99 of rides; it has 1, 2 and 5"):
        _require_version(home, "rides", "99")


def test_a_card_of_nobody_in_charge_names_what_to_do(rides, capsys) -> None:
    assert run(["card", "rides"]) == 1
    said = capsys.readouterr().err
    assert "no model of rides is in charge: name a --version, or train one" in " ".join(
        said.split()
    )


@pytest.fixture
def written(rides, monkeypatch):
    """What `card` had kept; MLflow's copy is as the test says, the card is two lines."""
    done = []

    def card_with(copy: str | None) -> list[Card]:
        made = Card(
            "rides", "2", "a-run", "# rides [2]\n| a |\n", copy, "short", ("1", "2"), "wait"
        )
        monkeypatch.setattr("flows.steps.carding.make_card", lambda *_: made)
        monkeypatch.setattr("flows.steps.carding.keep_card", lambda _, card: done.append(card))
        monkeypatch.setattr("driftwheel.keeping._require_version", lambda *_: None)
        return done

    return card_with


@pytest.mark.parametrize(
    ("copy", "said"),
    [
        (None, "MLflow's run a-run had none; it has this one now"),
        ("another", "MLflow's run a-run had another one; it has this one now"),
        ("# rides [2]\n| a |\n", ""),
    ],
)
def test_a_card_is_printed_as_it_is_and_told_where_the_copy_was_another(
    written, capsys, copy, said
) -> None:
    done = written(copy)
    assert run(["card", "rides", "--version", "1"]) == 0
    out, err = capsys.readouterr()
    assert out == "# rides [2]\n| a |\n"
    assert " ".join(err.split()) == said
    assert len(done) == 1


def test_a_card_goes_to_a_file_and_into_json(written, rides, capsys) -> None:
    written(None)
    to = rides / "card.md"
    found = answer(capsys, "card", "rides", "--version", "1", "--to", str(to))
    assert found == {
        "pipeline": "rides",
        "version": "2",
        "run_id": "a-run",
        "copy": "missing",
        "card": "# rides [2]\n| a |\n",
        "file": str(to),
    }
    assert to.read_text(encoding="utf-8") == found["card"]


def test_who_is_found_nowhere_is_said_and_looks_like_no_success(rides, capsys) -> None:
    asked = ["erase", "rides", "--reason", "asked for it", "--yes"]
    assert run([*asked, "--id", "t-9", "--entity", "carl"]) == 1
    said = capsys.readouterr().out
    assert "rides: nothing found for t-9, carl; looked in" in said
    assert "records" in said
    assert "erased for good" not in said
    assert run([*asked, "--id", "t-9", "--id", "t-2"]) == 0
    said = capsys.readouterr().out
    assert "erased for good" in said
    assert "nothing found for t-9;" in said
    assert run([*asked, "--id", "t-9", "--id", "t-2"]) == 0, "again changes nothing"
    assert "nothing found" not in capsys.readouterr().out
