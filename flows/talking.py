"""Run flows in this process, on a Prefect server that is there; never on a temporary one."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from components.errors import ServiceError
from flows.running import bound_to
from flows.settings import Settings, hide_password


@contextmanager
def talking_to(api: str, settings: Settings) -> Iterator[None]:
    """Point Prefect's client at a server for a while; never at a temporary one.

    The heartbeat is off: it makes every run in this process wait a second at its end, and the
    person, or the demo, that waits here sees a death without it.
    """
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
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
                PREFECT_CLIENT_MAX_RETRIES: 2,  # of 5: a person waits, and 5 take a minute
                PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                PREFECT_LOGGING_LEVEL: "WARNING",
            }
        ),
    ):
        _hush_console()
        yield


def _hush_console() -> None:
    """Keep Prefect's own words off the terminal: what fails is raised, and said in ours.

    The log that its UI shows stays as it is.
    """
    import prefect.main  # noqa: F401 - sets up its loggers, which is done once, at import
    from prefect.logging.handlers import PrefectConsoleHandler

    # The console hangs on the root logger; the threads that send events have one of their own.
    consoles = [h for h in logging.getLogger().handlers if isinstance(h, PrefectConsoleHandler)]
    for handler in (*consoles, *logging.getLogger("prefect._internal").handlers):
        handler.addFilter(_by_others)


def _by_others(record: logging.LogRecord) -> bool:
    return not record.name.startswith("prefect")


def run_flow(name: str, **parameters: Any) -> dict[str, Any]:
    """Run a flow in this process, on the server that Prefect's client points at.

    Raises
    ------
    ServiceError
        If the server fails, or does not answer any more.
    DriftwheelError
        Whatever the flow raises.

    """
    from httpx import HTTPError
    from prefect.exceptions import Abort, PrefectException

    flow = getattr(import_module(f"flows.{name}"), name)
    try:
        done: dict[str, Any] = flow(**parameters)
    except (HTTPError, PrefectException, Abort) as problem:
        raise _failed(name, problem) from problem
    except RuntimeError as problem:
        if not isinstance(problem.__cause__, HTTPError):
            raise
        # So Prefect's client says that it could not ask the server for its version.
        raise _failed(name, problem) from problem
    return done


def _failed(name: str, problem: BaseException) -> ServiceError:
    said = hide_password(f"{type(problem).__name__}: {problem}")
    return ServiceError(
        f"the Prefect server failed during {name} ({said}); "
        "look at its log, start it again, and say the command again: nothing is done twice"
    )
