"""Data faults over history, in virtual time: the same looks as the live loop takes."""

from dataclasses import dataclass, field

import pandas as pd

from components.faults import Fault
from components.known_faults import (
    AUTO,
    CLEAN,
    STAYED,
    Faults,
    KnownFault,
    ended,
    ended_in_words,
    faults_at,
    fold,
    in_words,
    over_at,
    stayed_at,
)
from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME
from flows.steps.diagnosing import Seen, accepted_by, judged_since, read_since, still_marked
from flows.steps.past import Past


@dataclass(frozen=True, slots=True)
class Looked:
    """What was known after the look at a moment, and what that look said.

    Attributes
    ----------
    at : Timestamp
    known : tuple of KnownFault
    found, ended : tuple of (str, str)
        Key and words of each fault that was new, and of each that ended by itself.

    """

    at: pd.Timestamp
    known: tuple[KnownFault, ...] = ()
    found: tuple[tuple[str, str], ...] = ()
    ended: tuple[tuple[str, str], ...] = ()

    def faults(self, pipeline: Pipeline) -> Faults:
        """Sum up what stands."""
        return faults_at(self.known, self.at, window=pipeline.monitor.window)


@dataclass(slots=True)
class PastFaults:
    """The looks of a replay, each taken once, whatever number of policies ask for it.

    A look goes on from the one before it on the grid of `start` and the ends of the windows,
    so that what it sees does not depend on who asked for what before.
    """

    past: Past
    pipeline: Pipeline
    anchor: pd.Timestamp
    start: pd.Timestamp
    _looks: dict[pd.Timestamp, Looked] = field(default_factory=dict)

    def look(self, moment: pd.Timestamp) -> Looked:
        """Look at a moment."""
        todo: list[pd.Timestamp] = []
        before: pd.Timestamp | None = moment
        while before is not None and before not in self._looks:
            todo.append(before)
            before = self._before(before)
        last = None if before is None else self._looks[before]
        for one in reversed(todo):
            last = self._looks[one] = self._take(one, last)
        return self._looks[moment]

    def aside(self, moment: pd.Timestamp) -> tuple[Fault, ...]:
        """List the faults whose rows are set aside at a moment."""
        return self.look(moment).faults(self.pipeline).aside

    def since(self, moment: pd.Timestamp, after: pd.Timestamp | None) -> list[Looked]:
        """Give the looks later than `after`, oldest first; that at `moment` is the last."""
        looks: list[Looked] = []
        at: pd.Timestamp | None = moment
        while at is not None and (after is None or at > after):
            looks.append(self.look(at))
            at = self._before(at)
        return looks[::-1]

    def _before(self, moment: pd.Timestamp) -> pd.Timestamp | None:
        """Find the moment of the grid before one; None at its start."""
        if moment <= self.start:
            return None
        width = pd.Timedelta(self.pipeline.monitor.window)
        steps = -(-(moment - self.anchor) // width) - 1
        return max(self.start, self.anchor + steps * width)

    def _take(self, moment: pd.Timestamp, last: Looked | None) -> Looked:
        known = () if last is None else last.known
        seen = self._seen(moment, None if last is None else last.at, known)
        found = seen.faults(self.pipeline, as_of=moment)
        after = fold(known, found, as_of=moment, count=seen.count)
        before = {one.key for one in known}
        new = [one for one in after if one.key not in before]
        over = over_at(sorted(after, key=_since), moment, window=self.pipeline.monitor.window)
        gone = {one.key: ended(one, "discarded", who=AUTO, why=CLEAN, as_of=moment) for one in over}
        stayed = stayed_at(
            sorted(after, key=_since),
            moment,
            window=self.pipeline.monitor.window,
            reference=self.pipeline.diagnosis.reference,
        )
        for one in stayed:
            gone[one.key] = ended(one, "accepted", who=AUTO, why=STAYED, as_of=moment)
        come = seen.come(sorted(after, key=_since), found, moment)
        for one, why in come:
            gone[one.key] = ended(one, "reingested", who=AUTO, why=why, as_of=moment)
        return Looked(
            at=moment,
            known=tuple(gone.get(one.key, one) for one in after),
            found=tuple((one.key, in_words(one.fault)) for one in new),
            ended=(
                *(
                    (key, ended_in_words(one.fault, one.state, one.why))
                    for key, one in gone.items()
                ),
            ),
        )

    def _seen(
        self, moment: pd.Timestamp, last: pd.Timestamp | None, known: tuple[KnownFault, ...]
    ) -> Seen:
        records, labels = self.past.records_known(moment), self.past.labels_known(moment)
        quarantine = self.past.quarantine
        told = quarantine[KNOWN_TIME]
        quarantine = quarantine[(told <= moment) | told.isna()]
        taken = self._taken()
        if last is None:
            return Seen(records, labels, quarantine, taken=taken)
        since = read_since(self.pipeline, last, known, moment)
        records, labels = (rows[rows[EVENT_TIME] >= since] for rows in (records, labels))
        judged = judged_since(records, labels, self.pipeline, last=last)
        marked, accepted = still_marked(known, moment), accepted_by(known, moment)
        return Seen(records, labels, quarantine, judged, marked, accepted, taken)

    def _taken(self) -> pd.Timestamp | None:
        """Say when the last record was known: that none came later is the end of the history."""
        newest = self.past.scored[KNOWN_TIME].max()
        return None if pd.isna(newest) else newest


def _since(one: KnownFault) -> tuple[pd.Timestamp, str]:
    return one.fault.since, one.key
