"""The servers of a home: Prefect, MLflow's UI, and the served process.

::

    with running(settings, owner=ledger_id, pipelines=["bikeshare"], progress=print) as servers:
        while True:
            servers.check()   # raises ChildDiedError, with the end of the log
            …
    # everything below is gone here, however the block ended

Nothing here imports Prefect or MLflow: `live_api` is asked by every command.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components import errors
from components.errors import ServiceError, StoreUnreachableError
from flows.children import LOOPBACK, Child, free_port, start, stop, wait_for
from flows.living import answers, forget, hold_home, live_api, live_mlflow, remember
from flows.settings import CLONE, Settings, child_environment, hide_password, without_login

__all__ = ["Servers", "live_api", "live_mlflow", "prefect_environment", "running"]

Progress = Callable[[str], None]

_SERVER_PATIENCE = 90.0  # seconds; a first start migrates a new database: 8 s when not busy
_SERVED_PATIENCE = 60.0
_NAMED_PATIENCE = 10.0  # a server that is there answers; one that is busy, a little later


@dataclass(frozen=True, slots=True)
class Servers:
    """What runs for one home."""

    api_url: str
    """Prefect's API (…/api)."""
    mlflow_url: str
    """MLflow's UI, to be shown: without a login; empty where none was asked for."""
    children: tuple[Child, ...]
    """Those that we started, in the order in which they were."""

    @property
    def ui_url(self) -> str:
        """Prefect's UI, to be shown: without a login."""
        return without_login(self.api_url.removesuffix("/api"))

    def check(self) -> None:
        """Raise :class:`ChildDiedError` if one of them has ended."""
        for child in self.children:
            child.check()


@dataclass(frozen=True, slots=True)
class _Server:
    """A server and, if we started it, its process."""

    name: str
    url: str
    health: str
    child: Child | None = None


@contextmanager
def running(
    settings: Settings,
    *,
    owner: str,
    pipelines: Sequence[str],
    progress: Progress = lambda _: None,
    mlflow: bool = True,
    scheduled: bool = True,
    prefect_port: int | None = None,
    mlflow_port: int | None = None,
) -> Iterator[Servers]:
    """Run the servers of a home, and stop them whole at the end of the block.

    Servers named in the settings are used as they are; only missing ones are started.

    Parameters
    ----------
    settings : Settings
        Of the home.
    owner : str
        Id of the home's ledger: the deployments are tagged with it.
    pipelines : sequence of str
        Names of the pipelines to serve; none: no served process.
    progress : callable
        Told, in a few words, whenever something has come up.
    mlflow : bool
        Whether MLflow's UI is wanted.
    scheduled : bool
        Whether the served deployments run by the clock; the demo moves time itself.
    prefect_port, mlflow_port : int, optional
        On loopback; any free ones by default.

    Raises
    ------
    ServiceError
        If servers of this home run already, or one does not come up.
    PortTakenError
        If a port that was asked for is not free.
    NotOursError
        If another's deployments have our names.

    """
    with hold_home(settings.home), _whole() as started:
        began = time.monotonic()
        prefect = _keep(started, _prefect(settings, prefect_port))
        ui = _keep(started, _mlflow(settings, mlflow_port)) if mlflow else None
        served = _serve(settings, prefect, owner, pipelines, scheduled) if pipelines else None
        started.extend(filter(None, [served]))
        _await_server(prefect, progress, began)
        if served:
            _await_served(served, settings, progress)
        if ui:
            _await_server(ui, progress, began)
        servers = Servers(prefect.url, without_login(ui.url) if ui else "", tuple(started))
        remember(
            settings.home,
            api_url=without_login(servers.api_url),
            mlflow_url=servers.mlflow_url,
        )
        try:
            yield servers
        finally:
            forget(settings.home)


@contextmanager
def _whole() -> Iterator[list[Child]]:
    """Stop what was started, last first: the served process still needs its server."""
    started: list[Child] = []
    try:
        yield started
    finally:
        stop(started[::-1])


def _keep(started: list[Child], server: _Server) -> _Server:
    started += [server.child] if server.child else []
    return server


def prefect_environment(settings: Settings, api_url: str) -> dict[str, str]:
    """Say which variables lead Prefect's client to `api_url`; set before it is imported.

    For a server of our own, Prefect's files lie in the home and the user's profiles play no
    part; for a named one they stay, since they may hold the way to log in.
    """
    always = {
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # never a temporary server: it costs 17 s
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    if settings.prefect_api_url:
        return always
    folder = settings.home / "prefect"
    ours = {"PREFECT_HOME": str(folder), "PREFECT_PROFILES_PATH": str(folder / "profiles.toml")}
    return {**always, **ours, "PREFECT_PROFILE": "local"}


def _prefect(settings: Settings, port: int | None) -> _Server:
    """Find the named Prefect server, or start one of our own."""
    url = settings.prefect_api_url.rstrip("/")
    if not url:
        port = free_port(port)
        url = f"http://{LOOPBACK}:{port}/api"
        child = start(
            "the Prefect server",
            _uvicorn("--factory", "prefect.server.api.server:create_app", port=port),
            environment=child_environment(settings, _prefect_server(settings, url, port)),
            cwd=CLONE,
            log=settings.home / "prefect" / "server.log",
        )
        return _Server("Prefect server", url, f"{url}/health", child)
    if not answers(f"{url}/health", patience=_NAMED_PATIENCE):
        raise StoreUnreachableError(
            f"the Prefect server at {hide_password(url)} does not answer; start it, or take "
            "prefect_api_url out of driftwheel.toml to use one of our own"
        )
    return _Server("Prefect server", url, f"{url}/health")


def _prefect_server(settings: Settings, url: str, port: int) -> dict[str, str]:
    database = settings.home / "prefect" / "prefect.db"
    return {
        **prefect_environment(settings, url),
        "PREFECT__SERVER_FINAL": "1",  # as `prefect server start` does
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{LOOPBACK}:{port},http://localhost:{port}",
        # In memory, the default, a slot whose holder and server were killed is lost for ever.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
    }


def _mlflow(settings: Settings, port: int | None) -> _Server:
    """Find the named MLflow server, or start one over the home's database.

    Straight through uvicorn: `mlflow server` would be nine processes and 800 MB, most of
    them for jobs that nobody sends.
    """
    if settings.tracking_uri.startswith("http"):
        url = settings.tracking_uri.rstrip("/")
        return _Server("MLflow", url, f"{url}/health")
    port = free_port(port)
    url = f"http://{LOOPBACK}:{port}"
    folder = settings.home / "mlruns"
    folder.mkdir(parents=True, exist_ok=True)
    extra = {
        "_MLFLOW_SERVER_FILE_STORE": settings.tracking_uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": settings.registry_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(folder / "artifacts"),
        "_MLFLOW_SGI_NAME": "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{LOOPBACK}:{port},localhost:{port}",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": f"{url},http://localhost:{port}",
    }
    child = start(
        "MLflow's UI",
        _uvicorn("mlflow.server.fastapi_app:app", port=port),
        environment=child_environment(settings, extra),
        cwd=CLONE,
        log=folder / "server.log",
    )
    return _Server("MLflow", url, f"{url}/health", child)


def _uvicorn(*app: str, port: int) -> list[str]:
    quiet = ["--log-level", "warning", "--timeout-graceful-shutdown", "2"]
    return [sys.executable, "-m", "uvicorn", *quiet, "--host", LOOPBACK, "--port", str(port), *app]


def _ready_file(settings: Settings) -> Path:
    return settings.home / "prefect" / "served.json"


def _serve(
    settings: Settings, prefect: _Server, owner: str, pipelines: Sequence[str], scheduled: bool
) -> Child:
    """Start the served process; it waits for the server itself, importing meanwhile."""
    ready = _ready_file(settings)
    ready.unlink(missing_ok=True)
    told = ["--sole"] if prefect.child else []
    told += [] if scheduled else ["--unscheduled"]
    command = [sys.executable, "-m", "flows.serving", "--owner", owner, "--ready", str(ready)]
    return start(
        "the served process",
        [*command, *told, *pipelines],
        environment=child_environment(settings, prefect_environment(settings, prefect.url)),
        cwd=CLONE,
        log=settings.home / "prefect" / "served.log",
    )


def _await_server(server: _Server, progress: Progress, began: float) -> None:
    where = f"{server.name} at {hide_password(server.url)}"
    if server.child:
        wait_for(server.child, lambda: answers(server.health), patience=_SERVER_PATIENCE)
        progress(f"{where} ({time.monotonic() - began:.1f} s)")
    else:
        progress(where)


def _await_served(served: Child, settings: Settings, progress: Progress) -> None:
    ready = _ready_file(settings)
    # It may end right after it has told what went wrong: look at the file, then at the process.
    wait_for(served, ready.exists, patience=_SERVED_PATIENCE)
    told = json.loads(ready.read_text(encoding="utf-8"))
    if "error" in told:
        kind = getattr(errors, told["kind"], ServiceError)
        raise kind(told["error"])
    progress(f"{told['deployments']} deployments served ({told['seconds']:.1f} s)")
