"""Steps as Prefect tasks: named in the graph, tried again only where a network is crossed."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

P = ParamSpec("P")
R = TypeVar("R")


def as_task(name: str, step: Callable[P, R], *, network: bool = False) -> Callable[P, R]:
    """Wrap a step as a task.

    Nothing is cached or persisted: what passes between tasks stays in this process, and
    what must outlive it goes through the stores.
    """
    # 3 more attempts: a store that restarts is back within about two minutes.
    retries, delays = (3, [5.0, 30.0, 90.0]) if network else (0, None)
    return task(
        name=name,
        retries=retries,
        retry_delay_seconds=delays,
        retry_condition_fn=_worth_another_try if network else None,
        cache_policy=NO_CACHE,
        persist_result=False,
    )(step)


def _worth_another_try(_task: object, _run: object, state: State[object]) -> bool:
    """Try again only when a store did not answer; a fault of data or code stays one."""
    from components.errors import CommitConflictError, StoreUnreachableError

    problem = state.result(raise_on_failure=False)
    return isinstance(problem, StoreUnreachableError | CommitConflictError | OSError)
