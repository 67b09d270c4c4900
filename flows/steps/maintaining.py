"""Keep the tables quick to read, and no longer than they must be; never what a model needs.

Small files are merged. Rows older than `retain:` are deleted from the newest version. Files
that only old versions use go, unless a registered model, or a training under way, was bound
to such a version: these stay readable, with every row that they had.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from components.pipelines import Pipeline
from components.records import LABELS, MEASUREMENTS, PREDICTIONS, QUARANTINE, RECORDS
from flows.steps.snapshots import ANCHOR, first_event

if TYPE_CHECKING:
    from flows.steps.home import Home

TABLES = (RECORDS, LABELS, PREDICTIONS, QUARANTINE, MEASUREMENTS, "ingests")

# When a row happened. Labels of a table of their own, and rows without a legible time, have
# only a known time. Records come first: a prediction that went before its record would be
# made again.
_MOMENT = {
    RECORDS: "event_time",
    LABELS: "coalesce(event_time, known_time)",
    PREDICTIONS: "event_time",
    QUARANTINE: "coalesce(event_time, known_time)",
    MEASUREMENTS: "window_end",
}
_PINNED = "driftwheel.delta."


@dataclass(frozen=True, slots=True)
class Maintained:
    """What was done, by table.

    Attributes
    ----------
    merged : dict
        Small files that went into larger ones.
    deleted : dict
        Rows that were older than `retain:`.
    vacuumed : dict
        Files that nothing needed any more.
    kept : dict
        Old versions that stay readable, because a model or a training needs them.

    """

    merged: dict[str, int]
    deleted: dict[str, int] = field(default_factory=dict)
    vacuumed: dict[str, int] = field(default_factory=dict)
    kept: dict[str, list[int]] = field(default_factory=dict)


def maintain(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp | None = None) -> Maintained:
    """Compact, retain and vacuum every table of a pipeline.

    Parameters
    ----------
    as_of : Timestamp, optional
        Rows older than this by more than `retain:` go; without it, none.

    Raises
    ------
    StoreError
        If a store fails. Nothing is removed before it is known what models need.

    """
    there = [table for table in TABLES if home.lake.exists(pipeline.name, table)]
    # Read before it is asked what is needed: a training that begins meanwhile notes its versions,
    # and these notes are not ours to forget.
    noted = {table: home.lake.kept(pipeline.name, table) for table in there}
    needed = needed_versions(home, pipeline)
    for table in there:
        for version in sorted(needed.get(table, ())):
            home.lake.keep(pipeline.name, table, version)
    deleted = {} if as_of is None else _retain(home, pipeline, there, as_of)
    kept = {table: sorted(needed[table]) for table in there if table in needed}
    return Maintained(
        merged={table: home.lake.compact(pipeline.name, table) for table in there},
        deleted=deleted,
        vacuumed={
            table: home.lake.vacuum(
                pipeline.name, table, keep_versions=kept.get(table, []), noted=noted[table]
            )
            for table in there
        },
        kept=kept,
    )


def needed_versions(home: "Home", pipeline: Pipeline) -> dict[str, set[int]]:
    """Collect the table versions that a registered model or an open request is bound to.

    Requests come first: one that ends meanwhile has its model registered before, and is found
    there.
    """
    needed: dict[str, set[int]] = {}
    for request in home.ledger.pending(pipeline.name):
        pinned = home.ledger.mark(pipeline.name, f"snapshot:{request.id}")
        if pinned:
            _add(needed, json.loads(pinned))
    runs = {version.run_id for version in home.registry.versions(pipeline.name)} - {""}
    for run_id in sorted(runs):
        tags = home.registry.run_tags(run_id)
        said = {k.removeprefix(_PINNED): v for k, v in tags.items() if k.startswith(_PINNED)}
        _add(needed, {table: int(number) for table, number in said.items()})
    return needed


def _add(needed: dict[str, set[int]], versions: Mapping[str, int]) -> None:
    for table, number in versions.items():
        needed.setdefault(table, set()).add(int(number))


def _retain(
    home: "Home", pipeline: Pipeline, tables: list[str], as_of: pd.Timestamp
) -> dict[str, int]:
    """Delete what is older than `retain:` from the newest version of each table."""
    if pipeline.retain is None:
        return {}
    oldest = (as_of - pipeline.retain).as_unit("us")
    if RECORDS in tables:
        _note_anchor(home, pipeline)
    return {t: _delete_older(home, pipeline, t, oldest) for t in tables if t in _MOMENT}


def _delete_older(home: "Home", pipeline: Pipeline, table: str, oldest: pd.Timestamp) -> int:
    where = f"{_MOMENT[table]} < $oldest"
    count = home.lake.open(pipeline.name, table).query(
        f"select count(*) as n from this where {where}",  # noqa: S608 - from the fixed list above
        params={"oldest": oldest.to_pydatetime()},
    )
    if not count["n"][0].as_py():
        return 0
    moment = f"arrow_cast('{oldest.isoformat()}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
    return home.lake.delete(pipeline.name, table, where.replace("$oldest", moment))


def _note_anchor(home: "Home", pipeline: Pipeline) -> None:
    """Note the day of the first record while it is there: windows are counted from it."""
    anchor = first_event(home.lake, pipeline)
    if anchor is not None and home.lake.folder(pipeline.name).read(ANCHOR) is None:
        home.lake.folder(pipeline.name).write(ANCHOR, anchor.isoformat().encode())
