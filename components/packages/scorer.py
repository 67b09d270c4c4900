"""Open a package and answer with it; no code of the package is run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.answers import Answers
from components.errors import PackageError, ParityError
from components.models.contract import InputContract
from components.output import UNCHANGED, Output
from components.packages.cells import read_frame
from components.packages.comparing import compare, compare_output
from components.packages.folders import read_checked, read_package
from components.packages.graphs import Run, open_graph
from components.packages.manifest import GOLDEN, REFERENCE, Manifest
from components.packages.references import read_reference
from components.packages.telling import hear_answers, tell_answers
from components.packages.trust import NOBODY, Trust


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
    output : Output
        What turns raw answers into those to act on.

    """

    manifest: Manifest
    folder: Path
    contract: InputContract
    _run: Run
    _golden: bytes
    output: Output = UNCHANGED

    def predict(self, frame: pd.DataFrame) -> Answers:
        """Answer rows: calibrated, decided and bounded as :attr:`output` says.

        Parameters
        ----------
        frame : DataFrame of shape (n_rows, n_columns)
            The pipeline's raw columns; others are ignored. Not modified.

        """
        return self.output.apply(self.raw(frame))

    def raw(self, frame: pd.DataFrame) -> Answers:
        """Answer rows as the model itself does."""
        raw = self._run(self.contract.prepare(frame)) if len(frame) else self._nothing()
        return Answers.of_output(raw, self.manifest.classes)

    def _nothing(self) -> np.ndarray:
        return np.empty((0, len(self.manifest.classes)) if self.manifest.classes else (0,))

    def reference(self) -> pd.DataFrame:
        """Read the rows that the model learnt from (a sample), for drift checks."""
        content = read_checked(self.folder, self.manifest, REFERENCE)
        return read_reference(content, str(self.folder / REFERENCE))

    def golden(self) -> "Golden":
        """Give the rows that travel with the package, and the fitted model's answers."""
        try:
            return read_golden(self._golden, self.manifest.classes)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
            raise PackageError(f"{self.folder / GOLDEN} cannot be read ({problem})") from problem

    def probe(self) -> None:
        """Answer the golden rows again.

        Raises
        ------
        ParityError
            If the answers are not those of the fitted model.

        """
        golden = self.golden()
        rows, raw = golden.rows, golden.raw
        reason = compare(raw, self.raw(rows), rows).reason
        if reason or (reason := compare_output(self.output, raw, golden.said, rows)):
            raise ParityError(
                f"package {self.manifest.digest[:12]} in {self.folder} does not answer as it "
                f"did when it was made: {reason}; keep the champion and train anew "
                f"(made with {_listed(self.manifest.made_with)})"
            )


def load_package(folder: Path, *, digest: str | None = None, trust: Trust = NOBODY) -> Scorer:
    """Open a package after checking every byte of it.

    Parameters
    ----------
    folder : Path
        As downloaded.
    digest : str, optional
        The digest that was registered.
    trust : Trust
        Classes of the user's own that the package may hold.

    Raises
    ------
    PackageError
        If it is not a package that we open: other files, other formats, code; or of a class
        that is not trusted.
    TamperedPackageError
        If its bytes are not those that were registered.

    """
    manifest, files = read_package(folder, digest=digest)
    output = _output(manifest)
    contract = InputContract(columns=manifest.contract)  # type: ignore[arg-type]
    run = _open(manifest, files, trust)
    opened = Scorer(manifest, folder, contract, run, files[GOLDEN], output)
    _try(opened)
    return opened


def _try(opened: Scorer) -> None:
    """Ask one row in which everything is missing: a model of other shapes shows itself here."""
    blank = pd.DataFrame({name: [None] for name in opened.contract.names}, dtype=object)
    try:
        rows = len(opened.predict(blank))
    except Exception as problem:
        raise PackageError(
            f"the model in {opened.folder} cannot answer a row "
            f"({type(problem).__name__}: {problem}); fetch the package again or train anew"
        ) from problem
    if rows != 1:
        raise PackageError(f"the model in {opened.folder} gives {rows} answers to one row")


def _output(manifest: Manifest) -> Output:
    """Read the output, and see that it fits answers of this task and these classes."""
    output, classes = Output.from_dict(manifest.output), len(manifest.classes)
    even = Answers.of_output(np.full((1, classes or 1), 1 / (classes or 1)), manifest.classes)
    try:
        hear_answers(tell_answers(output.apply(even)), manifest.classes)
    except (ValueError, TypeError, IndexError) as problem:
        raise PackageError(
            f"the package's output does not fit a {manifest.task} of {classes} classes "
            f"({problem}); train anew"
        ) from problem
    return output


def _open(manifest: Manifest, files: dict[str, bytes], trust: Trust) -> Run:
    if manifest.format == "onnx":
        return open_graph(files["model.onnx"], contract=manifest.contract, task=manifest.task)
    # Needs scikit-learn or torch, which the usual package does not.
    from components.packages.fallbacks import open_skops, open_tensors

    if manifest.format == "skops":
        return open_skops(files["model.skops"], manifest, trust)
    return open_tensors(files["model.safetensors"], files["model.json"], manifest)


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows that travel with a package, and the fitted model's answers, `said` after the output."""

    rows: pd.DataFrame
    raw: Answers
    said: Answers


def write_golden(given: dict[str, Any], raw: Answers, output: Output) -> bytes:
    """Write golden rows (as plain values) with the answers they must get."""
    told = {"frame": given, **tell_answers(raw)}
    if output != UNCHANGED:
        told["said"] = tell_answers(output.apply(raw))
    return json.dumps(told, sort_keys=True, allow_nan=False).encode() + b"\n"


def read_golden(content: bytes, classes: tuple[str, ...]) -> Golden:
    """Read what :func:`write_golden` wrote."""
    told = json.loads(content)
    raw = hear_answers(told, classes)
    said = hear_answers(told["said"], classes) if "said" in told else raw
    return Golden(read_frame(told["frame"]), raw, said)


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
