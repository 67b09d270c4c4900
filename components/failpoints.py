"""Named points at which a test may kill the process; free when off.

>>> failpoint("after-manifest")  # nothing is armed: nothing happens

Points are armed by the one door to the environment, ``flows/settings.py``.
"""

import os
import signal

_armed: dict[str, int] = {}


def arm(points: dict[str, int]) -> None:
    """Arm points by name; the value is the visit (1 = the first) that kills the process."""
    _armed.clear()
    _armed.update(points)


def failpoint(name: str) -> None:
    """Kill this process with SIGKILL when `name` is armed and its visit has come."""
    if name not in _armed:
        return
    _armed[name] -= 1
    if _armed[name] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
