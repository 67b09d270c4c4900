"""Policies as people write them on the command line of a backtest."""

from datetime import timedelta
from typing import Any

import pytest

from components.errors import InvalidInputError
from components.pipelines import Pipeline
from flows.steps.contenders import Contender, read_contender


def pipeline(**fields: Any) -> Pipeline:
    given = {
        "name": "rides",
        "source": {"path": "rides.csv"},
        "time": "at",
        "target": "count",
        "label_delay": "1d",
    }
    return Pipeline.model_validate({**given, **fields})


def test_never_is_never() -> None:
    contender = read_contender("never", pipeline(max_age="90d"))
    assert contender.policy.kind == "never"
    assert contender.max_age is None, "only the pipeline's own policy has its greatest age"


@pytest.mark.parametrize(
    ("text", "days", "gated"),
    [("periodic:7d", 7, False), ("periodic:7d+gate", 7, True), ("periodic:2w+gate", 14, True)],
)
def test_a_calendar_has_a_period_and_perhaps_a_gate(text: str, days: int, gated: bool) -> None:
    contender = read_contender(text, pipeline())
    assert contender.policy.kind == "periodic"
    assert contender.policy.period == timedelta(days=days)
    assert contender.policy.cooldown == timedelta(0)
    assert contender.gated is gated
    assert contender.text == text


@pytest.mark.parametrize(
    ("written", "days"),
    [("drift", 14), ("never", 0), ("periodic:7d", 0), ({}, 14), ({"kind": "periodic"}, 0)],
)
def test_only_drift_cools_down_unless_it_is_asked_for(written: Any, days: int) -> None:
    assert pipeline(policy=written).policy.cooldown == timedelta(days=days)
    given = {"kind": "periodic", "cooldown": "3d"}
    assert pipeline(policy=given).policy.cooldown == timedelta(days=3)


def test_drift_is_the_pipelines_own_where_that_is_drift() -> None:
    own = {"kind": "drift", "share": 0.7}
    assert read_contender("drift", pipeline(policy=own)).policy.share == 0.7
    assert read_contender("drift", pipeline(policy="never")).policy.kind == "drift"


def test_default_is_the_pipelines_own_with_its_greatest_age() -> None:
    spec = pipeline(policy="periodic:3d", max_age="90d")
    assert read_contender("default", spec) == Contender(
        "default", spec.policy, max_age=timedelta(days=90)
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nver", "unknown policy 'nver'; did you mean never? Known: never, periodic:P"),
        ("drft", "did you mean drift?"),
        ("defualt", "did you mean default?"),
        ("periodic", "did you mean periodic:P?"),
        ("", "unknown policy ''. Known: never"),
        ("zzz", "unknown policy 'zzz'. Known: never"),
    ],
)
def test_an_unknown_policy_is_named_with_the_nearest(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_contender(text, pipeline())
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "text", ["periodic:", "periodic:x", "periodic:7", "periodic:7d+gat", "periodic:0d"]
)
def test_a_period_that_is_none_is_said_so(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"policy 'periodic:.*': the period must be"):
        read_contender(text, pipeline())
