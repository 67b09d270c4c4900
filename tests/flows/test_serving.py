"""What `up` starts, with a named Prefect server, and with one of its own."""

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from components.errors import StoreUnreachableError
from components.pipelines import read_pipeline
from flows.deploying import deploy
from flows.events import emit_retrain_requested
from flows.settings import Settings


def hostile(folder: Path) -> Path:
    """Make a directory such as a user may work in: with packages of the names of ours."""
    for name in ("flows", "components"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise RuntimeError('not ours')")
    return folder


def get(url: str, **more: Any) -> httpx.Response:
    return httpx.get(url, timeout=60, **more)


def post(url: str, asked: dict[str, Any] | None = None) -> Any:
    return httpx.post(url, json=asked or {}, timeout=60).raise_for_status().json()


def automations(api: str, name: str) -> list[Any]:
    return [one for one in post(f"{api}/automations/filter") if one["name"] == name]


def rss(process: psutil.Process) -> float:
    return process.memory_info().rss / 2**20


def named(name: str, processes: list[psutil.Process]) -> list[psutil.Process]:
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # flow runs come and go
            found += [process] if process.name() == name else []
    return found


def listened_on(processes: list[psutil.Process]) -> set[str]:
    found: set[str] = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            told = process.net_connections("tcp")
            found |= {one.laddr.ip for one in told if one.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.slow
def test_serving_beside_a_named_server(
    prefect_api: str,
    host: Callable[..., Any],
    standin_clone: Path,
    tmp_path: Path,
    until: Callable[..., Any],
) -> None:
    """From deployed for workers to served here, and what an event then starts."""
    elsewhere = hostile(tmp_path / "elsewhere")
    named = {"DRIFTWHEEL_PREFECT_API_URL": prefect_api, "DRIFTWHEEL_PREFIX": "served-"}
    pipeline = read_pipeline(standin_clone / "pipelines" / "rides.yaml")
    deploy(Settings(home=tmp_path, prefix="served-"), [pipeline], owner="ours", api_url=prefect_api)
    with host("rides", cwd=elsewhere, **named) as up:
        ready = up.hear("ready")

        # up after deploy: still one automation, and the schedules of the table
        assert len(automations(prefect_api, "served-rides")) == 1
        chosen = {"deployments": {"name": {"any_": ["served-rides"]}}}
        filed = post(f"{prefect_api}/deployments/filter", chosen)
        assert len(filed) == 8
        assert {one["work_pool_name"] for one in filed} == {None}
        assert sum(bool(one["schedules"]) for one in filed) == 6

        # odd request ids reach the flow as the text that they are
        odd = ["123", "{{ 7 * 7 }}", "ä'\"\\ \n]"]
        for request in odd:
            emit_retrain_requested(
                prefect_api, prefix="served-", pipeline="rides", request_id=request, patience=60
            )
        until(lambda: len(up.ran("retrain")) == len(odd))
        given = up.ran("retrain")
        assert sorted(one["given"]["request_id"] for one in given) == sorted(odd)
        assert {one["cwd"] for one in given} == {str(standin_clone)}
        assert {Path(one["file"]).parent for one in given} == {standin_clone / "flows"}

        # lean, and registered at once
        (served,) = psutil.Process(ready["children"]["the served process"]).children()
        assert rss(served) < 150
        told = json.loads((up.home / "prefect" / "served.json").read_text())
        assert told["deployments"] == 8

        # stopped: nobody runs them now, so the schedules rest
        below = up.below()
        up.tell("stop")
        up.hear("stopped")
        until(lambda: not any(process.is_running() for process in below))
        after = get(f"{prefect_api}/deployments/{filed[0]['id']}").json()
        assert after["paused"]


def test_one_event_sent_twice_is_one_run(
    prefect_api: str, host: Callable[..., Any], until: Callable[..., Any]
) -> None:
    named = {"DRIFTWHEEL_PREFECT_API_URL": prefect_api, "DRIFTWHEEL_PREFIX": "twice-"}
    with host("rides", **named) as up:
        up.hear("ready")
        emit = partial(emit_retrain_requested, prefect_api, prefix="twice-", patience=60)
        first = emit(pipeline="rides", request_id="a")
        again = emit(pipeline="rides", request_id="a", event_id=first)
        emit(pipeline="rides", request_id="b")
        assert again == first
        # Each run is a process of its own: the later event's may well be the first to begin.
        until(lambda: {"a", "b"} <= {run["given"]["request_id"] for run in up.ran("retrain")})
        assert [run["given"]["request_id"] for run in up.ran("retrain")].count("a") == 1


def test_a_child_that_dies_ends_all_of_it_by_name(
    prefect_api: str, host: Callable[..., Any], until: Callable[..., Any]
) -> None:
    with host("rides", DRIFTWHEEL_PREFECT_API_URL=prefect_api, DRIFTWHEEL_PREFIX="dying-") as up:
        ready = up.hear("ready")
        keeper = psutil.Process(ready["children"]["the served process"])
        keeper.children()[0].kill()
        until(lambda: keeper.status() == psutil.STATUS_ZOMBIE)
        up.tell("look")
        problem = up.hear("error")
        assert problem["kind"] == "ChildDiedError"
        assert "the served process ended on its own with exit code 137" in problem["error"]


@pytest.mark.timeout(60)  # it does not wait for the server to come
def test_an_event_that_the_server_did_not_take_is_an_error() -> None:
    with pytest.raises(StoreUnreachableError, match=r"request rr-9 .*stands in the ledger"):
        emit_retrain_requested(
            "http://127.0.0.1:1/api", prefix="", pipeline="rides", request_id="rr-9"
        )


def test_anothers_deployments_stop_up_with_the_reason(
    prefect_api: str, host: Callable[..., Any]
) -> None:
    named = {"DRIFTWHEEL_PREFECT_API_URL": prefect_api, "DRIFTWHEEL_PREFIX": "owned-"}
    with host("rides", OWNER="them", **named) as up:
        up.hear("ready")
        up.tell("stop")
        up.hear("stopped")
    with host("rides", OWNER="us", **named) as up:
        problem = up.hear("error")
        assert problem["kind"] == "NotOursError"
        assert "driftwheel.owner:them" in problem["error"]
        assert up.process.wait(60) == 1


def test_a_misspelt_pipeline_stops_up_with_the_reason(
    prefect_api: str, host: Callable[..., Any]
) -> None:
    with host("ridez", DRIFTWHEEL_PREFECT_API_URL=prefect_api) as up:
        problem = up.hear("error")
    assert problem["kind"] == "UnknownPipelineError"
    assert "did you mean rides?" in problem["error"]


def test_a_named_server_that_is_away_stops_up(host: Callable[..., Any]) -> None:
    with host("rides", DRIFTWHEEL_PREFECT_API_URL="http://127.0.0.1:1/api") as up:
        problem = up.hear("error")
    assert problem["kind"] == "StoreUnreachableError"
    assert "prefect_api_url" in problem["error"]


def states(api: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run in post(f"{api}/flow_runs/filter"):
        found.setdefault(run["state_type"], []).append(run["state_name"])
    return found


@pytest.mark.slow
def test_a_life_of_up(host: Callable[..., Any], until: Callable[..., Any]) -> None:
    """Killed in the middle of a flow run, started again, and ended by Ctrl-C."""
    with host("rides", MLFLOW="yes") as up:
        ready = up.hear("ready")
        api = ready["api"]
        assert get(f"{ready['mlflow']}/health").is_success
        assert get(ready["mlflow"], headers={"Host": "evil.example"}).status_code == 403
        assert get(api.removesuffix("/api"), follow_redirects=True).is_success
        assert listened_on(up.below()) == {"127.0.0.1"}

        # schedules become flow runs
        until(lambda: states(api).get("SCHEDULED"))

        # a second `up` of the same home is refused
        with host("rides") as second:
            problem = second.hear("error")
            assert problem["kind"] == "ServiceError"
            assert api.removesuffix("/api") in problem["error"]

        # a long flow run, with a process of its own below it; then the power goes
        (train,) = (
            one["id"]
            for one in post(f"{api}/deployments/filter")
            if one["entrypoint"].endswith(":train")
        )
        started = post(f"{api}/deployments/{train}/create_flow_run")["id"]
        sleeping = until(lambda: named("sleep", up.below()))
        below = up.below()
        up.process.send_signal(signal.SIGKILL)
        until(lambda: not any(process.is_running() for process in [*below, *sleeping]))

    # the state is intact, and what hung is settled; Ctrl-C, which reaches the whole group,
    # ends it in order
    with host("rides") as up:
        ready = up.hear("ready")
        # (a schedule that came due meanwhile may have a run of its own, hung or new)
        hung = get(f"{ready['api']}/flow_runs/{started}").json()
        assert hung["state_type"] == "CRASHED"
        below = up.below()
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.hear("interrupted")
        up.hear("stopped")
        until(lambda: not any(process.is_running() for process in below))
