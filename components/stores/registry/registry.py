"""The registry: whose experiment and model are ours, which versions there are, who is in charge."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from components.errors import NotOursError, PackageError, StoreError
from components.failpoints import failpoint
from components.packages.manifest import MANIFEST
from components.stores.registry.asking import asking, check_reachable, hush, shown
from components.stores.registry.claims import OWNER, Claims
from components.stores.registry.database import (
    check_kind,
    is_database,
    open_database,
    recorded_root,
    rewrite_root,
)
from components.stores.registry.models import PACKAGE
from components.stores.registry.runs import Run
from components.stores.registry.versions import DIGEST, URI, Version, as_version


class _Kept:
    """Stands for an alias that is left where it is."""


_KEPT: Final = _Kept()


class Registry:
    """MLflow as one home uses it; nothing is connected until it is asked.

    Parameters
    ----------
    tracking_uri : str
        A server (``http://…``) or a database (``sqlite:///…``).
    registry_uri : str
        Where registered models are, if elsewhere; empty: the same.
    prefix : str
        Stands before every pipeline's name.
    owner : str
        Who we are: tagged on all that we make; what bears another tag is never touched.
    artifacts : Path, optional
        Where files go when we talk to a database ourselves; a server has its own place.

    """

    def __init__(
        self,
        tracking_uri: str,
        registry_uri: str = "",
        *,
        prefix: str = "",
        owner: str,
        artifacts: Path | None = None,
    ) -> None:
        self.tracking_uri = tracking_uri
        self.registry_uri = registry_uri or tracking_uri
        self.prefix = prefix
        self.owner = owner
        self.artifacts = artifacts
        self._experiments: dict[str, str] = {}

    @cached_property
    def _client(self) -> MlflowClient:
        hush()
        for uri in dict.fromkeys((self.tracking_uri, self.registry_uri)):
            check_kind(uri)
            check_reachable(uri)
            if is_database(uri):
                open_database(uri, self._root)
        with asking("be opened", self.tracking_uri):
            return MlflowClient(self.tracking_uri, self.registry_uri)

    @cached_property
    def _claims(self) -> Claims:
        folder = self._root if is_database(self.tracking_uri) else None
        return Claims(self._client, self.tracking_uri, owner=self.owner, folder=folder)

    @property
    def _root(self) -> Path:
        if self.artifacts is None:
            raise StoreError(
                f"a folder for files is needed beside the database {shown(self.tracking_uri)}"
            )
        return self.artifacts

    def name(self, pipeline: str) -> str:
        """Name a pipeline's experiment and registered model."""
        return f"{self.prefix}{pipeline}"

    def ensure(self, pipeline: str) -> None:
        """Make a pipeline's experiment and registered model, or find that they are ours.

        Raises
        ------
        NotOursError
            If somebody else has one of that name; both are left as they were.
        StoreUnreachableError
            If MLflow does not answer.

        """
        self.experiment_id(pipeline)

    def experiment_id(self, pipeline: str) -> str:
        """Give the id of a pipeline's experiment, made where needed; as :meth:`ensure`."""
        if pipeline not in self._experiments:
            self._experiments[pipeline] = self._claims.take(self.name(pipeline))
        return self._experiments[pipeline]

    @contextmanager
    def run(
        self,
        pipeline: str,
        *,
        name: str,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Iterator[Run]:
        """Open a run in the pipeline's experiment; it ends FINISHED, or FAILED if the body raises.

        Raises
        ------
        NotOursError
            If the experiment belongs to somebody else.

        """
        experiment = self.experiment_id(pipeline)
        with asking("open a run", self.tracking_uri):
            made = self._client.create_run(
                experiment,
                run_name=name,
                tags={
                    "mlflow.source.name": "driftwheel",
                    "mlflow.source.type": "LOCAL",
                    OWNER: self.owner,
                    **{key: str(value) for key, value in (tags or {}).items()},
                },
            )
        run = Run(
            self._client, self.tracking_uri, run_id=made.info.run_id, experiment_id=experiment
        )
        try:
            if params:
                run.log_params(params)
            yield run
        except BaseException as problem:
            self._end_as_failed(run.id, problem)
            raise
        with asking("end a run", self.tracking_uri):
            self._client.set_terminated(run.id, "FINISHED")

    def running(self, pipeline: str, tag: str) -> set[str]:
        """Collect the values of a tag over the pipeline's runs that are RUNNING."""
        experiment = self.experiment_id(pipeline)
        with asking("look for open runs", self.tracking_uri):
            found = self._client.search_runs([experiment], "attributes.status = 'RUNNING'")
        return {run.data.tags[tag] for run in found if tag in run.data.tags}

    def settle_left_behind(self, pipeline: str, tag: str, value: str) -> int:
        """End the runs that a killed worker left RUNNING, and the models it left half-made.

        Call it only while nobody else can be at work on what the tag names.

        Parameters
        ----------
        tag, value : str
            Which runs: those of the pipeline that carry this tag.

        Returns
        -------
        int
            Runs that were ended, as KILLED.

        """
        experiment = self.experiment_id(pipeline)
        chosen = f"tags.`{tag}` = '{value}' and attributes.status = 'RUNNING'"
        with asking("settle what a killed worker left", self.tracking_uri):
            left = self._client.search_runs([experiment], chosen)
            for run in left:
                self._fail_half_made(experiment, run.info.run_id)
                self._client.set_terminated(run.info.run_id, "KILLED")
        return len(left)

    def _fail_half_made(self, experiment: str, run_id: str) -> None:
        made = self._client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
        for model in made:
            if model.status == LoggedModelStatus.PENDING:
                self._client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)

    def _end_as_failed(self, run_id: str, problem: BaseException) -> None:
        try:
            self._client.set_terminated(run_id, "FAILED")
        except MlflowException as second:
            problem.add_note(f"MLflow could not be told that run {run_id} failed: {second}")

    def fetch(self, uri: str, to: Path) -> Path:
        """Download a package.

        Parameters
        ----------
        uri : str
            As :meth:`Run.log_package` gave it.
        to : Path
            A folder to download into; made when absent.

        Returns
        -------
        Path
            The package's folder within `to`, byte for byte as it was logged. Check it with
            :func:`components.packages.scorer.load_package` before use.

        """
        to.mkdir(parents=True, exist_ok=True)
        with asking(f"hand out {uri}", self.tracking_uri):
            place = self._logged_model(uri).artifact_location
            if place.startswith("/") and not Path(place, PACKAGE, MANIFEST).is_file():
                raise PackageError(
                    f"{uri} has no whole package at {place}; if the home was moved, "
                    "`driftwheel doctor` says how to mend its paths"
                )
            files = get_artifact_repository(place, tracking_uri=self.tracking_uri)
            fetched = files.download_artifacts(PACKAGE, str(to))
        return Path(fetched)

    def place(self, uri: str) -> str:
        """Say where the files of a package lie: a folder, or an address."""
        with asking(f"say where {uri} lies", self.tracking_uri):
            return str(self._logged_model(uri).artifact_location)

    def _logged_model(self, uri: str) -> Any:
        return self._client.get_logged_model(uri.removeprefix("models:/"))

    def register(
        self,
        pipeline: str,
        uri: str,
        run_id: str,
        *,
        tags: Mapping[str, str] | None = None,
        description: str = "",
    ) -> str:
        """Make a logged package a version of the pipeline's model.

        Returns
        -------
        str
            The version's number.

        Raises
        ------
        StoreError
            If the package was not logged to its end.
        NotOursError
            If the registered model belongs to somebody else.

        """
        self.experiment_id(pipeline)
        with asking(f"register {uri}", self.registry_uri):
            model = self._logged_model(uri)
            if model.status != LoggedModelStatus.READY:
                raise StoreError(f"{uri} is {model.status}, not READY; log the package again")
            version = self._client.create_model_version(
                self.name(pipeline),
                source=model.artifact_location,
                run_id=run_id,
                tags={URI: uri, DIGEST: model.tags.get(DIGEST, ""), **(tags or {})},
                description=description,
                # Only the server that holds the model knows its id.
                model_id=model.model_id if self.registry_uri == self.tracking_uri else None,
            )
        return str(version.version)

    def fetch_version(self, pipeline: str, version: str, to: Path) -> Path:
        """Download the package of a version, as :meth:`fetch` does."""
        found = self._version(pipeline, version)
        if URI not in found.tags:
            raise NotOursError(
                f"version {version} of {self.name(pipeline)} was not registered by Driftwheel; "
                "it holds no package"
            )
        return self.fetch(found.tags[URI], to)

    def versions(self, pipeline: str) -> list[Version]:
        """List the versions of a pipeline's model, oldest first; none before the first."""
        return sorted(self._search(pipeline), key=lambda found: int(found.number))

    def find_version(self, pipeline: str, tag: str, value: str) -> str | None:
        """Find the newest version that bears a tag of this value."""
        found = [each for each in self.versions(pipeline) if each.tags.get(tag) == value]
        return found[-1].number if found else None

    def version(self, pipeline: str, number: str) -> Version:
        """Read one version.

        Raises
        ------
        StoreError
            If there is none of that number.

        """
        return as_version(self._version(pipeline, number))

    def run_tags(self, run_id: str) -> dict[str, str]:
        """Read the tags of a run."""
        with asking(f"find run {run_id}", self.tracking_uri):
            return dict(self._client.get_run(run_id).data.tags)

    def run_text(self, run_id: str, path: str) -> str | None:
        """Read a text that is kept with a run; None when there is none of that name."""
        folder = path.rpartition("/")[0]
        with asking(f"hand out {path} of run {run_id}", self.tracking_uri):
            if path not in {file.path for file in self._client.list_artifacts(run_id, folder)}:
                return None
            with tempfile.TemporaryDirectory(prefix="driftwheel-") as work:
                fetched = self._client.download_artifacts(run_id, path, work)
                return Path(fetched).read_text(encoding="utf-8")

    def keep_text(self, run_id: str, text: str, path: str) -> None:
        """Keep a text with a run, in place of what it had under that name."""
        with asking(f"keep {path} with run {run_id}", self.tracking_uri):
            self._client.log_text(run_id, text, path)

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Write tags on a run, also on one that has ended."""
        with asking(f"tag run {run_id}", self.tracking_uri):
            for key, value in tags.items():
                self._client.set_tag(run_id, key, str(value))

    def describe(self, pipeline: str, version: str, description: str) -> None:
        """Write what people read beside a version."""
        self.experiment_id(pipeline)
        with asking(f"describe version {version}", self.registry_uri):
            self._client.update_model_version(self.name(pipeline), version, description)

    def version_tag(self, pipeline: str, version: str, tag: str) -> str | None:
        """Read one tag of a version."""
        value = self._version(pipeline, version).tags.get(tag)
        return None if value is None else str(value)

    def tag_version(self, pipeline: str, version: str, tags: Mapping[str, str]) -> None:
        """Write tags on a version."""
        self.experiment_id(pipeline)
        with asking(f"tag version {version}", self.registry_uri):
            for key, value in tags.items():
                self._client.set_model_version_tag(self.name(pipeline), version, key, str(value))

    def _version(self, pipeline: str, version: str) -> ModelVersion:
        with asking(f"find version {version} of {self.name(pipeline)}", self.registry_uri):
            return self._client.get_model_version(self.name(pipeline), version)

    def _search(self, pipeline: str) -> Iterator[Version]:
        wanted, token = f"name = '{self.name(pipeline)}'", None
        with asking("list versions", self.registry_uri):
            while True:
                page = self._client.search_model_versions(wanted, page_token=token)
                yield from map(as_version, page)
                token = page.token
                if not token:
                    return

    def aliases(self, pipeline: str) -> dict[str, str]:
        """Read who is who: alias to version number; empty when there is no such model."""
        with asking("read the aliases", self.registry_uri):
            model = self._claims.model(self.name(pipeline))
        return {} if model is None else {key: str(value) for key, value in model.aliases.items()}

    def point(
        self,
        pipeline: str,
        *,
        champion: str | _Kept | None = _KEPT,
        challenger: str | _Kept | None = _KEPT,
        previous: str | _Kept | None = _KEPT,
    ) -> None:
        """Point the aliases at versions; None takes one away, what is not given stays.

        Doing it twice changes nothing.

        Raises
        ------
        NotOursError
            If the registered model belongs to somebody else.

        """
        self.experiment_id(pipeline)
        name, found = self.name(pipeline), self.aliases(pipeline)
        wanted = {"champion": champion, "challenger": challenger, "previous": previous}
        with asking("point the aliases", self.registry_uri):
            for alias, version in wanted.items():
                if isinstance(version, _Kept) or version == found.get(alias):
                    continue
                if version is None:
                    self._client.delete_registered_model_alias(name, alias)
                else:
                    self._client.set_registered_model_alias(name, alias, version)
                failpoint("between-aliases")

    def moved_from(self) -> str | None:
        """Say where this home was when its artifact paths were written; None: it has not moved."""
        if self.artifacts is None or not is_database(self.tracking_uri):
            return None
        _ = self._client
        return recorded_root(self.tracking_uri, self.artifacts, OWNER)

    def mend_paths(self) -> int:
        """Rewrite the artifact paths of a moved home; returns how many were changed."""
        changed = 0
        for _ in range(100):
            old = self.moved_from()
            if old is None:
                break
            changed += rewrite_root(self.tracking_uri, old, self._root)
        return changed
