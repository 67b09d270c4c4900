"""Measure the windows that are complete, judge them, and write down what follows.

A verdict to retrain and its request are one transaction of the ledger; the event that the
flow sends afterwards is only a nudge.

Labels come later than rows, so the live error of a window is measured when it ends, with
the labels known by then, and once more when they are in: a later row of the table, which
counts from then on. Drift needs no labels and is measured once.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from components.failpoints import failpoint
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    RECORD_ID,
    measurement_schema,
    to_arrow,
    to_frame,
)
from flows.steps.leasing import Clock
from flows.steps.reading_back import read_back
from flows.steps.rivals import NAIVE, naive_now, open_package
from flows.steps.snapshots import first_event, labels_known, predictions_made, records_known
from monitoring.drift import measure_drift
from monitoring.measurements import Measurement
from monitoring.policies import History, Verdict, WindowFacts, judge
from monitoring.quality import last_known, many_came_in, measure_quality
from monitoring.windows import Window, complete_windows

if TYPE_CHECKING:
    from components.stores.lake import Reader
    from components.stores.ledger import Promotion, Request
    from flows.steps.home import Home

LOOK_BACK = 8
"""So many of the newest windows are looked at for labels that came at times of their own."""


@dataclass(frozen=True, slots=True)
class Look:
    """When the live error of a window was last measured, whose it is, on how many labels."""

    window: Window
    at: pd.Timestamp
    labelled: int
    model_version: str
    reference: str


@dataclass(frozen=True, slots=True)
class Watched:
    """What a monitoring run found and asked for.

    Attributes
    ----------
    measurements : tuple of Measurement
        Those of the newest window.
    verdict : Verdict
        The policy's answer on the newest window.
    request : Request or None
        The request that the verdict led to, new or merged into.
    windows : int
        Windows measured by this run for the first time.

    """

    measurements: tuple[Measurement, ...]
    verdict: Verdict
    request: "Request | None"
    windows: int


def watch(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    clock: Clock,
    flow_run_id: str = "",
) -> Watched:
    """Measure what is due, oldest window first, and judge the newest."""
    due = windows_due(home, pipeline, as_of=as_of)
    for window in due:
        _measure_and_write(home, pipeline, window, as_of=as_of, flow_run_id=flow_run_id)
    for look in looks_due(home, pipeline, as_of=as_of):
        _look_again(home, pipeline, look, as_of=as_of, flow_run_id=flow_run_id)
    kept = read_measurements(home, pipeline, as_of=as_of)
    verdict = judge(
        pipeline.policy,
        recall(home, pipeline, kept, as_of=as_of),
        as_of=as_of,
        max_age=pipeline.max_age,
    )
    failpoint("verdict-computed")
    request = write_down(home, pipeline, verdict, as_of=as_of, clock=clock)
    return Watched(_newest(kept), verdict, request, len(due))


def windows_due(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> list[Window]:
    """List the complete windows since the pipeline came under care that nobody measured."""
    anchor = first_event(home.lake, pipeline)
    decided = [decision.as_of for decision in home.ledger.decisions(pipeline.name)]
    if anchor is None or not decided:
        return []
    done = {m.window.end for m in read_measurements(home, pipeline, as_of=as_of)}
    every = complete_windows(
        anchor, as_of, pipeline.monitor.window, after=pd.Timestamp(min(decided))
    )
    return [window for window in every if window.end not in done]


def looks_due(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> list[Look]:
    """List the looks at live error that labels known since have outdated, oldest window first.

    With a label delay: those taken before the labels of the whole window were due, once they
    are. Where each label has a time of its own: those that many more labels came in after.
    """
    looks = _looks(home, pipeline, as_of=as_of)
    if pipeline.label_delay is None:
        return _outgrown(home, pipeline, looks, as_of=as_of)
    delay = pd.Timedelta(pipeline.label_delay)
    return [look for look in looks if look.at < look.window.end + delay <= as_of]


def _looks(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> list[Look]:
    rows = _rows_known(home, pipeline, as_of=as_of)
    live = rows[rows["name"] == "live_error"].sort_values("window_end", kind="stable")
    return [
        Look(
            window=Window(row["window_start"], row["window_end"]),
            at=row[KNOWN_TIME],
            labelled=row["rows"],
            model_version=row["model_version"],
            reference=row["reference"],
        )
        for row in live.to_dict("records")
    ]


def _outgrown(
    home: "Home", pipeline: Pipeline, looks: list[Look], *, as_of: pd.Timestamp
) -> list[Look]:
    recent = looks[-LOOK_BACK:]
    if not recent:
        return []
    since, until = recent[0].window.start, recent[-1].window.end
    made = predictions_made(home.lake, pipeline, as_of=as_of, since=since, until=until)
    labels = labels_known(home.lake, pipeline, as_of=as_of, since=since)
    labelled = made[RECORD_ID].isin(labels.loc[labels[LABEL].notna(), RECORD_ID])
    found = []
    for look in recent:
        inside = look.window.holds(made[EVENT_TIME])
        if many_came_in(look.labelled, int(labelled[inside].sum()), int(inside.sum())):
            found.append(look)
    return found


def _measure_and_write(
    home: "Home", pipeline: Pipeline, window: Window, *, as_of: pd.Timestamp, flow_run_id: str
) -> None:
    promotion = _in_charge(home, pipeline, window)
    measured = measure(home, pipeline, window, promotion, as_of=as_of)
    version = promotion.version if promotion else NAIVE
    about = {
        KNOWN_TIME: as_of,
        "model_version": version,
        "reference": promotion.digest if promotion else "",
        "flow_run_id": flow_run_id,
    }
    _write(home, pipeline, [(_measurement_id(m, version), m) for m in measured], about)


def _look_again(
    home: "Home", pipeline: Pipeline, look: Look, *, as_of: pd.Timestamp, flow_run_id: str
) -> None:
    """Measure live error anew; the row names the moment and its labels, so it is a row more."""
    measured = _quality(home, pipeline, look.window, as_of=as_of)
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
) -> list[Measurement]:
    """Measure one window: drift against what its champion learnt from, and live error."""
    records = records_known(home.lake, pipeline, as_of=as_of, since=window.start)
    records = records[records["event_time"] < window.end]
    found = _quality(home, pipeline, window, as_of=as_of)
    if promotion is None:
        return found
    scorer = open_package(home, digest=promotion.digest, uri=promotion.package_uri)
    drift = measure_drift(
        scorer.reference(),
        records[list(pipeline.features)],
        pipeline,
        window=window,
        seed=pipeline.seed,
    )
    return [*drift, *found]


def _quality(
    home: "Home", pipeline: Pipeline, window: Window, *, as_of: pd.Timestamp
) -> list[Measurement]:
    made = predictions_made(home.lake, pipeline, as_of=as_of, since=window.start, until=window.end)
    labels = labels_known(home.lake, pipeline, as_of=as_of)
    scored = made.merge(labels[[RECORD_ID, LABEL]], on=RECORD_ID, how="left")
    known = scored[scored[LABEL].notna()].reset_index(drop=True)
    labelled, answers = read_back(home, pipeline, known)
    naive = None
    if len(labelled):
        naive = naive_now(pipeline, labelled, labels, as_of=window.start)
    return measure_quality(
        labelled,
        answers,
        naive,
        pipeline=pipeline,
        window=window,
        rows_made=len(scored),
    )


def recall(
    home: "Home", pipeline: Pipeline, kept: Iterable[Measurement], *, as_of: pd.Timestamp
) -> History:
    """Gather what the policy judges on: windows under the present champion, and past answers."""
    promoted = [pd.Timestamp(p.as_of) for p in home.ledger.promotions(pipeline.name)]
    since = max((moment for moment in promoted if moment <= as_of), default=None)
    decided = [d for d in home.ledger.decisions(pipeline.name) if d.as_of <= as_of]
    # A training that failed answered nothing: the next window may ask again.
    answered = [pd.Timestamp(d.as_of) for d in decided if d.request_id and d.what != "failed"]
    fitted = [pd.Timestamp(d.as_of) for d in decided if d.request_id and d.tested_version]
    facts = window_facts(kept)
    if since is not None:
        facts = tuple(fact for fact in facts if fact.window.start >= since)
    return History(
        windows=facts,
        champion_since=since,
        last_answer=max(answered, default=None),
        last_fit=max(fitted, default=None),
    )


def window_facts(kept: Iterable[Measurement]) -> tuple[WindowFacts, ...]:
    """Sum measurements up by window, oldest first."""
    by_window: dict[Window, list[Measurement]] = {}
    for measured in kept:
        by_window.setdefault(measured.window, []).append(measured)
    return tuple(WindowFacts.of(window, by_window[window]) for window in sorted(by_window))


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


def write_down(
    home: "Home", pipeline: Pipeline, verdict: Verdict, *, as_of: pd.Timestamp, clock: Clock
) -> "Request | None":
    """Write the verdict; one to retrain together with its request, in one transaction."""
    champion = home.ledger.champion(pipeline.name)
    version = champion.version if champion else NAIVE
    data = verdict.window_end or as_of
    if verdict.action != "retrain":
        home.ledger.write_verdict(
            pipeline.name,
            window_end=verdict.window_end,
            action=verdict.action,
            reason=verdict.reason,
            cause=verdict.cause,
            policy=pipeline.policy.kind,
            request_id=None,
            as_of=as_of,
            now=clock(),
        )
        return None
    cause = verdict.cause or pipeline.policy.kind
    request, _ = home.ledger.retrain_verdict(
        pipeline.name,
        window_end=verdict.window_end,
        reason=verdict.reason,
        cause=cause,
        policy=pipeline.policy.kind,
        key=request_key(pipeline.name, cause, data, version),
        champion=version,
        evidence={"window_end": data.isoformat(), "policy": pipeline.policy.kind},
        as_of=as_of,
        now=clock(),
    )
    failpoint("after-outbox")
    return request


def request_key(pipeline: str, cause: str, data: pd.Timestamp | str, champion: str) -> str:
    """Make the idempotency key of a request: pipeline, cause, data and champion."""
    data = data if isinstance(data, str) else data.isoformat()
    return f"{pipeline}|{cause}|{data}|{champion}"


def _in_charge(home: "Home", pipeline: Pipeline, window: Window) -> "Promotion | None":
    """Find the promotion that was in force when the window began."""
    past = [p for p in home.ledger.promotions(pipeline.name) if p.as_of <= window.start]
    return past[-1] if past else None


def _newest(kept: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
    if not kept:
        return ()
    end = max(measured.window.end for measured in kept)
    return tuple(measured for measured in kept if measured.window.end == end)


def _measurement_id(measured: Measurement, version: str, *again: str) -> str:
    named = (measured.window.end.isoformat(), measured.name, measured.column or "", version)
    return "m-" + hashlib.sha256("\0".join((*named, *again)).encode()).hexdigest()[:24]
