"""Python and packages, against those that were measured together."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

from driftwheel.doctor.looking import Patient, Seen, fine, wrong

REINSTALL = "make clean install"


def python(_: Patient) -> Iterator[Seen]:
    """Look at the Python version and the platform."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] == (3, 11) and platform.system() in {"Linux", "Darwin"}:
        yield fine(found)
    else:
        yield wrong(f"{found}; needs 3.11 on Linux or macOS", mend="make install PYTHON=python3.11")


def versions(patient: Patient) -> Iterator[Seen]:
    """Compare what is installed with the lock."""
    if not patient.lock.is_file():
        yield fine("no lock beside this installation")
        return
    pins = _pins(patient.lock.read_text(encoding="utf-8"))
    there = _installed()
    missing = [name for name in _needed() if name not in there]
    other = [
        f"{name} {there[name]} (lock: {pin})"
        for name, pin in pins.items()
        if name in there and there[name] != pin
    ]
    if missing:
        yield wrong(f"not installed: {', '.join(missing)}", mend=REINSTALL)
    if other:
        yield wrong(f"not as locked: {', '.join(other)}", mend=REINSTALL)
    if not (missing or other):
        yield fine(f"{len(pins)} packages as the lock has them")


def _pins(text: str) -> dict[str, str]:
    return {_canonical(name): pin for name, pin in re.findall(r"(?m)^([\w.-]+)==(\S+)$", text)}


def _installed() -> dict[str, str]:
    # A local part (torch 2.13.0+cpu) names the build, not another version.
    return {_canonical(each.name): each.version.split("+")[0] for each in metadata.distributions()}


def _needed() -> list[str]:
    lines = metadata.requires("driftwheel") or []
    base = (line for line in lines if "extra ==" not in line)
    return [_canonical(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in base]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
