"""The one table of deployments: which flow runs when, and why.

`infra/prefect.yaml` is written from it (``python -m flows.deployments``), `up` serves it,
`deploy` registers it; a test compares the three. One row becomes one Prefect deployment for
each pipeline, named ``{flow}/{prefix}{pipeline}``.
"""

import sys
from dataclasses import dataclass
from typing import Any

import yaml

from components.pipelines import Pipeline

RETRAIN_EVENT = "driftwheel.retrain.requested"
"""Sent when a retraining request has been written; starts `retrain`."""

WORK_POOL = "driftwheel"
"""The work pool that plain workers serve, unless another is named."""

OWNER_TAG = "driftwheel.owner"
"""A deployment tagged ``driftwheel.owner:LEDGER`` was made for that ledger."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One row: a flow, what starts it, and why so."""

    flow: str
    """Name of the flow, of its module in `flows`, and of the function in it."""
    cron: str | None
    """When it runs, in UTC, unless the pipeline file says otherwise; None: on no schedule."""
    why: str
    active: bool = True
    """Whether the schedule is switched on from the start."""
    event: str | None = None
    """The event that starts it."""

    @property
    def entrypoint(self) -> str:
        """Where Prefect finds the flow, relative to the clone."""
        return f"flows/{self.flow}.py:{self.flow}"


DEPLOYMENTS = (
    Deployment("ingest", "5 0 * * *", "a day's rows are complete after midnight"),
    Deployment("score", "20 0 * * *", "after ingest, so that the new rows are answered"),
    Deployment("monitor", "40 0 * * *", "after score, so that the new answers are measured"),
    Deployment(
        "retrain",
        None,
        "only a request starts it: on a schedule it would retrain without a cause",
        event=RETRAIN_EVENT,
    ),
    Deployment("reconcile", "*/10 * * * *", "takes up requests whose event was lost"),
    Deployment("maintain", "0 3 * * 0", "small files pile up by the week"),
    Deployment(
        "train",
        "0 4 1 * *",
        "switched off, as the policy asks for retrainings; for those who train by the calendar",
        active=False,
    ),
    Deployment("rollback", None, "only a person decides it"),
)


def deployment_name(prefix: str, pipeline: str) -> str:
    """Name a pipeline's deployments, and its automation."""
    return f"{prefix}{pipeline}"


def resource_id(prefix: str, pipeline: str) -> str:
    """Name the resource that a pipeline's events are about."""
    return f"driftwheel.pipeline.{prefix}{pipeline}"


def owner_tag(owner: str) -> str:
    """Tag what belongs to the ledger `owner`."""
    return f"{OWNER_TAG}:{owner}"


def cron_of(row: Deployment, pipeline: Pipeline) -> tuple[str | None, bool]:
    """Say when a row runs for a pipeline, and whether that is switched on.

    A schedule in the pipeline file wins, and is on; `null` there means on no schedule.
    """
    stated = {str(flow): cron for flow, cron in pipeline.schedule.items()}
    if row.flow in stated:
        return stated[row.flow], True
    return row.cron, row.active


def retrain_trigger(prefix: str, pipeline: str) -> dict[str, Any]:
    """Describe the automation that starts `retrain`, in the words of ``prefect.yaml``.

    The template yields text whatever the payload holds, which is the type that the flow
    declares: Prefect drops a parameter of another type with nothing but a line in its log.
    """
    return {
        "name": deployment_name(prefix, pipeline),
        "type": "event",
        "posture": "Reactive",
        "threshold": 1,
        "within": 0,
        "match": {"prefect.resource.id": resource_id(prefix, pipeline)},
        "expect": [RETRAIN_EVENT],
        "parameters": {
            "pipeline": pipeline,
            "request_id": {
                "__prefect_kind": "jinja",
                "template": "{{ event.payload.request_id }}",
            },
        },
    }


def prefect_yaml(pipeline: str) -> dict[str, Any]:
    """Write the table as a `prefect.yaml` for one pipeline, with the default schedules."""
    return {
        "name": "driftwheel",
        "pull": [{"flows.pulling.enter_clone": {}}],
        "deployments": [_entry(row, pipeline) for row in DEPLOYMENTS],
    }


def _entry(row: Deployment, pipeline: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": deployment_name("", pipeline),
        "entrypoint": row.entrypoint,
        "description": f"{row.flow} of pipeline {pipeline}: {row.why}.",
        "parameters": {"pipeline": pipeline},
        "tags": ["driftwheel"],
        "work_pool": {"name": "driftwheel"},
    }
    if row.cron:
        schedule = {"cron": row.cron, "timezone": "UTC", "active": row.active}
        entry["schedules"] = [schedule]
    if row.event:
        entry["triggers"] = [retrain_trigger("", pipeline)]
    return entry


_HEAD = """\
# Which flow runs when, for the shipped pipeline, in the words of Prefect.
#
# Written from the table in flows/deployments.py by `python -m flows.deployments`; a test
# compares them. `driftwheel up` serves and `driftwheel deploy` registers the same table, for
# every pipeline, with its own schedules and the home's prefix and owner: use those. This file
# is for reading, and for those who keep everything in `prefect deploy`.

"""


def main() -> None:
    """Print `infra/prefect.yaml`."""
    body = yaml.safe_dump(prefect_yaml("bikeshare"), sort_keys=False, width=96)
    sys.stdout.write(_HEAD + body)


if __name__ == "__main__":
    main()
