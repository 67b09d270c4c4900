"""What tests of every package ask for by name."""

import os
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers; `--strict-markers` refuses any other."""
    config.addinivalue_line("markers", "slow: takes more than about 20 seconds; starts first")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the slow files first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def clone() -> Path:
    """Give the repository's root."""
    return CLONE


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty home, with no setting of the developer's own shining through."""
    for name in [name for name in os.environ if name.startswith("DRIFTWHEEL_")]:
        if name != "DRIFTWHEEL_DATASETS":
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def datasets() -> Path:
    """Give the folder of data sets that are not shipped; skip, by name, where it is absent."""
    folder = Path(os.environ.get("DRIFTWHEEL_DATASETS", CLONE.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"data sets: {folder} is absent; set DRIFTWHEEL_DATASETS")
    return folder
