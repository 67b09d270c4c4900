"""From held-out answers to an output, as the pipeline asks for it."""

import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.output.learning import learn_output
from components.pipelines import Pipeline


def pipeline(**fields):
    return Pipeline.model_validate(
        {
            "name": "rides",
            "source": {"path": "rides.csv"},
            "time": "at",
            "target": "count",
            "label_delay": "1d",
            **fields,
        }
    )


def hours(rows):
    return pd.Series(pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC"))


def two_classes(rows, seed=0):
    chance = np.random.default_rng(seed)
    said = chance.beta(1, 2, rows)
    truth = np.where(chance.random(rows) < said**2, "yes", "no")
    answers = Answers.of_output(np.column_stack([1 - said, said]), ["no", "yes"])
    return pd.Series(truth, dtype=object), answers


def test_a_pipeline_that_asks_for_nothing_gets_numbers_as_they_are():
    output = learn_output(
        pd.Series([1.0, 2.0]), Answers(np.ones(2)), hours(2), pipeline(task="regression")
    )

    assert output.as_dict() == {
        "calibration": None,
        "threshold": None,
        "conformal": None,
        "notes": [],
    }


def test_all_that_is_asked_for_is_learnt_and_applied():
    truth, answers = two_classes(2_000)
    asked = pipeline(
        task="binary", decision={"false_positive": 1, "false_negative": 3}, intervals=0.9
    )
    output = learn_output(truth, answers, hours(2_000), asked)
    later, raw = two_classes(2_000, seed=1)
    applied = output.apply(raw)

    assert output.notes == ()
    assert output.calibration is not None
    assert applied.threshold == output.threshold.value
    assert ((applied.probabilities[:, 1] >= applied.threshold) == (applied.values == "yes")).all()
    place = (later == "yes").to_numpy().astype(int)
    assert applied.sets[np.arange(2_000), place].mean() == pytest.approx(0.9, abs=0.03)


def test_rows_may_come_in_any_order():
    truth, answers = two_classes(1_500)
    asked = pipeline(task="binary", intervals=0.8, decision={"recall": 0.7})
    order = np.random.default_rng(3).permutation(1_500)
    times = hours(1_500)
    there = learn_output(truth, answers, times, asked)
    back = learn_output(truth.iloc[order], answers.take(order), times.iloc[order], asked)

    assert back == there


def test_a_model_that_will_not_serve_learns_no_bounds():
    truth, answers = two_classes(500)
    output = learn_output(
        truth, answers, hours(500), pipeline(task="binary", intervals=0.9), bounds=False
    )

    assert output.conformal is None


def test_rows_without_an_answer_teach_nothing():
    truth, answers = two_classes(600)
    broken = answers.probabilities.copy()
    broken[::3] = np.nan
    asked = pipeline(task="binary", intervals=0.9, decision={"precision": 0.5})
    kept = np.arange(600) % 3 != 0
    times = hours(600)

    assert learn_output(
        truth, Answers(answers.values, broken, answers.classes), times, asked
    ) == learn_output(truth[kept], answers.take(kept), times[kept], asked)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_leave_an_output_that_says_so_and_works(rows):
    truth, answers = two_classes(rows)
    asked = pipeline(
        task="binary",
        calibration="sigmoid",
        intervals=0.9,
        decision={"false_positive": 1, "false_negative": 1},
    )
    output = learn_output(truth, answers, hours(rows), asked)

    assert [note.split(":")[0] for note in output.notes] == ["calibration", "decision", "intervals"]
    assert output.threshold.value == 0.5
    _, some = two_classes(10)
    assert len(output.apply(some)) == 10


def test_infinite_numbers_teach_nothing():
    chance = np.random.default_rng(0)
    truth, values = pd.Series(chance.normal(size=300)), chance.normal(size=300)
    values[0], truth.iloc[1] = np.inf, np.nan
    output = learn_output(
        truth, Answers(values), hours(300), pipeline(task="regression", intervals=0.9)
    )

    assert sum(output.conformal.rows) == 298
    assert np.isfinite(output.conformal.reach).all()


def test_answers_to_other_rows_are_refused_in_words():
    with pytest.raises(ValueError, match="Got 2 true values, 3 answers and 2 times"):
        learn_output(pd.Series([1.0, 2.0]), Answers(np.ones(3)), hours(2), pipeline())
