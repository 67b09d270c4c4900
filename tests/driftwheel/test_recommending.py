"""The recommendation of a backtest says by how much, and whether it may be chance."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.pipelines import Pipeline
from driftwheel.recommending import Judged, in_order, recommend
from flows.steps.contenders import read_contender
from flows.steps.replay import Replayed

HOURS = pd.Series(pd.date_range("2026-01-01", periods=24 * 60, freq="h", tz="UTC"))


def pipeline(metric: str = "mae") -> Pipeline:
    given: dict[str, Any] = {
        "name": "rides",
        "source": {"path": "rides.csv"},
        "time": "at",
        "target": "count",
        "task": "regression" if metric == "mae" else "binary",
        "metric": metric,
        "label_delay": "1d",
    }
    return Pipeline.model_validate(given)


def judged(text: str, error: float, *, fits: int, noise: float = 0.0) -> Judged:
    """Make a policy whose answers miss by `error`, more or less by `noise` from day to day."""
    label = pd.Series(np.full(len(HOURS), 100.0))
    by_day = np.repeat(np.random.default_rng(fits).normal(scale=noise, size=60), 24)
    answers = Answers(100.0 + error + by_day)
    rows = pd.DataFrame({"event_time": HOURS, "label": label, "version": "1"})
    score = float(np.abs(error + by_day).mean())
    return Judged(text, rows, answers, score, (score - 1, score + 1), fits)


def test_the_best_score_is_recommended_with_its_gain() -> None:
    found = [judged("never", 20.0, fits=0, noise=1), judged("drift", 10.0, fits=9, noise=1)]
    text, because = recommend(found, pipeline())
    assert text == "drift"
    assert "its mae is the best, " in because
    assert "of never, the next; on the same rows the gain is between 4" in because
    assert "chance" not in because


def test_a_gain_that_may_be_chance_is_said_to_be_and_what_is_cheaper() -> None:
    found = [judged("never", 10.2, fits=0, noise=8), judged("periodic:7d", 10.0, fits=90, noise=8)]
    found.sort(key=lambda one: one.score)
    _, because = recommend(found, pipeline())
    assert "it may be chance" in because
    best = found[0].text
    assert ("needs 0 fits instead of 90" in because) == (best == "periodic:7d")


def test_of_equal_policies_the_one_with_fewer_fits_is_taken() -> None:
    found = [judged("periodic:7d", 10.0, fits=90), judged("never", 10.0, fits=0)]
    text, because = recommend(found, pipeline())
    assert (text, because) == ("never", "periodic:7d does no better: 10 both with fewer fits")


def test_one_policy_alone_is_no_comparison() -> None:
    assert recommend([judged("drift", 10.0, fits=9)], pipeline()) == (
        "drift",
        "no other policy was asked for",
    )


@pytest.mark.parametrize(("second", "said"), [(0.9, "lie apart"), (0.699, "overlap: it may be")])
def test_a_ranking_is_compared_by_its_intervals(second: float, said: str) -> None:
    rows = pd.DataFrame({"event_time": HOURS, "label": "1", "version": "1"})
    answers = Answers(np.full(len(HOURS), "1"))
    found = [
        Judged(text, rows, answers, score, (score - 0.01, score + 0.01), 3)
        for text, score in (("never", 0.7), ("drift", second))
    ]
    _, because = recommend(found, pipeline("roc_auc"))
    assert said in because


def test_rows_come_in_the_order_of_history_whatever_their_cuts() -> None:
    def part(places: list[int]) -> tuple[pd.DataFrame, Answers]:
        rows = pd.DataFrame(
            {"event_time": HOURS[places], "label": 1.0, "version": "1"}, index=places
        )
        return rows, Answers(np.array(places, dtype=float))

    contender = read_contender("never", pipeline())
    rows, answers = in_order(Replayed(contender, predicted=[part([0, 3]), part([1, 2, 4])]))
    assert answers.values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert rows["event_time"].is_monotonic_increasing
