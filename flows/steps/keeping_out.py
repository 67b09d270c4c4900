"""Keep out what the source still has and we must not: erased people, and what is past `retain`."""

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, RECORD_ID
from flows.steps.arriving import CheckedRows, Checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from components.sources import Part
    from flows.steps.erased import Erased


def without_erased(batch: pa.RecordBatch, told: "Erased", pipeline: Pipeline) -> pa.RecordBatch:
    """Leave the rows of erased people out of a batch of records or labels."""
    names = [RECORD_ID, *([pipeline.entity] if pipeline.entity in batch.schema.names else [])]
    rows = batch.select(names).to_pandas()
    out = _erased_rows(rows, told, pipeline)
    return batch.filter(pa.array(~out)) if out.any() else batch


def lines_without_erased(lines: pd.DataFrame, told: "Erased", pipeline: Pipeline) -> pd.DataFrame:
    """Leave the lines about erased people out of what goes to quarantine."""
    if lines.empty:
        return lines
    out = told.mask(lines[RECORD_ID]) | _named(lines, told, pipeline)
    return lines[~out].reset_index(drop=True) if out.any() else lines


class KeepingOut:
    """Checks that pass on less: nothing of erased people, nothing from before `retain`.

    Parameters
    ----------
    checks : Checks
        What judges the rows.
    told : Erased
        Whom to leave out.
    pipeline : Pipeline
        Names the columns of id and entity, and how long rows are kept.
    as_of : Timestamp
        What is older than `retain` by then is not taken in: `maintain` would delete it again.

    """

    def __init__(
        self, checks: Checks, told: "Erased", pipeline: Pipeline, as_of: pd.Timestamp
    ) -> None:
        self.schema = checks.schema
        self._checks, self._told, self._pipeline = checks, told, pipeline
        self._floor = None if pipeline.retain is None else as_of - pipeline.retain

    @property
    def absent(self) -> frozenset[str]:
        """The features that no part has had so far."""
        return self._checks.absent

    def begin(self, part: "Part") -> None:
        """See that a part has the columns that nothing can be done without."""
        self._checks.begin(part)

    def check(self, raw: pd.DataFrame) -> CheckedRows:
        """Check rows, each by itself."""
        rows, lines, extent, left = self._checks.check(raw)
        if self._told:
            out = _erased_rows(rows, self._told, self._pipeline)
            rows = rows[~out].reset_index(drop=True) if out.any() else rows
            lines = lines_without_erased(lines, self._told, self._pipeline)
        return self._kept(rows), self._kept(lines), extent, left

    def end(self) -> pd.DataFrame:
        """Finish a part."""
        return self._checks.end()

    def close(self) -> None:
        """Finish the source."""
        self._checks.close()

    def settle(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Settle rows that claim the same records."""
        return self._checks.settle(rows)

    def _kept(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Leave out what is past `retain`; what names no moment of its own goes by when known."""
        if self._floor is None or rows.empty:
            return rows
        old = rows[EVENT_TIME].fillna(rows[KNOWN_TIME]) < self._floor
        return rows[~old].reset_index(drop=True) if old.any() else rows


def _erased_rows(rows: pd.DataFrame, told: "Erased", pipeline: Pipeline) -> "NDArray[np.bool_]":
    entity = pipeline.entity
    return told.mask(rows[RECORD_ID], rows[entity] if entity in rows.columns else None)


def _named(lines: pd.DataFrame, told: "Erased", pipeline: Pipeline) -> "NDArray[np.bool_]":
    """Mark the lines whose row, kept as JSON, names an erased id or entity."""
    rows = [json.loads(text) if isinstance(text, str) else {} for text in lines["row"]]
    found = np.zeros(len(lines), dtype=bool)
    theirs = pipeline.labels.id if pipeline.labels is not None else None
    for column in filter(None, (pipeline.id, theirs)):
        found |= told.mask(_texts(rows, column))
    if pipeline.entity:
        found |= told.mask(None, _texts(rows, pipeline.entity))
    return found


def _texts(rows: list[dict[str, object]], column: str) -> pd.Series:
    values = (row.get(column) for row in rows)
    return pd.Series([None if value is None else str(value) for value in values], dtype="str")
