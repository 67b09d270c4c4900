"""A package as an MLflow model: readable by MLflow, with our files beside, byte for byte.

MLflow's own `log_model` takes ten seconds to guess requirements, and writes the graph anew; here
the model folder is laid out directly, and its ONNX flavour points into the package. There is no
`python_function` flavour: it would feed rows past the input contract.
"""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, DataType, Schema

from components.packages.cells import write_cell
from components.packages.manifest import Manifest

PACKAGE = "package"
"""The folder of the package within the MLflow model."""

_EXAMPLE = "input_example.json"
_REQUIREMENTS = "requirements.txt"
_KINDS = {"number": DataType.double, "category": DataType.string}


def lay_out(
    folder: Path, package: Path, manifest: Manifest, sample: pd.DataFrame, *, model_id: str
) -> None:
    """Lay out an MLflow model in `folder`, with a copy of the package within.

    Parameters
    ----------
    folder : Path
        Empty.
    package : Path
        As `write_package` left it.
    sample : DataFrame of shape (n_rows, n_columns)
        A few rows, shown as the model's input example.
    model_id : str
        MLflow's id of the logged model.

    """
    shutil.copytree(package, folder / PACKAGE, symlinks=True)
    needed = [f"{name}=={number}" for name, number in sorted(manifest.made_with.items())]
    (folder / _REQUIREMENTS).write_text("".join(f"{each}\n" for each in needed))
    (folder / _EXAMPLE).write_text(json.dumps(_example(sample[[n for n, _ in manifest.contract]])))
    described = Model(
        model_id=model_id,
        model_uuid=model_id,
        flavors=_flavors(manifest),
        signature=_signature(manifest),
        saved_input_example_info={
            "artifact_path": _EXAMPLE,
            "type": "dataframe",
            "pandas_orient": "split",
        },
        metadata={"driftwheel.digest": manifest.digest, "driftwheel.format": manifest.format},
    )
    described.save(str(folder / "MLmodel"))


def _flavors(manifest: Manifest) -> dict[str, Any]:
    ours = {"data": PACKAGE, "format": manifest.format, "version": version("driftwheel")}
    if manifest.format != "onnx":
        return {"driftwheel": ours}
    return {
        "driftwheel": ours,
        "onnx": {
            "onnx_version": version("onnx"),
            "data": f"{PACKAGE}/model.onnx",
            "providers": ["CPUExecutionProvider"],
            "onnx_session_options": None,
            "code": None,
        },
    }


def _signature(manifest: Manifest) -> ModelSignature:
    inputs = [ColSpec(_KINDS[kind], name, required=False) for name, kind in manifest.contract]
    outputs = ["value"] if not manifest.classes else list(manifest.classes)
    answers = [ColSpec(DataType.double, name) for name in outputs]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(answers))


def _example(sample: pd.DataFrame) -> dict[str, Any]:
    rows = [[_shown(cell) for cell in row] for row in sample.astype(object).to_numpy().tolist()]
    return {"columns": list(sample.columns), "data": rows}


def _shown(cell: object) -> object:
    written = write_cell(cell)
    return None if isinstance(written, dict) else written
