"""Hostile packages, opened as a champion would be: nothing runs, nothing grows, words are plain.

All are opened by one fresh process that may take four gigabytes of addresses.
"""

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = {
    name: way
    for file in ("hostile.py", "hostile_graphs.py")
    for name, way in runpy.run_path(str(Path(__file__).with_name(file)))["CASES"].items()
}

OPENING = """
import json, pathlib, resource, sys
from components.packages.scorer import load_package
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
load_package(pathlib.Path(sys.argv[1])).probe()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for folder in json.load(sys.stdin):
    try:
        package = load_package(pathlib.Path(folder))
        package.probe()
        package.reference()
        said = None
    except Exception as problem:
        said = [[kind.__name__ for kind in type(problem).__mro__], str(problem)]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([folder, said, grown >> 10]), flush=True)
"""


@pytest.fixture(scope="module")
def opened(tmp_path_factory, fitted, pack):
    """Open every hostile package; what was said of each, and megabytes taken so far."""
    root = tmp_path_factory.mktemp("hostile")
    good = pack(root / "good", fitted)
    folders = {}
    for number, (name, (build, _)) in enumerate(CASES.items()):
        folders[str(root / str(number))] = name
        shutil.copytree(good, root / str(number))
        build(root / str(number), root / f"{number}.canary")
    done = subprocess.run(
        [sys.executable, "-c", OPENING, str(good)],
        input=json.dumps(list(folders)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(CASES), f"{len(told)} were opened, then: {done.stderr[-2000:]}"
    return {folders[folder]: (said, grown, Path(folder)) for folder, said, grown in told}


def test_at_least_thirty_ways_of_being_hostile_are_tried():
    assert len(CASES) >= 30


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_package_is_refused_in_plain_words_and_runs_nothing(opened, name):

    said, _, folder = opened[name]
    assert said is not None, "it was opened"
    kinds, words = said
    assert "PackageError" in kinds, (kinds[0], words)
    assert re.search(CASES[name][1], words), words
    assert not folder.with_name(f"{folder.name}.canary").exists(), "its code was run"


def test_hostile_packages_take_little_memory(opened):
    by_case = {name: grown for name, (_, grown, _) in opened.items()}
    assert max(by_case.values()) < 700, by_case
