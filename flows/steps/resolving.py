"""End a data fault as a person says: mended in the source, the new normal, or out for ever.

When it ends is told by the data, as everything else: at the moment by which the rows that mended
it were known, never at that of the command.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from components.errors import InvalidInputError
from components.faults import Fault
from components.ingests import INGESTS, reading_of
from components.known_faults import KnownFault, choose_open
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABELS,
    RECORD_ID,
    RECORDS,
    to_frame,
)
from flows.steps.diagnosing import ingested_until, last_look, look_for_faults, see
from flows.steps.leasing import Clock
from flows.steps.overhearing import Heard
from flows.steps.refusals import require_rows_let_in

if TYPE_CHECKING:
    from flows.steps.home import Home

_A_LITTLE = pd.Timedelta("1ms")
"""A second correction as of the same moment is known a microsecond after the first."""


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """What it brought to read the source again.

    Attributes
    ----------
    known : KnownFault
        The fault, ended or still open.
    gone : bool
    as_of : Timestamp
        What was known by then was read, and looked at.
    records, corrected, labels : int
        Records that the source held; those that came in a new version; labels that are new.

    """

    known: KnownFault
    gone: bool
    as_of: pd.Timestamp
    records: int = 0
    corrected: int = 0
    labels: int = 0

    def in_words(self) -> str:
        """Say what was read."""
        moment = f"{self.as_of:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
        return (
            f"read as of {moment}: {self.records} records, {self.corrected} of them corrected, "
            f"{self.labels} new labels"
        )


def open_fault(
    home: "Home", pipeline: Pipeline, named: str, *, as_of: pd.Timestamp | None, clock: Clock
) -> KnownFault:
    """Find the open fault that a person means; looks for faults first where nobody has yet.

    Raises
    ------
    InvalidInputError
        If nothing was ingested yet, or `named` is not one open fault.

    """
    name = pipeline.name
    if not home.lake.exists(name, RECORDS):
        raise InvalidInputError(
            f"nothing of {name} was ingested yet, so no data fault is written down. Run "
            f"`driftwheel ingest {name}` and `driftwheel diagnose {name}` first; --as-of where "
            "the data is of another time than now"
        )
    if not home.ledger.faults(name):
        moment = as_of or ingested_until(home, pipeline)
        if moment is not None and last_look(home, pipeline, as_of=moment) is None:
            look_for_faults(home, pipeline, as_of=moment, clock=clock)
    return choose_open(home.ledger.faults(name), name, named)


def moment_of_data(home: "Home", pipeline: Pipeline, *, now: pd.Timestamp) -> pd.Timestamp:
    """Say which moment the data stands at: of the newest look, but of no later than was ingested.

    History that is ingested step by step has a time of its own, whatever the clock says.
    """
    looked = last_look(home, pipeline, as_of=now)
    known = [moment for moment in (looked, ingested_until(home, pipeline)) if moment is not None]
    return min([*known, now])


def read_again(
    home: "Home",
    pipeline: Pipeline,
    named: str,
    *,
    who: str,
    why: str,
    as_of: pd.Timestamp | None,
    now: pd.Timestamp,
    clock: Clock,
) -> ReadAgain:
    """Read the source again, and end a fault that a look at all of the data sees no more.

    It is read once; a second time only where the rows of the fault's stretch have versions that
    were known later than the moment of the data, and it is not gone without them.

    Parameters
    ----------
    as_of : Timestamp or None
        What was known by then is read. None: by the moment of the data; and where the rows of
        the fault's stretch have versions that were known later, by the newest of these.
    now : Timestamp
        The latest moment that counts.

    Raises
    ------
    InvalidInputError
        If `named` is not one open fault.
    SourceError, StoreUnreachableError
        If the source cannot be read.

    """
    one = open_fault(home, pipeline, named, as_of=as_of, clock=clock)
    moment = as_of or moment_of_data(home, pipeline, now=now)
    latest = now if as_of is None else as_of + _A_LITTLE
    done, heard = _read(home, pipeline, one, moment, latest)
    if not done.gone and heard.newest is not None and heard.newest > moment:
        # Rows that mend it were known later, and left out: they are read as of then.
        later, heard = _read(home, pipeline, one, heard.newest, latest)
        done = replace(
            later, corrected=done.corrected + later.corrected, labels=done.labels + later.labels
        )
    held = None if done.gone else _newest_held(home, pipeline, heard)
    if held is not None and held > done.as_of:
        # They came in just now, each a microsecond after the version that it corrects.
        seen = _is_seen(home, pipeline, one.fault, held, heard)
        done = replace(done, gone=not seen, as_of=held)
    if not done.gone:
        return done
    ended = home.ledger.end_fault(
        pipeline.name,
        one.key,
        how="reingested",
        who=who,
        why=f"{why} ({done.in_words()})",
        as_of=done.as_of,
        now=clock(),
    )
    return replace(done, known=ended)


def accept(
    home: "Home",
    pipeline: Pipeline,
    named: str,
    *,
    who: str,
    why: str,
    as_of: pd.Timestamp | None,
    now: pd.Timestamp,
    clock: Clock,
) -> KnownFault:
    """End a fault as the new normal; rows that the pipeline file lets in by now are read in.

    Raises
    ------
    InvalidInputError
        If `named` is not one open fault, or its rows stand in quarantine because the pipeline
        file calls their values impossible: nothing could return. Says what to change.

    """
    from flows.steps.ingesting import ingest

    one = open_fault(home, pipeline, named, as_of=as_of, clock=clock)
    moment = as_of or moment_of_data(home, pipeline, now=now)
    if not _was_read_so(home, pipeline):
        # The file was changed since: what it lets in now has to come in before it is accepted.
        ingest(home.lake, pipeline, as_of=moment, again=True)
    require_rows_let_in(home, pipeline, one.fault, as_of=moment)
    return home.ledger.end_fault(
        pipeline.name, one.key, how="accepted", who=who, why=why, as_of=moment, now=clock()
    )


def discard(
    home: "Home",
    pipeline: Pipeline,
    named: str,
    *,
    who: str,
    why: str,
    as_of: pd.Timestamp | None,
    now: pd.Timestamp,
    clock: Clock,
) -> KnownFault:
    """End a fault by leaving its rows out for ever.

    Raises
    ------
    InvalidInputError
        If `named` is not one open fault.

    """
    one = open_fault(home, pipeline, named, as_of=as_of, clock=clock)
    moment = as_of or moment_of_data(home, pipeline, now=now)
    return home.ledger.end_fault(
        pipeline.name, one.key, how="discarded", who=who, why=why, as_of=moment, now=clock()
    )


def _read(
    home: "Home",
    pipeline: Pipeline,
    one: KnownFault,
    moment: pd.Timestamp,
    latest: pd.Timestamp,
) -> tuple[ReadAgain, Heard]:
    """Ingest all that was known by a moment, and look whether the fault is still there."""
    from flows.steps.ingesting import ingest

    before = _versions(home, pipeline)
    heard = Heard(one.fault, _inside(home, pipeline, one.fault), latest)
    done = ingest(
        home.lake,
        pipeline,
        as_of=moment,
        again=True,
        around=lambda checks, own: heard.around(checks, own, pipeline),
    )
    read = ReadAgain(
        known=one,
        gone=not _is_seen(home, pipeline, one.fault, moment, heard),
        as_of=moment,
        records=done.records + done.already,
        corrected=_versions(home, pipeline) - before,
        labels=done.labels,
    )
    return read, heard


def _is_seen(
    home: "Home", pipeline: Pipeline, fault: Fault, moment: pd.Timestamp, heard: Heard
) -> bool:
    seen = see(home, pipeline, as_of=moment, last=None)
    seen = replace(seen, quarantine=heard.still(seen.quarantine))
    return any(_same(fault, found) for found in seen.faults(pipeline, as_of=moment))


def _inside(home: "Home", pipeline: Pipeline, fault: Fault) -> frozenset[str]:
    """Name the records of a fault's stretch that the lake holds."""
    stored = to_frame(home.lake.read(pipeline.name, RECORDS, columns=[RECORD_ID, EVENT_TIME]))
    return frozenset(stored.loc[fault.covers(stored), RECORD_ID])


def _newest_held(home: "Home", pipeline: Pipeline, heard: Heard) -> pd.Timestamp | None:
    """Say when the newest version that the lake holds of a row of the stretch was known."""
    table = LABELS if heard.fault.column == pipeline.target else RECORDS
    held = to_frame(home.lake.read(pipeline.name, table, columns=[RECORD_ID, KNOWN_TIME]))
    inside = held[RECORD_ID].isin(_inside(home, pipeline, heard.fault))
    known = held.loc[inside & (held[KNOWN_TIME] <= heard.latest), KNOWN_TIME]
    return None if known.empty else pd.Timestamp(known.max()).as_unit("us")


def _versions(home: "Home", pipeline: Pipeline) -> int:
    """Count the versions of records beyond the first of each."""
    if not home.lake.exists(pipeline.name, RECORDS):
        return 0
    asked = "select count(*) - count(distinct record_id) as later from this"
    return int(home.lake.open(pipeline.name, RECORDS).query(asked)["later"][0].as_py())


def _was_read_so(home: "Home", pipeline: Pipeline) -> bool:
    """Say whether the newest ingest read the source as the pipeline file has it read now."""
    if not home.lake.exists(pipeline.name, INGESTS):
        return False
    asked = "select arg_max(reading, number) as reading from this"
    newest = home.lake.open(pipeline.name, INGESTS).query(asked)["reading"][0].as_py()
    return bool(newest == reading_of(pipeline))


def _same(one: Fault, other: Fault) -> bool:
    named = (one.fault, one.column) == (other.fault, other.column)
    return named and one.since < other.until and other.since < one.until
