import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.models.contract import InputContract
from components.models.fitting import fit
from components.packages.golden import golden_rows
from components.packages.writing import write_package
from components.stores.registry import Registry
from flows import children
from flows.living import answers


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    from flows.settings import silence_telemetry

    kept = dict(os.environ)
    silence_telemetry()
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(scope="session")
def rows():
    draw = np.random.default_rng(1)
    return pd.DataFrame(
        {"temp": draw.normal(size=60), "weather": draw.choice(["clear", "rain"], 60)}
    )


@pytest.fixture(scope="session")
def fitted(rows):
    contract = InputContract((("temp", "number"), ("weather", "category")))
    target = rows["temp"] * 2
    return fit(rows, target, family="linear", contract=contract, task="regression", seed=0)


@pytest.fixture(scope="session")
def package(tmp_path_factory, rows, fitted):
    folder = tmp_path_factory.mktemp("packages") / "package"
    golden = golden_rows(rows, fitted.contract, seed=0)
    write_package(folder, fitted, golden=golden, reference=rows, about={"pipeline": "bike"})
    return folder


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """MLflow's migrations take two seconds: they run once, and the file is copied."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    Registry(uri, owner="nobody", artifacts=folder / "unused").moved_from()
    return folder / "mlflow.db"


@pytest.fixture
def home(home, empty_database):
    """A home with an empty MLflow database."""
    (home / "mlruns").mkdir()
    shutil.copy(empty_database, home / "mlruns" / "mlflow.db")
    return home


def open_home(folder: Path, **options) -> Registry:
    uri = f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}"
    return Registry(uri, owner="us", artifacts=folder / "mlruns" / "artifacts", **options)


@pytest.fixture
def open_registry():
    return open_home


@dataclass(frozen=True)
class Server:
    uri: str


@pytest.fixture(scope="session")
def server(tmp_path_factory, empty_database):
    """Start a real MLflow server on a free port of the loopback; it does not outlive us."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "mlflow.db")
    port = children.free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    child = children.start(
        "MLflow", command, environment=environment, cwd=folder, log=folder / "log"
    )
    try:
        uri = f"http://127.0.0.1:{port}"
        children.wait_for(child, lambda: answers(f"{uri}/health"), patience=180)
        yield Server(uri)
    finally:
        children.stop([child])


@pytest.fixture(params=["database", "server"])
def registry(request, tmp_path):
    """The same promises, with a database of our own and with somebody's server."""
    if request.param == "database":
        return open_home(request.getfixturevalue("home"))
    served = request.getfixturevalue("server")
    # One server for all tests: each has a prefix of its own.
    prefix = f"t{abs(hash(request.node.name)) % 10**9}-"
    return Registry(served.uri, prefix=prefix, owner="us", artifacts=tmp_path / "unused")
