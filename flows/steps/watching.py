"""Look for data faults, measure what is due, judge the newest window, write down what follows.

A verdict to retrain and its request are one transaction of the ledger; the event that the
flow sends afterwards is only a nudge.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from components.failpoints import failpoint
from components.known_faults import Faults
from components.pipelines import Pipeline
from flows.steps.alerting import Told
from flows.steps.diagnosing import look_for_faults
from flows.steps.in_charge import in_charge_at
from flows.steps.leasing import Clock
from flows.steps.measuring import (
    look_again,
    looks_due,
    measure_and_write,
    read_measurements,
    windows_due,
)
from flows.steps.rivals import NAIVE
from monitoring.measurements import Measurement
from monitoring.policies import History, Verdict, WindowFacts, judge
from monitoring.windows import Window

if TYPE_CHECKING:
    from components.stores.ledger import Request
    from flows.steps.home import Home
    from flows.steps.shadowing import Shadow


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
    faults : Faults
        What is wrong with the data; their rows are not measured.
    alerts : Told
        What people were told of it, and what still waits.
    shadow : Shadow or None
        What was said of the challenger in shadow, where there is one.

    """

    measurements: tuple[Measurement, ...]
    verdict: Verdict
    request: "Request | None"
    windows: int
    faults: Faults = Faults()  # noqa: RUF009 - frozen, and empty
    alerts: Told = Told()  # noqa: RUF009 - as above
    shadow: "Shadow | None" = None


def watch(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    clock: Clock,
    flow_run_id: str = "",
) -> Watched:
    """Look for data faults, measure what is due, oldest window first, and judge the newest.

    The faults come first: what is set aside is neither called drift nor counted as an error.
    """
    faults = look_for_faults(home, pipeline, as_of=as_of, clock=clock, flow_run_id=flow_run_id)
    due = windows_due(home, pipeline, as_of=as_of)
    for window in due:
        measure_and_write(
            home, pipeline, window, as_of=as_of, flow_run_id=flow_run_id, faults=faults.aside
        )
    for look in looks_due(home, pipeline, as_of=as_of, faults=faults.aside):
        look_again(home, pipeline, look, as_of=as_of, flow_run_id=flow_run_id, faults=faults.aside)
    kept = read_measurements(home, pipeline, as_of=as_of)
    verdict = judge(
        pipeline.policy,
        recall(home, pipeline, kept, as_of=as_of),
        as_of=as_of,
        max_age=pipeline.max_age,
        faults=faults,
        pipeline=pipeline.name,
    )
    failpoint("verdict-computed")
    request = write_down(home, pipeline, verdict, as_of=as_of, clock=clock)
    return Watched(_newest(kept), verdict, request, len(due), faults)


def recall(
    home: "Home", pipeline: Pipeline, kept: Iterable[Measurement], *, as_of: pd.Timestamp
) -> History:
    """Gather what the policy judges on: windows under the present champion, and past answers."""
    champion = in_charge_at(home.ledger.promotions(pipeline.name), as_of)
    since = pd.Timestamp(champion.as_of) if champion else None
    decided = [d for d in home.ledger.decisions(pipeline.name) if d.as_of <= as_of]
    # What ended the wait of a challenger is about a training that counts already.
    ended = {one.settled_by for one in home.ledger.challengers(pipeline.name)}
    trained = [d for d in decided if d.request_id and d.id not in ended]
    # A training that failed, or was put off, answered nothing: the next window may ask again.
    answered = [pd.Timestamp(d.as_of) for d in trained if d.what not in ("failed", "data_fault")]
    fitted = [pd.Timestamp(d.as_of) for d in trained if d.tested_version]
    newest = trained[-1] if trained else None
    facts = window_facts(kept)
    if since is not None:
        facts = tuple(fact for fact in facts if fact.window.start >= since)
    return History(
        windows=facts,
        champion_since=since,
        last_answer=max(answered, default=None),
        last_fit=max(fitted, default=None),
        put_off=pd.Timestamp(newest.as_of) if newest and newest.what == "data_fault" else None,
        last_tried=pd.Timestamp(newest.as_of) if newest else None,
    )


def window_facts(kept: Iterable[Measurement]) -> tuple[WindowFacts, ...]:
    """Sum measurements up by window, oldest first."""
    by_window: dict[Window, list[Measurement]] = {}
    for measured in kept:
        by_window.setdefault(measured.window, []).append(measured)
    return tuple(WindowFacts.of(window, by_window[window]) for window in sorted(by_window))


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
            # A data fault is one of this moment, whatever grid the windows lie on.
            window_end=as_of if verdict.action == "data_fault" else verdict.window_end,
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
        # Made up for, not asked for by hand: that one is closed.
        key=request_key(pipeline.name, "put off" if cause == "manual" else cause, data, version),
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


def _newest(kept: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
    if not kept:
        return ()
    end = max(measured.window.end for measured in kept)
    return tuple(measured for measured in kept if measured.window.end == end)
