import pandas as pd
import pytest

from monitoring.measurements import Measurement, status_of
from monitoring.windows import Window

START = pd.Timestamp("2026-01-01", tz="UTC")
WINDOW = Window(START, START + pd.Timedelta("7D"))


@pytest.mark.parametrize(
    "measured",
    [
        pytest.param(
            Measurement("drift", "x", WINDOW, "ks", 0.2, 0.05, "below", "fine", 168, "why"),
            id="full",
        ),
        pytest.param(
            Measurement("rows", None, WINDOW, "count", None, None, "above", "cannot_tell", 0, ""),
            id="with nothing in it",
        ),
    ],
)
def test_a_measurement_comes_back_from_its_row_as_it_was(measured):
    frame = pd.DataFrame([{**measured.as_row(), "model_version": "3"}])

    assert Measurement.from_row(frame.to_dict("records")[0]) == measured


def test_the_threshold_itself_is_a_breach_on_either_side():
    assert [status_of(value, 0.3, "above") for value in (0.29, 0.3, 0.31)] == [
        "fine",
        "breach",
        "breach",
    ]
    assert [status_of(value, 0.3, "below") for value in (0.29, 0.3, 0.31)] == [
        "breach",
        "breach",
        "fine",
    ]
