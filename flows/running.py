"""What every flow run begins with: the home, the moment, and its own id."""

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from flows.settings import Settings, arm_failpoints, load_settings, silence_telemetry

if TYPE_CHECKING:
    import pandas as pd

    from flows.steps.home import Home

_bound: ContextVar[Settings | None] = ContextVar("settings of the flows run here", default=None)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a flow, or of the same steps without a server.

    Attributes
    ----------
    as_of : Timestamp
        UTC; what was known later is not seen.
    flow_run_id : str
        Prefect's id of this run; empty without a server.

    """

    settings: Settings
    home: "Home"
    as_of: "pd.Timestamp"
    flow_run_id: str

    @property
    def clock(self) -> Callable[[], datetime]:
        """The wall clock, handed to steps that write leases."""
        return wall_clock

    @property
    def holder(self) -> str:
        """Who holds a lease: this process, named so that a person can find it."""
        return f"{socket.gethostname()}:{os.getpid()}:{self.flow_run_id or 'no-flow'}"


def wall_clock() -> datetime:
    """Tell the time, UTC: for leases and for when a row was written, never for data."""
    return datetime.now(UTC)


def begin(
    as_of: datetime | None, *, flow_run_id: str = "", settings: Settings | None = None
) -> Run:
    """Open the home for one run; `as_of` is now when not given, and UTC when naive."""
    silence_telemetry()
    _armed()
    settings = settings or _bound.get() or load_settings()
    return Run(settings, _opened(settings), moment(as_of), flow_run_id)


@contextmanager
def bound_to(settings: Settings) -> Iterator[None]:
    """Let the flows that run in this process see the home of the command line.

    A served flow finds its home in the environment of its own process.
    """
    token = _bound.set(settings)
    try:
        yield
    finally:
        _bound.reset(token)


def moment(as_of: datetime | None) -> "pd.Timestamp":
    """Make the moment of a run: now when not given, UTC when naive."""
    import pandas as pd

    given = pd.Timestamp(wall_clock() if as_of is None else as_of)
    given = given.tz_localize("UTC") if given.tzinfo is None else given.tz_convert("UTC")
    return given.as_unit("us")


def user() -> str:
    """Name the person at the terminal."""
    return getpass.getuser()


@cache
def _armed() -> None:
    """Arm once a process, so that the visits of a failpoint are counted over all its runs."""
    arm_failpoints()


@lru_cache(maxsize=4)
def _opened(settings: Settings) -> "Home":
    """Open each home once a process: a ledger checks its migrations when it is opened."""
    from flows.opening import open_home

    return open_home(settings)
