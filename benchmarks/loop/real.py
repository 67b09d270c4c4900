"""The loop as it is: real flows on a real server over the shipped data.

How long from an event to the first task of `retrain`, what a training costs beyond its fits,
what one day of ingest, score and monitor costs, and what the served process holds.
"""

import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from flows.deployments import RETRAIN_EVENT
from flows.events import emit_retrain_requested
from flows.opening import open_home
from flows.servers import Servers, running
from flows.settings import Settings, load_settings, silence_telemetry
from flows.talking import run_flow, talking_to

if TYPE_CHECKING:
    from flows.steps.home import Home

PIPELINE = "bikeshare"
FIRST_TRAINING = datetime(2011, 4, 2, tzinfo=UTC)
EVENTS = 10
DAYS = 7
_PATIENCE = 60.0  # seconds for one flow run to begin


def measure() -> dict[str, float]:
    """Run the scene once, in a home of its own.

    Returns
    -------
    dict
        Flat; seconds, and MB where the name says so.

    """
    silence_telemetry()
    with tempfile.TemporaryDirectory(prefix="driftwheel-bench-") as folder:
        settings = load_settings(Path(folder))
        home = open_home(settings)
        began = time.perf_counter()
        with running(
            settings,
            owner=home.ledger.ledger_id,
            pipelines=[PIPELINE],
            mlflow=False,
            scheduled=False,
        ) as servers:
            started = time.perf_counter() - began
            with talking_to(servers.api_url, settings):
                return {"servers_start_s": started, **_scene(home, settings, servers)}


def _scene(home: "Home", settings: Settings, servers: Servers) -> dict[str, float]:
    run_flow("ingest", pipeline=PIPELINE, as_of=FIRST_TRAINING)
    _timed("train", as_of=FIRST_TRAINING, who="benchmark")  # pays for imports and MLflow's database
    day = _days()
    training = _training(home)
    waits = _reactions(home, settings, servers)
    served = max(
        (process for child in servers.children for process in _below(child.process.pid)),
        key=lambda process: "flows.serving" in process.cmdline(),
    )
    return {
        "event_to_first_task_median_s": statistics.median(waits),
        "event_to_first_task_worst_s": max(waits),
        "served_rss_mb": served.memory_info().rss / 2**20,
        **training,
        "day_median_s": statistics.median(day),
        "day_worst_s": max(day),
    }


def _below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _days() -> list[float]:
    """Time ingest, score and monitor of one day, as three flow runs."""
    spent = []
    for number in range(1, DAYS + 1):
        moment = FIRST_TRAINING + number * timedelta(days=1)
        spent.append(sum(_timed(flow, as_of=moment) for flow in ("ingest", "score", "monitor")))
    return spent


def _training(home: "Home") -> dict[str, float]:
    """Time a training, and the fits in it as Prefect recorded them."""
    moment = FIRST_TRAINING + timedelta(days=14)
    run_flow("ingest", pipeline=PIPELINE, as_of=moment)
    wall = _timed("train", as_of=moment, who="benchmark")
    decided = home.ledger.decisions(PIPELINE)[-1]
    fits = sum(seconds for name, seconds in _tasks(decided.flow_run_id) if "fit" in name)
    return {"training_s": wall, "training_fits_s": fits, "training_overhead_s": wall - fits}


def _tasks(flow_run_id: str) -> list[tuple[str, float]]:
    """Read name and seconds of the tasks of a flow run."""
    return [(run.name, run.total_run_time.total_seconds()) for run in _task_runs(flow_run_id)]


def _task_runs(flow_run_id: str) -> list[Any]:
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    with get_client(sync_client=True) as client:
        return list(client.read_task_runs(flow_run_filter=chosen))


def _reactions(home: "Home", settings: Settings, servers: Servers) -> list[float]:
    """Send events of a closed request: each starts the real `retrain`, whose claim is a no-op."""
    closed = home.ledger.requests(PIPELINE)[0].id
    seen: set[str] = set()
    waits = []
    for _ in range(EVENTS):
        sent = time.time()
        emit_retrain_requested(
            servers.api_url, prefix=settings.prefix, pipeline=PIPELINE, request_id=closed
        )
        waits.append(_first_task(seen) - sent)
    return waits


def _first_task(seen: set[str]) -> float:
    """Wait for the first task of a new run of `retrain`; give when it began (epoch seconds)."""
    from prefect import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    deadline = time.monotonic() + _PATIENCE
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            runs = client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=["retrain"]))
            )
            for run in runs:
                tasks = [] if str(run.id) in seen else _task_runs(str(run.id))
                begun = [task.start_time for task in tasks if task.start_time]
                if begun:
                    seen.add(str(run.id))
                    return min(begun).timestamp()
            time.sleep(0.05)  # between two looks at Prefect
    raise TimeoutError(f"no run of retrain began within {_PATIENCE:.0f} s of {RETRAIN_EVENT}")


def _timed(flow: str, **parameters: Any) -> float:
    began = time.perf_counter()
    run_flow(flow, pipeline=PIPELINE, **parameters)
    return time.perf_counter() - began
