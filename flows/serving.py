"""The served process: registers the deployments of a home and runs their flow runs.

``python -m flows.serving --owner LEDGER --ready FILE [--sole] NAME…`` is what `up` and `demo`
start as a child, and end with SIGTERM. It must stay lean, under 150 MB and registered in 3 s,
so nothing here or in a flow module's top may import the stores or the learners.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from components.errors import DriftwheelError, StoreUnreachableError
from components.pipelines import Pipeline, find_pipeline, read_pipeline
from flows.deployments import Deployment
from flows.settings import Settings, load_settings

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.runner import Runner

POLL_SECONDS = 0.5
"""Between two looks for due flow runs; Prefect's own default of 10 s is most of the wait."""
_PATIENCE = 90.0  # seconds for a server that starts at the same time as we do


@dataclass(frozen=True, slots=True)
class Serving:
    """What one served process is told."""

    names: tuple[str, ...]
    """Pipelines to serve."""
    owner: str
    """Id of the ledger that decides for them."""
    ready: Path
    """Written once everything is registered, or with what went wrong."""
    sole: bool
    """Whether nobody else runs these deployments: true on a server of our own."""
    scheduled: bool = True
    """Whether schedules are switched on; in simulated time nothing may start by the clock."""


async def serve(settings: Settings, told: Serving) -> None:
    """Register the deployments and run what falls due, until SIGTERM.

    A server that goes away for a while is waited for by Prefect's client, three minutes and
    more; after that this process ends with the error, and `up` with it.
    """
    from prefect import get_client
    from prefect.runner import Runner

    from flows.deploying import check_ours, full_names, settle_left_behind

    began = time.monotonic()
    told_to_stop = asyncio.Event()
    _hear_sigterm(told_to_stop)
    pipelines = [read_pipeline(find_pipeline(n, settings.pipeline_folders)) for n in told.names]
    # We pause the schedules ourselves, before the runs are cancelled, which may take long.
    runner = Runner(name="driftwheel", query_seconds=POLL_SECONDS, pause_on_shutdown=False)
    async with get_client() as client:
        waited = await _wait_for_server(client)
        await check_ours(client, full_names(settings.prefix, pipelines), owner=told.owner)
        ids = await _register(runner, pipelines, prefix=settings.prefix, told=told)
        left = await settle_left_behind(client, ids) if told.sole else 0
        running = asyncio.create_task(runner.start())
        while not (runner.started or running.done()):  # noqa: ASYNC110 - Prefect gives no event
            await asyncio.sleep(0.01)
        _hear_sigterm(told_to_stop)  # again: the runner has set a handler of its own
        seconds = round(time.monotonic() - began - waited, 3)  # the server's start is not ours
        _tell(told.ready, {"deployments": len(ids), "seconds": seconds, "left_behind": left})
        waiting = asyncio.create_task(told_to_stop.wait())
        await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
        if told_to_stop.is_set():
            await _stop(client, runner, running, ids)
        else:
            waiting.cancel()
            await running  # it ended by itself: let its error be seen


def _hear_sigterm(told_to_stop: asyncio.Event) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_stop.set)


async def _stop(
    client: "PrefectClient", runner: "Runner", running: "asyncio.Task[None]", ids: Sequence[UUID]
) -> None:
    """Pause the schedules, since nobody runs them from here on, and cancel what runs.

    Prefect's own handler stops the runner from another thread and raises in the middle of
    the event loop; this does the same in the loop, in order.
    """
    paused = await asyncio.gather(*map(client.pause_deployment, ids), return_exceptions=True)
    failed = [problem for problem in paused if problem is not None]
    if failed:
        sys.stderr.write(f"{len(failed)} schedules could not be paused: {failed[0]}\n")
    if not running.done():
        await runner.astop()
    await running


async def _wait_for_server(client: "PrefectClient") -> float:
    """Wait for a server that may still be starting; give the seconds that took."""
    began = time.monotonic()
    while (problem := await client.api_healthcheck()) is not None:
        if time.monotonic() > began + _PATIENCE:
            raise StoreUnreachableError(f"the Prefect server does not answer: {problem}")
        await asyncio.sleep(0.1)
    return time.monotonic() - began


async def _register(
    runner: "Runner", pipelines: Sequence[Pipeline], *, prefix: str, told: Serving
) -> list[UUID]:
    from flows.deploying import flow_of
    from flows.deployments import DEPLOYMENTS

    return [
        await runner.aadd_flow(flow_of(row), **_options(row, pipeline, prefix, told))
        for pipeline in pipelines
        for row in DEPLOYMENTS
    ]


def _options(row: Deployment, pipeline: Pipeline, prefix: str, told: Serving) -> dict[str, Any]:
    from flows.deploying import options_of

    options = options_of(row, pipeline, prefix=prefix, owner=told.owner)
    return options if told.scheduled else {**options, "schedules": []}


def _tell(ready: Path, what: dict[str, object]) -> None:
    """Write `ready` in one step: whoever waits sees all of it or nothing."""
    unfinished = ready.with_suffix(".new")
    unfinished.write_text(json.dumps({"pid": os.getpid(), **what}), encoding="utf-8")
    unfinished.replace(ready)


def _read_arguments(given: Sequence[str]) -> Serving:
    parser = argparse.ArgumentParser(prog="python -m flows.serving", description=__doc__)
    parser.add_argument("--owner", required=True)
    parser.add_argument("--ready", required=True, type=Path)
    parser.add_argument("--sole", action="store_true")
    parser.add_argument("--unscheduled", action="store_true")
    parser.add_argument("names", nargs="+")
    told = parser.parse_args(given)
    return Serving(
        tuple(told.names),
        owner=told.owner,
        ready=told.ready,
        sole=told.sole,
        scheduled=not told.unscheduled,
    )


def main(given: Sequence[str]) -> int:
    """Serve until told to stop; what goes wrong on the way up is told through the ready file."""
    told = _read_arguments(given)
    try:
        asyncio.run(serve(load_settings(), told))
    except DriftwheelError as problem:
        _tell(told.ready, {"error": str(problem), "kind": type(problem).__name__})
        sys.stderr.write(f"{type(problem).__name__}: {problem}\n")
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
