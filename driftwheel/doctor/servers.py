"""The Prefect server, and what killed processes left behind."""

import json
from collections.abc import Iterator
from importlib import metadata
from urllib.request import urlopen

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
    ours = metadata.version("prefect")
    with urlopen(f"{api.rstrip('/')}/admin/version", timeout=5) as answer:  # noqa: S310 - http(s), from the settings
        theirs = str(json.load(answer))
    found = f"answers ({hide_password(api)}) with version {theirs}; here it is {ours}"
    if theirs.split(".")[:2] == ours.split(".")[:2]:
        return fine(found)
    return wrong(found, mend=f"pip install prefect=={ours} (where the server runs)")


def leavings(patient: Patient) -> Iterator[Seen]:
    """Look for the state file of a process that was killed before it could remove it."""
    import psutil

    file = patient.settings.home / "prefect" / "server.json"
    if not file.is_file():
        return
    try:
        pid = int(json.loads(file.read_text(encoding="utf-8"))["pid"])
    except (ValueError, KeyError, TypeError):
        pid = 0
    if pid and psutil.pid_exists(pid):
        yield fine(f"`driftwheel up` or `demo` runs as process {pid}")
    elif patient.mend:
        file.unlink(missing_ok=True)
        yield fine(f"mended: removed {file} of process {pid}, which is gone")
    else:
        yield wrong(
            f"{file} was left behind by process {pid}, which is gone (harmless)",
            mend="driftwheel doctor --mend",
        )
