"""Open a package and answer with it; no code of the package is run."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.answers import Answers
from components.errors import PackageError, ParityError
from components.models.contract import InputContract
from components.packages.cells import read_frame
from components.packages.comparing import compare
from components.packages.folders import read_checked, read_package
from components.packages.graphs import Run, open_graph
from components.packages.manifest import GOLDEN, REFERENCE, Manifest


@dataclass(frozen=True, slots=True)
class Scorer:
    """An opened package: immutable, safe to share between threads.

    Attributes
    ----------
    manifest : Manifest
    folder : Path
        Where it was opened from.
    contract : InputContract
        The columns that it needs.

    """

    manifest: Manifest
    folder: Path
    contract: InputContract
    _run: Run
    _golden: bytes

    def predict(self, frame: pd.DataFrame) -> Answers:
        """Answer rows.

        Parameters
        ----------
        frame : DataFrame of shape (n_rows, n_columns)
            The pipeline's raw columns; others are ignored. Not modified.

        """
        raw = self._run(self.contract.prepare(frame)) if len(frame) else self._nothing()
        return Answers.of_output(raw, self.manifest.classes)

    def _nothing(self) -> np.ndarray:
        return np.empty((0, len(self.manifest.classes)) if self.manifest.classes else (0,))

    def reference(self) -> pd.DataFrame:
        """Read the rows that the model learnt from (a sample), for drift checks."""
        content = read_checked(self.folder, self.manifest, REFERENCE)
        return pd.read_parquet(io.BytesIO(content), engine="pyarrow")

    def golden(self) -> tuple[pd.DataFrame, Answers]:
        """Give the rows that travel with the package, and the fitted model's answers."""
        try:
            return read_golden(self._golden, self.manifest.classes)
        except (ValueError, KeyError, TypeError, IndexError) as problem:
            raise PackageError(f"{self.folder / GOLDEN} cannot be read ({problem})") from problem

    def probe(self) -> None:
        """Answer the golden rows again.

        Raises
        ------
        ParityError
            If the answers are not those of the fitted model.

        """
        rows, expected = self.golden()
        difference = compare(expected, self.predict(rows), rows)
        if difference.reason:
            raise ParityError(
                f"package {self.manifest.digest[:12]} in {self.folder} does not answer as it "
                f"did when it was made: {difference.reason}; keep the champion and train anew "
                f"(made with {_listed(self.manifest.made_with)})"
            )


def load_package(folder: Path, *, digest: str | None = None) -> Scorer:
    """Open a package after checking every byte of it.

    Parameters
    ----------
    folder : Path
        As downloaded.
    digest : str, optional
        The digest that was registered.

    Raises
    ------
    PackageError
        If it is not a package that we open: other files, other formats, code.
    TamperedPackageError
        If its bytes are not those that were registered.

    """
    manifest, files = read_package(folder, digest=digest)
    contract = InputContract(columns=manifest.contract)  # type: ignore[arg-type]
    return Scorer(manifest, folder, contract, _open(manifest, files), files[GOLDEN])


def _open(manifest: Manifest, files: dict[str, bytes]) -> Run:
    if manifest.format == "onnx":
        return open_graph(files["model.onnx"], contract=manifest.contract, task=manifest.task)
    # Needs scikit-learn or torch, which the usual package does not.
    from components.packages.fallbacks import open_skops, open_tensors

    if manifest.format == "skops":
        return open_skops(files["model.skops"], manifest)
    return open_tensors(files["model.safetensors"], files["model.json"], manifest)


def write_golden(given: dict[str, Any], answers: Answers) -> bytes:
    """Write golden rows (as plain values) with the answers they must get."""
    said = {
        "frame": given,
        "values": answers.values.tolist(),
        "probabilities": None if answers.probabilities is None else answers.probabilities.tolist(),
    }
    return json.dumps(said, sort_keys=True, allow_nan=False).encode() + b"\n"


def read_golden(content: bytes, classes: tuple[str, ...]) -> tuple[pd.DataFrame, Answers]:
    """Read what :func:`write_golden` wrote."""
    said = json.loads(content)
    raw = said["values"] if said["probabilities"] is None else said["probabilities"]
    return read_frame(said["frame"]), Answers.of_output(np.asarray(raw, dtype=np.float64), classes)


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
