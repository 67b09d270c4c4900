"""How a step is called: plainly here, as a Prefect task in a flow."""

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Stage(Protocol):
    """Give a step its name in the graph; `network` marks what may be tried again."""

    def __call__(self, name: str, step: Callable[P, R], *, network: bool = False) -> Callable[P, R]:
        """Wrap `step` so that it shows as `name`."""


def plain(name: str, step: Callable[P, R], *, network: bool = False) -> Callable[P, R]:
    """Call the step as it is: no orchestrator, no retries."""
    del name, network
    return step
