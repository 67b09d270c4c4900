"""The same data, seed and code give the same package: bikeshare's first training, over and over.

Each training runs in a process of its own, with another seed of Python's hashes, in a home of
its own that is a copy of one into which the data was ingested once.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from flows.steps.home import Home

TRAININGS = 20
PIPELINE = "bikeshare"
AS_OF = pd.Timestamp("2011-04-01", tz="UTC")

_ROOT = Path(__file__).resolve().parents[2]
_MOST_SECONDS = 600.0  # for one training


def measure(trainings: int = TRAININGS) -> dict[str, float]:
    """Train the same first model so many times, and count the digests that come out.

    Returns
    -------
    dict
        Flat: `trainings`; `tested_digests` and `served_digests`, how many different ones the
        packages of the twin and of the refit have (1 is wanted); `training_median_s`, the
        process included.

    """
    digests: list[dict[str, str]] = []
    seconds = []
    with tempfile.TemporaryDirectory(prefix="driftwheel-reproducing-") as work:
        ingested = Path(work) / "ingested"
        _ingest(ingested)
        for number in range(trainings):
            own = Path(work) / "home"
            shutil.copytree(ingested, own)
            began = time.perf_counter()
            digests.append(_train_elsewhere(own, hash_seed=number))
            seconds.append(time.perf_counter() - began)
            shutil.rmtree(own)
    return {
        "trainings": float(trainings),
        "tested_digests": float(len({one["tested"] for one in digests})),
        "served_digests": float(len({one["served"] for one in digests})),
        "training_median_s": statistics.median(seconds),
    }


def _open(root: Path) -> "Home":
    from flows.steps.home import Home

    database = f"sqlite:///{root / 'mlruns' / 'mlflow.db'}"
    return Home(
        root=root,
        lake_uri=str(root / "lake"),
        ledger_url=f"sqlite:///{root / 'ledger.db'}",
        tracking_uri=database,
        registry_uri=database,
        prefix="",
        environment="benchmark",
        pipeline_folders=(_ROOT / "pipelines",),
    )


def _ingest(root: Path) -> None:
    from flows.steps.ingesting import ingest

    home = _open(root)
    # The ledger's id salts the digest of the rows: it has to be there before the copies are made.
    assert home.ledger.ledger_id
    ingest(home.lake, home.pipeline(PIPELINE), as_of=AS_OF)
    home.ledger.close()


def _train_elsewhere(root: Path, *, hash_seed: int) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training.reproducing", str(root)],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=_MOST_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"a training ended with code {done.returncode}: {done.stderr[-2000:]}")
    said: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return said


def train(root: Path) -> dict[str, str]:
    """Train in a home of its own; the digests of what was tested and of what serves."""
    from flows.steps import everyday

    home = _open(root)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    pipeline = home.pipeline(PIPELINE)
    everyday.train(home, pipeline, as_of=AS_OF, clock=lambda: now, holder="here", who="benchmark")
    versions = home.registry.versions(PIPELINE)
    found = {one.tags["driftwheel.role"]: str(one.digest) for one in versions}
    return {"tested": found["tested"], "served": found["served"]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(train(Path(sys.argv[1]))) + "\n")
