"""One registered version, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlflow.entities.model_registry import ModelVersion

URI: Final = "driftwheel.package"
DIGEST: Final = "driftwheel.digest"


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a pipeline's model."""

    number: str
    run_id: str
    uri: str
    tags: Mapping[str, str]
    description: str

    @property
    def digest(self) -> str:
        """The digest of its package; empty for a version that is not ours."""
        return self.tags.get(DIGEST, "")


def as_version(found: ModelVersion) -> Version:
    """Read a version as MLflow gives it."""
    return Version(
        number=str(found.version),
        run_id=found.run_id or "",
        uri=found.tags.get(URI, ""),
        tags=dict(found.tags),
        description=found.description or "",
    )
