"""MLflow, and the one door to it: runs, packages, versions, aliases."""

from components.stores.registry.registry import Registry, Version
from components.stores.registry.runs import Run

__all__ = ["Registry", "Run", "Version"]
