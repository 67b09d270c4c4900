"""What is learnt for a model's answers, applied and written down."""

import json
import subprocess
import sys

import numpy as np
import pytest

from components.answers import Answers
from components.errors import PackageError
from components.output import Output
from components.output.calibrations import Isotonic, Sigmoid, Temperature
from components.output.values import Cutoffs, Reaches, Threshold

RAW = Answers.of_output(np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]]), ["no", "yes"])
AT_A_THIRD = Threshold(
    0.3, "cost", 0.3, reached=True, rows=100, cost=0.1, precision=0.5, recall=0.9
)


def test_nothing_learnt_changes_no_answer():
    same = Output().apply(RAW)

    assert same.values.tolist() == RAW.values.tolist()
    assert same.probabilities.tolist() == RAW.probabilities.tolist()
    assert (same.intervals, same.sets, same.threshold) == (None, None, None)


def test_two_classes_follow_the_threshold():
    answers = Output(threshold=AT_A_THIRD).apply(RAW)

    assert answers.values.tolist() == ["no", "yes", "yes"]
    assert answers.threshold == 0.3


def test_the_threshold_is_on_calibrated_probabilities():
    doubled = Isotonic((0.0, 0.5, 1.0), (0.0, 0.1, 1.0))  # 0.4 becomes 0.08
    answers = Output(calibration=doubled, threshold=AT_A_THIRD).apply(RAW)

    assert answers.values.tolist() == ["no", "no", "yes"]
    assert answers.probabilities.sum(axis=1) == pytest.approx(np.ones(3))


def test_without_a_threshold_the_likelier_class_after_calibration_is_said():
    answers = Output(calibration=Sigmoid(1.0, 1.0)).apply(RAW)

    assert answers.values.tolist() == ["no", "yes", "yes"]
    assert (answers.probabilities.argmax(axis=1) == (answers.values == "yes")).all()


def test_numbers_get_the_reach_of_their_size():
    answers = Output(conformal=Reaches(0.9, (10.0,), (1.0, 5.0), (50, 50))).apply(
        Answers(np.array([9.0, 10.0, np.nan]))
    )

    assert answers.intervals[:2].tolist() == [[8.0, 10.0], [5.0, 15.0]]
    assert np.isnan(answers.intervals[2]).all()


def test_what_is_said_is_in_its_own_set():
    output = Output(threshold=AT_A_THIRD, conformal=Cutoffs(0.9, (0.3, 0.05), (50, 50)))

    assert output.apply(RAW).sets.tolist() == [[True, False], [False, True], [False, True]]


def test_no_rows_get_no_answers():
    none = Output(Sigmoid(1.0, 0.0), AT_A_THIRD, Cutoffs(0.9, (0.5, 0.5), (9, 9)))
    answers = none.apply(Answers.of_output(np.zeros((0, 2)), ["no", "yes"]))

    assert (len(answers), answers.sets.shape) == (0, (0, 2))


def test_an_answer_that_is_no_number_stays_none():
    missing = Answers.of_output(np.array([[np.nan, np.nan]]), ["no", "yes"])

    for calibration in (Sigmoid(1.0, 0.0), Isotonic((0.0, 1.0), (0.1, 0.9)), Temperature(2.0)):
        assert np.isnan(Output(calibration).apply(missing).probabilities).all()


OUTPUTS = {
    "nothing": Output(),
    "sigmoid and threshold": Output(Sigmoid(0.5, -1.25), AT_A_THIRD),
    "isotonic and sets": Output(
        Isotonic((0.0, 0.25, 1.0), (0.1, 0.2, 0.9)), None, Cutoffs(0.9, (0.7, 0.6), (60, 40))
    ),
    "temperature": Output(Temperature(1.5), notes=("decision: no held-out rows",)),
    "intervals": Output(conformal=Reaches(0.9, (1.5,), (2.0, 3.0), (50, 50))),
}


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_an_output_comes_back_from_json_as_it_was(output):
    written = json.dumps(output.as_dict(), allow_nan=False)

    assert Output.from_dict(json.loads(written)) == output


def test_a_package_of_old_has_no_output():
    assert Output.from_dict(None) == Output()


@pytest.mark.parametrize(
    "given",
    [
        {"calibration": {"method": "beta"}},
        {"calibration": {"method": "sigmoid", "slope": -1.0, "intercept": 0.0}},
        {"calibration": {"method": "isotonic", "said": [0, 1], "came": [1, 0]}},
        {"calibration": {"method": "isotonic", "said": [], "came": []}},
        {"calibration": {"method": "temperature", "temperature": 0}},
        {"threshold": {"value": 0.5}},
        {"threshold": [0.5]},
        {"conformal": {"coverage": 0.9, "edges": [1.0], "reach": [1.0], "rows": [9]}},
        {"conformal": "wide"},
        ["calibration"],
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused_in_words(given):
    with pytest.raises(PackageError, match="cannot be read"):
        Output.from_dict(given)


def test_applying_needs_neither_scikit_learn_nor_crepes():
    asked = (
        "import sys, components.output; "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'sklearn', 'crepes'}))"
    )
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
