import ast
import inspect
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from components.pipelines import Pipeline
from flows.deployments import (
    DEPLOYMENTS,
    RETRAIN_EVENT,
    Deployment,
    cron_of,
    prefect_yaml,
    retrain_trigger,
)

every_row = pytest.mark.parametrize("row", DEPLOYMENTS, ids=lambda row: row.flow)


def pipeline(**more: object) -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "rides",
            "source": {"path": "rows.csv"},
            "time": "at",
            "target": "y",
            "label_delay": timedelta(days=1),
            **more,
        }
    )


def row_of(flow: str) -> Deployment:
    return next(row for row in DEPLOYMENTS if row.flow == flow)


def test_prefect_yaml_says_what_the_table_says(clone: Path) -> None:
    written = yaml.safe_load((clone / "infra" / "prefect.yaml").read_text(encoding="utf-8"))
    assert written == prefect_yaml("bikeshare"), "write it again: python -m flows.deployments"


@every_row
def test_every_entrypoint_is_a_flow_of_that_name(row: Deployment, clone: Path) -> None:
    file, function = row.entrypoint.split(":")
    tree = ast.parse((clone / file).read_text(encoding="utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert function in [node.name for node in found]
    flow = getattr(import_module(f"flows.{row.flow}"), row.flow)
    assert flow.name == row.flow
    parameters = inspect.signature(flow.fn).parameters
    assert "pipeline" in parameters
    assert parameters["as_of"].default is None


@every_row
def test_every_row_says_why(row: Deployment) -> None:
    assert row.why


def test_a_flow_without_a_schedule_is_started_by_an_event_or_a_person() -> None:
    unscheduled = {row.flow for row in DEPLOYMENTS if row.cron is None}
    assert unscheduled == {"retrain", "rollback"}
    assert [row.flow for row in DEPLOYMENTS if row.event] == ["retrain"]


def test_training_by_the_calendar_is_switched_off_from_the_start() -> None:
    cron, active = cron_of(row_of("train"), pipeline())
    assert cron is not None
    assert not active


def test_the_pipeline_files_schedule_wins_and_is_on() -> None:
    stated = pipeline(schedule={"train": "0 6 * * 1", "score": None})
    assert cron_of(row_of("train"), stated) == ("0 6 * * 1", True)
    assert cron_of(row_of("score"), stated) == (None, True)
    assert cron_of(row_of("monitor"), stated) == ("40 0 * * *", True)


def test_the_trigger_names_its_pipeline_with_the_prefix() -> None:
    trigger = retrain_trigger("team-a-", "rides")
    assert trigger["match"] == {"prefect.resource.id": "driftwheel.pipeline.team-a-rides"}
    assert trigger["expect"] == [RETRAIN_EVENT]
    assert trigger["parameters"]["pipeline"] == "rides"
