"""Keep the tables quick to read: merge small files. Nothing is removed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.pipelines import Pipeline

if TYPE_CHECKING:
    from flows.steps.home import Home

TABLES = ("records", "labels", "predictions", "quarantine", "measurements")


@dataclass(frozen=True, slots=True)
class Maintained:
    """Files merged, by table."""

    merged: dict[str, int]


def maintain(home: "Home", pipeline: Pipeline) -> Maintained:
    """Compact every table of a pipeline; old versions stay readable."""
    there = [table for table in TABLES if home.lake.exists(pipeline.name, table)]
    return Maintained({table: home.lake.compact(pipeline.name, table) for table in there})
