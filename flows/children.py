"""Child processes: started, watched, and stopped whole.

Between us and each child stands :mod:`flows.keeper`, which lets nothing below it survive us,
not even our own SIGKILL. Children stay in our process group, so killing the group kills them;
Ctrl-C does not reach them, so that :func:`stop` can end them in order.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from components.errors import ChildDiedError, PortTakenError, ServiceError

LOOPBACK = "127.0.0.1"
_KEEPER = Path(__file__).with_name("keeper.py")
_LOOK_EVERY = 0.05  # seconds between two looks at a child that is starting
_TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class Child:
    """A running child, seen through its keeper."""

    name: str
    """For people: 'the Prefect server'."""
    process: "subprocess.Popen[bytes]"
    log: Path
    """Where its output goes."""

    def check(self) -> None:
        """Raise :class:`ChildDiedError`, with the end of its log, if it has ended."""
        code = self.process.poll()
        if code is not None:
            raise ChildDiedError(
                f"{self.name} ended on its own with exit code {code}; the end of {self.log}:\n"
                f"{tail(self.log)}"
            )


def start(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], cwd: Path, log: Path
) -> Child:
    """Start a child that ends with us.

    Call it from a thread that lives as long as the children shall: to the kernel, the death
    of the thread that started a process is the death of its parent.

    Parameters
    ----------
    name : str
        What it is, for people.
    command : sequence of str
        Program and arguments.
    environment : mapping
        All of its environment.
    cwd : Path
        Its working directory.
    log : Path
        Where its output goes; the log of the time before is kept beside it, as ``….old``.

    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists():
        log.replace(log.with_suffix(f"{log.suffix}.old"))
    keeper = [sys.executable, "-I", "-S", str(_KEEPER), str(os.getpid())]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*keeper, *command],
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Child(name=name, process=process, log=log)


def wait_for(child: Child, ready: Callable[[], bool], *, patience: float) -> None:
    """Wait until `ready()`.

    Raises
    ------
    ChildDiedError
        If the child ends before.
    ServiceError
        If it is not ready after `patience` seconds.

    """
    deadline = time.monotonic() + patience
    while True:
        ended = child.process.poll() is not None  # before the look: it may be ready and gone
        if ready():
            return
        if ended:
            child.check()
        if time.monotonic() > deadline:
            raise ServiceError(
                f"{child.name} was not ready after {patience:.0f} s; the end of {child.log}:\n"
                f"{tail(child.log)}"
            )
        time.sleep(_LOOK_EVERY)


def stop(children: Sequence[Child], *, patience: float = 5.0) -> None:
    """Stop children in the order given, each with everything below it.

    Each is asked (SIGTERM) and given `patience` seconds; then it is killed.
    """
    below = [process for child in children for process in _tree(child.process.pid)]
    for child in children:
        _stop_one(child, patience)
    for process in psutil.wait_procs(below, timeout=0)[1]:
        _kill(process)


def _stop_one(child: Child, patience: float) -> None:
    for by, seconds in ((signal.SIGTERM, patience), (signal.SIGHUP, 2.0)):
        child.process.send_signal(by)
        try:
            child.process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return
    child.process.kill()
    child.process.wait()


def _tree(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return  # it has ended by now


def tail(log: Path, lines: int = _TAIL_LINES) -> str:
    """Give the last lines of a log, for an error message."""
    try:
        text = log.read_bytes()[-20_000:].decode(errors="replace")
    except OSError:
        return "  (no log)"
    kept = [line for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(f"  {line}" for line in kept) or "  (the log is empty)"


def free_port(asked: int | None = None) -> int:
    """Give a loopback port that nobody listens on: the one asked for, or any.

    Raises
    ------
    PortTakenError
        If somebody listens on the one asked for; names the process where that may be seen.

    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, asked or 0))
        except OSError as problem:
            raise PortTakenError(
                f"port {asked} on {LOOPBACK} is not free ({_listener(asked or 0)}); stop that, "
                "or choose another port"
            ) from problem
        return int(probe.getsockname()[1])


def _listener(port: int) -> str:
    try:
        found = [c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port]
    except psutil.AccessDenied:
        found = []
    pids = sorted({pid for pid in found if pid})
    if not pids:
        return "the system does not say who listens there"
    return f"process {pids[0]} listens there"
