"""Policies as written on the command line of a backtest."""

from dataclasses import dataclass
from datetime import timedelta

from components.errors import InvalidInputError
from components.pipelines import Pipeline, nearest, parse_duration
from components.pipelines.durations import some_time
from components.pipelines.spec import Policy

KNOWN_POLICIES = ("never", "periodic:P", "periodic:P+gate", "drift", "default")


@dataclass(frozen=True, slots=True)
class Contender:
    """One policy in a backtest: as written, and what it means."""

    text: str
    policy: Policy
    gated: bool = True
    max_age: timedelta | None = None


def read_contender(text: str, pipeline: Pipeline) -> Contender:
    """Understand a policy such as ``never``, ``periodic:7d+gate``, ``drift``, ``default``.

    Raises
    ------
    InvalidInputError
        If it is none of these; names the nearest.

    """
    if text == "default":
        return Contender(text, pipeline.policy, max_age=pipeline.max_age)
    if text == "never":
        return Contender(text, Policy(kind="never"))
    if text == "drift":
        own = pipeline.policy
        return Contender(text, own if own.kind == "drift" else Policy(kind="drift"))
    if text.startswith("periodic:"):
        return _periodic(text)
    raise InvalidInputError(
        f"unknown policy {text!r}{nearest(text, KNOWN_POLICIES) or '.'} "
        f"Known: {', '.join(KNOWN_POLICIES)} (P is a duration such as 7d)."
    )


def _periodic(text: str) -> Contender:
    written = text.removeprefix("periodic:")
    period = written.removesuffix("+gate")
    try:
        every = some_time(parse_duration(period))
    except ValueError as problem:
        raise InvalidInputError(f"policy {text!r}: the period {problem}") from problem
    return Contender(text, Policy(kind="periodic", period=every), gated=written != period)
