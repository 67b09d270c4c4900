"""Check the truth where it comes in a table of its own: an id, a time and a value."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.checks.columns import require_label_columns
from components.checks.lines import quarantine_lines
from components.checks.parsing import missing, parse_answers
from components.checks.rules import A_TIME, FINITE, MISSING, ONE_LABEL, Broken, any_broken
from components.errors import SourceError
from components.pipelines import Labels, Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID
from components.values import parse_text, parse_times


@dataclass(frozen=True, slots=True)
class CheckedLabels:
    """Labels that passed, and what did not.

    Attributes
    ----------
    good : DataFrame
        `record_id`, `event_time` (unknown here: the record has it), `known_time`, `label`.
    quarantine : DataFrame
        One line a broken rule; columns of :func:`components.records.quarantine_schema`.
    rows : int
        How many rows were known.
    left_from : Timestamp or None
        The earliest time of a row that was not known yet.

    """

    good: pd.DataFrame
    quarantine: pd.DataFrame
    rows: int
    left_from: pd.Timestamp | None


def check_labels(
    raw: pd.DataFrame, pipeline: Pipeline, *, as_of: pd.Timestamp | None = None, part: str = ""
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Check a whole table of labels, as far as they were known at a moment.

    Parameters
    ----------
    raw : DataFrame of shape (n_rows, n_columns)
        With the id and time columns of `pipeline.labels` and the target; not modified.
    pipeline : Pipeline
        Resolved.
    as_of : Timestamp, optional
        Leave out what was not known by then. By default everything is looked at.
    part : str
        The part of the source that the rows are, for people.

    Returns
    -------
    labels : DataFrame
        As :attr:`CheckedLabels.good`, each version of a label once.
    quarantine : DataFrame

    Raises
    ------
    SourceError
        If a column is missing or stands twice.

    """
    require_label_columns(raw.columns, pipeline, part=part)
    checked = check_label_batch(raw, pipeline, as_of=as_of)
    good, disputed = settle_labels(checked.good, pipeline)
    lines = [frame for frame in (checked.quarantine, disputed) if len(frame)]
    return good, pd.concat(lines, ignore_index=True) if lines else checked.quarantine


def check_label_batch(
    raw: pd.DataFrame, pipeline: Pipeline, *, as_of: pd.Timestamp | None = None
) -> CheckedLabels:
    """Check labels, each by itself; several rows may still claim one moment of a record.

    A row without a value breaks no rule: with an id and a time it says that from then on no
    label is known; without, it is no label yet.
    """
    source = _labels_of(pipeline)
    raw = raw.loc[:, [source.id, source.time, pipeline.target]].reset_index(drop=True)
    times = parse_times(raw[source.time])
    left = None
    if as_of is not None:
        later = (times.values > as_of).to_numpy(dtype=bool)
        if later.any():
            left = times.values[later].min()
            raw, times = raw[~later].reset_index(drop=True), times.only(~later)
    named = parse_text(raw[source.id])
    answers, rule = parse_answers(raw[pipeline.target], pipeline)
    given = answers.values.notna().to_numpy(dtype=bool) | answers.unreadable
    broken = [
        Broken(source.id, MISSING, named.values.isna().to_numpy(dtype=bool) & given),
        Broken(source.time, A_TIME, times.unreadable & given),
        Broken(source.time, MISSING, missing(times) & given),
        Broken(pipeline.target, rule, answers.unreadable),
    ]
    if pipeline.resolved_task == "regression":
        broken.append(Broken(pipeline.target, FINITE, np.isinf(answers.values.to_numpy())))
    rows = _frame(named.values, times.values, answers.values)
    lines = quarantine_lines(raw, rows, broken, pipeline, as_of=as_of, source=source.shown)
    # Empty from a moment on: whoever reads as of later knows no label any more.
    withdrawn = ~given & rows[[RECORD_ID, KNOWN_TIME]].notna().all(axis=1).to_numpy(dtype=bool)
    good = ~any_broken(broken, len(rows), label_only=False) & (given | withdrawn)
    return CheckedLabels(rows[good].reset_index(drop=True), lines, len(rows), left)


def settle_labels(rows: pd.DataFrame, pipeline: Pipeline) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Set aside labels of one record that differ at one moment; keep each copy once.

    A later label of another value is a correction, known when its own time says.
    """
    source = _labels_of(pipeline)
    key = [RECORD_ID, KNOWN_TIME]
    distinct = rows.drop_duplicates([*key, LABEL])
    clashing = distinct[distinct.duplicated(key, keep=False)]
    clash = pd.MultiIndex.from_frame(rows[key]).isin(pd.MultiIndex.from_frame(clashing[key]))
    raw = as_label_source(rows, pipeline)
    broken = [Broken(pipeline.target, ONE_LABEL, np.asarray(clash, dtype=bool))]
    lines = quarantine_lines(raw, rows, broken, pipeline, source=source.shown)
    return rows[~clash].drop_duplicates(key).reset_index(drop=True), lines


def as_label_source(rows: pd.DataFrame, pipeline: Pipeline) -> pd.DataFrame:
    """Give parsed labels the columns of their table again."""
    source = _labels_of(pipeline)
    return pd.DataFrame(
        {source.id: rows[RECORD_ID], source.time: rows[KNOWN_TIME], pipeline.target: rows[LABEL]}
    )


def _frame(ids: pd.Series, times: pd.Series, answers: pd.Series) -> pd.DataFrame:
    never = pd.Series(pd.NaT, index=ids.index, dtype="datetime64[us, UTC]")
    return pd.DataFrame({RECORD_ID: ids, EVENT_TIME: never, KNOWN_TIME: times, LABEL: answers})


def _labels_of(pipeline: Pipeline) -> Labels:
    if pipeline.labels is None:
        raise SourceError(
            f"pipeline {pipeline.name} has no table of labels; name one under 'labels'"
        )
    return pipeline.labels
