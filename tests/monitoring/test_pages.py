import numpy as np
import pandas as pd
import pytest

from monitoring.pages import drift_page


@pytest.fixture
def page(make_pipeline, tmp_path):
    def write(reference, current, pipeline=None):
        to = drift_page(reference, current, pipeline or make_pipeline(), tmp_path / "drift.html")
        return to.read_text(encoding="utf-8")

    return write


def test_the_page_shows_every_usable_column(page, make_rows):
    text = page(make_rows(500), make_rows(168, seed=1))

    assert all(f"column '{name}'" in text or name in text for name in ("price", "stock", "town"))
    assert len(text) > 1_000_000


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.nan, id="all null"),
        pytest.param(np.inf, id="infinite"),
        pytest.param("dear", id="text"),
    ],
)
def test_a_broken_column_is_left_off_the_page(page, make_rows, values):
    text = page(make_rows(500), make_rows(168, seed=1, price=values))

    assert "stock" in text
    assert "Drift in column 'price'" not in text


def test_some_nulls_and_infinities_leave_a_column_on_the_page(page, make_rows):
    rows = make_rows(168, seed=1)
    rows.loc[:20, "price"] = np.nan
    rows.loc[21:25, "price"] = -np.inf

    assert "Drift in column 'price'" in page(make_rows(500), rows)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_page_of_almost_no_rows_is_still_a_page(page, make_rows, rows):
    assert "<" in page(make_rows(500), make_rows(rows, seed=1))


def test_without_a_usable_column_the_page_says_so(page, make_rows):
    assert "no column could be compared" in page(make_rows(500), pd.DataFrame())


def test_a_hostile_column_name_or_category_runs_nothing(page, make_pipeline, make_rows):
    name = "</script><script>alert(1)</script>"
    rows = make_rows(60, town=[name, "Ulm"] * 30).rename(columns={"price": name})
    pipeline = make_pipeline(columns={name: "number", "town": "category"})

    assert "<script>alert(1)" not in page(rows, rows, pipeline)
