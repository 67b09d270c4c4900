import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil
import pytest

from components.errors import NotOursError, PipelineFileError, StoreUnreachableError
from components.pipelines import Pipeline, read_pipeline
from flows.deploying import WORK_POOL, deploy, settle_left_behind
from flows.deployments import DEPLOYMENTS, RETRAIN_EVENT
from flows.events import emit_retrain_requested
from flows.settings import Settings

FILE = "source: {path: rows.csv}\ntime: at\ntarget: y\nlabel_delay: 1d\n"


@pytest.fixture
def rides(tmp_path: Path) -> Callable[..., Pipeline]:
    """Write and read a pipeline file, named after the test so that the server tells them apart."""

    def write(more: str = "") -> Pipeline:
        file = tmp_path / f"rides-{abs(hash(tmp_path.name)) % 10**9}.yaml"
        file.write_text(FILE + more)
        return read_pipeline(file)

    return write


@pytest.fixture
def register(prefect_api: str, tmp_path: Path) -> Callable[..., Any]:
    def run(*pipelines: Pipeline, prefix: str = "", owner: str = "ours") -> Any:
        settings = Settings(home=tmp_path, prefix=prefix)
        return deploy(settings, pipelines, owner=owner, api_url=prefect_api)

    return run


@pytest.fixture
def ask(prefect_api: str) -> Callable[..., Any]:
    """Ask the server, past everything that is ours."""

    def post(kind: str, **chosen: Any) -> Any:
        answer = httpx.post(f"{prefect_api}/{kind}/filter", json=chosen, timeout=60)
        return answer.raise_for_status().json()

    return post


@pytest.fixture
def deployments(ask: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Give the deployments of one name, by flow."""

    def read(name: str) -> dict[str, Any]:
        found = ask("deployments", deployments={"name": {"any_": [name]}})
        flows = {flow["id"]: flow["name"] for flow in ask("flows")}
        return {flows[one["flow_id"]]: one for one in found}

    return read


@pytest.fixture
def automations(ask: Callable[..., Any]) -> Callable[[str], list[Any]]:
    return lambda name: [one for one in ask("automations") if one["name"] == name]


def test_what_is_registered_is_the_table(
    register: Callable[..., Any], deployments: Callable[..., Any], rides: Callable[..., Pipeline]
) -> None:
    pipeline = rides()
    told = register(pipeline, prefix="team-")
    found = deployments(f"team-{pipeline.name}")
    assert {one["name"] for one in told} == {f"{flow}/team-{pipeline.name}" for flow in found}
    for row in DEPLOYMENTS:
        one = found[row.flow]
        assert one["entrypoint"] == row.entrypoint
        assert one["parameters"] == {"pipeline": pipeline.name}
        assert one["work_pool_name"] == WORK_POOL
        assert one["pull_steps"] == [{"flows.pulling.enter_clone": {}}]
        assert [(s["schedule"]["cron"], s["active"]) for s in one["schedules"]] == (
            [(row.cron, row.active)] if row.cron else []
        )


def test_registering_twice_leaves_one_of_each(
    register: Callable[..., Any],
    deployments: Callable[..., Any],
    automations: Callable[..., Any],
    rides: Callable[..., Pipeline],
) -> None:
    pipeline = rides()
    register(pipeline)
    before = deployments(pipeline.name)
    register(pipeline)
    after = deployments(pipeline.name)
    assert {flow: one["id"] for flow, one in after.items()} == {
        flow: one["id"] for flow, one in before.items()
    }
    assert all(len(one["schedules"]) <= 1 for one in after.values())
    (automation,) = automations(pipeline.name)
    assert automation["trigger"]["expect"] == [RETRAIN_EVENT]
    assert automation["actions"][0]["deployment_id"] == after["retrain"]["id"]


def test_a_changed_schedule_takes_the_place_of_the_old_one(
    register: Callable[..., Any], deployments: Callable[..., Any], rides: Callable[..., Pipeline]
) -> None:
    register(rides())
    pipeline = rides('schedule: {score: "0 * * * *", monitor: null}\n')
    told = {one["name"].split("/")[0]: one["schedule"] for one in register(pipeline)}
    found = deployments(pipeline.name)
    assert [s["schedule"]["cron"] for s in found["score"]["schedules"]] == ["0 * * * *"]
    assert found["monitor"]["schedules"] == []
    assert (told["score"], told["monitor"], told["train"]) == ("0 * * * *", None, None)


def test_anothers_deployment_is_refused_and_left_as_it_was(
    register: Callable[..., Any],
    deployments: Callable[..., Any],
    automations: Callable[..., Any],
    rides: Callable[..., Pipeline],
) -> None:
    pipeline = rides()
    register(pipeline, owner="somebody-else")
    before = deployments(pipeline.name), automations(pipeline.name)
    with pytest.raises(NotOursError, match=r"not ours \(driftwheel.owner:somebody-else.*prefix"):
        register(pipeline, owner="ours")
    assert (deployments(pipeline.name), automations(pipeline.name)) == before
    register(pipeline, owner="ours", prefix="mine-")
    assert (deployments(pipeline.name), automations(pipeline.name)) == before


def test_nothing_is_written_when_one_of_many_is_anothers(
    register: Callable[..., Any],
    deployments: Callable[..., Any],
    prefect_api: str,
    rides: Callable[..., Pipeline],
) -> None:
    pipeline = rides()
    name = {"name": DEPLOYMENTS[-1].flow}
    flow = httpx.post(f"{prefect_api}/flows/", json=name, timeout=60).json()["id"]
    foreign = {"name": pipeline.name, "flow_id": flow, "tags": ["theirs"]}
    httpx.post(f"{prefect_api}/deployments/", json=foreign, timeout=60).raise_for_status()
    with pytest.raises(NotOursError, match=r"carries no driftwheel\.owner tag"):
        register(pipeline)
    assert list(deployments(pipeline.name)) == [DEPLOYMENTS[-1].flow]


def test_a_schedule_that_is_none_is_refused_with_its_place(
    register: Callable[..., Any], deployments: Callable[..., Any], rides: Callable[..., Pipeline]
) -> None:
    pipeline = rides('schedule: {score: "every day"}\n')
    with pytest.raises(PipelineFileError, match=r"'schedule.score' must be five.*'every day'"):
        register(pipeline)
    assert deployments(pipeline.name) == {}


def test_a_server_that_is_away_is_said(tmp_path: Path, rides: Callable[..., Pipeline]) -> None:
    with pytest.raises(StoreUnreachableError, match="does not answer"):
        deploy(Settings(home=tmp_path), [rides()], owner="o", api_url="http://127.0.0.1:1/api")


def test_a_plain_worker_elsewhere_runs_what_an_event_asks_for(
    prefect_api: str,
    standin_clone: Path,
    tmp_path: Path,
    register: Callable[..., Any],
    rides: Callable[..., Pipeline],
    until: Callable[..., Any],
) -> None:
    """The worker's clone lies elsewhere, and its folder has `flows/` and `components/` too."""
    pipeline = rides()
    register(pipeline)
    emit_retrain_requested(prefect_api, prefix="", pipeline=pipeline.name, request_id="rr-7")
    elsewhere = tmp_path / "elsewhere"
    for name in ("flows", "components"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text("raise RuntimeError('not ours')")
    (tmp_path / "home").mkdir()
    log = (tmp_path / "worker.log").open("wb")
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", WORK_POOL],
        cwd=elsewhere,
        env={
            **os.environ,
            "PREFECT_API_URL": prefect_api,
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PYTHONPATH": str(standin_clone),
            "PYTHONSAFEPATH": "1",
            "DRIFTWHEEL_HOME": str(tmp_path / "home"),
        },
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    log.close()
    try:
        ran = until(lambda: list((tmp_path / "home" / "ran").glob("*.json")))
    finally:
        for process in psutil.Process(worker.pid).children(recursive=True):
            process.kill()
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    said = json.loads(ran[0].read_text())
    assert said["given"]["request_id"] == "rr-7"
    assert said["cwd"] == str(standin_clone)


@dataclass
class LeftRun:
    """A flow run that a killed process left behind."""

    id: UUID = field(default_factory=uuid4)
    deployment_id: UUID = field(default_factory=uuid4)
    auto_scheduled: bool = True


class PagedServer:
    """Give flow runs a page at a time, as Prefect's server does, and note what was settled."""

    page = 200

    def __init__(self, running: int) -> None:
        self.running = [LeftRun() for _ in range(running)]
        self.settled: list[UUID] = []

    async def read_flow_runs(
        self, *, flow_run_filter: Any, sort: object, offset: int = 0
    ) -> list[LeftRun]:
        del sort
        hanging = "RUNNING" in {state.value for state in flow_run_filter.state.type.any_}
        return self.running[offset : offset + self.page] if hanging else []

    async def set_flow_run_state(self, run: UUID, state: object, *, force: bool) -> None:
        del state, force
        self.settled.append(run)


@pytest.mark.parametrize("running", [0, 1, 200, 450])
def test_every_run_that_was_left_behind_is_settled_however_many(running: int) -> None:
    server = PagedServer(running)
    assert asyncio.run(settle_left_behind(server, [uuid4()])) == running  # type: ignore[arg-type]
    assert server.settled == [run.id for run in server.running]
