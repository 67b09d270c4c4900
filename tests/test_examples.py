"""Every example in a docstring does what it says."""

import doctest
import importlib
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[1]
PACKAGES = ("components", "monitoring", "flows", "driftwheel")
SHOWN = sorted(
    file.relative_to(CLONE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for package in PACKAGES
    for file in (CLONE / package).rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", SHOWN)
def test_the_examples_of_a_module_run(name) -> None:
    done = doctest.testmod(importlib.import_module(name))
    assert (done.failed, done.attempted > 0) == (0, True)
