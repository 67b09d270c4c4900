"""`doctor`: say what is wrong with an installation and a home, and the command that mends it.

Looking changes nothing: what does not exist yet is said to be so, never created. With `mend`,
and only then, a moved home's paths are put right and a dead process's leavings are removed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from components.errors import DriftwheelError
from driftwheel.doctor import installation, machine, servers, stores
from driftwheel.doctor.looking import Patient, Seen
from flows.settings import CLONE, Settings

__all__ = ["Finding", "examine"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; a complaint names the command that mends it."""

    check: str
    ok: bool
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    name: str
    look: Callable[[Patient], Iterable[Seen]]
    mend: str
    """What to do when even looking fails."""


CHECKS = (
    Check("Python", installation.python, "make install PYTHON=python3.11"),
    Check("versions", installation.versions, installation.REINSTALL),
    Check("storage", machine.storage, "use another folder: driftwheel --home DIR …"),
    Check("clock", machine.clock, machine.SET_CLOCK),
    Check("ports", machine.ports, "end what holds the ports (ss -ltnp lists them)"),
    Check("pipelines", stores.pipelines, "correct the file named"),
    Check("ledger", stores.ledger, "correct `ledger` in driftwheel.toml, or DRIFTWHEEL_LEDGER"),
    Check("lake", stores.lake, "correct `lake` in driftwheel.toml, or DRIFTWHEEL_LAKE"),
    Check("MLflow", stores.mlflow, "correct `mlflow_tracking_uri` in driftwheel.toml"),
    Check("aliases", stores.aliases, "driftwheel status"),
    Check("Prefect", servers.prefect, "correct `prefect_api_url` in driftwheel.toml"),
    Check("processes", servers.leavings, "driftwheel up"),
    Check("scratch", machine.leavings, "driftwheel doctor --mend"),
)
"""In the order in which one would mend them."""


def examine(
    settings: Settings,
    *,
    mend: bool = False,
    now: datetime | None = None,
    lock: Path = CLONE / "constraints.txt",
) -> list[Finding]:
    """Examine the installation and a home.

    Parameters
    ----------
    settings : Settings
        Of the home; its stores are opened only where they exist.
    mend : bool
        Put right what can be put right without a decision: the paths of a moved home, the
        state file and the waiting rows of a process that was killed.
    now : datetime, optional
        UTC; the wall clock when not given.
    lock : Path
        The pins that the installation should hold.

    Returns
    -------
    list of Finding
        In the order in which one would mend them; a failing check is a finding, never an error.

    """
    from flows.opening import open_home
    from flows.running import wall_clock

    patient = Patient(settings, open_home(settings), now or wall_clock(), mend, lock)
    return [finding for check in CHECKS for finding in _look(check, patient)]


def _look(check: Check, patient: Patient) -> Iterator[Finding]:
    try:
        for seen in check.look(patient):
            yield Finding(check.name, seen.ok, seen.found, seen.mend)
    except DriftwheelError as problem:
        yield Finding(check.name, ok=False, found=str(problem), mend=check.mend)
    except Exception as problem:  # noqa: BLE001 - whatever is broken here is what is to be told
        found = f"could not be examined ({type(problem).__name__}: {problem})"
        yield Finding(check.name, ok=False, found=found, mend=check.mend)
