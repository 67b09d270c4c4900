import pandas as pd
import pytest

from components.maturity import maturity_curve
from monitoring.maturity_plot import draw_maturity

START = pd.Timestamp("2026-01-01", tz="UTC")


@pytest.mark.parametrize("wait", ["0s", "45s", "90min", "3h", "20D"])
def test_a_curve_of_any_length_is_drawn_as_a_picture(tmp_path, wait):
    when = pd.Series(pd.date_range(START, periods=100, freq="D"))
    curve = maturity_curve(when, when + pd.Timedelta(wait), as_of=START + pd.Timedelta("100D"))
    file = draw_maturity(curve, tmp_path / "waits.png")

    assert file.read_bytes().startswith(b"\x89PNG")


def test_without_a_label_the_picture_says_so(tmp_path):
    nothing = pd.Series([], dtype="datetime64[us, UTC]")
    file = draw_maturity(maturity_curve(nothing, nothing, as_of=START), tmp_path / "none.png")

    assert file.stat().st_size > 1_000
