"""An opened home: the stores that steps read and write, and the pipelines under care."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from components.pipelines import Pipeline, find_pipeline, list_pipelines, read_pipeline

if TYPE_CHECKING:
    from components.stores.lake import Lake
    from components.stores.ledger import Ledger
    from components.stores.registry import Registry


def _nowhere(name: str) -> None:
    """Know no address."""


@dataclass(frozen=True)
class Home:
    """Stores open on first use, so that a step pays only for what it touches.

    Attributes
    ----------
    root : Path
        The user's folder.
    lake_uri, ledger_url, tracking_uri, registry_uri : str
        Where the stores are.
    prefix : str
        Stands before every pipeline's name in MLflow and Prefect.
    environment : str
        A name for people, tagged on every MLflow run.
    pipeline_folders : sequence of Path
        Where pipelines are looked up, first match wins.
    place : callable
        What a ``${NAME}`` in a pipeline file stands for here; None where it is unknown.
    alerts : tuple of str
        Where alerts go, as Apprise takes it; never shown.

    """

    root: Path
    lake_uri: str
    ledger_url: str
    tracking_uri: str
    registry_uri: str
    prefix: str
    environment: str
    pipeline_folders: tuple[Path, ...]
    place: Callable[[str], str | None] = _nowhere
    alerts: tuple[str, ...] = field(default=(), repr=False)

    @property
    def packages(self) -> Path:
        """Where downloaded model packages are kept, by digest."""
        return self.root / "cache" / "packages"

    @cached_property
    def lake(self) -> "Lake":
        """The Delta tables."""
        from components.stores.lake import Lake

        return Lake(self.lake_uri)

    @cached_property
    def ledger(self) -> "Ledger":
        """Requests, leases, decisions and promotions."""
        from components.stores.ledger import open_ledger

        self.root.mkdir(parents=True, exist_ok=True)
        return open_ledger(self.ledger_url)

    @property
    def begun(self) -> bool:
        """Whether anything was ever written here; asking makes nothing."""
        file = self.ledger_url.removeprefix("sqlite:///")
        return file == self.ledger_url or Path(file).is_file()

    @cached_property
    def registry(self) -> "Registry":
        """MLflow: runs, packages, versions, aliases."""
        from components.stores.registry import Registry

        return Registry(
            tracking_uri=self.tracking_uri,
            registry_uri=self.registry_uri,
            prefix=self.prefix,
            owner=self.ledger.ledger_id,
            artifacts=self.root / "mlruns" / "artifacts",
        )

    def pipeline(self, name: str) -> Pipeline:
        """Read a pipeline file and fill what it leaves to the data.

        Raises
        ------
        UnknownPipelineError
            If there is none of that name.
        PipelineFileError
            If its file does not say what it must.
        SourceError
            If the source has to be looked at and cannot be read.

        """
        from components.sources import resolve

        return resolve(read_pipeline(find_pipeline(name, self.pipeline_folders), self.place))

    def pipelines(self) -> list[str]:
        """Name the pipelines that this home can see."""
        return list_pipelines(self.pipeline_folders)
