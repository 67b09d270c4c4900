"""Data faults as text and as plain values: for the ledger, notes of trainings, and people."""

import json
from collections.abc import Iterable

import pandas as pd

from components.faults import Fault


def write_faults(faults: Iterable[Fault]) -> str:
    """Write faults as text, one JSON object a line; :func:`read_faults` reads it."""
    return "".join(json.dumps(as_plain(fault)) + "\n" for fault in faults)


def read_faults(text: str) -> tuple[Fault, ...]:
    """Read what :func:`write_faults` wrote.

    >>> day = pd.Timestamp("2011-03-10", tz="UTC")
    >>> dead = Fault(day, day + pd.Timedelta("1D"), "frozen", "humidity", "0 in 22 rows", 22)
    >>> read_faults(write_faults([dead])) == (dead,)
    True
    """
    return tuple(from_plain(json.loads(line)) for line in text.splitlines())


def as_plain(fault: Fault) -> dict[str, object]:
    """Lay a fault out as JSON knows it, the way the command line shows it."""
    return {
        "key": fault.key,
        "fault": fault.fault,
        "column": fault.column,
        "evidence": fault.evidence,
        "since": fault.since.isoformat(),
        "until": fault.until.isoformat(),
        "rows": fault.rows,
        "ids": list(fault.ids),
        **({"marks": fault.marks} if fault.marks else {}),
        **({"also": list(fault.also)} if fault.also else {}),
    }


def from_plain(given: dict[str, object]) -> Fault:
    """Read a fault from what :func:`as_plain` laid out."""
    ids, also = given["ids"], given.get("also")
    return Fault(
        since=pd.Timestamp(str(given["since"])).as_unit("us"),
        until=pd.Timestamp(str(given["until"])).as_unit("us"),
        fault=str(given["fault"]),
        column=str(given["column"]),
        evidence=str(given["evidence"]),
        rows=int(str(given["rows"])),
        ids=tuple(map(str, ids)) if isinstance(ids, list) else (),
        marks=str(given.get("marks", "")),
        also=tuple(map(str, also)) if isinstance(also, list) else (),
    )
