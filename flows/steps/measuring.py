"""Measure the windows that are complete: drift, live error; again when labels are in.

Labels come later than rows, so the live error of a window is measured when it ends, with
the labels known by then, and once more when they are in: a later row of the table, which
counts from then on. Drift needs no labels and is measured once. Rows that a data fault has
spoiled are measured neither way.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from components.answers import Answers
from components.faults import Fault, without_faulty
from components.maturity import fair_age_of
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    measurement_schema,
    to_arrow,
    to_frame,
)
from flows.steps.care import under_care_since
from flows.steps.in_charge import in_charge_at
from flows.steps.maturing import label_versions, maturity_of, reaching_back, usual_before
from flows.steps.reading_back import read_back
from flows.steps.rivals import NAIVE, naive_now, open_package
from flows.steps.snapshots import (
    first_event,
    newest_known,
    predictions_labelled,
    records_known,
    with_entities,
)
from monitoring.drift import measure_drift
from monitoring.maturity import first_known, said_lacking, said_mature
from monitoring.measurements import Measurement
from monitoring.quality import filled_up, last_known, many_came_in, quality
from monitoring.windows import Window, complete_windows

if TYPE_CHECKING:
    from components.stores.lake import Reader
    from components.stores.ledger import Promotion
    from flows.steps.home import Home

LOOK_BACK = 8
"""So many of the newest windows are looked at, before they are mature, for labels that came."""

LACK_BACK = 32
"""So many of the newest windows that lacked labels when they were due are looked at for them."""


@dataclass(frozen=True, slots=True)
class Look:
    """When the live error of a window was last measured, whose it is, on how many labels.

    A `mature` one is due again only for many more labels; one that was `lacking` labels that
    were due, once half of those have come.
    """

    window: Window
    at: pd.Timestamp
    labelled: int
    mature: bool
    lacking: bool
    model_version: str
    reference: str


def windows_due(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> list[Window]:
    """List the complete windows since the pipeline came under care that nobody measured."""
    anchor = first_event(home.lake, pipeline)
    since = under_care_since(home.ledger, pipeline.name)
    if anchor is None or since is None:
        return []
    done = {m.window.end for m in read_measurements(home, pipeline, as_of=as_of)}
    every = complete_windows(anchor, as_of, pipeline.monitor.window, after=since)
    return [window for window in every if window.end not in done]


def looks_due(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp, faults: Sequence[Fault] = ()
) -> list[Look]:
    """List the looks at live error that labels known since have outdated, oldest window first.

    With a label delay: those taken before the labels of the whole window were due, once they
    are. Where each label has a time of its own: those taken before the window was mature, once
    it is; and before that those that many more labels came in after, so that a window is
    looked at a dozen times at most. Either way: those that lacked labels which were due, each
    time half of what was missing has come.
    """
    looks = _looks(home, pipeline, as_of=as_of)
    if not looks:
        return []
    lacking = [look for look in looks if look.lacking][-LACK_BACK:]
    due = _outgrown(home, pipeline, lacking, as_of=as_of, faults=faults)
    if pipeline.label_delay is not None:
        delay = pd.Timedelta(pipeline.label_delay)
        due += [look for look in looks if look.at < look.window.end + delay <= as_of]
    else:
        labels = label_versions(home, pipeline, as_of=as_of)
        fair = fair_age_of(first_known(labels), pipeline, as_of=as_of)
        young = [look for look in looks if not look.mature and not look.lacking]
        due += [look for look in young if look.window.end + fair <= as_of]
        due += _outgrown(home, pipeline, looks[-LOOK_BACK:], as_of=as_of, faults=faults)
    return [look for look in looks if look in due]


def _looks(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> list[Look]:
    rows = _rows_known(home, pipeline, as_of=as_of)
    live = rows[rows["name"] == "live_error"].sort_values("window_end", kind="stable")
    return [
        Look(
            window=Window(row["window_start"], row["window_end"]),
            at=row[KNOWN_TIME],
            labelled=row["rows"],
            mature=said_mature(row["reason"]),
            lacking=said_lacking(row["reason"]),
            model_version=row["model_version"],
            reference=row["reference"],
        )
        for row in live.to_dict("records")
    ]


def _outgrown(
    home: "Home",
    pipeline: Pipeline,
    recent: list[Look],
    *,
    as_of: pd.Timestamp,
    faults: Sequence[Fault],
) -> list[Look]:
    if not recent:
        return []
    since, until = recent[0].window.start, recent[-1].window.end
    made = predictions_labelled(home.lake, pipeline, as_of=as_of, since=since, until=until)
    made = without_faulty(made, faults)
    labelled = made[LABEL].notna()
    found = []
    for look in recent:
        inside = look.window.holds(made[EVENT_TIME])
        now, rows = int(labelled[inside].sum()), int(inside.sum())
        filled = look.lacking and filled_up(look.labelled, now, rows)
        if filled or many_came_in(look.labelled, now, rows):
            found.append(look)
    return found


def measure_and_write(
    home: "Home",
    pipeline: Pipeline,
    window: Window,
    *,
    as_of: pd.Timestamp,
    flow_run_id: str,
    faults: Sequence[Fault] = (),
) -> None:
    """Measure one window and write it down, once."""
    promotion = in_charge_at(home.ledger.promotions(pipeline.name), window.start)
    measured = measure(home, pipeline, window, promotion, as_of=as_of, faults=faults)
    version = promotion.version if promotion else NAIVE
    about = {
        KNOWN_TIME: as_of,
        "model_version": version,
        "reference": promotion.digest if promotion else "",
        "flow_run_id": flow_run_id,
    }
    _write(home, pipeline, [(_measurement_id(m, version), m) for m in measured], about)


def look_again(
    home: "Home",
    pipeline: Pipeline,
    look: Look,
    *,
    as_of: pd.Timestamp,
    flow_run_id: str,
    faults: Sequence[Fault] = (),
) -> None:
    """Measure live error anew; the row names the moment and its labels, so it is a row more."""
    measured = quality_of(home, pipeline, look.window, as_known_at=as_of, faults=faults)
    labelled = next(m.rows for m in measured if m.name == "live_error")
    again = (as_of.isoformat(), str(labelled))
    about = {
        KNOWN_TIME: as_of,
        "model_version": look.model_version,
        "reference": look.reference,
        "flow_run_id": flow_run_id,
    }
    named = [(_measurement_id(m, look.model_version, *again), m) for m in measured]
    _write(home, pipeline, named, about)


def _write(
    home: "Home",
    pipeline: Pipeline,
    named: Iterable[tuple[str, Measurement]],
    about: dict[str, Any],
) -> None:
    """Write the measurements whose id the table does not hold, in one commit."""
    schema = measurement_schema()
    laid_out = [{**m.as_row(), "measurement_id": name, **about} for name, m in named]
    rows = to_arrow(pd.DataFrame(laid_out, columns=schema.names), schema)

    def unless_there(reader: "Reader") -> pa.Table | None:
        there = set(to_frame(reader.read(columns=["measurement_id"]))["measurement_id"])
        new = [i for i, name in enumerate(rows["measurement_id"].to_pylist()) if name not in there]
        return rows.take(new) if new else None

    home.lake.commit(pipeline.name, "measurements", unless_there, producer="monitor")


def measure(
    home: "Home",
    pipeline: Pipeline,
    window: Window,
    promotion: "Promotion | None",
    *,
    as_of: pd.Timestamp,
    faults: Sequence[Fault] = (),
) -> list[Measurement]:
    """Measure one window: drift against what its champion learnt from, live error, waits.

    Parameters
    ----------
    faults : sequence of Fault
        Rows that they concern are left out of everything; a number that cannot tell for want
        of rows says how many.

    """
    found = quality_of(home, pipeline, window, as_known_at=as_of, faults=faults)
    # Where a delay is stated, and kept, there is nothing to measure.
    own_times = pipeline.label_delay is None or pipeline.updated is not None
    if own_times or any(said_lacking(one.reason) for one in found):
        found.append(maturity_of(home, pipeline, window, as_of=as_of))
    if promotion is None:
        return found
    records = records_known(home.lake, pipeline, as_of=as_of, since=window.start)
    records = records[records[EVENT_TIME] < window.end]
    fine = without_faulty(records, faults)
    scorer = open_package(home, pipeline, digest=promotion.digest, uri=promotion.package_uri)
    drift = measure_drift(
        scorer.reference(),
        fine[list(pipeline.features)],
        pipeline,
        window=window,
        seed=pipeline.seed,
    )
    return [*_excused(drift, len(records) - len(fine)), *found]


def quality_of(
    home: "Home",
    pipeline: Pipeline,
    window: Window,
    *,
    as_known_at: pd.Timestamp,
    at_maturity: timedelta | None = None,
    faults: Sequence[Fault] = (),
) -> list[Measurement]:
    """Measure the live error of a window as it was known at a moment.

    Asked again later, it gives the same numbers: labels and corrections known since are not
    looked at.

    Parameters
    ----------
    at_maturity : timedelta, optional
        Take each label as known at this age, and only rows as old; see
        :func:`monitoring.maturity.see`.

    """
    newest = label_versions(home, pipeline, as_of=as_known_at)
    labels = reaching_back(home, pipeline, window, newest, as_of=as_known_at)
    asked, aside = question(
        home,
        pipeline,
        window,
        labels,
        as_known_at=as_known_at,
        at_maturity=at_maturity,
        faults=faults,
    )
    return _excused(quality(**asked), aside)


def question(
    home: "Home",
    pipeline: Pipeline,
    window: Window,
    labels: pd.DataFrame,
    *,
    as_known_at: pd.Timestamp,
    at_maturity: timedelta | None,
    faults: Sequence[Fault],
) -> tuple[dict[str, Any], int]:
    """Gather what a question about the quality of a window needs.

    Parameters
    ----------
    labels : DataFrame of shape (n_versions, n_columns)
        Versions of labels known by then, as `label_versions` gives them: those that the waits
        are learnt from, and those that the naive baseline knew. Not modified.

    Returns
    -------
    dict, int
        What :func:`monitoring.quality.quality` and ``window_quality`` take; and how many
        predictions a data fault keeps out.

    """
    made = predictions_labelled(
        home.lake,
        pipeline,
        as_of=as_known_at,
        since=window.start,
        until=window.end,
        age=at_maturity,
    )
    fine = without_faulty(made, faults)
    labels = without_faulty(labels[labels[EVENT_TIME].notna()], faults)
    newest = newest_known(labels)

    def answer(rows: pd.DataFrame) -> tuple[pd.DataFrame, Answers]:
        return read_back(home, pipeline, rows)

    def naive(rows: pd.DataFrame) -> Answers:
        theirs = with_entities(rows, home.lake, pipeline)
        return naive_now(pipeline, theirs, newest, as_of=window.start)

    asked = {
        "made": fine,
        "labels": labels,
        "pipeline": pipeline,
        "window": window,
        "as_known_at": as_known_at,
        "at_maturity": at_maturity,
        "answer": answer,
        "naive": naive,
        "usual": usual_before(
            home, pipeline, window, as_of=as_known_at, faults=faults, age=at_maturity
        ),
    }
    return asked, len(made) - len(fine)


def _excused(measured: Iterable[Measurement], aside: int) -> list[Measurement]:
    """Let a number that cannot tell say that rows were set aside."""
    if not aside:
        return list(measured)
    said = f"{aside} rows are set aside for a data fault"
    return [
        replace(one, reason=f"{one.reason}; {said}") if one.status == "cannot_tell" else one
        for one in measured
    ]


def read_measurements(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp
) -> tuple[Measurement, ...]:
    """Read the measurements known by `as_of`, oldest window first.

    Of a number that was measured again, only the one known last.
    """
    rows = _rows_known(home, pipeline, as_of=as_of)
    rows = rows.sort_values(["window_end", "name"], kind="stable")
    named = ({str(key): value for key, value in row.items()} for row in rows.to_dict("records"))
    return tuple(Measurement.from_row(row) for row in named)


def _rows_known(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> pd.DataFrame:
    table = home.lake.read(
        pipeline.name, "measurements", where="known_time <= $as_of", params={"as_of": as_of}
    )
    return last_known(to_frame(table))


def _measurement_id(measured: Measurement, version: str, *again: str) -> str:
    named = (measured.window.end.isoformat(), measured.name, measured.column or "", version)
    return "m-" + hashlib.sha256("\0".join((*named, *again)).encode()).hexdigest()[:24]
