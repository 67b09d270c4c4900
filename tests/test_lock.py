"""The lock says what is installed, and what is installed is what was measured."""

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CLONE = Path(__file__).resolve().parents[1]
NOT_LOCKED = {"pip", "driftwheel"}  # what made the virtual environment, and ourselves


def locked() -> dict[str, Version]:
    lines = (CLONE / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines if line.strip()]
    assert None not in pins, "every line of constraints.txt is NAME==VERSION"
    return {canonicalize_name(pin[1]): Version(pin[2]) for pin in pins if pin}


def installed() -> dict[str, Version]:
    # A local part (torch 2.13.0+cpu) names the build, not another version.
    found = {canonicalize_name(each.name): Version(each.version).public for each in distributions()}
    return {name: Version(text) for name, text in found.items() if name not in NOT_LOCKED}


def requirements() -> list[Requirement]:
    project = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    every = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return [each for each in map(Requirement, every) if each.name != "driftwheel"]


def test_everything_installed_is_pinned_exactly() -> None:
    pins = locked()
    loose = {
        name: str(version) for name, version in installed().items() if pins.get(name) != version
    }
    assert loose == {}, "not pinned so in constraints.txt"


def test_nothing_is_pinned_that_is_not_needed() -> None:
    assert set(locked()) - set(installed()) == set()


@pytest.mark.parametrize("needed", requirements(), ids=str)
def test_the_lock_satisfies_what_the_project_asks_for(needed: Requirement) -> None:
    pins = locked()
    assert canonicalize_name(needed.name) in pins
    assert needed.specifier.contains(pins[canonicalize_name(needed.name)])
