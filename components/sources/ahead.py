"""Read the next batch of a file while this one is worked on."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")


def ahead(batches: Generator[T, None, None]) -> Generator[T, None, None]:
    """Read one item ahead, in a thread of its own, so that one more is in memory and no third.

    Items come in order, and a problem where it stood among them. Who stops early waits for the
    item that is being read; then the generator is closed, and its file with it.

    Not for what belongs to the thread that asks: a connection of SQLite, or the user's own code.

    Parameters
    ----------
    batches : generator
        Gives no None.

    """
    with closing(batches), ThreadPoolExecutor(1, "read-ahead") as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch
