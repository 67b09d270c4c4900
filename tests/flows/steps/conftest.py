"""A small pipeline under care: homes in which it was ingested, and trained, once a run."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.pipelines import Pipeline
from components.stores.registry import Registry
from flows.settings import silence_telemetry
from flows.steps import everyday
from flows.steps.home import Home
from flows.steps.ingesting import ingest

FIRST = pd.Timestamp("2024-01-01", tz="UTC")
CHANGE = 70  # from this day on the world is another one

PIPELINE = """
source: {path: bikes.csv}
time: at
target: count
task: regression
label_delay: 1d
columns: {heat: number, weather: category}
candidates: [linear]
window: last 14d
holdout: {least_rows: 40, most: 14d}
gate: {margin: 0.02, level: 0.05, block: 1d}
monitor: {window: 7d, least_rows: 10}
policy: {kind: drift, share: 0.5, needed: 2, of: 3, cooldown: 14d}
seed: 3
"""

SHADOW = {"mode": "shadow", "margin": 0.02, "level": 0.05, "block": "6h"}


def day(number: float) -> pd.Timestamp:
    """Give a moment of the small world, in days from its first event."""
    return (FIRST + pd.Timedelta(days=number)).as_unit("us")


def world(days: int = 140) -> pd.DataFrame:
    """Make eight rows a day; from day 70 on it is hotter, and heat keeps riders away."""
    chance = np.random.default_rng(7)
    at = pd.date_range(FIRST, periods=days * 8, freq="3h")
    later = np.arange(len(at)) >= CHANGE * 8
    heat = chance.normal(size=len(at)) + np.where(later, 3.0, 0.0)
    weather = chance.choice(["clear", "rain"], len(at))
    count = 100 + 10 * heat - 5 * (weather == "rain") + chance.normal(size=len(at))
    count = np.where(later, 100 - 10 * heat, count)
    rows = pd.DataFrame({"at": at.strftime("%Y-%m-%dT%H:%M:%S"), "heat": heat.round(4)})
    rows["weather"] = weather
    rows["count"] = pd.Series(count.round(3), dtype=object)
    rows.loc[5, "count"] = None  # nobody ever counted that one
    return rows


class Clock:
    """A wall clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now

    def pass_by(self, span: timedelta) -> None:
        """Let time go by."""
        self.now += span


@dataclass
class Care:
    """A home with one pipeline, and the steps on it in few words."""

    home: Home
    pipeline: Pipeline
    clock: Clock = field(default_factory=Clock)

    @property
    def ledger(self) -> Any:
        """The home's ledger."""
        return self.home.ledger

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.pipeline.name

    def write(self, rows: pd.DataFrame) -> None:
        """Let the source hold these rows."""
        rows.to_csv(self.pipeline.source_path, index=False)

    def change(self, **fields: Any) -> None:
        """Let the pipeline file say something else."""
        self.pipeline = Pipeline.model_validate(
            {**self.pipeline.model_dump(), "file": self.pipeline.file, **fields}
        )

    def ingest(self, as_of: pd.Timestamp) -> Any:
        """Ingest as of a moment."""
        return ingest(self.home.lake, self.pipeline, as_of=as_of)

    def train(self, as_of: pd.Timestamp, **more: Any) -> Any:
        """Train as of a moment, here."""
        given = {"clock": self.clock, "holder": "here", "who": "Ada", **more}
        return everyday.train(self.home, self.pipeline, as_of=as_of, **given)

    def ask(self, as_of: pd.Timestamp, why: str = "") -> Any:
        """Write a request."""
        return everyday.request_training(
            self.home, self.pipeline, as_of=as_of, clock=self.clock, who="Ada", why=why
        )

    def carry(self, request_id: str, **more: Any) -> Any:
        """Carry a request out."""
        given = {"clock": self.clock, "holder": "here", "who": "Ada", **more}
        return everyday.retrain(self.home, self.pipeline, request_id, **given)

    def rows(self, table: str) -> pd.DataFrame:
        """Read a table."""
        from components.records import to_frame

        return to_frame(self.home.lake.read(self.name, table))

    def mlflow_run(self, run_id: str) -> Any:
        """Read a run of MLflow."""
        return self.home.registry._client.get_run(run_id)


def open_care(root: Path) -> Care:
    """Open the small home in a folder."""
    file = root / "pipelines" / "bikes.yaml"
    if not file.is_file():
        file.parent.mkdir(parents=True)
        file.write_text(PIPELINE, encoding="utf-8")
    database = f"sqlite:///{root / 'mlruns' / 'mlflow.db'}"
    home = Home(
        root=root,
        lake_uri=str(root / "lake"),
        ledger_url=f"sqlite:///{root / 'ledger.db'}",
        tracking_uri=database,
        registry_uri=database,
        prefix="",
        environment="test",
        pipeline_folders=(root / "pipelines",),
    )
    return Care(home, home.pipeline("bikes"))


@pytest.fixture(scope="package", autouse=True)
def _telemetry_off() -> Iterator[None]:
    kept = dict(os.environ)
    silence_telemetry()
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(scope="package")
def _ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home that holds 60 days, and an MLflow database whose migrations are done."""
    root = tmp_path_factory.mktemp("ingested") / "home"
    care = open_care(root)
    care.write(world())
    care.ingest(day(60))
    uri = care.home.tracking_uri
    Registry(uri, owner="nobody", artifacts=root / "unused").moved_from()
    care.ledger.close()
    return root


@pytest.fixture(scope="package")
def _trained(_ingested: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train once, as of day 60: version 1 was tested, version 2 serves."""
    root = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(_ingested, root)
    care = open_care(root)
    assert care.train(day(60)).what == "promoted"
    care.ledger.close()
    return root


@pytest.fixture(scope="package")
def _retrained(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train again, as of day 100, when the world has changed: version 4 serves."""
    root = tmp_path_factory.mktemp("retrained") / "home"
    shutil.copytree(_trained, root)
    care = open_care(root)
    care.ingest(day(100))
    assert care.train(day(100)).what == "promoted"
    care.ledger.close()
    return root


@pytest.fixture(scope="package")
def _proposed(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let the gate promote version 4 as of day 100, which Ada or Bob has to approve."""
    root = tmp_path_factory.mktemp("proposed") / "home"
    shutil.copytree(_trained, root)
    care = open_care(root)
    care.ingest(day(100))
    care.change(mode="propose", approvers=("Ada", "Bob"))
    assert care.train(day(100), who="Eve").what == "wait"
    care.ledger.close()
    return root


@pytest.fixture(scope="package")
def _shadowed(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let version 3, trained as of day 100, answer in shadow beside version 2."""
    root = tmp_path_factory.mktemp("shadowed") / "home"
    shutil.copytree(_trained, root)
    care = open_care(root)
    care.ingest(day(100))
    care.change(gate=SHADOW)
    assert care.train(day(100)).what == "wait"
    care.ledger.close()
    return root


@pytest.fixture
def proposed(_proposed: Path, tmp_path: Path) -> Care:
    """Give a home of one's own in which version 4 waits for Ada or Bob."""
    care = open_care(shutil.copytree(_proposed, tmp_path / "proposed"))
    care.change(mode="propose", approvers=("Ada", "Bob"))
    return care


@pytest.fixture
def shadowed(_shadowed: Path, tmp_path: Path) -> Care:
    """Give a home of one's own in which version 3 answers in shadow."""
    care = open_care(shutil.copytree(_shadowed, tmp_path / "shadowed"))
    care.change(gate=SHADOW)
    return care


@pytest.fixture
def fresh(_ingested: Path, tmp_path: Path) -> Care:
    """Give a home of one's own in which nothing was ingested."""
    shutil.copytree(_ingested / "mlruns", tmp_path / "home" / "mlruns")
    return open_care(tmp_path / "home")


@pytest.fixture
def care(_ingested: Path, tmp_path: Path) -> Care:
    """Give a home of one's own that holds 60 days; nothing was decided."""
    return open_care(shutil.copytree(_ingested, tmp_path / "home"))


@pytest.fixture
def trained(_trained: Path, tmp_path: Path) -> Care:
    """Give a home of one's own whose first model took charge on day 60."""
    return open_care(shutil.copytree(_trained, tmp_path / "trained"))


@pytest.fixture
def retrained(_retrained: Path, tmp_path: Path) -> Care:
    """Give a home of one's own whose second model took charge on day 100."""
    return open_care(shutil.copytree(_retrained, tmp_path / "retrained"))


@pytest.fixture(scope="package", name="day")
def _day() -> Callable[[float], pd.Timestamp]:
    return day


@pytest.fixture(scope="package", name="world")
def _world() -> Callable[..., pd.DataFrame]:
    return world
