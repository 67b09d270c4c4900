"""Run flows in this process, on a Prefect server that is there; never on a temporary one."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from flows.running import bound_to
from flows.settings import Settings


@contextmanager
def talking_to(api: str, settings: Settings) -> Iterator[None]:
    """Point Prefect's client at a server for a while; never at a temporary one.

    The heartbeat is off: it makes every run in this process wait a second at its end, and the
    person, or the demo, that waits here sees a death without it.
    """
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_LEVEL,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        temporary_settings,
    )

    with (
        bound_to(settings),
        temporary_settings(
            {
                PREFECT_API_URL: api,
                PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                PREFECT_LOGGING_LEVEL: "WARNING",
            }
        ),
    ):
        yield


def run_flow(name: str, **parameters: Any) -> dict[str, Any]:
    """Run a flow in this process, on the server that Prefect's client points at."""
    flow = getattr(import_module(f"flows.{name}"), name)
    done: dict[str, Any] = flow(**parameters)
    return done
