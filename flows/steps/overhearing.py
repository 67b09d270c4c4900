"""What the source says now of one data fault, overheard while an ingest reads it: read once."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from components.checks import LABEL_KNOWN
from components.faults import Fault
from components.pipelines import Pipeline
from components.records import KNOWN_TIME, LABEL, RECORD_ID
from flows.steps.arriving import CheckedRows, Checks, LabelChecks, RecordChecks
from flows.steps.diagnosing import of_fault

if TYPE_CHECKING:
    from components.sources import Part

_NAMES = [RECORD_ID, "column", "rule", "row"]


@dataclass
class Heard:
    """What is overheard of a fault.

    Attributes
    ----------
    fault : Fault
    ids : frozenset of str
        The records of its stretch, for labels that have no event time of their own.
    latest : Timestamp
        Versions that are known later are not listened to.
    said : set of tuple
        The lines about it, as the source gives them now.
    newest : Timestamp or None
        When the newest version of a row of its stretch was known, by `latest`, whether the
        ingest takes it or leaves it for later.

    """

    fault: Fault
    ids: frozenset[str]
    latest: pd.Timestamp
    said: set[tuple[object, ...]] = field(default_factory=set)
    newest: pd.Timestamp | None = None

    def around(self, checks: Checks, own: bool, pipeline: Pipeline) -> Checks:
        """Listen to the checks of a source; `own`: to those of the table of labels."""
        later: Checks | None = None
        if own and self.fault.column == pipeline.target:
            later = LabelChecks(pipeline, self.latest)
        elif not own and (pipeline.updated is not None or self.fault.column == pipeline.target):
            later = RecordChecks(pipeline, self.latest)
        return _Overhearing(checks, self, later, of_labels=self.fault.column == pipeline.target)

    def still(self, lines: pd.DataFrame) -> pd.DataFrame:
        """Leave out the old lines about the fault that the source says no more."""
        its_own = of_fault(lines, self.fault)
        if not its_own.any():
            return lines
        said = pd.Series([row in self.said for row in _plain(lines)], lines.index)
        return lines[~its_own | said].reset_index(drop=True)

    def hear_lines(self, lines: pd.DataFrame) -> pd.DataFrame:
        """Remember the lines about it; gives them as they are."""
        if len(lines):
            self.said.update(_plain(lines[of_fault(lines, self.fault)]))
        return lines

    def hear_rows(self, rows: pd.DataFrame, known: pd.Series) -> None:
        """Remember when the newest version of a row of its stretch was known."""
        inside = self.fault.covers(rows) | rows[RECORD_ID].isin(self.ids).to_numpy(dtype=bool)
        times = known[inside & (known <= self.latest).to_numpy(dtype=bool)]
        if len(times):
            newest = pd.Timestamp(times.max()).as_unit("us")
            self.newest = newest if self.newest is None else max(self.newest, newest)


class _Overhearing:
    """Checks that pass on everything as it is."""

    def __init__(
        self, checks: Checks, heard: Heard, later: Checks | None, *, of_labels: bool
    ) -> None:
        self.schema = checks.schema
        self._checks, self._heard, self._later = checks, heard, later
        self._of_labels = of_labels

    @property
    def absent(self) -> frozenset[str]:
        """The features that no part has had so far."""
        return self._checks.absent

    def begin(self, part: "Part") -> None:
        """See that a part has the columns that nothing can be done without."""
        self._checks.begin(part)

    def check(self, raw: pd.DataFrame) -> CheckedRows:
        """Check rows, each by itself."""
        if self._later is not None:
            rows, _, _, _ = self._later.check(raw)
            self._heard.hear_rows(rows, self._known(rows))
        rows, lines, extent, left = self._checks.check(raw)
        return rows, self._heard.hear_lines(lines), extent, left

    def end(self) -> pd.DataFrame:
        """Finish a part."""
        return self._heard.hear_lines(self._checks.end())

    def close(self) -> None:
        """Finish the source."""
        self._checks.close()

    def settle(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Settle rows that claim the same records."""
        good, lines = self._checks.settle(rows)
        return good, self._heard.hear_lines(lines)

    def _known(self, rows: pd.DataFrame) -> pd.Series:
        """Say when each row was known; of labels beside their records, when the label was."""
        if self._of_labels and LABEL_KNOWN in rows:
            return rows[LABEL_KNOWN].where(rows[LABEL].notna())
        return rows[KNOWN_TIME]


def _plain(lines: pd.DataFrame) -> list[tuple[object, ...]]:
    asked = lines[_NAMES].astype(object)
    return list(asked.where(asked.notna(), None).itertuples(index=False, name=None))
