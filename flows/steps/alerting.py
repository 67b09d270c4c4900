"""Tell people what the ledger has found, each cause once.

What is to be told follows from rows of the ledger: a data fault that was found, one that has
ended, a version that waits for a person's approval. A mark a cause says what became of it. It is
written before anything is sent, and again after: a process that dies in between sends the same
alert, with the same id, once more.

fault in the ledger --> mark: pending --> sent to every channel --> mark: told
                           └──a channel is down: the next run tries again
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from components.errors import DriftwheelError
from components.faults import Fault
from components.known_faults import KnownFault, aside_in_words, blocking
from components.pipelines import Pipeline
from flows.steps.diagnosing import in_its_own_time
from flows.steps.leasing import Clock
from flows.steps.proposing import promote_command
from monitoring.alerts import Alert, Channel, Severity, channels_of, send

if TYPE_CHECKING:
    from components.stores.ledger import Challenger
    from flows.steps.home import Home

State = Literal["pending", "told", "logged", "silent"]

MOST_APART = 5
"""More alerts than this at once come as one message."""

_MOST_NAMED = 20
_WORST: tuple[Severity, ...] = ("failure", "warning", "info", "success")
_MARK = "alert:"
_COMMANDS = {
    "found": (
        "Look: driftwheel diagnose {name}\n"
        "End it: driftwheel resolve {name} {fault} --reingest|--accept|--discard --reason …"
    ),
    "ended": "Look: driftwheel diagnose {name}",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one alert.

    Attributes
    ----------
    state : str
        ``pending``; ``told``, every channel took it; ``logged``, there was no channel;
        ``silent``, it was over before anybody could be told, or of a rehearsed past.
    written_at, told_at : str
        Wall clock, ISO; `told_at` is empty until then.
    to : tuple of str
        Keys of the channels that took it.
    tries : int
        How often it was sent, or tried to be.
    problem : str
        Why it did not arrive, the last time.

    """

    pipeline: str
    alert: Alert
    state: State
    written_at: str
    told_at: str = ""
    to: tuple[str, ...] = ()
    tries: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What a run told, and what still waits.

    Attributes
    ----------
    sent, pending : int
        Alerts that every channel has taken by this run; that wait for the next.
    lines : tuple of str
        What the output of the run should say.

    """

    sent: int = 0
    pending: int = 0
    lines: tuple[str, ...] = ()


def tell(home: "Home", pipeline: Pipeline, *, clock: Clock) -> Told:
    """Send what was not told yet; one that fails waits for the next run, and nothing else.

    Without a channel an alert is a line of the output, once. Nothing is sent while history is
    lived through (a demo).
    """
    try:
        return _tell(home, pipeline, clock)
    except DriftwheelError as problem:
        # What the flow was for is done: it must not be called failed for want of a messenger.
        return Told(lines=(f"{pipeline.name}: alerts wait for the next run: {problem}",))


def alerts_of(home: "Home", name: str) -> tuple[Entry, ...]:
    """Read what became of the alerts of a pipeline, oldest first; nothing is written."""
    causes = [c for one in home.ledger.faults(name) for c in (_found(one), _ended(one))]
    causes += [_proposed(one) for one in home.ledger.challengers(name) if _is_proposal(one)]
    found = (_entry(home, name, cause) for cause in causes)
    return tuple(sorted((e for e in found if e is not None), key=lambda e: e.written_at))


def send_test(home: "Home", *, clock: Clock) -> tuple[tuple[Channel, str], ...]:
    """Send a test to every channel; gives why it did not arrive, empty where it did."""
    now = clock().isoformat(timespec="seconds")
    alert = Alert(
        id=_name("test", now),
        cause="test",
        severity="info",
        title="Driftwheel: a test",
        text=f"Alerts of {home.environment} arrive here. Sent {now} by `driftwheel alerts test`.",
    )
    return tuple((channel, send(alert, channel)) for channel in channels_of(home.alerts))


def _tell(home: "Home", pipeline: Pipeline, clock: Clock) -> Told:
    channels = channels_of(home.alerts)
    quiet = in_its_own_time(home.ledger, pipeline.name)
    waiting: list[Entry] = []
    lines: list[str] = []
    for entry in _open_entries(home, pipeline, clock):
        if entry.state == "silent" or quiet:
            _keep(home, replace(entry, state="silent"))
        elif channels:
            _keep(home, entry)
            waiting.append(entry)
        else:
            _keep(home, replace(entry, state="logged"))
            lines.append(f"{entry.alert.title}: {entry.alert.text.splitlines()[0]}")
    for channel in channels:
        waiting, problem = _through(channel, waiting, pipeline.name)
        lines += [problem] if problem else []
    keys = {channel.key for channel in channels}
    told = [entry for entry in waiting if keys <= set(entry.to)]
    at = clock().isoformat(timespec="seconds")
    for entry in waiting:
        done = replace(entry, state="told", told_at=at, problem="") if entry in told else entry
        _keep(home, done)
    left = len(waiting) - len(told)
    if left:
        lines.append(
            f"{pipeline.name}: {left} alert{'s wait' if left > 1 else ' waits'} for the next run; "
            "`driftwheel alerts` lists what was told"
        )
    return Told(len(told), left, tuple(lines))


def _through(channel: Channel, entries: list[Entry], name: str) -> tuple[list[Entry], str]:
    """Send what a channel has not taken yet; after the first problem it is left alone."""
    due = [entry for entry in entries if channel.key not in entry.to]
    done: dict[str, Entry] = {}
    problem = ""
    for together in [due] if len(due) > MOST_APART else [[entry] for entry in due]:
        alerts = [entry.alert for entry in together]
        problem = send(alerts[0] if len(alerts) == 1 else _summed_up(alerts, name), channel)
        for entry in together:
            to = entry.to if problem else (*entry.to, channel.key)
            tried = replace(entry, to=to, tries=entry.tries + 1, problem=problem or entry.problem)
            done[entry.alert.id] = tried
        if problem:
            break
    return [done.get(entry.alert.id, entry) for entry in entries], problem


def _summed_up(alerts: list[Alert], name: str) -> Alert:
    """Make one message of many; told again of the same, it is the same."""
    more = len(alerts) - _MOST_NAMED
    named = [f"- {alert.title} (alert {alert.id})" for alert in alerts[:_MOST_NAMED]]
    return Alert(
        id=_name(*(alert.id for alert in alerts)),
        cause="several",
        severity=min((alert.severity for alert in alerts), key=_WORST.index),
        title=f"{name}: {len(alerts)} alerts about its data",
        text="\n".join(
            [*named, *([f"and {more} more"] if more > 0 else []),
             _COMMANDS["found"].format(name=name, fault="KEY")]
        ),
    )  # fmt: skip


def _open_entries(home: "Home", pipeline: Pipeline, clock: Clock) -> Iterator[Entry]:
    """Give what is to be told: new causes, and those of which a channel knows nothing yet."""
    now = clock().isoformat(timespec="seconds")
    for one in home.ledger.faults(pipeline.name):
        known = _entry(home, pipeline.name, _found(one))
        over = one.state != "open"
        found = known or Entry(
            pipeline.name,
            _alert_of_found(home, pipeline, one),
            # Whoever ended it knew of it.
            "silent" if over else "pending",
            now,
        )
        if known is None or known.state == "pending":
            yield found
        if over and _entry(home, pipeline.name, _ended(one)) is None:
            silent = found.state == "silent"
            ended = _alert_of_ended(home, pipeline, one)
            yield Entry(pipeline.name, ended, "silent" if silent else "pending", now)
        elif over:
            yield from _pending(home, pipeline.name, _ended(one))
    for proposed in filter(_is_proposal, home.ledger.challengers(pipeline.name)):
        entry = _entry(home, pipeline.name, _proposed(proposed))
        if entry is not None and entry.state == "pending":
            yield entry
        elif entry is None:
            alert = _alert_of_proposal(home, pipeline, proposed)
            # Whoever settled it knew of it.
            yield Entry(pipeline.name, alert, "silent" if proposed.settled_by else "pending", now)


def _pending(home: "Home", name: str, cause: str) -> Iterator[Entry]:
    entry = _entry(home, name, cause)
    if entry is not None and entry.state == "pending":
        yield entry


def _alert_of_found(home: "Home", pipeline: Pipeline, one: KnownFault) -> Alert:
    # As it was first seen, whenever it is told: told twice, it is the same.
    fault, window = one.seen[0].fault, pipeline.monitor.window
    stops = bool(blocking([fault], one.found_as_of, window=window))
    meanwhile = (
        "Nothing is trained while it stands in the newest window."
        if stops
        else f"Training goes on{' without them' if fault.rows else ''}."
    )
    aside = aside_in_words(fault.fault, fault.rows)
    return _alert(
        home,
        pipeline,
        _found(one),
        severity="failure" if stops else "warning",
        title=f"{pipeline.name}: data fault {_what(fault)}",
        said=[f"{fault.evidence}.", f"{aside[0].upper()}{aside[1:]}. {meanwhile}"],
        commands=_COMMANDS["found"].format(name=pipeline.name, fault=one.key),
    )


def _alert_of_ended(home: "Home", pipeline: Pipeline, one: KnownFault) -> Alert:
    return _alert(
        home,
        pipeline,
        _ended(one),
        severity="success",
        title=f"{pipeline.name}: data fault {_what(one.seen[0].fault)} has ended",
        said=[f"{one.fault.evidence}.", f"{one.state} by {one.who}: {one.why}"],
        commands=_COMMANDS["ended"].format(name=pipeline.name),
    )


def _alert_of_proposal(home: "Home", pipeline: Pipeline, one: "Challenger") -> Alert:
    made = home.ledger.decisions(pipeline.name)
    waits = next(decision for decision in made if decision.id == one.decision_id)
    return _alert(
        home,
        pipeline,
        _proposed(one),
        severity="info",
        title=f"{pipeline.name}: version {one.version} waits for approval",
        said=[f"{waits.why}."],
        commands=f"Look: driftwheel history {pipeline.name}\n"
        f"Approve: {promote_command(pipeline.name, one.version)}",
    )


def _alert(
    home: "Home",
    pipeline: Pipeline,
    cause: str,
    *,
    severity: Severity,
    title: str,
    said: Iterable[str],
    commands: str,
) -> Alert:
    alert_id = _name(home.ledger.ledger_id, pipeline.name, cause)
    return Alert(alert_id, cause, severity, title, "\n".join([*said, commands]))


def _what(fault: Fault) -> str:
    """Name a fault so that it is told from another one in the same column."""
    where = f" in {fault.column}" if fault.column else ""
    since = f"{fault.since:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    return f"{fault.fault}{where} since {since}"


def _found(one: KnownFault) -> str:
    return f"fault:{one.key}"


def _ended(one: KnownFault) -> str:
    return f"fault-ended:{one.key}"


def _is_proposal(one: "Challenger") -> bool:
    return one.awaits == "approval"


def _proposed(one: "Challenger") -> str:
    return f"proposal:{one.decision_id}"


def _name(*parts: str) -> str:
    return "a-" + sha256("\0".join(parts).encode()).hexdigest()[:12]


def _keep(home: "Home", entry: Entry) -> None:
    kept = {name: value for name, value in asdict(entry).items() if name != "pipeline"}
    mark = f"{_MARK}{entry.alert.cause}"
    home.ledger.set_mark(entry.pipeline, mark, json.dumps(kept, sort_keys=True))


def _entry(home: "Home", name: str, cause: str) -> Entry | None:
    kept = home.ledger.mark(name, f"{_MARK}{cause}")
    if kept is None:
        return None
    read = json.loads(kept)
    return Entry(
        **{**read, "pipeline": name, "alert": Alert(**read["alert"]), "to": tuple(read["to"])}
    )
