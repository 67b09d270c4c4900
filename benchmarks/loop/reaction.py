"""How long from the event to the first task of `retrain`, and what the served process costs.

The flows are stand-ins (see :mod:`benchmarks.loop.standins`); server, automation, served
process and event are the real ones. A real `retrain` adds what it imports inside.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.loop.standins import HOST, make_clone

CLONE = Path(__file__).resolve().parents[2]
RUNS = 10
_PATIENCE = 60.0  # seconds for one flow run to begin


def measure(runs: int = RUNS) -> dict[str, float]:
    """Send `runs` events, one after the other is taken up, and measure.

    Returns
    -------
    dict
        Flat, seconds and MB: `event_to_first_task_median_s`, `…_worst_s`, `emit_median_s`,
        `prefect_cold_s`, `registered_s`, `served_rss_mb`, `stop_s`.

    """
    with tempfile.TemporaryDirectory(prefix="driftwheel-reaction-") as folder:
        clone = make_clone(CLONE, Path(folder) / "clone")
        home = Path(folder) / "home"
        home.mkdir()
        (clone / "host.py").write_text(HOST, encoding="utf-8")
        host = subprocess.Popen(
            [sys.executable, "host.py", str(home), "rides"],
            cwd=clone,
            env={**os.environ, "PYTHONPATH": str(clone)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            return _with(host, home, runs)
        finally:
            host.kill()
            host.wait()


def _with(host: "subprocess.Popen[str]", home: Path, runs: int) -> dict[str, float]:
    assert host.stdout is not None
    assert host.stdin is not None
    began = time.monotonic()
    said = [json.loads(host.stdout.readline())]
    cold = time.monotonic() - began
    while not said[-1].get("ready"):
        said.append(json.loads(host.stdout.readline()))
        assert "error" not in said[-1], said[-1]
    ready = said[-1]
    timed = [_one(ready["api"], home, number) for number in range(runs)]
    served = psutil.Process(ready["children"]["the served process"]).children()[0]
    rss = served.memory_info().rss / 2**20
    stopping = time.monotonic()
    host.stdin.write("stop\n")
    host.stdin.close()
    host.wait()
    waits = [wait for _, wait in timed]
    return {
        "event_to_first_task_median_s": round(statistics.median(waits), 3),
        "event_to_first_task_worst_s": round(max(waits), 3),
        "emit_median_s": round(statistics.median(emit for emit, _ in timed), 4),
        "prefect_cold_s": round(cold, 2),
        "registered_s": json.loads((home / "prefect" / "served.json").read_text())["seconds"],
        "served_rss_mb": round(rss, 1),
        "stop_s": round(time.monotonic() - stopping, 2),
        "runs": float(runs),
    }


def _one(api_url: str, home: Path, number: int) -> tuple[float, float]:
    """Send one event; give the seconds for sending it, and from sending to the first task."""
    from flows.events import emit_retrain_requested

    request = f"rr-{number}"
    began = time.time()
    emit_retrain_requested(api_url, prefix="", pipeline="rides", request_id=request)
    emitted = time.time() - began
    while not (ran := [run for run in _ran(home) if run["given"].get("request_id") == request]):
        assert time.time() - began < _PATIENCE, f"{request} was not taken up"
        time.sleep(0.02)
    return emitted, ran[0]["at"] - began


def _ran(home: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in (home / "ran").glob("*.json")]
