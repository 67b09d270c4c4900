import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from monitoring.maturity import Seen
from monitoring.quality import last_known, many_came_in, measure_quality


def numbers(values):
    return Answers(np.asarray(values, dtype=float))


def classed(positive):
    positive = np.asarray(positive, dtype=float)
    names = np.where(positive > 0.5, "yes", "no").astype(object)
    return Answers(names, np.column_stack([1 - positive, positive]), ("no", "yes"))


@pytest.fixture
def measure(make_pipeline, window):
    def run(label, answers, naive, *, rows_made=100, **fields):
        rows = pd.DataFrame({"label": label})
        found = measure_quality(
            rows,
            answers,
            naive,
            pipeline=make_pipeline(**fields),
            window=window,
            seen=Seen("mature", rows, rows_made, len(rows), "mature: all there is"),
        )
        return {one.name: one for one in found}

    return run


def test_the_live_error_stands_beside_the_naive_one(measure):
    found = measure(np.zeros(50), numbers(np.ones(50)), numbers(np.full(50, 3.0)))

    assert found["live_error"].value == 1
    assert found["live_error"].threshold == found["naive_error"].value == 3
    assert found["live_error"].status == "fine"
    assert found["live_error"].reason == "mae 1, better than naive 3; mature: all there is"


def test_a_model_no_better_than_naive_is_a_breach(measure):
    found = measure(np.zeros(50), numbers(np.ones(50)), numbers(np.ones(50)))

    assert found["live_error"].status == "breach"


def test_where_higher_is_better_the_bad_side_is_below(measure):
    label = np.array(["no", "yes"] * 25, dtype=object)
    good, blind = classed([0.1, 0.9] * 25), classed([0.5] * 50)
    found = measure(label, good, blind, task="binary")

    assert (found["live_error"].method, found["live_error"].direction) == ("roc_auc", "below")
    assert found["live_error"].status == "fine"
    assert measure(label, blind, good, task="binary")["live_error"].status == "breach"


def test_few_labelled_rows_cannot_tell_though_the_number_stands(measure):
    found = measure(np.zeros(24), numbers(np.ones(24)), numbers(np.zeros(24)))

    assert found["live_error"].value == 1
    assert found["live_error"].status == "cannot_tell"
    assert "24 labelled rows, fewer than 30" in found["live_error"].reason


def test_the_share_of_labelled_rows_is_of_all_that_were_predicted(measure):
    found = measure(np.zeros(40), numbers(np.zeros(40)), None, rows_made=160)

    assert found["labelled_share"].value == 0.25
    assert found["labelled_share"].reason == "40 of 160 predicted rows have a known label"


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_without_a_label_nothing_is_told(measure, task):
    none = Answers(np.array([], dtype=object), None, ()) if task == "binary" else numbers([])
    found = measure([], none, None, rows_made=0, task=task)

    assert {one.status for one in found.values()} == {"cannot_tell"}
    assert all(one.value is None for one in found.values())


def test_one_class_has_no_ranking_and_cannot_tell(measure):
    found = measure(["no"] * 50, classed([0.2] * 50), None, task="binary")

    assert found["live_error"].value is None
    assert found["live_error"].reason.startswith("roc_auc is not defined on these rows; mature")


def test_labels_that_trickle_in_are_worth_another_look_a_tenth_of_the_rows_at_a_time():
    assert not many_came_in(40, 49, 100)
    assert many_came_in(40, 50, 100)
    assert not many_came_in(40, 40, 100)
    assert not many_came_in(0, 0, 0)


def test_of_a_number_measured_again_the_row_known_last_counts(window):
    day = pd.Timedelta("1D")
    about = {"window_start": window.start, "window_end": window.end, "column": None}
    later = {"model_version": "2", "known_time": window.end + 3 * day}
    rows = pd.DataFrame(
        [
            {**about, **later, "name": "live_error", "value": 5.0, "rows": 40},
            {**about, **later, "name": "live_error", "value": 9.0, "rows": 56},
            {**about, **later, "name": "live_error", "value": 1.0, "rows": 8}
            | {"known_time": window.end},
            {**about, **later, "name": "live_error", "value": 2.0, "rows": 8}
            | {"model_version": "4"},
            {**about, **later, "name": "drift", "value": 0.2, "rows": 56, "column": "heat"},
            {**about, **later, "name": "drift", "value": 0.4, "rows": 56, "column": "wind"},
        ]
    )

    assert last_known(rows)["value"].tolist() == [9.0, 2.0, 0.2, 0.4]
