"""Talk to MLflow: quietly, and with its complaints turned into our words."""

import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException

from components.errors import DriftwheelError, StoreError, StoreUnreachableError

_EXISTS = "RESOURCE_ALREADY_EXISTS"
_MISSING = "RESOURCE_DOES_NOT_EXIST"
_AWAY = ("API request to", "Max retries exceeded", "unable to open database", "Connection refused")


@contextmanager
def asking(what: str, uri: str) -> Iterator[None]:
    """Turn MLflow's complaint about `what` into a store error.

    Raises
    ------
    StoreUnreachableError
        If the server or database does not answer.
    StoreError
        For anything else that MLflow refuses.

    """
    try:
        yield
    except DriftwheelError:
        raise
    except MlflowException as problem:
        words = str(problem).splitlines()[0]
        if any(sign in str(problem) for sign in _AWAY):
            raise unreachable(uri, words) from problem
        raise StoreError(f"MLflow at {shown(uri)} could not {what}: {words}") from problem
    except OSError as problem:
        raise StoreError(f"MLflow at {shown(uri)} could not {what}: {problem}") from problem


def exists_already(problem: MlflowException) -> bool:
    """Say whether somebody made the same thing first."""
    return bool(problem.error_code == _EXISTS)


def is_missing(problem: MlflowException) -> bool:
    """Say whether the thing asked for does not exist."""
    return bool(problem.error_code == _MISSING)


def unreachable(uri: str, words: str) -> StoreUnreachableError:
    """Make the error for a server or database that does not answer."""
    return StoreUnreachableError(
        f"MLflow at {shown(uri)} does not answer ({words}); start it, or correct "
        "mlflow_tracking_uri in driftwheel.toml"
    )


def check_reachable(uri: str, *, patience: float = 5.0) -> None:
    """Ask a server for a sign of life; a database has none to give.

    MLflow itself would try for minutes before it gives up.

    Raises
    ------
    StoreUnreachableError
        If nothing answers within `patience` seconds.

    """
    if urlsplit(uri).scheme not in {"http", "https"}:
        return
    request = urllib.request.Request(f"{uri.rstrip('/')}/health")  # noqa: S310 - http(s) only, checked above
    try:
        with urllib.request.urlopen(request, timeout=patience):  # noqa: S310 - as above
            return
    except urllib.error.HTTPError as answer:
        answer.close()  # a proxy that wants a login answers all the same
    except OSError as problem:
        reason = getattr(problem, "reason", problem)
        raise unreachable(uri, str(reason)) from problem


def hush() -> None:
    """Keep MLflow and alembic from telling what they do; warnings stay."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def shown(uri: str) -> str:
    """Write an address without the password that may stand in it."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    return uri.replace(f":{parts.password}@", ":…@", 1)
