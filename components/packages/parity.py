"""Check that a package, opened in a fresh process, answers as the model it was made from."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

import components
from components.answers import Answers
from components.output import Output
from components.packages.cells import write_frame
from components.packages.comparing import BOUND, compare, compare_output
from components.packages.telling import hear_answers
from components.packages.trust import NOBODY, Trust

_ROOT = Path(components.__file__).resolve().parents[1]


class Answering(Protocol):
    """Whatever answers rows: a fitted model, or an opened package."""

    @property
    def output(self) -> Output:
        """What is made of the raw answers."""

    def raw(self, frame: pd.DataFrame) -> Answers:
        """Answer rows, before the output."""


@dataclass(frozen=True, slots=True)
class Parity:
    """Whether a package answers as its model did.

    Attributes
    ----------
    ok : bool
    worst : float
        The largest difference of raw answers: of numbers relative to max(1, abs(y)), of
        probabilities absolute; infinite when there was no answer.
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
    folder: Path,
    fitted: Answering,
    rows: pd.DataFrame,
    *,
    patience: float = 120.0,
    trust: Trust = NOBODY,
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
    trust : Trust
        Classes of the user's own that the package may hold.

    """
    started = time.perf_counter()
    expected = fitted.raw(rows)
    told = _ask(folder, rows, patience, trust)
    if "error" in told:
        worst, reason = float("inf"), str(told["error"])
    else:
        raw, said = (hear_answers(told[name], told["classes"]) for name in ("raw", "said"))
        difference = compare(expected, raw, rows)
        worst = difference.worst
        reason = difference.reason or compare_output(fitted.output, raw, said, rows)
    took = time.perf_counter() - started
    return Parity(not reason, worst, BOUND, len(rows), reason, took)


def _ask(folder: Path, rows: pd.DataFrame, patience: float, trust: Trust) -> dict[str, Any]:
    asked = {
        "folder": str(folder.resolve()),
        "frame": write_frame(rows),
        "trust": trust.as_dict(),
    }
    question = json.dumps(asked)
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
