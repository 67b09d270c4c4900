"""A server of the demo dies: the demo ends in words, and nothing is left running."""

import signal
import subprocess
import sys

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def the_server_of(demo: psutil.Process) -> psutil.Process | None:
    for process in demo.children(recursive=True):
        try:
            words = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        if "prefect.server.api.server" in words and "keeper.py" not in words:
            return process
    return None


def test_a_demo_whose_server_dies_says_so_and_leaves_nothing_running(tmp_path) -> None:
    command = [sys.executable, "-m", "driftwheel", "--home", str(tmp_path), "demo", "--steps", "4"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            assert demo.stdout is not None
            for line in demo.stdout:  # the first line of the timeline: flows are running
                if line.startswith("2011-04-02"):
                    break
            below = psutil.Process(demo.pid).children(recursive=True)
            server = the_server_of(psutil.Process(demo.pid))
            assert server is not None
            server.send_signal(signal.SIGKILL)
            _, said = demo.communicate(timeout=120)  # it does not wait for the server for ever
        finally:
            demo.kill()
    assert demo.returncode == 1
    assert "Prefect server ended on its own" in said
    assert "Traceback" not in said
    _, alive = psutil.wait_procs(below, timeout=60)
    assert not alive
