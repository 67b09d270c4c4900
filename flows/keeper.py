"""Keep one child process, so that nothing of it outlives the process that asked for it.

Run as a script, by :mod:`flows.children`, between a parent and its child::

    up ── keeper ── Prefect server, MLflow, the served process ── flow runs, workers, …

- The parent dies, by whatever signal: the keeper kills everything below it.
- The child ends: what it left behind is killed, the keeper ends with the child's exit code.
- SIGTERM is passed on to the child. SIGHUP kills everything at once.
- Ctrl-C is not heard here or below: the parent stops its children in order.

Only the standard library, and no site-packages: it starts in 20 ms and holds 10 MB.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(parent: int, command: list[str]) -> int:
    """Run `command` for the process `parent` and give its exit code."""
    # SIGTERM is held back until there is a child to pass it on to.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans below come to us, not to init
    signal.signal(signal.SIGHUP, lambda *_: _end_all())
    _die_with(parent, signal.SIGHUP)
    child = _start(command)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    code = _wait(child)
    _kill_descendants()
    return code


def _start(command: list[str]) -> int:
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        _die_with(keeper, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.execvp(command[0], command)  # noqa: S606 - our own command, a list
    return child


def _wait(child: int) -> int:
    """Wait for the child, burying orphans on the way; 128 + n stands for signal n."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _die_with(parent: int, by: signal.Signals) -> None:
    """Have the kernel send us `by` when `parent` dies; end now if that has happened."""
    _prctl(_PR_SET_PDEATHSIG, by)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_all() -> None:
    _kill_descendants()
    os._exit(128 + signal.SIGHUP)


def _kill_descendants() -> None:
    """Kill everything below us; again, until a look finds nobody: they may be forking."""
    while below := _descendants(os.getpid()):
        for pid in below:
            _kill(pid)
        _bury()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended by itself


def _bury() -> None:
    """Wait for one dead child; the others follow on the next round."""
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        return  # those left belong to children that are dying themselves


def _descendants(root: int) -> list[int]:
    """Name the processes below `root`, as /proc has them; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # pid (name, which may hold anything) state ppid …
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # gone between the listing and the look
        children.setdefault(parent, []).append(int(folder.name))
    found = list(children.get(root, ()))
    for pid in found:  # grows while it is walked
        found += children.get(pid, ())
    return found


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
