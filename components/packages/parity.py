"""Check that a package, opened in a fresh process, answers as the model it was made from."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

import components
from components.answers import Answers
from components.packages.cells import write_frame
from components.packages.comparing import BOUND, compare

_ROOT = Path(components.__file__).resolve().parents[1]


class Predicts(Protocol):
    """Whatever answers rows: a fitted model, or an opened package."""

    def predict(self, frame: pd.DataFrame) -> Answers:
        """Answer rows."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Whether a package answers as its model did.

    Attributes
    ----------
    ok : bool
    worst : float
        The largest difference: of numbers relative to max(1, abs(y)), of probabilities
        absolute; infinite when there was no answer.
    bound : float
        The largest difference that passes.
    rows : int
        Rows compared.
    reason : str
        What failed, in words; empty when nothing did.
    seconds : float
        Wall time of the check, the fresh process included.

    """

    ok: bool
    worst: float
    bound: float
    rows: int
    reason: str
    seconds: float


def check_parity(
    folder: Path, fitted: Predicts, rows: pd.DataFrame, *, patience: float = 120.0
) -> Parity:
    """Ask a package, as downloaded and in a fresh process, and compare with its model.

    Parameters
    ----------
    folder : Path
        The package as downloaded.
    fitted : Fitted
        The model that it was made from.
    rows : DataFrame of shape (n_rows, n_columns)
        What to ask. Not modified.
    patience : float
        Seconds after which the process is ended and the check has failed.

    """
    started = time.perf_counter()
    expected = fitted.predict(rows)
    said = _ask(folder, rows, patience)
    if "error" in said:
        worst, reason = float("inf"), str(said["error"])
    else:
        raw = said["values"] if said["probabilities"] is None else said["probabilities"]
        found = Answers.of_output(np.asarray(raw, dtype=np.float64), expected.classes)
        difference = compare(expected, found, rows)
        worst, reason = difference.worst, difference.reason
    took = time.perf_counter() - started
    return Parity(not reason, worst, BOUND, len(rows), reason, took)


def _ask(folder: Path, rows: pd.DataFrame, patience: float) -> dict[str, Any]:
    question = json.dumps({"folder": str(folder.resolve()), "frame": write_frame(rows)})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "components.packages.answering"],
            input=question,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=patience,
            check=False,
            # From our own root, or a components/ folder where the user works would be found first.
            cwd=_ROOT,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"the package gave no answer within {patience:g} s in a fresh process"}
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"error": f"a fresh process ended with code {done.returncode}: {last[0]}"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
