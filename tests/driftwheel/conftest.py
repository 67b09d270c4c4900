"""What tests of the command line ask for by name."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.pipelines import Pipeline, read_pipeline
from components.sources import deliver, resolve
from components.stores.registry import Registry
from driftwheel.app import run
from flows.opening import open_home
from flows.settings import load_settings, silence_telemetry
from flows.steps import everyday, ingesting

OURS = ("DRIFTWHEEL_", "PREFECT_", "SHOP")


@dataclass
class Said:
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Read standard output as one JSON document."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def words(self) -> str:
        """Give standard error on one line; without a traceback."""
        assert "Traceback" not in self.err
        return " ".join(self.err.split())

    def left_out(self, column: str) -> str:
        """Give the reason for which `init` left a column out; empty where it did not."""
        return next((x["reason"] for x in self.json["left_out"] if x["column"] == column), "")

    def noticed(self, word: str) -> str:
        """Give the line of what `init` noticed that holds a word; empty where none does."""
        return next((line for line in self.json["noticed"] if word in line), "")


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """Take back what a command does to the environment; no home of the developer's."""
    kept = dict(os.environ)
    for name in [name for name in kept if name.startswith(OURS)]:
        if name != "DRIFTWHEEL_DATASETS":
            del os.environ[name]
    silence_telemetry()
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command here, as the console script does."""

    def command(*words: str | Path) -> Said:
        capsys.readouterr()
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return command


# --- init -----------------------------------------------------------------------------------------


@pytest.fixture
def init(home: Path, say: Callable[..., Said]) -> Callable[..., Said]:
    """Run `init` in an empty home, with --json unless told otherwise.

    Of rides, unless told otherwise: what is usual there is filled in.
    """

    def command(
        name: str, data: str | Path, *words: str | Path, json: bool = True, **usual: str | None
    ) -> Said:
        options = {"time": "at", "target": "count", "label_delay": "1h", **usual}
        given = {f"--{key.replace('_', '-')}": value for key, value in options.items()}
        told = [part for pair in given.items() if pair[1] is not None for part in pair]
        return say("--home", home, "init", name, "--data", data, *told, *words, *["--json"] * json)

    return command


@pytest.fixture
def text_of(home: Path) -> Callable[[str], str]:
    """Give the text of a pipeline file that was written."""
    return lambda name: (home / "pipelines" / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.fixture
def written(home: Path) -> Callable[[str], Pipeline]:
    """Read a pipeline that was written, as every command does."""
    return lambda name: read_pipeline(
        home / "pipelines" / f"{name}.yaml", load_settings(home).place
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an MLflow database whose migrations are done, once: they take seconds."""
    root = tmp_path_factory.mktemp("template") / "mlruns"
    root.mkdir()
    uri = f"sqlite:///{root / 'mlflow.db'}"
    Registry(uri, owner="nobody", artifacts=root / "unused").moved_from()
    return root


@pytest.fixture
def ingest_from(home: Path) -> Callable[[Said], Any]:
    """Ingest as the flow does, at the moment that `init` names."""

    def ingested(said: Said) -> Any:
        opened = open_home(load_settings(home))
        pipeline = opened.pipeline(said.json["pipeline"])
        end = moment_of(said, "ingest")
        done = ingesting.ingest(opened.lake, resolve(pipeline), as_of=end)
        opened.ledger.close()
        return done

    return ingested


@pytest.fixture
def train_from(home: Path, runs: Path) -> Callable[..., Any]:
    """Ingest and train as the flows do, without a server, at the moment that `init` names."""

    def trained(said: Said, moment: str = "") -> Any:
        shutil.copytree(runs, home / "mlruns")
        opened = open_home(load_settings(home))
        end = pd.Timestamp(moment, tz="UTC").as_unit("us") if moment else moment_of(said, "train")
        pipeline = opened.pipeline(said.json["pipeline"])
        assert len(deliver(pipeline, as_of=end).records)
        done = ingesting.ingest(opened.lake, resolve(pipeline), as_of=end)
        assert done.records > 0
        assert done.labels > 0
        decision = everyday.train(
            opened,
            pipeline,
            as_of=end,
            clock=lambda: datetime(2030, 1, 1, tzinfo=UTC),
            holder="here",
            who="Ada",
        )
        opened.ledger.close()
        return decision

    return trained


def moment_of(said: Said, step: str) -> pd.Timestamp:
    """Read the moment of the next command that `init` names."""
    command = next(line.split() for line in said.json["next"] if f" {step} " in line)
    assert command[-4:-1] == [step, said.json["pipeline"], "--as-of"]
    return pd.Timestamp(command[-1], tz="UTC").as_unit("us")


@pytest.fixture
def rides() -> Callable[..., pd.DataFrame]:
    """Make a table such as people have: rides every three hours, weather and the hour."""

    def made(days: int = 150, seed: int = 3) -> pd.DataFrame:
        chance = np.random.default_rng(seed)
        at = pd.date_range("2024-01-01", periods=days * 8, freq="3h")
        heat = chance.normal(15, 6, len(at)).round(2)
        sky = chance.choice(["clear", "rain", "snow"], len(at), p=[0.7, 0.25, 0.05])
        count = (60 + 3 * heat + 25 * (at.hour.to_numpy() // 12) - 20 * (sky == "rain")).round()
        count = count + chance.normal(0, 4, len(at)).round()
        return pd.DataFrame(
            {"at": at, "ride": np.arange(len(at)) + 1000, "hour": at.hour, "heat": heat, "sky": sky}
        ).assign(count=count)

    return made


@pytest.fixture
def rides_file(home: Path, rides: Callable[..., pd.DataFrame]) -> Callable[..., Path]:
    """Write forty days of rides, with some columns changed."""

    def file(**changes: Any) -> Path:
        rides(40).assign(**changes).to_csv(home / "rides.csv", index=False)
        return home / "rides.csv"

    return file
