"""Play the loop on a small world, in processes that a test may kill.

Reads orders from standard input, one JSON document a line, and answers each with a line::

    {"home": …, "days": [63], "points": "mid-fit:2", "later": 120, …}
    {"code": -9, "seconds": 1.4}

``points`` are the failpoints at which to die, ``later`` the seconds by which the clock is on,
``kill_after`` the seconds after which to be killed, ``events`` says whether somebody listens for
events, ``carry`` whether what waits in the ledger is carried out.

A child is forked for every order, so that what costs seconds, importing, is paid once. Nothing
here may open a store before the fork: threads do not survive it.
"""

import http.server
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy.orm

NAME = "bikes"
FIRST = pd.Timestamp("2024-01-01", tz="UTC")
CHANGE = 64  # from this day on the world is another one
CARE = 63  # the day of the first training

PIPELINE = """
source: {path: bikes.csv}
time: at
target: count
task: regression
label_delay: 1d
columns: {heat: number, weather: category}
candidates: [linear]
windows: [last 7d, last 8d]
least_train_rows: 20
search: {trials: 2, select: false}
holdout: {least_rows: 40, most: 14d}
gate: {margin: 0.02, level: 0.05, block: 1d}
monitor: {window: 7d, least_rows: 10}
policy: {kind: drift, share: 0.5, needed: 2, of: 3, cooldown: 14d}
sink: ${BIKES_SINK}
seed: 3
"""

WARM = (
    "alembic.command",
    "components.checks.schema",
    "components.models.graph",
    "components.models.linear",
    "components.packages.fallbacks",
    "components.stores.lake",
    "components.stores.ledger",
    "components.stores.registry",
    "components.stores.sql",
    "evidently.legacy.calculations.stattests",
    "evidently.presets",
    "flows.events",
    "flows.nudging",
    "flows.opening",
    "flows.steps.diagnosing",
    "flows.steps.everyday",
    "flows.steps.ingesting",
    "flows.steps.maintaining",
    "flows.steps.reconciling",
    "flows.steps.retraining",
    "flows.steps.scoring",
    "flows.steps.sinking",
    "flows.steps.watching",
    "mlflow.onnx",
    "mlflow.store.model_registry.sqlalchemy_workspace_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "monitoring.pages",
    "pandera.backends.pandas.builtin_hypotheses",
    "pandera.pandas",
    "plotly.graph_objs",
    "prefect.client.orchestration",
    "sklearn.pipeline",
    "sqlalchemy.dialects.sqlite",
)
"""Modules that are costly to import and that the steps will need."""


def day(number: float) -> pd.Timestamp:
    """Give a moment of the small world, in days from its first event."""
    return (FIRST + pd.Timedelta(days=number)).as_unit("us")


def world(days: int = 98) -> pd.DataFrame:
    """Make eight rows a day; later on it is hotter, and heat keeps riders away."""
    chance = np.random.default_rng(7)
    at = pd.date_range(FIRST, periods=days * 8, freq="3h")
    later = np.arange(len(at)) >= CHANGE * 8
    heat = (chance.normal(size=len(at)) + np.where(later, 3.0, 0.0)).round(4)
    weather = chance.choice(["clear", "rain"], len(at))
    count = 100 + np.where(later, -10, 10) * heat - 5 * (weather == "rain")
    count = (count + chance.normal(size=len(at))).round(3)
    rows = pd.DataFrame({"at": at.strftime("%Y-%m-%dT%H:%M:%S"), "heat": heat.astype(str)})
    rows["weather"] = weather
    rows["count"] = count
    rows.loc[[11, CHANGE * 8 + 3], "heat"] = "warm"  # two rows for quarantine
    return rows


def lay_out(home: Path) -> None:
    """Write the pipeline and its source."""
    folder = home / "pipelines"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.yaml").write_text(PIPELINE, encoding="utf-8")
    world().to_csv(folder / "bikes.csv", index=False)


def play(order: dict[str, Any]) -> None:
    """Carry out an order in this process: a home is mended, then goes through its days."""
    from flows.running import begin, wall_clock
    from flows.settings import load_settings

    home = Path(order["home"])
    os.environ["BIKES_SINK"] = f"sqlite:///{home}/sink.db"
    settings = load_settings(home)
    later = timedelta(seconds=order["later"])
    with _prefect(home) if order["events"] else _nobody() as api:
        for number in order["days"]:
            run = begin(day(number).to_pydatetime(), settings=settings)
            run.home.registry.mend_paths()
            _one_day(run, number, clock=lambda: wall_clock() + later, api=api)
            if order["carry"]:
                _carry(run, clock=lambda: wall_clock() + later)


def _one_day(run: Any, number: float, *, clock: Callable[[], datetime], api: str) -> None:
    """Do what the flows of one moment do, in their order; each may be done twice."""
    from flows.steps import everyday

    home, pipeline = run.home, run.home.pipeline(NAME)
    everyday.ingest(home, pipeline, as_of=run.as_of)
    if number == CARE:
        everyday.train(home, pipeline, as_of=run.as_of, clock=clock, holder=run.holder, who="Ada")
    everyday.score(home, pipeline, as_of=run.as_of, clock=clock)
    watched = everyday.monitor(home, pipeline, as_of=run.as_of, clock=clock)
    if api and watched.request is not None:
        _nudge(run, watched.request, api)


def _carry(run: Any, *, clock: Callable[[], datetime]) -> None:
    """Carry out what waits in the ledger."""
    from flows.steps import everyday

    home, pipeline = run.home, run.home.pipeline(NAME)
    everyday.reconcile(
        home,
        pipeline,
        clock=clock,
        grace=timedelta(0),
        carry=lambda request_id: everyday.retrain(
            home,
            pipeline,
            request_id,
            clock=clock,
            holder=run.holder,
            who="reconcile",
            by_reconcile=True,
        ),
    )


def _nudge(run: Any, request: Any, api: str) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.nudging import nudge

    with temporary_settings({PREFECT_API_URL: api}):
        nudge(run, request)


@contextmanager
def _nobody() -> Iterator[str]:
    yield ""


@contextmanager
def _prefect(home: Path) -> Iterator[str]:
    """Stand in for Prefect's server: write down every event that is posted."""
    heard = home / "heard.jsonl"

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with heard.open("ab") as file:
                file.write(body + b"\n")
            self._answer(204)

        def do_GET(self) -> None:
            self._answer(404)  # it has no token against forged requests to give

        def _answer(self, code: int) -> None:
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


def warm_up() -> None:
    """Import what the steps need; nothing is opened."""
    from flows.settings import silence_telemetry

    silence_telemetry()
    warnings.simplefilter("ignore")
    for name in WARM:
        import_module(name)
    sqlalchemy.orm.configure_mappers()


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Fork a child for an order, kill it when its time has come, and tell how it ended."""
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        _as_child(order)
    ended = os.pidfd_open(child)
    if order["kill_after"] is not None:
        select.select([ended], [], [], order["kill_after"])
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    os.close(ended)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": round(time.monotonic() - begun, 2),
        "cpu": round(used.ru_utime + used.ru_stime, 2),
    }


def _as_child(order: dict[str, Any]) -> None:
    """Play, with what is said going to a log; never returns."""
    code = 1
    try:
        log = os.open(f"{order['home']}.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.environ["DRIFTWHEEL_FAILPOINTS"] = order["points"]
        play(order)
        code = 0
    except BaseException:  # noqa: BLE001 - a forked child must not run on into the parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Carry out orders until there are no more."""
    warm_up()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(carry_out(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
