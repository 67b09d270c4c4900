"""Write a fitted model as a package: ONNX where it holds, else a safe format with the reason."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from components.answers import Answers
from components.errors import PackageError
from components.failpoints import failpoint
from components.models.trusted import OwnModel
from components.output import UNCHANGED
from components.packages.cells import read_frame, write_frame
from components.packages.comparing import compare
from components.packages.fallbacks import write_skops, write_tensors
from components.packages.graphs import open_graph
from components.packages.manifest import GOLDEN, MANIFEST, REFERENCE, Format, Manifest, sha256
from components.packages.references import write_reference
from components.packages.scorer import write_golden
from components.packages.trust import NOBODY, Trust

if TYPE_CHECKING:
    from components.models.fitting import Fitted
    from components.models.network import NetworkModel

_LIBRARIES: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime"),
    "skops": ("skops", "scikit-learn", "numpy"),
    "safetensors": ("safetensors", "numpy"),
}


def write_package(
    folder: Path,
    fitted: "Fitted",
    *,
    golden: pd.DataFrame,
    reference: pd.DataFrame,
    about: dict[str, Any],
    onnx_refused: str = "",
    trust: Trust = NOBODY,
) -> Manifest:
    """Write a package; the manifest, with the digests of all other files, comes last.

    Parameters
    ----------
    folder : Path
        Made when absent; must be empty.
    fitted : Fitted
        The model, with its contract.
    golden : DataFrame
        Rows that travel with the package together with the model's answers; a graph that
        answers them otherwise is not used.
    reference : DataFrame
        Rows that the model learnt from, for drift checks.
    about : dict
        Plain JSON values that say where the model comes from. Nothing that differs between
        two equal fits, or their digests differ.
    onnx_refused : str
        Why not to try ONNX again; becomes the manifest's reason.
    trust : Trust
        Classes of the user's own that the model may be of.

    Raises
    ------
    PackageError
        If the folder is not empty, or the model has no safe format.

    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise PackageError(f"a package is written into an empty folder; {folder} is not empty")
    cells = write_frame(golden)
    # The rows as whoever reads the package will have them.
    rows = read_frame(cells)
    answers = fitted.raw(rows)
    own = type(fitted.model.own) if isinstance(fitted.model, OwnModel) else None
    trusted = None if own is None else trust.name_of(own).model_dump()
    chosen, reason, files = _model_files(fitted, rows, answers, onnx_refused, own)
    golden_file = write_golden(cells, answers, fitted.output)
    files |= {GOLDEN: golden_file, REFERENCE: write_reference(reference)}
    manifest = Manifest(
        format=chosen,
        reason=reason,
        family=fitted.family,
        task=fitted.task,
        classes=fitted.classes,
        contract=fitted.contract.columns,
        made_with={name: version(name) for name in _LIBRARIES[chosen]},
        about=about,
        files={name: sha256(content) for name, content in sorted(files.items())},
        output=None if fitted.output == UNCHANGED else fitted.output.as_dict(),
        trusted=trusted,
    )
    stated = manifest.to_bytes()
    for name, content in sorted(files.items()):
        _write_through(folder / name, content)
    failpoint("package-files-written")
    _write_through(folder / MANIFEST, stated)
    return manifest


def _model_files(
    fitted: "Fitted", rows: pd.DataFrame, answers: Answers, refused: str, own: type | None
) -> tuple[Format, str, dict[str, bytes]]:
    if not refused:
        content, refused = _graph(fitted, rows, answers)
        if not refused:
            return "onnx", "", {"model.onnx": content}
    if fitted.family == "network":
        tensors, config = write_tensors(cast("NetworkModel", fitted.model))
        return "safetensors", refused, {"model.safetensors": tensors, "model.json": config}
    return "skops", refused, {"model.skops": write_skops(fitted.model, own=own)}


def _graph(fitted: "Fitted", rows: pd.DataFrame, answers: Answers) -> tuple[bytes, str]:
    """Write the graph and ask it the golden rows; the second value says why not to use it."""
    try:
        content: bytes = fitted.model.to_onnx().SerializeToString(deterministic=True)
        run = open_graph(content, contract=fitted.contract.columns, task=fitted.task)
        found = Answers.of_output(run(fitted.contract.prepare(rows)), fitted.classes)
    except PackageError as problem:
        return b"", str(problem)
    difference = compare(answers, found, rows)
    return content, difference.reason and f"ONNX answers otherwise: {difference.reason}"


def _write_through(file: Path, content: bytes) -> None:
    """Write a file that survives a power cut once the manifest is there."""
    with file.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
