"""Register the table of deployments with a Prefect server.

Two ways lead here: the served process registers what it runs itself, and
:func:`deploy` registers for plain workers. Names, tags, schedules and the automation are the
same for both, so whichever came last is in force and nothing is there twice.
"""

import asyncio
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from components.errors import NotOursError, PipelineFileError, StoreUnreachableError
from components.pipelines import Pipeline
from flows.deployments import (
    DEPLOYMENTS,
    OWNER_TAG,
    WORK_POOL,
    Deployment,
    cron_of,
    deployment_name,
    owner_tag,
    retrain_trigger,
)
from flows.settings import Settings, hide_password

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.orchestration import PrefectClient
    from prefect.schedules import Schedule


class InstalledCode:
    """Tell Prefect that a worker has the code: it steps into its own, and pulls nothing."""

    pull_interval: int | None = None

    @property
    def destination(self) -> Path:
        """Where the code is; it was never copied."""
        return Path()

    def set_base_path(self, path: Path) -> None:
        """Take no notice: nothing is pulled anywhere."""

    async def pull_code(self) -> None:
        """Pull nothing."""

    def to_pull_step(self) -> dict[str, Any]:
        """Name the step that a worker runs before each flow run."""
        return {"flows.pulling.enter_clone": {}}


def deploy(
    settings: Settings,
    pipelines: Sequence[Pipeline],
    *,
    owner: str,
    pool: str = WORK_POOL,
    api_url: str | None = None,
) -> list[dict[str, str | None]]:
    """Register the deployments of `pipelines`, for plain workers to run.

    Doing it again changes nothing but what has changed in the pipeline files.

    Parameters
    ----------
    settings : Settings
        Of the home; its prefix stands before the names.
    pipelines : sequence of Pipeline
        Whose deployments to register.
    owner : str
        Id of the ledger that decides for them.
    pool : str
        The work pool that workers serve; made, of type `process`, where it does not exist.
    api_url : str, optional
        The Prefect server (…/api); by default the one that Prefect's settings name.

    Returns
    -------
    list of dict
        For each deployment its full `name`, ``{flow}/{prefix}{pipeline}``, and its `schedule`:
        five cron fields in UTC, or None when it is on none or that is switched off.

    Raises
    ------
    NotOursError
        If a deployment of one of the names exists and another ledger made it; then nothing
        has been written.
    StoreUnreachableError
        If the server does not answer.

    """
    from httpx import TransportError
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api_url or PREFECT_API_URL.value()}):
        try:
            asyncio.run(_deploy(settings.prefix, pipelines, owner, pool))
        except TransportError as problem:
            raise StoreUnreachableError(
                f"the Prefect server at {hide_password(str(PREFECT_API_URL.value()))} does not "
                f"answer ({hide_password(str(problem))}); start it, or correct prefect_api_url "
                "in driftwheel.toml"
            ) from problem
    return [
        {"name": full_name(row, pipeline, settings.prefix), "schedule": _in_force(row, pipeline)}
        for pipeline in pipelines
        for row in DEPLOYMENTS
    ]


def _in_force(row: Deployment, pipeline: Pipeline) -> str | None:
    cron, active = cron_of(row, pipeline)
    return cron if active else None


async def _deploy(prefix: str, pipelines: Sequence[Pipeline], owner: str, pool: str) -> None:
    from prefect import get_client

    wanted = [
        (row, options_of(row, pipeline, prefix=prefix, owner=owner))
        for pipeline in pipelines
        for row in DEPLOYMENTS
    ]
    async with get_client() as client:
        await check_ours(client, full_names(prefix, pipelines), owner=owner)
        await _ensure_pool(client, pool)
    for row, options in wanted:
        made = await flow_of(row).ato_deployment(**options)
        made.entrypoint = row.entrypoint
        made.storage = InstalledCode()
        # A worker's own folder must not stand in for our packages.
        made.job_variables = {"env": {"PYTHONSAFEPATH": "1"}}
        await made.aapply(work_pool_name=pool)


async def _ensure_pool(client: "PrefectClient", name: str) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

    try:
        await client.read_work_pool(name)
    except ObjectNotFound:
        try:
            await client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        except ObjectAlreadyExists:
            return  # somebody else made it just now


async def check_ours(client: "PrefectClient", names: Iterable[str], *, owner: str) -> None:
    """Raise :class:`NotOursError` if one of the deployments exists and is another's."""
    from prefect.exceptions import ObjectNotFound

    for name in names:
        try:
            found = await client.read_deployment_by_name(name)
        except ObjectNotFound:
            continue
        if owner_tag(owner) not in found.tags:
            tags = [tag for tag in found.tags if tag.startswith(OWNER_TAG)]
            raise NotOursError(
                f"deployment {name!r} exists at {hide_password(str(client.api_url))} and is not "
                f"ours ({tags[0] if tags else 'it carries no ' + OWNER_TAG + ' tag'}; ours is "
                f"{owner_tag(owner)}); it is left alone. Give this home names of its own: "
                'prefix = "my-team-" in driftwheel.toml'
            )


def full_names(prefix: str, pipelines: Sequence[Pipeline]) -> list[str]:
    """Name every deployment of `pipelines` as Prefect does: ``{flow}/{prefix}{pipeline}``."""
    return [full_name(row, pipeline, prefix) for pipeline in pipelines for row in DEPLOYMENTS]


def full_name(row: Deployment, pipeline: Pipeline, prefix: str) -> str:
    """Name one deployment as Prefect does."""
    return f"{row.flow}/{deployment_name(prefix, pipeline.name)}"


def flow_of(row: Deployment) -> "Flow[..., Any]":
    """Load the flow that a row names."""
    flow: Flow[..., Any] = getattr(import_module(f"flows.{row.flow}"), row.flow)
    return flow


def options_of(row: Deployment, pipeline: Pipeline, *, prefix: str, owner: str) -> dict[str, Any]:
    """Say how a row is deployed for a pipeline, as the arguments of Prefect's own functions."""
    from prefect.events import DeploymentEventTrigger

    triggers = [DeploymentEventTrigger(**retrain_trigger(prefix, pipeline.name))]
    return {
        "name": deployment_name(prefix, pipeline.name),
        "parameters": {"pipeline": pipeline.name},
        "tags": ["driftwheel", owner_tag(owner)],
        "description": f"{row.flow} of pipeline {pipeline.name}: {row.why}.",
        "schedules": _schedules(row, pipeline),
        "triggers": triggers if row.event else [],
        "paused": False,
    }


def _schedules(row: Deployment, pipeline: Pipeline) -> "list[Schedule]":
    from prefect.schedules import Cron

    cron, active = cron_of(row, pipeline)
    if cron is None:
        return []
    _check_cron(cron, row, pipeline)
    return [Cron(cron, timezone="UTC", active=active)]


def _check_cron(cron: str, row: Deployment, pipeline: Pipeline) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    try:
        CronSchedule(cron=cron)
    except ValueError as problem:
        raise PipelineFileError(
            f"{pipeline.file}: field 'schedule.{row.flow}' must be five cron fields, such as "
            f"'0 6 * * *' (06:00 UTC every day), or null. Got {cron!r}"
        ) from problem


async def settle_left_behind(client: "PrefectClient", deployments: Sequence[UUID]) -> int:
    """Settle flow runs that a killed served process left behind; give their number.

    Only for deployments that nobody else runs. Running ones have nobody who runs them any
    more: they are crashed, and the ledger's lease decides who takes up their work. Of the
    scheduled ones that were missed, all but the newest of each deployment are cancelled.
    """
    settled = [(run, "Crashed") for run in await _runs(client, deployments, _HANGING)]
    seen: set[UUID | None] = set()
    for run in await _runs(client, deployments, ["SCHEDULED"], late=True):
        if run.auto_scheduled and run.deployment_id in seen:
            settled.append((run, "Cancelled"))
        seen.add(run.deployment_id)
    for run, state in settled:
        await client.set_flow_run_state(run.id, _left_behind(state), force=True)
    return len(settled)


_HANGING = ["RUNNING", "PENDING", "CANCELLING"]


async def _runs(
    client: "PrefectClient",
    deployments: Sequence[UUID],
    states: Sequence[str],
    *,
    late: bool = False,
) -> list[Any]:
    """Read flow runs in one of `states`, newest first; `late`: those due by now."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.types import DateTime

    due = filters.FlowRunFilterExpectedStartTime(before_=DateTime.now("UTC")) if late else None
    chosen = filters.FlowRunFilter.model_validate(
        {
            "deployment_id": {"any_": list(deployments)},
            "state": {"type": {"any_": list(states)}},
            "expected_start_time": due,
        }
    )
    found: list[Any] = []
    while page := await client.read_flow_runs(  # a server gives a page at a time
        flow_run_filter=chosen, sort=FlowRunSort.EXPECTED_START_TIME_DESC, offset=len(found)
    ):
        found += page
    return found


def _left_behind(state: str) -> Any:
    from prefect.states import Cancelled, Crashed

    if state == "Crashed":
        return Crashed(message="The process that ran it was killed.")
    return Cancelled(message="Missed while nothing was served; the newest one runs instead.")
