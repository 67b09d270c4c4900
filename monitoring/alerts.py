"""The channel through which people are told: whatever Apprise knows, from e-mail to chat.

An address holds tokens and passwords in any of its parts, so none is ever shown: a channel is
called by its place in the settings and its scheme. What the sending library logs names hosts
and tokens too; it is kept from every log, and only the kind of the problem is passed on.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

Severity = Literal["info", "success", "warning", "failure"]
"""Apprise's own words; most channels show them as a colour or a sign."""

_STATUS = re.compile(r"\berror=(\d{3})\b")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]{0,19})://")
_UNREACHABLE = "connection error"


@dataclass(frozen=True, slots=True)
class Alert:
    """What people are told, once.

    Attributes
    ----------
    id : str
        Of its cause; in the text of every message, so that one that comes twice is told apart.
    cause : str
        What it is about: ``fault:KEY``, ``fault-ended:KEY`` or ``proposal:DECISION``.
    severity : str
    title, text : str
        The text ends with the commands that apply.

    """

    id: str
    cause: str
    severity: Severity
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One address that alerts go to.

    Attributes
    ----------
    url : str
        As Apprise takes it; never shown.
    place : int
        Its place in the settings, from 1.

    """

    url: str
    place: int

    @property
    def name(self) -> str:
        """A name for people that gives nothing away."""
        scheme = _SCHEME.match(self.url)
        return f"alert url {self.place} ({scheme[1].lower() if scheme else 'no scheme'}://…)"

    @property
    def key(self) -> str:
        """What it is remembered by; the address cannot be had back from it."""
        return sha256(self.url.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"Channel({self.name})"


def channels_of(urls: Sequence[str]) -> tuple[Channel, ...]:
    """Give each address its place.

    >>> channels_of(["json://user:secret@127.0.0.1:9000/hook", "slack://A/B/C"])
    (Channel(alert url 1 (json://…)), Channel(alert url 2 (slack://…)))
    """
    return tuple(Channel(url, place) for place, url in enumerate(urls, start=1))


def send(alert: Alert, channel: Channel) -> str:
    """Send an alert.

    Returns
    -------
    str
        Why it did not arrive, without any part of the address; empty: the channel took it.

    """
    with _overheard() as said:
        # Half a second to import, and wanted by few who import monitoring.
        from apprise import Apprise, NotifyType

        try:
            service = Apprise.instantiate(channel.url, suppress_exceptions=True)
            if service is None or isinstance(service, dict):
                return f"{channel.name} is none that Apprise understands"
            done = service.notify(
                title=alert.title,
                body=f"{alert.text}\nalert {alert.id}",
                notify_type=NotifyType(alert.severity),
            )
        # Some hundred services, each with libraries of its own; whatever goes wrong, the
        # flow that has something to tell must go on, and tell it later.
        except Exception as problem:  # noqa: BLE001 - said above
            return f"{channel.name}: {type(problem).__name__} while sending"
    return "" if done else f"{channel.name} {_why(said)}"


def _why(said: list[str]) -> str:
    """Say what kind of problem it was; the words of the library may hold tokens."""
    text = " ".join(said)
    status = _STATUS.search(text)
    if status is not None:
        return f"answered {status[1]}"
    return "could not be reached" if _UNREACHABLE in text.lower() else "did not take it"


class _Kept(logging.Handler):
    """Keeps what is logged, and shows it to nobody."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self._into.append(record.getMessage())


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Listen to what Apprise and the libraries below it log, in place of everybody else."""
    said: list[str] = []
    handler = _Kept(said)
    loggers = [logging.getLogger(name) for name in ("apprise", "urllib3", "requests")]
    before = [(one, one.propagate) for one in loggers]
    for one in loggers:
        one.addHandler(handler)
        one.propagate = False
    try:
        with warnings.catch_warnings():
            # It loads a hundred services at once; what those import is no matter of ours.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield said
    finally:
        for one, passed_on in before:
            one.removeHandler(handler)
            one.propagate = passed_on
