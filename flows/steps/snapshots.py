"""What was known at a moment: records, labels and predictions, as of then."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from components.faults import Fault, without_faulty
from components.history import add_history
from components.joins import labelled_query
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    LABELS,
    PREDICTIONS,
    RECORD_ID,
    RECORDS,
    label_schema,
    to_frame,
)

if TYPE_CHECKING:
    from components.stores.lake import Lake

ANCHOR = "_anchor"
"""The file, beside a pipeline's tables, that notes the day of its first record."""

_KNOWN = "known_time <= $as_of"
_SERVED = (
    f"{_KNOWN} and event_time >= $since and event_time < $until and channel in ('batch', 'online')"
)
_NAMED = ["prediction_id", RECORD_ID, EVENT_TIME, KNOWN_TIME]
_WHOSE = """
select record_id, arg_max({entity}, known_time) as entity from this
semi join wanted using (record_id) group by record_id"""
_OF_MADE = "(select * from this semi join made using (record_id))"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The exact data that a training may see.

    Attributes
    ----------
    rows : DataFrame of shape (n_labelled, n_features + 4)
        One labelled record a row, sorted by event time: `record_id`, `event_time`,
        `known_time` (when the *label* was known), the features, `label`.
    versions : dict
        Delta table versions that the rows were read at.
    digest : str
        SHA-256 over the rows' content; equal for equal data.
    aside : tuple of Fault
        The data faults whose rows were left out of `rows`; its history features see nothing
        of what they spoil.
    source : str
        Where the tables lie, for people and MLflow.

    """

    pipeline: str
    as_of: pd.Timestamp
    rows: pd.DataFrame
    versions: dict[str, int]
    digest: str
    aside: tuple[Fault, ...] = ()
    source: str = ""

    @property
    def name(self) -> str:
        """One line that names the snapshot."""
        versions = " ".join(f"{table}@{number}" for table, number in self.versions.items())
        return f"{self.pipeline} {versions} as of {self.as_of.isoformat()}"


def newest_known(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep of each record the version known last; sorted by event time, then id."""
    kept = rows.sort_values([RECORD_ID, KNOWN_TIME], kind="stable").drop_duplicates(
        RECORD_ID, keep="last"
    )
    return kept.sort_values([EVENT_TIME, RECORD_ID], kind="stable").reset_index(drop=True)


def given(labels: pd.DataFrame) -> pd.DataFrame:
    """Leave out the labels that were withdrawn; of each only the newest version is there."""
    known = labels[LABEL].notna()
    return labels if known.all() else labels[known].reset_index(drop=True)


def records_known(
    lake: "Lake",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp | None = None,
    version: int | None = None,
) -> pd.DataFrame:
    """Read the records known by `as_of`, of events at or after `since`, each once."""
    return _known(lake, pipeline, "records", as_of=as_of, since=since, version=version)


def labels_known(
    lake: "Lake",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp | None = None,
    version: int | None = None,
) -> pd.DataFrame:
    """Read the labels known by `as_of`, of events at or after `since`, each once.

    One that was withdrawn by then is none.
    """
    return _known(lake, pipeline, "labels", as_of=as_of, since=since, version=version)


def predictions_made(
    lake: "Lake",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp,
    until: pd.Timestamp,
) -> pd.DataFrame:
    """Read the serving predictions (batch, online) for events in ``[since, until)``."""
    params = {"as_of": as_of, "since": since, "until": until}
    return to_frame(lake.read(pipeline.name, PREDICTIONS, where=_SERVED, params=params))


def predictions_labelled(
    lake: "Lake",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp,
    until: pd.Timestamp,
    age: timedelta | None = None,
) -> pd.DataFrame:
    """Read the serving predictions for events in ``[since, until)``, each with its truth.

    The labels pass through DuckDB and are joined there, within a bound of memory: only those of
    these predictions come back.

    Parameters
    ----------
    age : timedelta, optional
        Take each label as known at this age of the event that was predicted.

    Returns
    -------
    DataFrame of shape (n_predictions, n_columns + 1)
        With `label`, missing where none was known by then; ordered by event time, record and
        prediction, whatever order the files are in: a sum in another order ends on another
        last digit.

    """
    from components.stores.lake.scratch import scratch

    where = f"{_SERVED} order by event_time, record_id, prediction_id"
    params = {"as_of": as_of, "since": since, "until": until}
    made = lake.read(pipeline.name, PREDICTIONS, where=where, params=params)
    labels = lake.open(pipeline.name, LABELS)
    sql, asked = labelled_query("made", _OF_MADE, as_of=as_of, age=age)
    with scratch("truth") as spill, labels.session(spill) as session:
        found = session.query(
            f"select prediction_id, {LABEL} from ({sql})",  # noqa: S608 - constants
            params=asked,
            tables={"made": made.select(_NAMED)},
        )
    rows = to_frame(made)
    truth = to_frame(found.cast(_truth_schema(pipeline))).set_index("prediction_id")[LABEL]
    return rows.assign(**{LABEL: truth.reindex(rows["prediction_id"]).array})


def versions_known(
    lake: "Lake",
    pipeline: Pipeline,
    table: str,
    *,
    as_of: pd.Timestamp,
    version: int | None = None,
) -> pd.DataFrame:
    """Read every version of the records or labels known by `as_of`: history features see them.

    A label that was withdrawn has a version without a value, which hides the one before.
    Labels that came in a table of their own get the event time of their record.
    """
    found = to_frame(
        lake.read(pipeline.name, table, where=_KNOWN, params={"as_of": as_of}, version=version)
    )
    return dated(found, lake, pipeline) if table == "labels" else found


def dated(labels: pd.DataFrame, lake: "Lake", pipeline: Pipeline) -> pd.DataFrame:
    """Give labels of a table of their own the event time of their record; NaT where it lacks."""
    if pipeline.labels is None or not labels[EVENT_TIME].isna().any():
        return labels
    records = to_frame(lake.read(pipeline.name, "records", columns=[RECORD_ID, EVENT_TIME]))
    return with_event_times(labels, records)


def with_event_times(labels: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Fill the event time of labels from their records; not modified."""
    times = records.drop_duplicates(RECORD_ID).set_index(RECORD_ID)[EVENT_TIME]
    found = labels[EVENT_TIME].fillna(labels[RECORD_ID].map(times))
    return labels.assign(**{EVENT_TIME: found})


def with_entities(rows: pd.DataFrame, lake: "Lake", pipeline: Pipeline) -> pd.DataFrame:
    """Say of labels or predictions whom their records are about; not modified.

    Returns
    -------
    DataFrame
        With the pipeline's entity column, missing where there is no such record; as it was
        where the pipeline has no entity, or the rows say it themselves.

    """
    entity = pipeline.entity
    if entity is None or entity in rows:
        return rows
    from components.stores.lake import quote

    records = lake.open(pipeline.name, RECORDS)
    wanted = {"wanted": pa.table({RECORD_ID: pa.array(rows[RECORD_ID], pa.string())})}
    found = to_frame(records.query(_WHOSE.format(entity=quote(entity)), tables=wanted))
    return rows.assign(**{entity: rows[RECORD_ID].map(found.set_index(RECORD_ID)["entity"])})


def table_versions(lake: "Lake", pipeline: Pipeline) -> dict[str, int]:
    """Name the versions of the tables that a training reads, as they are now."""
    return {table: lake.version(pipeline.name, table) for table in ("records", "labels")}


def take_snapshot(
    lake: "Lake",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    versions: dict[str, int] | None = None,
    aside: Sequence[Fault] = (),
    blind: bool = True,
) -> Snapshot:
    """Bind what may be learnt from at a moment to the versions of the tables.

    Parameters
    ----------
    versions : dict, optional
        Read the tables at these versions, and keep them: they stay readable for as long as
        they are needed, whatever becomes of the tables' logs. The newest by default, and then
        nothing is kept.
    aside : sequence of Fault
        Data faults as known at `as_of`: the rows that they spoil are left out.
    blind : bool
        Whether history features see nothing of what these faults spoil. False makes the
        snapshots of older versions of Driftwheel again.

    Raises
    ------
    StoreError
        If the tables do not exist yet.

    """
    for table, number in (versions or {}).items():
        lake.keep(pipeline.name, table, number)
    versions = versions or table_versions(lake, pipeline)
    records = versions_known(lake, pipeline, "records", as_of=as_of, version=versions["records"])
    labels = versions_known(lake, pipeline, "labels", as_of=as_of, version=versions["labels"])
    rows = join_labels(newest_known(records), given(newest_known(labels)))
    rows = without_faulty(rows, aside)
    unknown = aside if blind else ()
    rows = add_history(rows, records=records, labels=labels, pipeline=pipeline, spoiled=unknown)
    return Snapshot(
        pipeline.name,
        as_of,
        rows,
        versions,
        digest_rows(rows),
        aside=tuple(sorted(set(aside))),
        source=f"{lake.root}/{pipeline.name}",
    )


def join_labels(records: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Join records with their labels; the known time of a row is that of its label.

    A record known later than its label (a correction) keeps the later of the two.
    """
    truth = labels[[RECORD_ID, KNOWN_TIME, LABEL]].rename(columns={KNOWN_TIME: "label_known"})
    rows = records.merge(truth, on=RECORD_ID, how="inner", validate="one_to_one")
    rows[KNOWN_TIME] = rows[[KNOWN_TIME, "label_known"]].max(axis=1)
    return rows.drop(columns="label_known")


def digest_rows(rows: pd.DataFrame) -> str:
    """Hash the content of a frame, column names included."""
    hashed = hashlib.sha256(",".join(map(str, rows.columns)).encode())
    hashed.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return hashed.hexdigest()


def first_event(lake: "Lake", pipeline: Pipeline) -> pd.Timestamp | None:
    """Find the day of the pipeline's first record, the anchor of its windows.

    Where old rows were removed since, it is the day that was noted before: else every window
    would begin anew.
    """
    noted = lake.folder(pipeline.name).read(ANCHOR)
    if noted is not None:
        return pd.Timestamp(noted.decode())
    table = lake.read(pipeline.name, "records", columns=[EVENT_TIME])
    if not table.num_rows:
        return None
    return pd.Timestamp(to_frame(table)[EVENT_TIME].min()).floor("D")


def first_training(pipeline: Pipeline, anchor: pd.Timestamp) -> pd.Timestamp:
    """Say when a pipeline is first trained: as its file states, else 91 days in."""
    if pipeline.first_train is None:
        return anchor + timedelta(days=91)
    stated = pd.Timestamp(pipeline.first_train)
    return stated.tz_localize("UTC") if stated.tzinfo is None else stated.tz_convert("UTC")


def _truth_schema(pipeline: Pipeline) -> pa.Schema:
    return pa.schema([("prediction_id", pa.string()), label_schema(pipeline).field(LABEL)])


def _known(
    lake: "Lake",
    pipeline: Pipeline,
    table: str,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp | None,
    version: int | None,
) -> pd.DataFrame:
    where, params = _KNOWN, {"as_of": as_of}
    apart = table == "labels" and pipeline.labels is not None
    if since is not None and not apart:
        where, params = f"{where} and event_time >= $since", {**params, "since": since}
    found = to_frame(lake.read(pipeline.name, table, where=where, params=params, version=version))
    if apart:
        found = dated(found, lake, pipeline)
        found = found[found[EVENT_TIME].notna()]  # a label whose record is still to come
        found = found if since is None else found[found[EVENT_TIME] >= since]
    return given(newest_known(found)) if table == "labels" else newest_known(found)
