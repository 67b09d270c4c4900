"""Ctrl-C is heard, wherever it arrives."""

import signal
import sys
import threading

import pytest

from driftwheel.interrupting import interruptible


class Dying:
    """An object in whose destructor the signal arrives: what that raises is lost."""

    def __del__(self) -> None:
        signal.raise_signal(self.number)

    number = signal.SIGINT


class Terminated(Dying):
    number = signal.SIGTERM


def wait_after(kind: type[Dying]) -> None:
    with interruptible():
        kind()
        assert threading.Event().wait(30), "nobody interrupted"


@pytest.mark.parametrize("kind", [Dying, Terminated])
def test_a_signal_that_arrives_in_a_destructor_is_not_lost(kind: type[Dying]) -> None:
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        wait_after(kind)
    assert sys.unraisablehook is hook
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_signal_interrupts_the_block_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGTERM)
