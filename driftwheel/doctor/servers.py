"""The Prefect server, and what killed processes left behind."""

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from driftwheel.doctor.looking import Patient, Seen, fine, wrong
from flows.settings import hide_password


def prefect(patient: Patient) -> Iterator[Seen]:
    """Ask the Prefect server for a sign of life, and for its version."""
    from flows.servers import live_api

    named = patient.settings.prefect_api_url
    api = live_api(patient.settings)
    if api:
        yield _same_version(api)
    elif named:
        yield wrong(
            f"{hide_password(named)} does not answer",
            mend="prefect server start (where it runs), or take prefect_api_url out of "
            "driftwheel.toml",
        )
    else:
        yield fine("none runs for this home; `driftwheel up` starts one")


def _same_version(api: str) -> Seen:
    """Compare with the server: an older client may not understand a newer server."""
    import httpx

    ours = metadata.version("prefect")
    loopback = httpx.URL(api).host in {"127.0.0.1", "localhost"}  # no proxy stands in between
    answer = httpx.get(f"{api.rstrip('/')}/admin/version", timeout=5, trust_env=not loopback)
    theirs = str(answer.raise_for_status().json())
    found = f"answers ({hide_password(api)}) with version {theirs}; here it is {ours}"
    if theirs.split(".")[:2] == ours.split(".")[:2]:
        return fine(found)
    return wrong(found, mend=f"pip install prefect=={ours} (where the server runs)")


def leavings(patient: Patient) -> Iterator[Seen]:
    """Look for the state file of a process that was killed before it could remove it."""
    file = patient.settings.home / "prefect" / "server.json"
    if not file.is_file():
        return
    if pid := _running(file):
        yield fine(f"`driftwheel up` or `demo` runs as process {pid}")
    elif patient.mend:
        file.unlink(missing_ok=True)
        yield fine(f"mended: removed {file}, left behind by a process that is gone")
    else:
        yield wrong(
            f"{file} was left behind by a process that is gone (nothing waits for it)",
            mend="driftwheel doctor --mend",
        )


def _running(file: Path) -> int | None:
    """Give the process that wrote the state file, if it is the same one that runs now."""
    import psutil

    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        same = psutil.Process(int(state["pid"])).create_time() == state["started"]
    except (ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        return None
    return int(state["pid"]) if same else None
