"""Treat SIGTERM as Ctrl-C, so that whatever was started is stopped on the way out.

Ctrl-C itself is taken up too: a shell that starts us in the background has it ignored.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_STOPPING = (signal.SIGTERM, signal.SIGINT)
_AGAIN_AFTER = 0.05  # seconds


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGINT inside the block.

    A signal that arrives while a destructor or a callback of a weak reference runs would be
    lost there, for what those raise is only printed: it is delivered once more.
    """
    hook, main = sys.unraisablehook, threading.main_thread().ident

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def once_more(lost: "UnraisableHookArgs") -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            hook(lost)
            return
        later = threading.Timer(_AGAIN_AFTER, signal.pthread_kill, (main, signal.SIGINT))
        later.daemon = True
        later.start()

    before = {number: signal.signal(number, interrupt) for number in _STOPPING}
    sys.unraisablehook = once_more
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
