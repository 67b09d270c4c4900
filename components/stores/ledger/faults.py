"""Data faults: what was found when, and how it ended, each with its decision."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, select, update

from components.faults import Fault
from components.known_faults import (
    AUTO,
    CLEAN,
    STAYED,
    Ending,
    KnownFault,
    Sight,
    choose_open,
    ended,
    ended_in_words,
    fold,
    in_words,
    over_at,
    stayed_at,
    without_records,
)
from components.stores.ledger.connecting import Database
from components.stores.ledger.decisions import record
from components.stores.ledger.tables import faults
from components.stores.ledger.values import Outcome
from components.written_faults import as_plain, from_plain


class FaultBook:
    """The part of the ledger that remembers data faults; :class:`Ledger` has these methods."""

    _database: Database

    def faults(self, pipeline: str) -> tuple[KnownFault, ...]:
        """Read every fault that was ever found, the earliest stretch first."""
        with self._database.reading() as connection:
            return everything(connection, pipeline)

    def record_faults(
        self,
        pipeline: str,
        found: Iterable[Fault],
        *,
        as_of: datetime,
        now: datetime,
        count: Callable[[Fault], int],
        flow_run_id: str = "",
    ) -> tuple[KnownFault, ...]:
        """Fold what a look at the data found into what is known; doing it twice changes nothing.

        A fault that is new gets a decision ``data_fault``, once. See
        :func:`components.known_faults.fold` for what becomes of one that is known.

        Returns
        -------
        tuple of KnownFault
            Those that were new.

        """
        with self._database.writing() as connection:
            before = {one.key: one for one in everything(connection, pipeline)}
            after = fold(
                before.values(), found, as_of=pd.Timestamp(as_of).as_unit("us"), count=count
            )
            for one in after:
                if one != before.get(one.key):
                    _write(connection, pipeline, one, now)
            new = tuple(one for one in after if one.key not in before)
            for one in new:
                _decide(connection, pipeline, AUTO, in_words(one.fault), as_of, now, flow_run_id)
        return new

    def end_fault(
        self,
        pipeline: str,
        named: str,
        *,
        how: Ending,
        who: str,
        why: str,
        as_of: datetime,
        now: datetime,
    ) -> KnownFault:
        """End a fault that is open, and write the decision.

        Parameters
        ----------
        named : str
            Its key, its fault, or ``fault:column``.
        how : str
            ``reingested``, ``accepted`` or ``discarded``.

        Raises
        ------
        InvalidInputError
            If that names no open fault, or more than one; lists what is open.

        """
        with self._database.writing() as connection:
            one = choose_open(everything(connection, pipeline), pipeline, named)
            return _end(connection, pipeline, one, how, who, why, as_of, now)

    def forget_records(self, pipeline: str, ids: Collection[str]) -> int:
        """Take the ids of records that were erased out of every fault; says how many faults.

        They stand there as ``erased``: a fault without any id would concern its whole stretch.
        """
        gone, changed = frozenset(ids), 0
        with self._database.writing() as connection:
            for one in everything(connection, pipeline):
                seen = tuple(replace(s, fault=without_records(s.fault, gone)) for s in one.seen)
                if seen != one.seen:
                    # An update: the row is there, and when it was written stays.
                    _write(connection, pipeline, replace(one, seen=seen), one.found_as_of)
                    changed += 1
        return changed

    def end_clean_faults(
        self,
        pipeline: str,
        *,
        window: pd.Timedelta,
        reference: pd.Timedelta,
        as_of: datetime,
        now: datetime,
    ) -> tuple[KnownFault, ...]:
        """Discard the open faults of which the feed has been clean for two windows.

        Accept those that have stood for a whole reference.
        """
        moment = pd.Timestamp(as_of).as_unit("us")
        with self._database.writing() as connection:
            known = everything(connection, pipeline)
            over = over_at(known, moment, window=window)
            stayed = stayed_at(known, moment, window=window, reference=reference)
            return (
                *(
                    _end(connection, pipeline, one, "discarded", AUTO, CLEAN, as_of, now)
                    for one in over
                ),
                *(
                    _end(connection, pipeline, one, "accepted", AUTO, STAYED, as_of, now)
                    for one in stayed
                ),
            )


def everything(connection: Connection, pipeline: str) -> tuple[KnownFault, ...]:
    """Read every fault of a pipeline."""
    query = select(faults).where(faults.c.pipeline == pipeline)
    rows = connection.execute(query.order_by(faults.c.since, faults.c.key)).mappings()
    return tuple(_read(row) for row in rows)


def _read(row: Mapping[Any, Any]) -> KnownFault:
    end = row["ended_as_of"]
    return KnownFault(
        key=row["key"],
        seen=tuple(Sight(_moment(one["as_of"]), from_plain(one)) for one in row["seen"]),
        state=row["state"],
        ended_as_of=None if end is None else _moment(end),
        who=row["who"],
        why=row["why"],
    )


def _moment(time: object) -> pd.Timestamp:
    return pd.Timestamp(time).as_unit("us")  # type: ignore[arg-type]


def _write(connection: Connection, pipeline: str, one: KnownFault, now: datetime) -> None:
    fault = one.fault
    row = {
        "fault": fault.fault,
        "column": fault.column,
        "evidence": fault.evidence,
        "since": fault.since,
        "until": fault.until,
        "rows": fault.rows,
        "ids": fault.ids,
        "found_as_of": one.found_as_of,
        "seen": [{"as_of": sight.as_of, **as_plain(sight.fault)} for sight in one.seen],
        "state": one.state,
        "ended_as_of": one.ended_as_of,
        "who": one.who,
        "why": one.why,
    }
    here = (faults.c.pipeline == pipeline) & (faults.c.key == one.key)
    if connection.execute(update(faults).where(here).values(**row)).rowcount == 0:
        named = {"pipeline": pipeline, "key": one.key, "written_at": now}
        connection.execute(faults.insert(), {**named, **row})


def _end(
    connection: Connection,
    pipeline: str,
    one: KnownFault,
    how: Ending,
    who: str,
    why: str,
    as_of: datetime,
    now: datetime,
) -> KnownFault:
    after = ended(one, how, who=who, why=why, as_of=pd.Timestamp(as_of).as_unit("us"))
    _write(connection, pipeline, after, now)
    said = ended_in_words(one.fault, how, why)
    _decide(connection, pipeline, who, said, after.ended_as_of or as_of, now)
    return after


def _decide(
    connection: Connection,
    pipeline: str,
    who: str,
    why: str,
    as_of: datetime,
    now: datetime,
    flow_run_id: str = "",
) -> None:
    outcome = Outcome(
        pipeline=pipeline, what="data_fault", who=who, why=why, as_of=as_of, flow_run_id=flow_run_id
    )
    record(connection, outcome, now)
