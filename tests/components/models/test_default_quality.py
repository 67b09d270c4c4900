"""Settings nobody has touched do well on the shipped data."""

import pandas as pd
import pytest

from components.models import InputContract
from components.models.fitting import fit
from components.pipelines import read_pipeline


@pytest.fixture(scope="module")
def errors(clone):
    """Fit 90 days of bike rentals, answer the next 28; mean absolute errors in rentals."""
    pipeline = read_pipeline(clone / "pipelines" / "bikeshare.yaml")
    table = pd.read_csv(pipeline.source_path)
    known, coming = table.iloc[6000:8160], table.iloc[8184:8856]
    contract = InputContract.of(pipeline)

    def error(family: str) -> float:
        fitted = fit(
            known, known["count"], family=family, contract=contract, task="regression", seed=0
        )
        return float((fitted.predict(coming).values - coming["count"]).abs().mean())

    return {family: error(family) for family in ("linear", "lightgbm", "hist_boosting", "network")}


def test_lightgbm_does_about_as_well_as_histogram_boosting(errors):
    assert errors["lightgbm"] == pytest.approx(errors["hist_boosting"], rel=0.1)


def test_the_network_does_nearly_as_well_as_boosted_trees(errors):
    assert errors["network"] < 1.25 * errors["hist_boosting"]


def test_a_straight_line_does_worse_than_boosted_trees(errors):
    assert errors["linear"] > errors["hist_boosting"]
