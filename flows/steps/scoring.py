"""Predict new records with the version in charge at their time, and log every prediction."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from components.answers import Answers
from components.failpoints import failpoint
from components.fallbacks import Fallen, apply_fallbacks
from components.faults import Fault, without_faulty
from components.history import add_history
from components.history.hiding import in_force_for_history
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    RECORD_ID,
    prediction_schema,
    to_arrow,
    to_frame,
)
from flows.steps.care import under_care_since
from flows.steps.diagnosing import faults_in_force, mended, standing
from flows.steps.in_charge import versions_for
from flows.steps.rivals import NAIVE, naive_now, open_package
from flows.steps.snapshots import labels_known, versions_known

if TYPE_CHECKING:
    from components.stores.lake import Reader
    from flows.steps.home import Home


_UNSCORED = f"""
select {RECORD_ID}, min_by({EVENT_TIME}, {KNOWN_TIME}) as {EVENT_TIME},
    min({KNOWN_TIME}) as {KNOWN_TIME}
from this anti join scored using ({RECORD_ID}) where {KNOWN_TIME} <= $as_of
group by {RECORD_ID} order by {RECORD_ID}"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Scored:
    """Predictions logged by one run, by version; records already scored are left alone.

    Attributes
    ----------
    rows : int
    by_version : dict
    stood_in : int
        Predictions that were made with a stand-in for a faulty value.
    refused : int
        Records that wait: a column that must not be replaced is faulty.

    """

    rows: int
    by_version: dict[str, int]
    stood_in: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class _Batch:
    """What every version of one run scores with: the moment, and what is faulty then.

    `spoiled` is what history features see nothing of.
    """

    as_of: pd.Timestamp
    flow_run_id: str
    faults: tuple[Fault, ...]
    discarded: frozenset[str]
    mended: tuple[Fault, ...]
    spoiled: tuple[Fault, ...]


def score(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp, flow_run_id: str = ""
) -> Scored:
    """Score what is known by `as_of` and not yet scored, each record once.

    Records whose label was known when the pipeline came under care are history and not
    scored. A record is scored by the version that was in charge at its known time, so a day
    that is run again, or late, gets the answer it would have got then. While a data fault
    stands in a column, what the pipeline file states stands in for its values.
    """
    force = faults_in_force(home, pipeline, as_of=as_of)
    aside = standing(home, pipeline, as_of=as_of)
    batch = _Batch(
        as_of,
        flow_run_id,
        force.faults,
        force.discarded,
        mended(home, pipeline, as_of=as_of),
        in_force_for_history(aside, force.faults, pipeline),
    )
    done = [
        _score_with(home, pipeline, version, set(pending[RECORD_ID]), batch)
        for version, pending in _pending_by_version(home, pipeline, as_of).items()
    ]
    by_version: dict[str, int] = {}
    for one in done:
        by_version |= {version: rows for version, rows in one.by_version.items() if rows}
    return Scored(
        rows=sum(one.rows for one in done),
        by_version=by_version,
        stood_in=sum(one.stood_in for one in done),
        refused=sum(one.refused for one in done),
    )


def _pending_by_version(
    home: "Home", pipeline: Pipeline, as_of: pd.Timestamp
) -> dict[str, pd.DataFrame]:
    pending = _unscored(home, pipeline, as_of)
    labels = labels_known(home.lake, pipeline, as_of=as_of)
    labelled = pending[RECORD_ID].map(labels.set_index(RECORD_ID)[KNOWN_TIME])
    care = under_care_since(home.ledger, pipeline.name) or as_of
    ours = labelled.isna() | (labelled > care) | (pending[KNOWN_TIME] >= care)
    promotions = home.ledger.promotions(pipeline.name)
    moments = pending.loc[ours, KNOWN_TIME]
    versions = versions_for(promotions, moments, labelled[ours], as_of=as_of)
    return {str(version): rows for version, rows in pending[ours].groupby(versions)}


def _unscored(home: "Home", pipeline: Pipeline, as_of: pd.Timestamp) -> pd.DataFrame:
    """Find the records known by a moment that have no prediction, each as it was first known.

    A correction that comes later finds its prediction made.
    """
    scored = home.lake.read(pipeline.name, "predictions", columns=[RECORD_ID])
    records = home.lake.open(pipeline.name, "records")
    return to_frame(records.query(_UNSCORED, params={"as_of": as_of}, tables={"scored": scored}))


def _score_with(
    home: "Home", pipeline: Pipeline, version: str, wanted: set[str], batch: _Batch
) -> Scored:
    """Score records with one version and commit them at once; again after a lost race."""
    told = Scored(0, {})

    def rows_of(reader: "Reader") -> pa.Table | None:
        nonlocal told
        there = set(to_frame(reader.read(columns=[RECORD_ID]))[RECORD_ID])
        fallen = _fallen(home, pipeline, wanted - there, batch)
        kept = ~fallen.refused
        used = [one for one, is_kept in zip(fallen.used, kept, strict=True) if is_kept]
        told = Scored(0, {}, stood_in=sum(map(bool, used)), refused=int(fallen.refused.sum()))
        rows = fallen.rows[kept].reset_index(drop=True)
        if rows.empty:
            return None
        answers = _answers(home, pipeline, version, rows, batch.as_of)
        failpoint("chunk-scored")
        return _as_table(rows, answers, pipeline, version, used, batch)

    commit = home.lake.commit(pipeline.name, "predictions", rows_of, producer="score")
    failpoint("chunk-committed")
    return replace(told, rows=commit.rows, by_version={version: commit.rows})


def _fallen(home: "Home", pipeline: Pipeline, wanted: set[str], batch: _Batch) -> Fallen:
    """Read what is to be scored, with stand-ins where a fault spoils it."""
    records = versions_known(home.lake, pipeline, "records", as_of=batch.as_of)
    rows = _first_known(records, wanted, batch.mended)
    good = without_faulty(records, batch.faults) if batch.faults else records
    fallen = apply_fallbacks(rows, pipeline, batch.faults, good, ended=batch.discarded)
    if not pipeline.history:
        return fallen
    labels = versions_known(home.lake, pipeline, "labels", as_of=batch.as_of)
    with_history = add_history(
        fallen.rows, records=records, labels=labels, pipeline=pipeline, spoiled=batch.spoiled
    )
    return replace(fallen, rows=with_history)


def _first_known(
    records: pd.DataFrame, wanted: set[str], mended: tuple[Fault, ...]
) -> pd.DataFrame:
    """Take of each record the version known first; of a stretch that was mended, the newest."""
    rows = records[records[RECORD_ID].isin(wanted)].sort_values([RECORD_ID, KNOWN_TIME])
    first = rows.drop_duplicates(RECORD_ID, keep="first")
    if mended:
        newest = rows.drop_duplicates(RECORD_ID, keep="last")
        spoilt = np.logical_or.reduce([fault.concerns(newest) for fault in mended])
        again = newest[spoilt]
        first = pd.concat([first[~first[RECORD_ID].isin(again[RECORD_ID])], again])
    return first.sort_values([EVENT_TIME, RECORD_ID], kind="stable").reset_index(drop=True)


def _answers(
    home: "Home", pipeline: Pipeline, version: str, rows: pd.DataFrame, as_of: pd.Timestamp
) -> Answers:
    if version == NAIVE:
        labels = labels_known(home.lake, pipeline, as_of=as_of)
        return naive_now(pipeline, rows, labels, as_of=as_of)
    promotion = next(p for p in home.ledger.promotions(pipeline.name) if p.version == version)
    scorer = open_package(home, digest=promotion.digest, uri=promotion.package_uri)
    return scorer.predict(rows[list(pipeline.inputs)])


def _as_table(
    rows: pd.DataFrame,
    answers: Answers,
    pipeline: Pipeline,
    version: str,
    used: list[dict[str, dict[str, object]]],
    batch: _Batch,
) -> pa.Table:
    """Lay predictions out; features stay in `records`, named by id and known time."""
    made = pd.DataFrame(
        {
            "prediction_id": [prediction_id(record, "batch") for record in rows[RECORD_ID]],
            RECORD_ID: rows[RECORD_ID],
            EVENT_TIME: rows[EVENT_TIME],
            KNOWN_TIME: batch.as_of,
            "model_version": version,
            "channel": "batch",
            "prediction": answers.values,
            "probabilities": None if answers.probabilities is None else list(answers.probabilities),
            "record_known_time": rows[KNOWN_TIME],
            "features": None,
            "flow_run_id": batch.flow_run_id,
            "fallbacks": [json.dumps(one, sort_keys=True) if one else None for one in used],
        }
    )
    return to_arrow(made, prediction_schema(pipeline))


def prediction_id(record_id: str, channel: str) -> str:
    """Name a prediction by what it answers: the same record and channel, the same id."""
    return "p-" + hashlib.sha256(f"{channel}\0{record_id}".encode()).hexdigest()[:24]
