"""Which servers of a home are alive, and that there is one set of them at a time.

``HOME/prefect/server.json`` names the Prefect server that we started;
``HOME/prefect/up.lock`` is held, through the kernel, by whoever runs the servers: it is free
again the moment that process is gone, however it went.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from filelock import FileLock, Timeout

from components.errors import ServiceError
from flows.settings import Settings

_ANSWER_SECONDS = 1.0


def live_api(settings: Settings) -> str:
    """Find the Prefect API to use now (…/api); empty when there is none.

    The one named in the settings, or else the one that `up` or `demo` runs for this home, if
    it answers within a second.
    """
    url = settings.prefect_api_url.rstrip("/") or _ours(settings.home, "api_url")
    return url if url and answers(f"{url}/health") else ""


def live_mlflow(settings: Settings) -> str:
    """Find the address of MLflow's UI; empty when there is none.

    The server named in the settings, or else the one that `up` runs for this home, if it
    answers within a second.
    """
    named = settings.tracking_uri if settings.tracking_uri.startswith("http") else ""
    url = named.rstrip("/") or _ours(settings.home, "mlflow_url")
    return url if url and answers(f"{url}/health") else ""


def answers(url: str, *, patience: float = _ANSWER_SECONDS) -> bool:
    """Say whether an HTTP server answers there, and well, within `patience` seconds."""
    ours = httpx.URL(url).host in {"127.0.0.1", "localhost"}  # no proxy stands in between
    try:
        return httpx.get(url, timeout=patience, trust_env=not ours).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Be the only one who runs servers for this home.

    Raises
    ------
    ServiceError
        If somebody does; a killed process never stands in the way.

    """
    folder = home / "prefect"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "up.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout as problem:
        url = _ours(home, "api_url").removesuffix("/api")
        raise ServiceError(
            f"the servers of {home} are running already{f' (Prefect at {url})' if url else ''}; "
            "use them, or stop the other `driftwheel up` or `demo` first (Ctrl-C there)"
        ) from problem
    try:
        yield
    finally:
        lock.release()


def remember(home: Path, *, api_url: str, mlflow_url: str) -> None:
    """Write down, in one step, which servers this process runs for the home."""
    file = _state_file(home)
    us = psutil.Process()
    state = {
        "api_url": api_url,
        "mlflow_url": mlflow_url,
        "pid": us.pid,
        "started": us.create_time(),
    }
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps(state), encoding="utf-8")
    unfinished.replace(file)


def forget(home: Path) -> None:
    """Forget it: it is being stopped."""
    _state_file(home).unlink(missing_ok=True)


def _state_file(home: Path) -> Path:
    return home / "prefect" / "server.json"


def _remembered(home: Path) -> dict[str, Any]:
    try:
        found = json.loads(_state_file(home).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _ours(home: Path, key: str) -> str:
    """Give an address written down by a process that is still there.

    Servers do not outlive the process that runs them: where that is gone, somebody else may
    listen on the port by now.
    """
    state = _remembered(home)
    try:
        alive = psutil.Process(int(state["pid"])).create_time() == state["started"]
    except (KeyError, ValueError, psutil.NoSuchProcess):
        return ""
    return str(state.get(key, "")) if alive else ""
