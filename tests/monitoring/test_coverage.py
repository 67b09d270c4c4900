"""Live coverage: how often the truth lay where predictions said it would."""

import numpy as np
import pandas as pd
import pytest

from monitoring.coverage import coverage_of


def bounded(labels, low, high):
    return pd.DataFrame({"label": labels, "interval_low": low, "interval_high": high})


def test_the_share_of_true_values_inside_their_intervals(make_pipeline, window):
    rows = bounded([0.0, 1.0, 2.0, 3.0, 4.0] * 10, 1.0, 3.0)
    (found,) = coverage_of(rows, make_pipeline(intervals=0.8), window)

    assert (found.name, found.method, found.rows) == ("coverage", "intervals", 50)
    assert found.value == pytest.approx(0.6), "both ends belong to an interval"
    assert found.reason == "30 of 50 true values lie inside their intervals; 0.8 is wanted"
    assert (found.status, found.threshold) == ("fine", None)


def test_predictions_without_an_interval_do_not_count(make_pipeline, window):
    rows = bounded(np.zeros(40), [np.nan, -1.0] * 20, [np.nan, 1.0] * 20)
    (found,) = coverage_of(rows, make_pipeline(), window)

    assert (found.value, found.rows, found.status) == (1.0, 20, "cannot_tell")


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame({"label": [1.0, 2.0]}),
        bounded([1.0, 2.0], np.nan, np.nan),
        bounded([], [], []),
    ],
    ids=["a table of old", "none", "no rows"],
)
def test_where_no_prediction_carries_an_interval_there_is_nothing(make_pipeline, window, rows):
    assert coverage_of(rows, make_pipeline(), window) == []


def test_the_share_of_classes_inside_their_sets(make_pipeline, window):
    sets = [["no"], ["no", "yes"], ["yes"], None] * 20
    rows = pd.DataFrame({"label": ["no", "yes", "no", "yes"] * 20, "prediction_set": sets})
    (found,) = coverage_of(rows, make_pipeline(task="binary"), window)

    assert (found.method, found.rows) == ("sets", 60)
    assert found.value == pytest.approx(2 / 3)
