"""Whether what was measured calls for a retraining, and why, in words.

One noisy window must not buy a training run, neither must an old breach that has healed,
nor one that an earlier champion suffered. And nothing is asked for on data that is broken.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Self

import pandas as pd

from components.faults import Fault
from components.known_faults import Faults, in_words
from components.pipelines.durations import write_duration
from components.pipelines.spec import Policy
from monitoring.measurements import Measurement
from monitoring.windows import Window


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """What the measurements of one window come to; None where they cannot tell."""

    window: Window
    drift_share: float | None
    drifted: tuple[str, ...]
    live_error: float | None
    rows: int

    @classmethod
    def of(cls, window: Window, measurements: Iterable[Measurement]) -> Self:
        """Sum up the measurements of one window; those of others are ignored."""
        given = [one for one in measurements if one.window == window]
        drifted = (one.column for one in given if one.name == "drift" and one.status == "breach")
        return cls(
            window=window,
            drift_share=_told(given, "drift_share"),
            drifted=tuple(column for column in drifted if column is not None),
            live_error=_told(given, "live_error"),
            rows=max((one.rows for one in given), default=0),
        )


@dataclass(frozen=True, slots=True)
class History:
    """What a policy looks at; all times UTC.

    `windows` in any order; those that began before `champion_since` were measured against
    an earlier champion, or hold rows that this one learnt from: they do not count.
    `champion_since` is None while no model is in charge, `last_answer` is when the last
    request was closed, `last_fit` when a model was last fitted, promoted or not, `put_off`
    when a training was last put off because of a data fault, and not made up for since,
    `last_tried` when a training was last tried, whatever came of it.
    """

    windows: tuple[WindowFacts, ...]
    champion_since: pd.Timestamp | None
    last_answer: pd.Timestamp | None
    last_fit: pd.Timestamp | None
    put_off: pd.Timestamp | None = None
    last_tried: pd.Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, and the reason word for word; `cause` is set when it is to retrain."""

    action: Literal["retrain", "hold", "data_fault"]
    reason: str
    cause: Literal["drift", "periodic", "max_age", "manual"] | None = None
    window_end: pd.Timestamp | None = None


def judge(
    policy: Policy,
    history: History,
    *,
    as_of: pd.Timestamp,
    max_age: timedelta | None,
    faults: Faults = Faults(),  # noqa: B008 - frozen, and empty
    pipeline: str = "NAME",
) -> Verdict:
    """Judge by a policy whether to ask for a retraining.

    Parameters
    ----------
    policy : Policy
        ``never``; ``periodic``: a period after the last fit; ``drift``: enough columns
        drifted in `needed` of the last `of` windows, the newest among them.
    history : History
    as_of : Timestamp
        Windows that end later are not looked at.
    max_age : timedelta or None
        A champion this old is due whatever the policy says; None: it may grow old.
    faults : Faults
        What is wrong with the data. One that was found just now, or stands in the newest
        window, is ``data_fault`` whatever the policy says: no model learns before it is over.

    Where no model is in charge yet, a first training that was tried and gave none (it failed,
    waited or was refused) is tried again, by every policy but ``never``: nothing else would
    ask, for there is no champion to drift or to age.

    Returns
    -------
    Verdict
        Within the cooldown after the last answer it is ``hold`` in any case.

    """
    ended = (facts for facts in history.windows if facts.window.end <= as_of)
    windows = sorted(ended, key=lambda facts: facts.window.end)
    newest = windows[-1].window.end if windows else None
    if faults.found or faults.blocking:
        return Verdict("data_fault", _wrong(faults, pipeline), None, newest)
    asked = _by_policy(policy, history, windows, as_of)
    if asked.action == "hold":
        made_up = _made_up(history) or _once_more(policy, history)
        asked = made_up or _by_age(history, as_of, max_age) or asked
    if asked.action == "retrain" and (rest := _cooling(policy, history, as_of)):
        asked = Verdict("hold", f"{asked.reason}; but {rest}")
    without = any(fault.rows for fault in faults.aside)
    reason = f"{asked.reason}; {set_aside(faults.aside)}" if without else asked.reason
    return Verdict(asked.action, reason, asked.cause, newest)


def blocked(faults: Sequence[Fault], pipeline: str = "NAME") -> str:
    """Say why nothing is trained while these stand in the newest window."""
    named = "; ".join(in_words(fault) for fault in faults)
    which = faults[0].key if len(faults) == 1 else "FAULT"
    return (
        f"nothing is trained while a data fault stands in the newest window: {named}. See "
        f"`driftwheel diagnose {pipeline}`, and say what it is: `driftwheel resolve {pipeline} "
        f"{which} --accept|--discard|--reingest --reason …`; or wait until the window is past it"
    )


def set_aside(faults: Sequence[Fault]) -> str:
    """Say how much stays set aside; a gap in the data sets nothing aside."""
    rows = [fault.rows for fault in faults if fault.rows]
    if not rows:
        return "nothing is set aside"
    several = f"{len(rows)} data faults" if len(rows) > 1 else "1 data fault"
    return f"{sum(rows)} rows of {several} stay set aside"


def _wrong(faults: Faults, pipeline: str) -> str:
    """Name every fault that stops the loop: fault, column, evidence."""
    if faults.blocking:
        others = [fault for fault in faults.found if fault not in faults.blocking]
        found = "; ".join(in_words(fault) for fault in others)
        return f"{blocked(faults.blocking, pipeline)}{f'; found too: {found}' if found else ''}"
    found = "; ".join(in_words(fault) for fault in faults.found)
    aside = f"{set_aside(faults.found)}, " if any(fault.rows for fault in faults.found) else ""
    return f"found: {found}; {aside}the next window is judged as usual"


def _made_up(history: History) -> Verdict | None:
    if history.put_off is None:
        return None
    return Verdict(
        "retrain",
        f"the training of {history.put_off:%Y-%m-%d} was put off by a data fault, and none "
        "stands in the newest window",
        "manual",
    )


def _once_more(policy: Policy, history: History) -> Verdict | None:
    """Try the first training again; one that was fitted and refused waits out its calendar."""
    tried = history.last_tried
    if policy.kind == "never" or history.champion_since is not None or tried is None:
        return None
    if policy.kind == "periodic" and history.last_fit is not None:
        return None
    return Verdict(
        "retrain",
        f"no model is in charge: the training of {tried:%Y-%m-%d} gave none, it is tried again",
        "manual",
    )


def _by_policy(
    policy: Policy, history: History, windows: Sequence[WindowFacts], as_of: pd.Timestamp
) -> Verdict:
    if policy.kind == "never":
        return Verdict("hold", "the policy is never to retrain")
    if policy.kind == "periodic":
        return _by_calendar(policy, history, as_of)
    return _by_drift(policy, history, windows)


def _by_calendar(policy: Policy, history: History, as_of: pd.Timestamp) -> Verdict:
    since = history.last_fit or history.champion_since
    if since is None:
        return Verdict("hold", "nothing was trained yet, so there is no period to wait out")
    age, period = as_of - since, write_duration(policy.period)
    if age < policy.period:
        return Verdict("hold", f"{_days(age)} since the last fit, a new one is due every {period}")
    return Verdict(
        "retrain", f"{_days(age)} since the last fit, one is due every {period}", "periodic"
    )


def _by_drift(policy: Policy, history: History, windows: Sequence[WindowFacts]) -> Verdict:
    since = history.champion_since
    if since is None:
        return Verdict("hold", "no model is in charge yet, so there is no reference to drift from")
    recent = [facts for facts in windows if facts.window.start >= since][-policy.of :]
    if not recent:
        return Verdict(
            "hold", f"no window measured since the champion took charge on {since:%Y-%m-%d}"
        )
    breaches = [facts for facts in recent if _has_drifted(facts, policy)]
    newest = recent[-1]
    tally = (
        f"{len(breaches)} of the last {len(recent)} windows drifted, "
        f"{policy.needed} of {policy.of} and the newest are needed"
    )
    if newest not in breaches:
        return Verdict(
            "hold", f"the newest window has not drifted: {_share(newest, policy)}; {tally}"
        )
    if len(breaches) < policy.needed:
        return Verdict("hold", f"{tally}; the newest: {_share(newest, policy)}")
    return Verdict(
        "retrain",
        f"drift in {len(breaches)} of the last {len(recent)} windows, the newest among them: "
        f"{_share(newest, policy)}",
        "drift",
    )


def _by_age(history: History, as_of: pd.Timestamp, max_age: timedelta | None) -> Verdict | None:
    since = history.champion_since or history.last_fit
    if max_age is None or since is None or as_of - since < max_age:
        return None
    return Verdict(
        "retrain",
        f"the model is {_days(as_of - since)} old, {write_duration(max_age)} is the most it may be",
        "max_age",
    )


def _cooling(policy: Policy, history: History, as_of: pd.Timestamp) -> str:
    last = history.last_answer
    if last is None or as_of - last >= policy.cooldown:
        return ""
    return (
        f"the last request was answered {_days(as_of - last)} ago, and the cooldown "
        f"is {write_duration(policy.cooldown)}"
    )


def _has_drifted(facts: WindowFacts, policy: Policy) -> bool:
    return facts.drift_share is not None and facts.drift_share >= policy.share


def _share(facts: WindowFacts, policy: Policy) -> str:
    if facts.drift_share is None:
        return f"{facts.window} cannot tell ({facts.rows} rows)"
    named = f" ({', '.join(facts.drifted)})" if facts.drifted else ""
    return (
        f"{facts.drift_share:.0%} of the columns{named} in {facts.window}, "
        f"the limit is {policy.share:.0%}"
    )


def _told(measurements: Sequence[Measurement], name: str) -> float | None:
    found = (one for one in measurements if one.name == name and one.status != "cannot_tell")
    return next((one.value for one in found), None)


def _days(span: timedelta) -> str:
    return f"{span / timedelta(days=1):.4g} days"
