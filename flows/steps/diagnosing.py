"""Look for data faults in what the lake holds, write them down, say what stands.

A look goes over what is new since the look before, and over what may still have changed: each
moment gives the same faults whether the loop has run daily, weekly, or once.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.checks.rules import ABSENT, ONE_ROW
from components.come import come_at
from components.fallbacks import ONLY_THE_MISSING
from components.faults import Fault
from components.ingests import INGESTS
from components.known_faults import AUTO, Faults, KnownFault, faults_at
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    LABELS,
    QUARANTINE,
    RECORD_ID,
    RECORDS,
    to_frame,
)
from flows.steps.leasing import Clock
from flows.steps.snapshots import labels_known, records_known
from monitoring import diagnosis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from components.stores.ledger import Ledger
    from flows.steps.home import Home

_LOOKED = "faults:looked"
"""The mark of the newest look: its moment, the tables' versions, the rows it took as settled."""
_ENDING = "faults:ending"
_BY_THEMSELVES = "auto"
_NEVER = pd.Timestamp("2262-01-01", tz="UTC").as_unit("us")
_EPOCH = pd.Timestamp(0, tz="UTC")
_TABLES = (RECORDS, LABELS, QUARANTINE)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look sees: everything known at its moment, or what a part of it needs.

    Attributes
    ----------
    records, labels, quarantine : DataFrame
        As the lake holds them, each record and label in its newest version.
    since : Timestamp or None
        Periods from here on are judged; None: all of them.
    known : tuple of Fault
        What earlier looks found; it is not judged again before `since`.
    accepted : tuple of Fault
        Those among them that are the new normal.
    taken : Timestamp or None
        By when everything that the source held has been ingested.
    silences : Silences or None
        What the looks before knew of how late rows and labels arrive; None: nobody looked then.

    """

    records: pd.DataFrame
    labels: pd.DataFrame
    quarantine: pd.DataFrame
    since: pd.Timestamp | None = None
    known: tuple[Fault, ...] = ()
    accepted: tuple[Fault, ...] = ()
    taken: pd.Timestamp | None = None
    silences: diagnosis.Silences | None = None

    def faults(self, pipeline: Pipeline, *, as_of: pd.Timestamp) -> tuple[Fault, ...]:
        """Diagnose it."""
        return diagnosis.diagnose(
            self.records,
            self.labels,
            self.quarantine,
            pipeline,
            as_of=as_of,
            since=self.since,
            known=self.known,
            accepted=self.accepted,
            taken=self.taken,
            silences=self.silences,
        )

    def count(self, fault: Fault) -> int:
        """Count the rows that a fault spoils, those too that stand in quarantine."""
        return int(fault.concerns(self.rows()).sum())

    def rows(self) -> pd.DataFrame:
        """Give the keys of all rows that came: records, and rows that were refused, each once."""
        keys, refused = [RECORD_ID, EVENT_TIME], self.quarantine
        asked = refused[RECORD_ID].notna() & refused[EVENT_TIME].notna()
        asked &= ~refused["rule"].map(str).str.startswith(ONE_ROW)
        if not asked.any():
            return self.records[keys]
        lines = refused.loc[asked, keys].drop_duplicates(RECORD_ID)
        lines = lines[~lines[RECORD_ID].isin(self.records[RECORD_ID])]
        return pd.concat([self.records[keys], lines], ignore_index=True)

    def come(
        self, known: Iterable[KnownFault], found: Collection[Fault], moment: pd.Timestamp
    ) -> list[tuple[KnownFault, str]]:
        """List the open faults whose rows or labels have come, each with the reason."""
        waiting = [one for one in known if one.fault.waits]
        if not waiting:
            return []
        labelled = self.labels.loc[self.labels[LABEL].notna(), RECORD_ID]
        return come_at(waiting, moment, found, rows=self.rows(), labelled=set(labelled))

    def heard(self, moment: pd.Timestamp) -> diagnosis.Silences:
        """Add this look to what is known of how late rows and labels arrive."""
        taken = moment if self.taken is None else min(self.taken, moment)
        given = self.labels.loc[self.labels[LABEL].notna(), EVENT_TIME]
        newest = (_micros(self.rows()[EVENT_TIME].max()), _micros(given.max()))
        before = self.silences or diagnosis.Silences()
        return before.seen(*newest, taken=_micros(taken) or 0)


def period_of(pipeline: Pipeline) -> timedelta:
    """Say how long the stretch is that is judged as one, at least."""
    return pipeline.diagnosis.period or timedelta(days=1)


def settled_by(pipeline: Pipeline, last: pd.Timestamp) -> pd.Timestamp:
    """Say up to which known time the look at `last` had surely seen everything.

    A row may reach the lake after a look at a moment by which it was known: the last window,
    and at least two periods, are taken as new each time.
    """
    return last - max(pipeline.monitor.window, 2 * period_of(pipeline))


def judged_since(
    records: pd.DataFrame, labels: pd.DataFrame, pipeline: Pipeline, *, last: pd.Timestamp
) -> pd.Timestamp:
    """Say from which event time on a look after the one at `last` has to judge.

    That is the earliest event of which something new may be known, records or labels; never
    farther back than the reference, so that one late row does not reopen years.
    """
    settled = settled_by(pipeline, last)
    new = [rows.loc[rows[KNOWN_TIME] > settled, EVENT_TIME].min() for rows in (records, labels)]
    earliest = min([settled, *(pd.Timestamp(time) for time in new if pd.notna(time))])
    return max(earliest, last - pipeline.diagnosis.reference)


def read_since(
    pipeline: Pipeline, last: pd.Timestamp, known: Iterable[KnownFault], moment: pd.Timestamp
) -> pd.Timestamp:
    """Say from which event time on a look at `moment`, after the one at `last`, has to read.

    It judges from at most one reference back, and what was normal then is learnt from two more;
    what was normal before a fault that still stands, from two before that began.
    """
    reference = pd.Timedelta(pipeline.diagnosis.reference)
    open_ = set(still_marked(known, moment)) - set(accepted_by(known, moment))
    oldest = diagnosis.stood_since(open_, last - reference, pipeline)
    whole_days = (oldest - 2 * reference).floor("D")
    return whole_days - 2 * pd.Timedelta(period_of(pipeline))


def look_for_faults(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp, clock: Clock, flow_run_id: str = ""
) -> Faults:
    """Diagnose what is new by `as_of`, and write down what was found, each fault once.

    Looking twice at the same moment changes nothing. A moment before the newest look is
    looked at as a whole.

    Returns
    -------
    Faults
        Found just now, blocking, set aside; as known at `as_of`.

    Raises
    ------
    StoreError
        If the tables do not exist yet.

    """
    ledger, name = home.ledger, pipeline.name
    versions = {table: home.lake.version(name, table) for table in _TABLES}
    mark = json.loads(ledger.mark(name, _LOOKED) or "null")
    if mark is None or mark["versions"] != versions or _moment(mark) != as_of:
        last = _last_look(home, pipeline, mark, as_of)
        seen = see(home, pipeline, as_of=as_of, last=last)
        told = (mark or {}).get("silences", {})
        seen = replace(seen, silences=diagnosis.Silences.from_plain(told))
        found = seen.faults(pipeline, as_of=as_of)
        ledger.record_faults(
            name, found, as_of=as_of, now=clock(), count=seen.count, flow_run_id=flow_run_id
        )
        for one, why in seen.come(ledger.faults(name), found, as_of):
            ledger.end_fault(
                name, one.key, how="reingested", who=AUTO, why=why, as_of=as_of, now=clock()
            )
        if ledger.mark(name, _ENDING) == _BY_THEMSELVES:
            window = pd.Timedelta(pipeline.monitor.window)
            reference = pd.Timedelta(pipeline.diagnosis.reference)
            ledger.end_clean_faults(
                name, window=window, reference=reference, as_of=as_of, now=clock()
            )
        if mark is None or _moment(mark) <= as_of:
            settled = _settled(home, pipeline, settled_by(pipeline, as_of))
            looked = {"as_of": as_of.isoformat(), "versions": versions, "settled": settled}
            looked["silences"] = seen.heard(as_of).as_plain()
            ledger.set_mark(name, _LOOKED, json.dumps(looked))
    return faults_now(home, pipeline, as_of=as_of)


def faults_now(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> Faults:
    """Say what is known of faults at a moment, without looking."""
    known = home.ledger.faults(pipeline.name)
    return faults_at(known, as_of, window=pipeline.monitor.window)


def standing(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> tuple[Fault, ...]:
    """List the faults whose rows are set aside at a moment: open or discarded."""
    return faults_now(home, pipeline, as_of=as_of).aside


@dataclass(frozen=True, slots=True)
class InForce:
    """The faults that scoring has to reckon with.

    Attributes
    ----------
    faults : tuple of Fault
        Open or discarded; one that is open in the newest period judged has no end yet.
    discarded : frozenset of str
        Keys of those that are discarded.

    """

    faults: tuple[Fault, ...] = ()
    discarded: frozenset[str] = frozenset()


def faults_in_force(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> InForce:
    """Say which faults the values of a record known by `as_of` may suffer from."""
    last = last_look(home, pipeline, as_of=as_of)
    known = home.ledger.faults(pipeline.name)
    return in_force(known, pipeline, as_of=as_of, last=last)


def in_force(
    known: Iterable[KnownFault],
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    last: pd.Timestamp | None,
) -> InForce:
    """Say which of the known faults are in force; `last` is when the data was looked at last."""
    seen = [(one, fault) for one in known if (fault := one.at(as_of)) is not None]
    discarded = [fault for one, fault in seen if one.state_at(as_of) == "discarded"]
    going_on = (fault for one, fault in seen if one.state_at(as_of) == "open")
    stretched = [
        _going_on(fault)
        if last is not None and fault.until >= last - period_of(pipeline)
        else fault
        for fault in going_on
    ]
    return InForce(
        tuple(sorted((*stretched, *discarded))), frozenset(fault.key for fault in discarded)
    )


def _going_on(fault: Fault) -> Fault:
    """Let a fault reach what comes in; where it spoils single records, only missing values do."""
    if fault.fault in ONLY_THE_MISSING:
        return replace(fault, until=_NEVER, ids=(), marks="")
    return fault if fault.is_partial else replace(fault, until=_NEVER)


def mended(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> tuple[Fault, ...]:
    """List the faults whose rows were read again: the newest version of a record is right."""
    known = home.ledger.faults(pipeline.name)
    seen = ((one.at(as_of), one.state_at(as_of)) for one in known)
    back = (fault for fault, state in seen if fault is not None and state == "reingested")
    return tuple(fault for fault in back if not fault.waits)


def last_look(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> pd.Timestamp | None:
    """Say when the data was last looked at, by `as_of`; None if it never was."""
    mark = json.loads(home.ledger.mark(pipeline.name, _LOOKED) or "null")
    return None if mark is None else min(_moment(mark), as_of)


@contextmanager
def ending_by_themselves(ledger: "Ledger", pipeline: str) -> Iterator[None]:
    """Let faults of which the feed is clean again end without a person, as in a backtest."""
    ledger.set_mark(pipeline, _ENDING, _BY_THEMSELVES)
    try:
        yield
    finally:
        ledger.set_mark(pipeline, _ENDING, "")


def in_its_own_time(ledger: "Ledger", pipeline: str) -> bool:
    """Say whether history is lived through just now: faults end by themselves, nobody is told."""
    return ledger.mark(pipeline, _ENDING) == _BY_THEMSELVES


def look_at_source(pipeline: Pipeline, *, as_of: pd.Timestamp) -> tuple[Fault, ...]:
    """Diagnose the source itself, as known by `as_of`; nothing is written."""
    from components.sources import deliver
    from flows.steps.snapshots import newest_known, with_event_times

    delivery = deliver(pipeline, as_of=as_of)
    records = newest_known(delivery.records)
    labels = with_event_times(newest_known(delivery.labels), records)
    return Seen(records, labels, delivery.quarantine).faults(pipeline, as_of=as_of)


def _micros(moment: Any) -> int | None:
    return None if pd.isna(moment) else int((moment - _EPOCH) // pd.Timedelta(1, "us"))


def _moment(mark: dict[str, Any]) -> pd.Timestamp:
    return pd.Timestamp(mark["as_of"]).as_unit("us")


def _last_look(
    home: "Home", pipeline: Pipeline, mark: dict[str, Any] | None, as_of: pd.Timestamp
) -> pd.Timestamp | None:
    """Say from which look one can go on; None where everything has to be looked at."""
    if mark is None or as_of < _moment(mark):
        return None
    last = _moment(mark)
    # Rows that were known long before that look, and came into the lake only after it.
    behind = _settled(home, pipeline, settled_by(pipeline, last)) != mark["settled"]
    return None if behind else last


def _settled(home: "Home", pipeline: Pipeline, moment: pd.Timestamp) -> dict[str, int]:
    """Count the rows that were known by a moment: all of them less those that are newer.

    Files say how many rows they have and how late these are known: old ones are not read.
    """
    everything = "select count(*) as n from this"
    newer = f"{everything} where known_time > $moment"
    found = {}
    for table in (RECORDS, LABELS):
        opened = home.lake.open(pipeline.name, table)
        late = opened.query(newer, params={"moment": moment})["n"][0].as_py()
        found[table] = int(opened.query(everything)["n"][0].as_py()) - int(late)
    return found


def see(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp, last: pd.Timestamp | None
) -> Seen:
    """Read what a look at `as_of` needs; all of it where no look at `last` came before."""
    found = home.ledger.faults(pipeline.name)
    since = None if last is None else read_since(pipeline, last, found, as_of)
    records = records_known(home.lake, pipeline, as_of=as_of, since=since)
    labels = labels_known(home.lake, pipeline, as_of=as_of, since=since)
    where = "(known_time <= $as_of or known_time is null)"
    params = {"as_of": as_of}
    if since is not None:
        where += " and (known_time is null or known_time >= $since or event_time >= $since)"
        params["since"] = since
    lines = to_frame(home.lake.read(pipeline.name, QUARANTINE, where=where, params=params))
    lines = _without_mended(lines, found, as_of)
    taken = ingested_until(home, pipeline)
    if last is None:
        return Seen(records, labels, lines, taken=taken)
    judged = judged_since(records, labels, pipeline, last=last)
    marked, accepted = still_marked(found, as_of), accepted_by(found, as_of)
    return Seen(records, labels, lines, judged, marked, accepted, taken)


def ingested_until(home: "Home", pipeline: Pipeline) -> pd.Timestamp | None:
    """Say by which moment everything that was known has been ingested; None if nothing was."""
    if not home.lake.exists(pipeline.name, INGESTS):
        return None
    table = home.lake.open(pipeline.name, INGESTS)
    newest = table.query("select max(as_of) as newest from this")["newest"][0].as_py()
    return None if newest is None else pd.Timestamp(newest).tz_convert("UTC").as_unit("us")


def still_marked(known: Iterable[KnownFault], moment: pd.Timestamp) -> tuple[Fault, ...]:
    """List the faults whose rows teach nothing at a moment: all but what was mended by then."""
    seen = ((one, one.at(moment)) for one in known)
    return tuple(
        fault for one, fault in seen if fault is not None and one.state_at(moment) != "reingested"
    )


def accepted_by(known: Iterable[KnownFault], moment: pd.Timestamp) -> tuple[Fault, ...]:
    """List the faults that were taken as the new normal by a moment."""
    seen = ((one, one.at(moment)) for one in known)
    return tuple(
        fault for one, fault in seen if fault is not None and one.state_at(moment) == "accepted"
    )


def _without_mended(
    lines: pd.DataFrame, known: Iterable[KnownFault], as_of: pd.Timestamp
) -> pd.DataFrame:
    """Leave out the lines about faults that were mended: they stay, as all that was ever said."""
    old = np.zeros(len(lines), dtype=bool)
    for one in known:
        fault, end = one.at(as_of), one.ended_as_of
        if fault is None or end is None or one.state_at(as_of) != "reingested" or fault.waits:
            continue
        old |= of_fault(lines, fault) & ~(lines[KNOWN_TIME] > end).to_numpy(dtype=bool)
    return lines[~old].reset_index(drop=True) if old.any() else lines


def of_fault(lines: pd.DataFrame, fault: Fault) -> "NDArray[np.bool_]":
    """Mark the lines of the quarantine that a fault may have been told from."""
    rule, event, known = lines["rule"].map(str), lines[EVENT_TIME], lines[KNOWN_TIME]
    # A part that lacks a column is one line: known with its last event, and of its first.
    last = known.where(rule == ABSENT, event)
    undated = event.isna()
    inside = (event < fault.until) & (last >= fault.since) | undated & (known < fault.until)
    named = lines["column"] == fault.column
    if fault.ids and fault.fault == "id_burst":
        named = lines[RECORD_ID].isin(fault.ids) & rule.str.startswith(ONE_ROW)
    return (named & inside).to_numpy(dtype=bool, na_value=False)
