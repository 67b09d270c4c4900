"""Names in MLflow: taken once, tagged with who took them, and left alone when others hold them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from components.errors import NotOursError
from components.stores.registry.asking import asking, exists_already, is_missing, shown

OWNER: Final = "driftwheel.owner"

# MLflow's pages open on traces of language models unless an experiment says what it is for.
_KIND: Final = {"mlflow.experimentKind": "custom_model_development"}


class Claims:
    """The experiments and registered models of one owner.

    Parameters
    ----------
    client : MlflowClient
    uri : str
        Where MLflow is, for messages.
    owner : str
        Who we are.
    folder : Path or None
        Where an experiment's files go when we talk to a database ourselves.

    """

    def __init__(self, client: MlflowClient, uri: str, *, owner: str, folder: Path | None) -> None:
        self._client = client
        self._uri = uri
        self._owner = owner
        self._folder = folder

    def take(self, name: str) -> str:
        """Make experiment and registered model of a name, or find that they are ours.

        Both are looked at before either is made: a half-taken name would be left behind.

        Returns
        -------
        str
            The experiment's id.

        Raises
        ------
        NotOursError
            If somebody else has one of that name; both are left as they were.

        """
        with asking(f"look up {name}", self._uri):
            experiment, model = self._client.get_experiment_by_name(name), self.model(name)
            if experiment is not None:
                self._check_ours("experiment", name, experiment.tags)
            if model is not None:
                self._check_ours("registered model", name, model.tags)
            if experiment is None:
                experiment = self._make_experiment(name)
            if experiment.lifecycle_stage == "deleted":
                self._client.restore_experiment(experiment.experiment_id)
            if model is None:
                self._make_model(name)
        return str(experiment.experiment_id)

    def model(self, name: str) -> Any | None:
        """Look up a registered model, whoever made it; None when there is none."""
        try:
            return self._client.get_registered_model(name)
        except MlflowException as problem:
            if is_missing(problem):
                return None
            raise

    def _make_experiment(self, name: str) -> Any:
        place = None if self._folder is None else str(self._folder / name)
        try:
            self._client.create_experiment(name, place, {OWNER: self._owner, **_KIND})
        except MlflowException as problem:
            if not exists_already(problem):
                raise
        made = self._client.get_experiment_by_name(name)
        self._check_ours("experiment", name, made.tags)
        return made

    def _make_model(self, name: str) -> None:
        try:
            self._client.create_registered_model(name, {OWNER: self._owner})
        except MlflowException as problem:
            if not exists_already(problem):
                raise
            self._check_ours("registered model", name, self._client.get_registered_model(name).tags)

    def _check_ours(self, kind: str, name: str, tags: Mapping[str, str]) -> None:
        holder = tags.get(OWNER)
        if holder == self._owner:
            return
        whose = f"made by the home {holder}" if holder else "not made by Driftwheel"
        raise NotOursError(
            f"MLflow at {shown(self._uri)} has a {kind} {name!r} that is {whose}; it is "
            'left alone. Set a prefix of your own, such as prefix = "team-a-" in '
            "driftwheel.toml or DRIFTWHEEL_PREFIX=team-a-"
        )
