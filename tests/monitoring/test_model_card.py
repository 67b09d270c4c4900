"""A model card says all that ledger and registry know, in the same bytes each time."""

import copy
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from components.packages.manifest import Manifest
from monitoring.model_card import Facts, render_card, short_card


def at(day: int) -> str:
    return pd.Timestamp(2024, 3, day, tz="UTC").isoformat()


def measure(name: str, value: float | None) -> dict[str, Any]:
    bounds = {"low": None, "high": None} if value is None else {"low": value - 1, "high": value + 1}
    return {"name": name, "value": value, **bounds, "rows": 300, "blocks": 12}


def part(name: str, loss: float, chance: float | None) -> dict[str, Any]:
    interval = {"mean": loss, "low": loss - 1, "high": loss + 1}
    return {"name": name, "rows": 60, "loss": interval, "chance": chance}


EVALUATION: dict[str, Any] = {
    "rows": 300,
    "from": at(1),
    "until": at(14),
    "metric": "roc_auc",
    "loss": "log loss",
    "naive": "last",
    "learnt": {"rows": 900, "from": at(1), "until": at(14)},
    "measures": {
        "model": [measure("roc_auc", 0.9), measure("f1", None)],
        "rival": [measure("roc_auc", 0.8), measure("coverage", 0.91)],
        "naive": [measure("roc_auc", 0.5)],
    },
    "slices": [part("town = Bonn | Ulm", 3.0, 0.01)],
    "rival_slices": [part("town = Bonn | Ulm", 4.0, None)],
    "found": [part("income up to 2", 5.0, None)],
    "fairness": {
        "model": [
            {
                "column": "sex",
                "groups": [
                    {"name": "f", "rows": 100, "rates": {"error_rate": 0.2}},
                    {"name": "x", "rows": 3, "rates": {"error_rate": None}},
                ],
                "differences": {"error_rate": None},
                "too_small": ["x"],
            }
        ],
        "rival": [{"column": "sex", "differences": {"error_rate": 0.1}}],
    },
    "flips": {"negative": {"mean": 0.02}, "positive": {"mean": 0.05}, "tolerance": None},
    "importance": [{"column": "income", "rise": 0.4, "low": 0.3, "high": 0.5}],
    "coverage": {"rows": 300, "covered": 0.9, "near": 0.95, "columns": {"income": 0.8}},
    "curve": None,
    "search": {
        "trials": [
            {"recipe": "forest on all", "loss": None, "problem": "ValueError: no"},
            {"recipe": "lightgbm on all", "loss": 0.4, "problem": ""},
        ],
        "folds": ["a", "b"],
        "said": ["search.budget of 1 s was used up after 2 of 20 trials"],
        "dropped": {"snow": "constant on the training rows"},
    },
}

MANIFEST = Manifest(
    format="skops",
    reason="ONNX answers otherwise",
    family="lightgbm",
    task="binary",
    classes=("no", "yes"),
    contract=(("income", "number"), ("town", "category")),
    made_with={"skops": "1", "lightgbm": "4"},
    about={
        "recipe": {"family": "lightgbm", "window": "all", "dropped": ["snow"]},
        "rows": 1200,
        "rows_digest": "r" * 8,
        "snapshot": "s" * 8,
        "seen_until": at(14),
        "seed": 7,
    },
    files={},
    output={
        "calibration": None,
        "threshold": {
            "value": 0.3,
            "chosen_by": "recall",
            "target": 0.9,
            "reached": False,
            "rows": 300,
            "cost": None,
            "precision": 0.5,
            "recall": 0.8,
        },
        "conformal": None,
        "notes": ["calibration: too few rows"],
    },
)

FACTS = Facts(
    pipeline="loans",
    served="4",
    tested="3",
    request={"id": "rr-1", "cause": "drift", "reason": "it <moved>", "as_of": at(15)},
    decisions=[
        {
            "as_of": at(15),
            "what": "wait",
            "who": "Ada",
            "why": "waits for approval",
            "numbers": {
                "rival": "version 2",
                "rows": 300,
                "blocks": 12,
                "champion_loss": 0.5,
                "challenger_loss": 0.4,
                "gain": 0.2,
                "gain_low": 0.1,
                "gain_high": 0.3,
                "margin": 0.01,
                "level": 0.05,
                "smallest_visible_gain": None,
                "limits": [
                    {
                        "name": "slice town",
                        "champion": 4.0,
                        "challenger": 5.0,
                        "lost": True,
                        "sentence": "slice town: lost",
                    }
                ],
            },
        },
        {"as_of": at(16), "what": "promoted", "who": "Bo", "why": "looks good", "numbers": {}},
    ],
    epochs=[{"epoch": 2, "version": "4", "as_of": at(16)}],
    run={"driftwheel.snapshot": "loans records@2", "driftwheel.set_aside": "12 rows"},
    manifest=MANIFEST,
    size=123456,
    evaluation=EVALUATION,
)


@pytest.fixture(scope="module")
def card() -> str:
    return render_card(FACTS)


def section(card: str, title: str) -> str:
    return card.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_same_facts_give_the_same_bytes(card: str) -> None:
    assert render_card(copy.deepcopy(FACTS)) == card
    assert card.endswith("\n")
    assert not card.endswith("\n\n")


def test_it_says_who_decided_what_and_why(card: str) -> None:
    said = section(card, "Decision")
    assert "- **wait** as of 2024-03-15 00:00 UTC, by Ada: waits for approval" in said
    assert "- **promoted** as of 2024-03-16 00:00 UTC, by Bo: looks good" in said
    assert "Version 4 took charge in epoch 2, as of 2024-03-16 00:00 UTC." in said
    assert "compared it with version 2 on 300 rows" in said
    assert "| slice town       | 4     | 5    | **yes** |" in said
    assert "drift: it &lt;moved&gt;" in card


def test_it_sets_every_measure_beside_rival_and_naive(card: str) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(card, "Quality on later rows").splitlines()
        if line.startswith("|")
    ]
    assert ["roc auc", "0.9", "-0.1 to 1.9", "0.8", "-0.2 to 1.8", "0.5", "300"] in rows
    assert ["f1", "-", "-", "-", "-", "-", "300"] in rows
    assert ["coverage", "-", "-", "0.91", "-0.09 to 1.91", "-", "300"] in rows


def test_it_says_where_and_for_whom_it_is_worse(card: str) -> None:
    assert r"town = Bonn \| Ulm" in section(card, "Where it is worse")
    assert "**yes**" in section(card, "Where it is worse")
    groups = section(card, "Groups")
    assert "| f                       | 100  | 0.2        |" in groups
    assert "| the same of the rival   |      | 0.1        |" in groups


def test_it_says_what_it_must_not_be_used_for(card: str) -> None:
    said = section(card, "Limits of use")
    for words in (
        "nothing of events after 2024-03-14 00:00",
        "calibration: too few rows",
        "90.0 % of the held-out rows lie where training rows lie",
        "Of income, 20.0 % of the values were not trained on",
        "Too few rows to say anything of sex: x.",
    ):
        assert words in said
    few = replace(FACTS, evaluation={**EVALUATION, "rows": 50})
    assert "Judged on 50 rows only" in render_card(few)


def test_it_says_how_it_answers_and_what_it_does_not_read(card: str) -> None:
    said = section(card, "Answers")
    assert "yes is said from a probability of 0.3 on, chosen by recall on 300 rows" in said
    assert "what was asked for was not reached" in said
    assert "No intervals or sets" in said
    assert "Not read: snow (constant on the training rows)." in section(card, "Features")
    tried = section(card, "Candidates")
    assert tried.index("lightgbm on all") < tried.index("forest on all")
    assert "used up after 2 of 20 trials" in tried


@pytest.mark.parametrize(
    ("conformal", "said"),
    [
        (
            {"coverage": 0.9, "edges": [1.0], "reach": [2.0, 3.0], "rows": [50, 50]},
            "hold the truth 90.0 % of the time, learnt on 100 rows; they reach 2 to 3",
        ),
        (
            {"coverage": 0.8, "edges": [], "reach": [2.0], "rows": [50]},
            "hold the truth 80.0 % of the time, learnt on 50 rows; they reach 2 to either",
        ),
    ],
)
def test_intervals_are_told_with_their_reach(conformal, said) -> None:
    output = {"calibration": None, "threshold": None, "conformal": conformal, "notes": []}
    manifest = replace(MANIFEST, task="regression", classes=(), output=output)
    assert said in section(render_card(replace(FACTS, manifest=manifest)), "Answers")


def test_sets_are_told_as_sets() -> None:
    conformal = {"coverage": 0.9, "furthest": [0.5, 0.6], "rows": [50, 70]}
    output = {"calibration": None, "threshold": None, "conformal": conformal, "notes": []}
    said = render_card(replace(FACTS, manifest=replace(MANIFEST, output=output)))
    assert "Sets of classes that hold the truth 90.0 % of the time, learnt on 120 rows" in said


def test_without_an_evaluation_or_a_decision_it_says_so() -> None:
    bare = replace(
        FACTS, evaluation=None, decisions=[], epochs=[], manifest=replace(MANIFEST, output=None)
    )
    card = render_card(bare)
    assert "the training has not come to its end" in card
    assert "No rows were held out for it" in card
    assert "Nothing is known of its quality" in card
    assert "| income  | number   |" in card
    assert short_card(bare) == "lightgbm on all, without snow; trained for drift"


def test_a_line_says_what_a_version_is() -> None:
    assert short_card(FACTS).endswith("trained for drift; promoted by Bo: looks good")


def test_the_commands_that_make_it_again_are_named(card: str) -> None:
    assert "driftwheel snapshot loans --version 4 --to rows.parquet" in section(card, "Data")
    assert "driftwheel card loans --version 4" in section(card, "Package")
    assert "123,456 bytes" in section(card, "Package")
