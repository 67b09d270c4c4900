"""MLflow, and the one door to it: runs, packages, versions, aliases."""

from components.stores.registry.registry import Registry
from components.stores.registry.runs import Run
from components.stores.registry.versions import Version

__all__ = ["Registry", "Run", "Version"]
