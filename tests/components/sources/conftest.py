"""A pipeline over any source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.pipelines import Pipeline


@pytest.fixture
def pipeline_over(tmp_path: Path) -> Callable[..., Pipeline]:
    """Make a pipeline whose file lies in HOME/pipelines; `source` is relative to it."""

    def making(source: dict[str, Any], **changes: Any) -> Pipeline:
        given = {
            "name": "shop",
            "source": source,
            "time": "at",
            "target": "count",
            "label_delay": "1d",
            "file": tmp_path / "pipelines" / "shop.yaml",
            **changes,
        }
        return Pipeline.model_validate(given)

    (tmp_path / "pipelines").mkdir()
    return making
