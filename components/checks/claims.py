"""Rows of one delivery that claim the same record: copies, corrections, and contradictions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.checks.columns import LABEL_KNOWN
from components.checks.lines import quarantine_lines
from components.checks.rules import ONE_LABEL, ONE_ROW, Broken, Mask
from components.pipelines import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID


@dataclass(frozen=True, slots=True)
class Settled:
    """Which rows stand where several claimed one record.

    Attributes
    ----------
    rows : DataFrame
        Each record version once, of the columns that were given.
    quarantine : DataFrame
        The claims that were set aside.

    """

    rows: pd.DataFrame
    quarantine: pd.DataFrame


def settle(rows: pd.DataFrame, pipeline: Pipeline) -> Settled:
    """Set aside the claims that contradict each other, and keep each copy once.

    The first known claim stands if it is undisputed, whatever comes later. With an `updated`
    column a later row of another content is a correction, and only equal known times can clash.

    Only rows of one delivery can contradict each other: all that a source holds, without the
    parts that were taken before. What an earlier delivery brought stands, for it was believed
    then, and a row that says otherwise is a correction of it: known at its own time where that
    is later, else as of the ingest that brought it (:mod:`flows.steps.news`). So rows that
    contradict each other end otherwise when they are taken one delivery after another.

    Parameters
    ----------
    rows : DataFrame
        Rows that keep every rule, all that claim these records; index 0, 1, …; not modified.
    pipeline : Pipeline
        Resolved.

    """
    key = [RECORD_ID] if pipeline.updated is None else [RECORD_ID, KNOWN_TIME]
    if not rows.duplicated(key).any():
        return Settled(rows, quarantine_lines(rows.head(0), rows.head(0), [], pipeline))
    content = [EVENT_TIME, *pipeline.columns]
    everything = np.ones(len(rows), dtype=bool)
    disputed = _disputed(rows, everything, key, content, KNOWN_TIME)
    labelled = ~disputed & rows[LABEL].notna().to_numpy(dtype=bool)
    mislabelled = _disputed(rows, labelled, key, [LABEL], LABEL_KNOWN)
    broken = [
        Broken(pipeline.id or pipeline.time, ONE_ROW, disputed),
        Broken(pipeline.target, ONE_LABEL, mislabelled, label_only=True),
    ]
    # Written as they were read: who settles them later has no more than that.
    lines = quarantine_lines(as_source(rows, pipeline), rows, broken, pipeline)
    said = {name: rows[name].where(~mislabelled) for name in (LABEL, LABEL_KNOWN)}
    kept = rows.assign(**said)[~disputed]
    return Settled(_without_copies(kept.reset_index(drop=True)), lines)


def as_source(rows: pd.DataFrame, pipeline: Pipeline) -> pd.DataFrame:
    """Give parsed rows the columns of the source again."""
    named = {pipeline.time: EVENT_TIME}
    named |= {pipeline.target: LABEL} if LABEL in rows.columns else {}
    named |= {pipeline.updated: KNOWN_TIME} if pipeline.updated else {}
    named |= {pipeline.id: RECORD_ID} if pipeline.id else {}
    if pipeline.label_time and LABEL_KNOWN in rows.columns:
        named[pipeline.label_time] = LABEL_KNOWN
    features = [*pipeline.columns, *filter(None, [pipeline.entity])]
    named |= {name: name for name in features if name in rows.columns}
    made = pd.DataFrame({source: rows[ours] for source, ours in named.items()}, rows.index)
    if pipeline.label_time in made:
        made[pipeline.label_time] = made[pipeline.label_time].where(rows[LABEL].notna())
    return made


def _disputed(
    rows: pd.DataFrame, among: Mask, key: list[str], content: list[str], order: str
) -> Mask:
    disputed = np.zeros(len(rows), dtype=bool)
    some = rows[among]
    some = some[some.duplicated(key, keep=False)]
    if some.empty:
        return disputed
    said = pd.util.hash_pandas_object(some[content], index=False)
    facts = pd.DataFrame({"said": said, "at": some[order]})
    of_key = [some[name] for name in key]
    first = facts["at"].groupby(of_key).transform("min")
    early = facts["said"].where(facts["at"] == first)
    accepted = early.groupby(of_key).transform("first")
    clash = (early.groupby(of_key).transform("nunique") > 1) | (facts["said"] != accepted)
    disputed[some.index[clash]] = True
    return disputed


def _without_copies(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep each record version once, with its label if any copy has it."""
    repeated = rows.duplicated([RECORD_ID, KNOWN_TIME], keep=False)
    if not repeated.any():
        return rows
    order = (
        rows[repeated]
        .assign(_unlabelled=rows[LABEL].isna())
        .sort_values([RECORD_ID, KNOWN_TIME, "_unlabelled", LABEL_KNOWN], kind="stable")
    )
    surplus = order.index[order.duplicated([RECORD_ID, KNOWN_TIME])]
    return rows.drop(index=surplus).reset_index(drop=True)
