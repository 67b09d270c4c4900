"""A real Prefect server, and homes with stand-in flows."""

import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.servers import running
from flows.settings import Settings

_PATIENCE = 180.0  # seconds: a wait that fails, not one that measures


def until(look: Callable[[], Any], *, patience: float = _PATIENCE) -> Any:
    """Wait until `look` gives something true, and give that."""
    deadline = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing after {patience:.0f} s"
        time.sleep(0.02)
    return found


def first_on_path(folder: Path) -> str:
    """Give a PYTHONPATH with `folder` before what is there."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(scope="session", name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture(scope="package")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the API of a Prefect server; each worker has its own, so none waits for another."""
    settings = Settings(home=tmp_path_factory.mktemp("prefect"))
    with running(settings, owner="tests", pipelines=(), mlflow=False) as servers:
        yield servers.api_url


@pytest.fixture(scope="session")
def standins(clone: Path) -> dict[str, Any]:
    """Give the benchmark's stand-in flows."""
    return runpy.run_path(str(clone / "benchmarks" / "loop" / "standins.py"))


@pytest.fixture
def standin_clone(tmp_path: Path, clone: Path, standins: dict[str, Any]) -> Path:
    """Give a copy of Driftwheel whose flows only write down that they ran."""
    folder: Path = standins["make_clone"](clone, tmp_path / "clone")
    (folder / "host.py").write_text(standins["HOST"], encoding="utf-8")
    return folder


class Host:
    """A process that runs the servers of a home, as `up` does."""

    def __init__(self, process: "subprocess.Popen[str]", home: Path) -> None:
        self.process = process
        self.home = home
        self.said: list[dict[str, Any]] = []

    def hear(self, key: str) -> dict[str, Any]:
        """Read what it says until it says `key`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(json.loads(line))
            if key in self.said[-1]:
                return self.said[-1]
        raise AssertionError(f"it ended without saying {key!r}: {self.said}")

    def tell(self, word: str) -> None:
        """Say a word to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def below(self) -> list[psutil.Process]:
        """Give every process below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def ran(self, flow: str) -> list[dict[str, Any]]:
        """Give what the stand-ins of `flow` wrote down."""
        files = (self.home / "ran").glob("*.json")
        told = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        return [one for one in told if one["flow"] == flow]


@pytest.fixture
def host(standin_clone: Path, home: Path) -> Callable[..., Any]:
    """Give a way to run a host: ``with host("rides", cwd=…, OWNER="…") as up``."""

    @contextmanager
    def run(*pipelines: str, cwd: Path = standin_clone, **environment: str) -> Iterator[Host]:
        process = subprocess.Popen(
            [sys.executable, str(standin_clone / "host.py"), str(home), *pipelines],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": first_on_path(standin_clone), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield Host(process, home)
            finally:
                process.kill()

    return run
