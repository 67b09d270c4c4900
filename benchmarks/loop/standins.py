"""A clone of Driftwheel whose flows only say that they ran.

For measuring and testing what lies around the flows: servers, schedules, events, the served
process. Everything but the eight flow modules is the real thing.
"""

import shutil
from pathlib import Path

FLOWS = ("ingest", "train", "score", "monitor", "retrain", "reconcile", "rollback", "maintain")

_PARAMETERS = {
    "retrain": "request_id: str, pipeline: str, as_of: datetime | None = None",
    "rollback": "pipeline: str, reason: str, who: str = '', as_of: datetime | None = None",
}
_USUAL = "pipeline: str, as_of: datetime | None = None"

_FLOW = '''"""Stand-in for {name}: writes down that it ran."""

import json
import os
import subprocess
import time
import uuid
from datetime import datetime
from pathlib import Path

from prefect import flow, task


@task(name="first")
def first(given: dict) -> None:
    """Leave a file in HOME/ran: when, where, and with what."""
    now = time.time()
    folder = Path(os.environ["DRIFTWHEEL_HOME"]) / "ran"
    folder.mkdir(exist_ok=True)
    said = {{"at": now, "flow": "{name}", "file": __file__, "cwd": os.getcwd(),
            "pid": os.getpid(), "given": given}}
    unfinished = folder / f"{{uuid.uuid4()}}.new"
    unfinished.write_text(json.dumps(said, default=str))
    unfinished.rename(unfinished.with_suffix(".json"))


@flow(name="{name}")
def {name}({parameters}) -> None:
    """Stand in for {name}."""
    first(dict(locals()))
    if "{name}" == "train":  # long, and with a process of its own below it
        subprocess.run(["sleep", "120"], check=True)
'''

_PIPELINE = """source: {path: rows.csv}
time: at
target: y
label_delay: 1d
"""


def make_clone(clone: Path, folder: Path, pipelines: tuple[str, ...] = ("rides",)) -> Path:
    """Copy `clone` into `folder` with stand-ins for its flows, and give the folder."""
    ignored = shutil.ignore_patterns("__pycache__", "steps", *(f"{name}.py" for name in FLOWS))
    shutil.copytree(clone / "flows", folder / "flows", ignore=ignored)
    shutil.copytree(
        clone / "components", folder / "components", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in FLOWS:
        text = _FLOW.format(name=name, parameters=_PARAMETERS.get(name, _USUAL))
        (folder / "flows" / f"{name}.py").write_text(text, encoding="utf-8")
    (folder / "pipelines").mkdir()
    for name in pipelines:
        (folder / "pipelines" / f"{name}.yaml").write_text(_PIPELINE, encoding="utf-8")
    return folder


HOST = '''"""Run the servers of a home until told to stop: what `up` does, without its face."""

import json
import os
import sys
from pathlib import Path

from flows.servers import running
from flows.settings import load_settings


def say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\\n")
    sys.stdout.flush()


home, *pipelines = sys.argv[1:]
try:
    with running(
        load_settings(Path(home)),
        owner=os.environ.get("OWNER", "ours"),
        pipelines=pipelines,
        mlflow="MLFLOW" in os.environ,
        progress=lambda words: say(progress=words),
    ) as servers:
        say(api=servers.api_url, mlflow=servers.mlflow_url, ready=True,
            children={child.name: child.process.pid for child in servers.children})
        for line in sys.stdin:
            if line.strip() == "stop":
                break
            servers.check()
except KeyboardInterrupt:
    say(interrupted=True)
except Exception as problem:
    say(error=str(problem), kind=type(problem).__name__)
    raise SystemExit(1) from problem
say(stopped=True)
'''
