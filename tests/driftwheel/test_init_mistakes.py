"""Mistakes made with `init` are answered in words, and nothing is written."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.errors import InvalidInputError
from driftwheel.drafting import Asked, check_words


def test_without_a_labels_time_the_ways_are_said_and_the_column_is_named(
    init: Any, home: Path, rides: Any, rides_file: Any
) -> None:
    file = rides_file(done=rides(40)["at"] + pd.Timedelta(hours=2))
    said = init("rides", file, label_delay=None)
    assert said.code == 2
    for way in ("--label-delay", "--label-time", "--labels", "see the future"):
        assert way in said.words
    assert "--label-time done" in said.words
    assert not (home / "pipelines").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "Rides"}, ["must begin with a lower-case letter"]),
        ({"label_delay": "soon"}, ["--label-delay", "such as 30min"]),
        ({"label_delay": "1day"}, ["did you mean 1d?"]),
        ({"label_delay": "2 Hours"}, ["did you mean 2h?"]),
        ({"label_time": "at"}, ["give one of"]),
        ({"labels_id": "ride"}, ["beside --labels only"]),
        ({"target": "at"}, ["--target at is what --time names too"]),
    ],
)
def test_words_that_cannot_be_are_refused_before_anything_is_read(
    given: dict[str, str], said: list[str], tmp_path: Path
) -> None:
    usual = {"name": "rides", "data": "x.csv", "time": "at", "target": "count"}
    asked = Asked(**{**usual, "label_delay": "1h", **given})  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError) as caught:
        check_words(asked, tmp_path / "rides.yaml")
    assert all(part in str(caught.value) for part in said), caught.value


@pytest.mark.parametrize(
    ("changes", "words", "said"),
    [
        ({}, {"time": "att"}, ["no column 'att'", "did you mean at?"]),
        ({}, {"target": "counts"}, ["did you mean count?"]),
        ({}, {"exclude": "skies"}, ["no column 'skies'"]),
        ({}, {"query": "select 1"}, ["needs an address"]),
        ({}, {"time": "sky"}, ["no readable time", "ISO"]),
        ({}, {"task": "binary"}, ["--task binary", "takes", "values (", "two"]),
        ({}, {"target": "sky", "task": "regression"}, ["must hold numbers"]),
        ({"count": 7}, {}, ["is always '7'"]),
        ({"count": None}, {}, ["is empty in every row"]),
        ({"at": "2024-01-01"}, {}, ["in every row"]),
        ({}, {"sink": "mysql://x/y"}, ["mysql://"]),
        ({}, {"sink": "${NOWHERE}"}, ["${NOWHERE}", "export NOWHERE="]),
        ({}, {"sink": "sqlite:////no/such/folder/a.db"}, ["/no/such/folder does not exist"]),
    ],
)
def test_a_mistake_is_answered_in_words(
    changes: Any, words: dict[str, str], said: list[str], init: Any, home: Path, rides_file: Any
) -> None:
    answer = init("rides", rides_file(**changes), **words)
    assert answer.code == 2, answer
    for part in said:
        assert part in answer.words
    assert not (home / "pipelines" / "rides.yaml").exists()


def test_texts_that_hardly_repeat_are_no_classes(init: Any, rides: Any, rides_file: Any) -> None:
    count = [f"about {value}" for value in np.arange(320)]
    said = init("rides", rides_file(count=count))
    assert said.code == 2
    assert "320 different texts in 320 rows" in said.words


def test_a_missing_file_an_empty_one_and_a_single_row_are_said(
    init: Any, home: Path, rides_file: Any
) -> None:
    rides_file()
    gone = init("rides", home / "ride.csv")
    assert (gone.code, "did you mean rides.csv?" in gone.words) == (2, True)
    (home / "none.csv").write_text("at,heat,count\n", encoding="utf-8")
    empty = init("rides", home / "none.csv")
    assert (empty.code, "empty" in empty.words) == (2, True)
    (home / "one.csv").write_text("at,heat,count\n2024-01-01,3,4\n", encoding="utf-8")
    one = init("rides", home / "one.csv")
    assert (one.code, "one row" in one.words) == (2, True)


def test_labels_that_name_no_row_are_not_taken(init: Any, home: Path, rides_file: Any) -> None:
    truth = pd.DataFrame({"ride": ["x1", "x2"], "on": ["2024-01-02", "2024-01-03"]})
    truth.assign(count=[1, 2]).to_csv(home / "truth.csv", index=False)
    said = init("rides", rides_file(), "--id", "ride", "--labels", home / "truth.csv",
                "--labels-id", "ride", "--labels-time", "on", label_delay=None)  # fmt: skip
    assert said.code == 2
    assert "names a row" in said.words
    assert "x1" in said.words
    assert "1000" in said.words


def test_rows_that_nothing_names_need_an_entity_and_it_is_proposed(
    init: Any, home: Path, rides: Any
) -> None:
    rows = pd.concat([rides(40).drop(columns="ride").assign(dock=d, heat=float(k))
                      for k, d in enumerate(("north", "south", "west"))])  # fmt: skip
    rows["heat"] += np.random.default_rng(1).normal(size=len(rows)).round(1)
    rows["sky"] = "clear"
    rows.to_csv(home / "docks.csv", index=False)
    said = init("docks", home / "docks.csv")
    assert said.code == 2
    assert "--entity dock" in said.words
    assert init("docks", home / "docks.csv", "--entity", "dock").code == 0
