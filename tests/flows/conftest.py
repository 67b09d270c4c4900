"""One real Prefect server for the whole test run, and homes with stand-in flows."""

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
from filelock import FileLock

from flows.servers import running
from flows.settings import Settings

_PATIENCE = 60.0


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


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[str]:
    """Give the API of a Prefect server that all workers share; the first one starts it."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared if worker_id == "master" else shared.parent
    users = shared / "prefect-users"
    users.mkdir(exist_ok=True)
    us = users / str(os.getpid())
    us.touch()
    with FileLock(shared / "prefect-server.lock"):
        file = shared / "prefect-server.json"
        if file.exists():
            server = None
        else:
            home = shared / "prefect-home"
            home.mkdir()
            server = running(Settings(home=home), owner="tests", pipelines=(), mlflow=False)
            file.write_text(json.dumps({"api": server.__enter__().api_url}), encoding="utf-8")
    yield json.loads(file.read_text(encoding="utf-8"))["api"]
    us.unlink()
    if server is not None:
        until(lambda: not _others(users), patience=280)
        server.__exit__(None, None, None)


def _others(users: Path) -> list[Path]:
    return [user for user in users.iterdir() if psutil.pid_exists(int(user.name))]


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
