"""The same rows, seed and code give the same package, byte for byte, in whatever process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.models import FAMILIES

PACKING = """
import json, runpy, sys
from pathlib import Path
from components.packages.folders import read_manifest

made = runpy.run_path(sys.argv[1])
pack = made["pack_into"]
for name in json.loads(sys.argv[2]):
    family, task, refused = name.split("|")
    folder = pack(Path(sys.argv[3], name), made["make_fitted"](family, task), refused)
    print(json.dumps([name, read_manifest(folder).digest]), flush=True)
"""
NAMES = [f"{family}|{task}|" for family in FAMILIES for task in ("regression", "binary")]
NAMES += ["forest|multiclass|as asked", "network|multiclass|as asked"]


@pytest.fixture(scope="module")
def digests(tmp_path_factory):
    """Digests by name, of two processes whose hashes are seeded otherwise."""
    conftest = str(Path(__file__).with_name("conftest.py"))
    running = []
    for seed in ("1", "4242"):
        given = [conftest, json.dumps(NAMES), str(tmp_path_factory.mktemp(f"seed{seed}"))]
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", PACKING, *given],
                env={**os.environ, "PYTHONHASHSEED": seed},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    told = [one.communicate(timeout=300) for one in running]
    for said, problems in told:
        assert len(said.splitlines()) == len(NAMES), problems[-2000:]
    return [dict(map(json.loads, said.splitlines())) for said, _ in told]


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_make_the_same_package(digests, name):
    one, other = digests
    assert one[name] == other[name]


def test_other_models_have_other_digests(digests):
    assert len(set(digests[0].values())) == len(NAMES)
