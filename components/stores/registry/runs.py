"""One MLflow run, open while a training works."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
)
from mlflow.utils.time import get_current_time_millis

from components.failpoints import failpoint
from components.packages.folders import read_package
from components.stores.registry.asking import asking
from components.stores.registry.models import lay_out

_LONGEST_DIGEST = 36
_MOST_TAGS = 100


class Run:
    """What a training may write into its MLflow run.

    Parameters
    ----------
    client : MlflowClient
    uri : str
        Where the run is, for messages.
    run_id, experiment_id : str
        MLflow's ids.

    """

    def __init__(self, client: MlflowClient, uri: str, *, run_id: str, experiment_id: str) -> None:
        self._client = client
        self._uri = uri
        self._experiment_id = experiment_id
        self.id = run_id

    def log_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Write numbers, by name."""
        now = get_current_time_millis()
        metrics = [Metric(name, float(value), now, step) for name, value in values.items()]
        with asking("log metrics", self._uri):
            self._client.log_batch(self.id, metrics=metrics)

    def log_params(self, params: Mapping[str, str]) -> None:
        """Write what the run was started with, by name."""
        pairs = [Param(name, str(value)) for name, value in params.items()]
        with asking("log parameters", self._uri):
            self._client.log_batch(self.id, params=pairs)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Write tags; what is too long for MLflow is cut."""
        pairs = [RunTag(name, str(value)) for name, value in tags.items()]
        with asking("set tags", self._uri):
            for first in range(0, len(pairs), _MOST_TAGS):
                self._client.log_batch(self.id, tags=pairs[first : first + _MOST_TAGS])

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keep a file with the run."""
        with asking(f"keep {path.name}", self._uri):
            self._client.log_artifact(self.id, str(path), folder or None)

    def log_text(self, text: str, path: str) -> None:
        """Keep a text as a file with the run."""
        with asking(f"keep {path}", self._uri):
            self._client.log_text(self.id, text, path)

    def log_snapshot(
        self,
        frame: pd.DataFrame,
        *,
        name: str,
        digest: str,
        context: str,
        source: Mapping[str, object] | None = None,
    ) -> None:
        """Name the rows that the run used, as one of MLflow's dataset inputs.

        Parameters
        ----------
        frame : DataFrame
            Only its columns and size are written.
        name, digest : str
            Of the snapshot; MLflow keeps 36 characters of a digest.
        context : str
            What the rows were used for, such as ``training`` or ``evaluation``.
        source : mapping, optional
            The Delta table, as MLflow's own source names it: `path`, `delta_table_version`;
            further keys are kept. Without one the source says only the name.

        """
        stated = {"tags": {"driftwheel.snapshot": name}} if source is None else dict(source)
        dataset = Dataset(
            name=name[:500],
            digest=digest[:_LONGEST_DIGEST],
            source_type="code" if source is None else "delta_table",
            source=json.dumps(stated),
            schema=json.dumps({"mlflow_colspec": [_column(frame, each) for each in frame.columns]}),
            profile=json.dumps({"num_rows": len(frame), "num_elements": int(frame.size)}),
        )
        tags = [InputTag("mlflow.data.context", context)]
        with asking("name the snapshot", self._uri):
            self._client.log_inputs(self.id, datasets=[DatasetInput(dataset, tags)])

    def log_package(self, folder: Path, sample: pd.DataFrame) -> str:
        """Hand a package to MLflow's keeping, as a model of this run.

        The model becomes READY only when every file is there; one that fails on the way is
        marked so, and never becomes a version.

        Parameters
        ----------
        folder : Path
            As `write_package` left it; checked once more before it goes.
        sample : DataFrame
            A few rows, shown as the model's input example.

        Returns
        -------
        str
            ``models:/m-…``, for :meth:`Registry.fetch` and :meth:`Registry.register`.

        Raises
        ------
        PackageError
            If the folder is no whole package.
        StoreError
            If MLflow does not take it.

        """
        manifest, _ = read_package(folder)
        tags = {"driftwheel.digest": manifest.digest, "driftwheel.format": manifest.format}
        with asking("take a package", self._uri), tempfile.TemporaryDirectory() as work:
            model = self._client.create_logged_model(
                self._experiment_id,
                name=manifest.family,
                source_run_id=self.id,
                tags=tags,
                params={"format": manifest.format, "family": manifest.family},
            )
            try:
                lay_out(Path(work), folder, manifest, sample, model_id=model.model_id)
                self._client.log_model_artifacts(model.model_id, work)
                failpoint("files-before-ready")
            except BaseException:
                self._client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
                raise
            self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
            self._client.log_outputs(self.id, [LoggedModelOutput(model.model_id, step=0)])
        return f"models:/{model.model_id}"


def _column(frame: pd.DataFrame, name: str) -> dict[str, object]:
    kind = frame[name].dtype
    if pd.api.types.is_datetime64_any_dtype(kind):
        written = "datetime"
    else:
        written = "double" if pd.api.types.is_numeric_dtype(kind) else "string"
    return {"type": written, "name": str(name), "required": False}
