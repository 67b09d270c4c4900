"""What a model says about some rows."""

import numpy as np

from components.answers import Answers


def test_a_regression_answers_flat_doubles():
    answers = Answers.of_output(np.array([[1.5], [2.5]], dtype=np.float32))
    assert answers.values.tolist() == [1.5, 2.5]
    assert answers.values.dtype == np.float64
    assert answers.probabilities is None


def test_a_classification_answers_the_likeliest_name():
    answers = Answers.of_output(np.array([[0.9, 0.1], [0.2, 0.8]]), ["no", "yes"])
    assert answers.values.tolist() == ["no", "yes"]
    assert answers.probabilities.shape == (2, 2)
    assert answers.classes == ("no", "yes")


def test_no_rows_make_no_answers():
    assert len(Answers.of_output(np.zeros((0, 2)), ["no", "yes"])) == 0
    assert len(Answers.of_output(np.zeros(0))) == 0


def test_some_rows_keep_all_that_was_answered_to_them():
    answers = Answers(
        np.array([1.0, 2.0, 3.0]), intervals=np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]])
    )
    kept = answers.take(np.array([True, False, True]))

    assert kept.values.tolist() == [1.0, 3.0]
    assert kept.intervals.tolist() == [[0.0, 2.0], [2.0, 4.0]]
    assert kept.probabilities is None
