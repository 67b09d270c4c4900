"""Predict new records with the version in charge at their time, and log every prediction."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.answers import Answers
from components.failpoints import failpoint
from components.fallbacks import Fallen, apply_fallbacks, stand_in_for_impossible
from components.faults import Fault, without_faulty
from components.history import add_history
from components.history.hiding import in_force_for_history
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    INTERVAL_HIGH,
    INTERVAL_LOW,
    KNOWN_TIME,
    LABELS,
    PREDICTION_SET,
    PREDICTIONS,
    RECORD_ID,
    RECORDS,
    UTC_TIME,
    prediction_schema,
    to_arrow,
    to_frame,
)
from flows.steps.care import under_care_since
from flows.steps.diagnosing import faults_in_force, mended, standing
from flows.steps.erased import erased
from flows.steps.in_charge import versions_for
from flows.steps.last_good import last_good
from flows.steps.quarantined import (
    Readable,
    Unanswered,
    find_quarantined,
    read_quarantined,
)
from flows.steps.rivals import NAIVE, naive_now, open_package
from flows.steps.snapshots import labels_known, versions_known, with_entities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from components.stores.lake import Reader
    from components.stores.ledger import Challenger
    from flows.steps.home import Home

SHADOW = "shadow"
"""The channel of a challenger's answers, which nobody gets."""

_ID = pa.schema([(RECORD_ID, pa.string())])
_ID_AND_TIME = pa.schema([(RECORD_ID, pa.string()), (KNOWN_TIME, UTC_TIME)])
_TIMES = (EVENT_TIME, KNOWN_TIME, "labelled")
# Known first: what was corrected or withdrawn later may have been learnt from before.
_LABELLED = """
select record_id, min(known_time) as known_time from this
where known_time <= {as_of} and label is not null group by record_id"""
# Records whose label was known when the pipeline came under care are history.
_PENDING = """
select made.*, labelled.known_time as labelled from (
    select record_id, min_by(event_time, known_time) as event_time, min(known_time) as known_time
    from this anti join scored using (record_id) where known_time <= {as_of} group by record_id
) as made left join labelled using (record_id)
where labelled.known_time is null or labelled.known_time > {care} or made.known_time >= {care}
order by record_id"""
_SERVED = f"channel <> '{SHADOW}'"
_SCORED = f"select record_id from this where {_SERVED}"  # noqa: S608 - constants
_THERE = "select record_id from this semi join wanted using (record_id) where {taken}"
_SHADOWED = f"channel = '{SHADOW}' and model_version = $version"
# What the champion answered of the records that came since a challenger was trained.
_NOT_SHADOWED = f"""
select distinct record_id from this
where {_SERVED} and model_version = $champion and known_time <= $as_of
and record_known_time > $since and record_id not in (
    select record_id from this where {_SHADOWED}
)"""  # noqa: S608 - constants
_VERSIONS = "select * from this semi join wanted using (record_id) where known_time <= $as_of"


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
    unanswered : Unanswered
        Rows in quarantine that nothing was stated for.

    """

    rows: int
    by_version: dict[str, int]
    stood_in: int = 0
    refused: int = 0
    unanswered: Unanswered = field(default_factory=Unanswered)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What every version of one run scores with: the moment, and what is faulty then.

    `spoiled` is what history features see nothing of. `records` and `labels` are every version
    known by then, where history features or a stand-in need them; they are read once.
    `quarantined` says whether rows with impossible values wait, too. A `challenger` answers in
    shadow, in place of the version in charge.
    """

    as_of: pd.Timestamp
    flow_run_id: str
    faults: tuple[Fault, ...]
    discarded: frozenset[str]
    mended: tuple[Fault, ...]
    spoiled: tuple[Fault, ...]
    quarantined: bool = False
    records: pd.DataFrame | None = None
    labels: pd.DataFrame | None = None
    challenger: "Challenger | None" = None


def score(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp, flow_run_id: str = ""
) -> Scored:
    """Score what is known by `as_of` and not yet scored, each record once.

    Records whose label was known when the pipeline came under care are history and not
    scored. A record is scored by the version that was in charge at its known time, so a day
    that is run again, or late, gets the answer it would have got then. While a data fault
    stands in a column, what the pipeline file states stands in for its values; and so it does
    for a single impossible value, whose row stands in quarantine.
    """
    batch = _batch(home, pipeline, as_of=as_of, flow_run_id=flow_run_id)
    care = under_care_since(home.ledger, pipeline.name) or as_of
    quarantined = find_quarantined(home, pipeline, as_of=as_of, care=care)
    batch = replace(batch, quarantined=not quarantined.pending.empty)
    waiting = [_pending(home, pipeline, as_of), quarantined.pending]
    pending = _by_version(home, pipeline, waiting, as_of)
    if pending:
        # A table of old gets the columns that it lacks.
        home.lake.create(pipeline.name, PREDICTIONS, prediction_schema(pipeline))
        batch = _with_past(home, pipeline, batch)
    done = [
        _score_with(home, pipeline, version, wanted, batch) for version, wanted in pending.items()
    ]
    by_version: dict[str, int] = {}
    for one in done:
        by_version |= {version: rows for version, rows in one.by_version.items() if rows}
    return Scored(
        rows=sum(one.rows for one in done),
        by_version=by_version,
        stood_in=sum(one.stood_in for one in done),
        refused=sum(one.refused for one in done),
        unanswered=quarantined.unanswered,
    )


def score_beside(
    home: "Home",
    pipeline: Pipeline,
    challenger: "Challenger",
    *,
    as_of: pd.Timestamp,
    flow_run_id: str = "",
) -> Scored:
    """Let a challenger answer in shadow what the champion has answered, each record once.

    Only records that were known after its training: it may have learnt from earlier ones.
    """
    champion = home.ledger.champion(pipeline.name)
    asked = {
        "champion": champion.version if champion else NAIVE,
        "version": challenger.version,
        "since": challenger.as_of,
        "as_of": as_of,
    }
    found = home.lake.open(pipeline.name, PREDICTIONS).query(_NOT_SHADOWED, params=asked)
    if not found.num_rows:
        return Scored(0, {})
    batch = _batch(home, pipeline, as_of=as_of, flow_run_id=flow_run_id)
    batch = _with_past(home, pipeline, replace(batch, challenger=challenger))
    return _score_with(home, pipeline, challenger.version, found.cast(_ID), batch)


def _batch(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp, flow_run_id: str) -> _Batch:
    force = faults_in_force(home, pipeline, as_of=as_of)
    aside = standing(home, pipeline, as_of=as_of)
    return _Batch(
        as_of,
        flow_run_id,
        force.faults,
        force.discarded,
        mended(home, pipeline, as_of=as_of),
        in_force_for_history(aside, force.faults, pipeline),
    )


def _by_version(
    home: "Home", pipeline: Pipeline, waiting: list[pd.DataFrame], as_of: pd.Timestamp
) -> dict[str, pa.Table]:
    """Name the records that wait for a prediction, by the version that was in charge."""
    pending = pd.concat(waiting, ignore_index=True)
    # Quarantine is written first: a record may have come between the two looks.
    pending = pending.drop_duplicates(RECORD_ID)
    promotions = home.ledger.promotions(pipeline.name)
    versions = versions_for(promotions, pending[KNOWN_TIME], pending["labelled"], as_of=as_of)
    return {
        str(version): to_arrow(rows[_ID_AND_TIME.names], _ID_AND_TIME)
        for version, rows in pending.groupby(versions)
    }


def _pending(home: "Home", pipeline: Pipeline, as_of: pd.Timestamp) -> pd.DataFrame:
    """Find the records known by a moment that have no prediction, each as it was first known.

    A correction that comes later finds its prediction made. What was scored, and when each
    label was known, passes through DuckDB, within a bound of memory; only what waits is held.
    """
    from components.stores.lake.scratch import scratch

    care = under_care_since(home.ledger, pipeline.name) or as_of
    times = {"as_of": _moment(as_of), "care": _moment(care)}
    lake, name = home.lake, pipeline.name
    tables = [lake.open(name, table) for table in (RECORDS, PREDICTIONS, LABELS)]
    with scratch("score") as folder, ExitStack() as stack:
        asked, made, told = (stack.enter_context(one.session(folder)) for one in tables)
        asked.keep("scored", _as_it_comes(made.stream(_SCORED), _ID))
        asked.keep("labelled", _as_it_comes(told.stream(_LABELLED.format(**times)), _ID_AND_TIME))
        found = to_frame(asked.query(_PENDING.format(**times)))
    moments = {one: found[one].dt.tz_convert("UTC").dt.as_unit("us") for one in _TIMES}
    return found.assign(**moments)


def _as_it_comes(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(schema, (one.cast(schema) for one in batches))


def _moment(time: pd.Timestamp) -> str:
    return f"timestamptz '{time.isoformat()}'"


def _with_past(home: "Home", pipeline: Pipeline, batch: _Batch) -> _Batch:
    """Read what was known of the past, where something is made of it: once for all versions."""
    lasting = any(column.fallback == "last" for column in pipeline.columns.values())
    if not (pipeline.history or (batch.faults and lasting)):
        return batch
    records = versions_known(home.lake, pipeline, RECORDS, as_of=batch.as_of)
    if not pipeline.history:
        return replace(batch, records=records)
    labels = versions_known(home.lake, pipeline, LABELS, as_of=batch.as_of)
    return replace(batch, records=records, labels=labels)


def _score_with(
    home: "Home", pipeline: Pipeline, version: str, wanted: pa.Table, batch: _Batch
) -> Scored:
    """Score records with one version and commit them at once; again after a lost race."""
    told = Scored(0, {})

    def rows_of(reader: "Reader") -> pa.Table | None:
        nonlocal told
        fallen = _fallen(home, pipeline, _still(wanted, reader, batch.challenger), batch)
        told = Scored(0, {}, refused=int(fallen.refused.sum()))
        kept = ~fallen.refused
        rows = fallen.rows[kept].reset_index(drop=True)
        if rows.empty:
            return None
        answers = _answers(home, pipeline, version, rows, batch)
        used = [one for one, is_kept in zip(fallen.used, kept, strict=True) if is_kept]
        made = _as_table(rows, answers, pipeline, version, used, batch)
        failpoint("chunk-scored")
        # Last of all: to answer may take long, and somebody may have been erased meanwhile.
        made = made.filter(pa.array(~_erased(home, pipeline, rows)))
        told = replace(told, stood_in=made.num_rows - made["fallbacks"].null_count)
        return made if made.num_rows else None

    commit = home.lake.commit(pipeline.name, PREDICTIONS, rows_of, producer="score")
    failpoint("chunk-committed")
    return replace(told, rows=commit.rows, by_version={version: commit.rows})


def _still(wanted: pa.Table, predictions: "Reader", challenger: "Challenger | None") -> pa.Table:
    """Leave out the records that were predicted by somebody else meanwhile."""
    taken, said = (
        (_SERVED, None) if challenger is None else (_SHADOWED, {"version": challenger.version})
    )
    found = predictions.query(_THERE.format(taken=taken), params=said, tables={"wanted": wanted})
    there = found[RECORD_ID]
    return wanted.filter(pc.invert(pc.is_in(wanted[RECORD_ID], there.combine_chunks())))


def _erased(home: "Home", pipeline: Pipeline, rows: pd.DataFrame) -> "NDArray[np.bool_]":
    """Mark the rows of people who were erased by now."""
    entities = None if pipeline.entity is None else rows.get(pipeline.entity)
    return erased(home.lake, pipeline.name).mask(rows[RECORD_ID], entities)


def _fallen(home: "Home", pipeline: Pipeline, wanted: pa.Table, batch: _Batch) -> Fallen:
    """Read what is to be scored, with stand-ins where a fault spoils it."""
    records = batch.records
    rows = _first_known(_versions_of(home, pipeline, wanted, batch), batch.mended)
    impossible = _impossible(home, pipeline, wanted, rows, batch)
    if impossible is not None:
        rows = pd.concat([rows, impossible.rows], ignore_index=True)
    good = rows[:0] if records is None else records
    good = without_faulty(good, batch.faults) if batch.faults else good
    fallen = apply_fallbacks(rows, pipeline, batch.faults, good, ended=batch.discarded)
    if impossible is not None:
        last = _last_of(home, pipeline, impossible, batch)
        fallen = stand_in_for_impossible(fallen, pipeline, impossible.rules, last)
    if records is None or batch.labels is None:
        return fallen
    with_history = add_history(
        fallen.rows, records=records, labels=batch.labels, pipeline=pipeline, spoiled=batch.spoiled
    )
    return replace(fallen, rows=with_history)


def _impossible(
    home: "Home", pipeline: Pipeline, wanted: pa.Table, rows: pd.DataFrame, batch: _Batch
) -> Readable | None:
    """Read what is in quarantine of the records that are wanted and are none."""
    if not batch.quarantined:
        return None
    others = wanted.filter(pc.invert(pc.is_in(wanted[RECORD_ID], pa.array(rows[RECORD_ID]))))
    return read_quarantined(home, pipeline, others, as_of=batch.as_of)


def _last_of(
    home: "Home", pipeline: Pipeline, impossible: Readable, batch: _Batch
) -> dict[str, dict[str, Any]]:
    """Find the last good values for the columns that ask for them, by column and record id."""
    found = {}
    for name, column in pipeline.columns.items():
        asking = [record for record, rules in impossible.rules.items() if name in rules]
        if column.fallback == "last" and asking:
            rows = impossible.rows[impossible.rows[RECORD_ID].isin(asking)]
            found[name] = last_good(home, pipeline, rows, name, batch.faults, as_of=batch.as_of)
    return found


def _versions_of(home: "Home", pipeline: Pipeline, wanted: pa.Table, batch: _Batch) -> pd.DataFrame:
    """Read every version of some records that was known by the moment."""
    records = home.lake.open(pipeline.name, RECORDS)
    found = records.query(_VERSIONS, params={"as_of": batch.as_of}, tables={"wanted": wanted})
    return to_frame(found.cast(records.schema))


def _first_known(records: pd.DataFrame, mended: tuple[Fault, ...]) -> pd.DataFrame:
    """Take of each record the version known first; of a stretch that was mended, the newest."""
    rows = records.sort_values([RECORD_ID, KNOWN_TIME])
    first = rows.drop_duplicates(RECORD_ID, keep="first")
    if mended:
        newest = rows.drop_duplicates(RECORD_ID, keep="last")
        spoilt = np.logical_or.reduce([fault.concerns(newest) for fault in mended])
        again = newest[spoilt]
        first = pd.concat([first[~first[RECORD_ID].isin(again[RECORD_ID])], again])
    return first.sort_values([EVENT_TIME, RECORD_ID], kind="stable").reset_index(drop=True)


def _answers(
    home: "Home", pipeline: Pipeline, version: str, rows: pd.DataFrame, batch: _Batch
) -> Answers:
    if version == NAIVE:
        labels = labels_known(home.lake, pipeline, as_of=batch.as_of)
        labels = with_entities(labels, home.lake, pipeline)
        return naive_now(pipeline, rows, labels, as_of=batch.as_of)
    promotion = batch.challenger or next(
        p for p in home.ledger.promotions(pipeline.name) if p.version == version
    )
    scorer = open_package(home, pipeline, digest=promotion.digest, uri=promotion.package_uri)
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
    channel = "batch" if batch.challenger is None else SHADOW
    # Two challengers may answer the same record, one after the other.
    named = channel if batch.challenger is None else f"{channel} {version}"
    made = pd.DataFrame(
        {
            "prediction_id": [prediction_id(record, named) for record in rows[RECORD_ID]],
            RECORD_ID: rows[RECORD_ID],
            EVENT_TIME: rows[EVENT_TIME],
            KNOWN_TIME: batch.as_of,
            "model_version": version,
            "channel": channel,
            "prediction": answers.values,
            "probabilities": None if answers.probabilities is None else list(answers.probabilities),
            "record_known_time": rows[KNOWN_TIME],
            "features": None,
            "flow_run_id": batch.flow_run_id,
            "fallbacks": [json.dumps(one, sort_keys=True) if one else None for one in used],
            **_bounds(answers),
            "threshold": answers.threshold,
        }
    )
    return to_arrow(made, prediction_schema(pipeline))


def _bounds(answers: Answers) -> dict[str, object]:
    """Lay intervals and sets out, where the answers carry any."""
    low, high = (None, None) if answers.intervals is None else answers.intervals.T
    names = np.array(answers.classes, dtype=object)
    sets = None if answers.sets is None else [list(names[inside]) for inside in answers.sets]
    return {INTERVAL_LOW: low, INTERVAL_HIGH: high, PREDICTION_SET: sets}


def prediction_id(record_id: str, channel: str) -> str:
    """Name a prediction by what it answers: the same record and channel, the same id."""
    return "p-" + hashlib.sha256(f"{channel}\0{record_id}".encode()).hexdigest()[:24]
