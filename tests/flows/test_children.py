import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.errors import ChildDiedError, PortTakenError, ServiceError
from flows import children

# A child that leaves a grandchild to init, as a daemon would, writes its id, and sleeps.
FAMILY = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1] + ".new", "w").write(str(os.getpid()))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        time.sleep(300)
    os._exit(0)
os.wait()
{then}
"""


def python(code: str, *given: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code), *given]


def start(tmp_path: Path, command: list[str], name: str = "the child") -> children.Child:
    log = tmp_path / "logs" / "child.log"
    return children.start(name, command, environment=os.environ, cwd=tmp_path, log=log)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def parent(tmp_path: Path, clone: Path) -> Callable[..., Any]:
    """Start a process of its own group that starts a family through us."""

    def run(then: str) -> tuple["subprocess.Popen[bytes]", int]:
        pid_file = tmp_path / "grandchild"
        command = python(FAMILY.format(then="time.sleep(300)"), str(pid_file))
        code = f"""
        import os, sys, time
        from pathlib import Path
        from flows import children
        child = children.start(
            "it",
            {command!r},
            environment=os.environ,
            cwd=Path({str(tmp_path)!r}),
            log=Path({str(tmp_path / "log")!r}),
        )
        {then}
        """
        process = subprocess.Popen(
            python(code), cwd=clone, env={**os.environ, "PYTHONPATH": str(clone)},
            start_new_session=True,
        )  # fmt: skip
        return process, pid_file

    return run


@pytest.mark.parametrize("whole_group", [False, True], ids=["the parent alone", "its whole group"])
def test_nothing_outlives_a_parent_that_is_killed(
    parent: Callable[..., Any], until: Callable[..., Any], whole_group: bool
) -> None:
    process, pid_file = parent("time.sleep(300)")
    grandchild = int(until(lambda: pid_file.exists() and pid_file.read_text()))
    below = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    if whole_group and alive(grandchild):  # it left the group, and our keeper died with that
        psutil.Process(grandchild).kill()
    until(lambda: not alive(grandchild))
    until(lambda: not any(alive(one.pid) for one in below))


def test_ctrl_c_is_heard_by_the_parent_only(
    parent: Callable[..., Any], until: Callable[..., Any], tmp_path: Path
) -> None:
    process, pid_file = parent(
        f"""
        try:
            Path({str(tmp_path / "listening")!r}).touch()
            time.sleep(300)
        except KeyboardInterrupt:
            time.sleep(0.3)
            Path({str(tmp_path / "verdict")!r}).write_text(str(child.process.poll()))
            children.stop([child], patience=60)
        """
    )
    grandchild = int(until(lambda: pid_file.exists() and pid_file.read_text()))
    until((tmp_path / "listening").exists)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    assert (tmp_path / "verdict").read_text() == "None"
    assert not alive(grandchild)


def test_stopping_ends_everything_below_a_child(tmp_path: Path, until: Callable[..., Any]) -> None:
    file = tmp_path / "grandchild"
    child = start(tmp_path, python(FAMILY.format(then="time.sleep(300)"), str(file)))
    grandchild = int(until(lambda: file.exists() and file.read_text()))
    children.stop([child], patience=60)
    assert child.process.returncode == 128 + signal.SIGTERM
    assert not alive(grandchild)


def test_a_child_that_will_not_stop_is_killed(tmp_path: Path, until: Callable[..., Any]) -> None:
    deaf = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    time.sleep(300)
    """
    child = start(tmp_path, python(deaf))
    until(child.log.read_text)
    children.stop([child], patience=0.2)
    assert child.process.returncode is not None


def test_what_a_dead_child_leaves_behind_is_ended(
    tmp_path: Path, until: Callable[..., Any]
) -> None:
    file = tmp_path / "grandchild"
    child = start(tmp_path, python(FAMILY.format(then="sys.exit(3)"), str(file)))
    assert child.process.wait(60) == 3
    assert not file.exists() or not alive(int(file.read_text()))


def test_a_dead_child_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = start(tmp_path, python("raise RuntimeError('no room on the disk')"), "the lathe")
    child.process.wait(60)
    with pytest.raises(ChildDiedError) as caught:
        child.check()
    assert "the lathe ended on its own with exit code 1" in str(caught.value)
    assert "no room on the disk" in str(caught.value)
    assert str(child.log) in str(caught.value)


def test_a_child_that_never_gets_ready_is_reported(tmp_path: Path) -> None:
    child = start(
        tmp_path, python("import time; print('still at it', flush=True); time.sleep(300)")
    )
    with pytest.raises(ServiceError, match="not ready after 0 s"):
        children.wait_for(child, lambda: False, patience=0.2)
    children.stop([child])


def test_a_child_that_was_ready_before_it_ended_counts_as_ready(tmp_path: Path) -> None:
    child = start(tmp_path, python("pass"))
    child.process.wait(60)
    children.wait_for(child, lambda: True, patience=1)


def test_the_log_of_the_time_before_is_kept(tmp_path: Path) -> None:
    for word in ("first", "second"):
        child = start(tmp_path, python(f"print({word!r})"))
        child.process.wait(60)
    assert "second" in child.log.read_text()
    assert "first" in child.log.with_suffix(".log.old").read_text()


def test_a_taken_port_is_refused_by_name() -> None:
    with socket.socket() as taken:
        taken.bind((children.LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port} .*process {os.getpid()} listens"):
            children.free_port(port)
    assert children.free_port(port) == port
