"""Look at the servers while a flow runs, and end the flow when one of them has died."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from components.errors import ServiceError

_LOOK_EVERY = 0.25  # seconds between two looks at the servers
_AGAIN_AFTER = 3.0  # seconds; whatever held up the first interrupt gets another


@contextmanager
def guarded(check: Callable[[], None]) -> Iterator[None]:
    """Raise what `check` raises, also while the body waits for a server that is gone.

    Prefect's client would try for minutes; so the main thread is interrupted as by Ctrl-C,
    and the death of the server takes the place of the interrupt.

    Raises
    ------
    ServiceError
        If one of the servers ended on its own.

    """
    died: list[ServiceError] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(_AGAIN_AFTER if died else _LOOK_EVERY):
            try:
                check()
            except ServiceError as problem:
                died.append(problem)
                # Prefect's log thread would tell that the server is away, once more.
                logging.raiseExceptions = False
                os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=look, name="look-at-servers", daemon=True)
    watcher.start()
    try:
        yield
    except BaseException:
        done.set()
        watcher.join()
        if died:
            raise died[0] from None
        raise
    finally:
        done.set()
        watcher.join()
