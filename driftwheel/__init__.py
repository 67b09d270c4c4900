"""Keep a model in production right while the world changes.

The command line is ``driftwheel``; from Python, :func:`driftwheel.open_home` reads what a home
holds as data frames, and replays history under policies.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.pipelines.spec import Policy
    from driftwheel.face import OpenedHome, Rehearsal, UnderCare, open_home

__version__ = "0.1.0"
__all__ = ["OpenedHome", "Policy", "Rehearsal", "UnderCare", "open_home"]


def __getattr__(name: str) -> Any:
    # On demand: the command line imports this package, and pandas alone takes half a second.
    if name == "Policy":
        from components.pipelines.spec import Policy

        return Policy
    if name in __all__:
        from driftwheel import face

        return getattr(face, name)
    raise AttributeError(f"module 'driftwheel' has no attribute {name!r}")
