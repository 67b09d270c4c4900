"""Compare two sets of answers to the same rows, and say in words where they differ.

Raw answers, of two computations, are compared within a bound. What is made of them is the same
arithmetic on either side, so there it must be equal; a label then differs only where the raw
probability is within the bound of where the threshold lies.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.answers import Answers
from components.output import Output

BOUND = 1e-5
"""Largest difference that passes: times max(1, \\|y\\|) for numbers, absolute for
probabilities. Graphs answer in float32, which cannot hold 1e-5 of a large number."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The worst difference, in units of the bound's scale, and what it is in words.

    `reason` is empty when every row is within the bound.
    """

    worst: float
    reason: str


def compare(expected: Answers, found: Answers, rows: pd.DataFrame) -> Difference:
    """Compare what a model answered with what its package answers, row by row.

    Parameters
    ----------
    expected, found : Answers of shape (n_rows,)
    rows : DataFrame of shape (n_rows, n_columns)
        What was asked; shown for the row that differs most.

    """
    if expected.classes != found.classes:
        words = f"the package knows the classes {found.classes}, the model {expected.classes}"
        return Difference(np.inf, words)
    wanted, got = _numbers(expected), _numbers(found)
    if wanted.shape != got.shape:
        words = f"the package gives answers of shape {got.shape}, the model {wanted.shape}"
        return Difference(np.inf, words)
    if not len(wanted):
        return Difference(0.0, "")
    scale = np.maximum(1.0, np.abs(wanted)) if expected.probabilities is None else 1.0
    gaps = np.abs(wanted - got) / scale
    # NaN against a number is as wrong as can be; NaN against NaN is a fit that is broken.
    gaps = np.where(np.isfinite(gaps), gaps, np.inf).max(axis=1)
    worst = int(np.argmax(gaps))
    if gaps[worst] <= BOUND:
        return Difference(float(gaps[worst]), "")
    words = (
        f"{int((gaps > BOUND).sum())} of {len(gaps)} rows differ; most in row {worst} "
        f"({_shown(rows, worst)}), where the package answers {_short(got[worst])} and the "
        f"model {_short(wanted[worst])} (allowed difference {BOUND:g})"
    )
    return Difference(float(gaps[worst]), words)


def compare_output(output: Output, raw: Answers, said: Answers, rows: pd.DataFrame) -> str:
    """Say where answers are not what an output makes of the raw ones; empty where they are.

    Parameters
    ----------
    output : Output
    raw, said : Answers of shape (n_rows,)
        Of one computation, before and after the output.
    rows : DataFrame of shape (n_rows, n_columns)
        What was asked; shown for the first row that differs.

    """
    wanted = output.apply(raw)
    if wanted.threshold != said.threshold:
        return f"the threshold is {said.threshold}, not {wanted.threshold}"
    for name in ("values", "probabilities", "intervals", "sets"):
        ours, theirs = getattr(wanted, name), getattr(said, name)
        if (ours is None) != (theirs is None):
            return f"{name} are {'missing' if theirs is None else 'there, though none are due'}"
        if ours is None:
            continue
        differs = _unequal(ours, theirs).reshape(len(rows), -1).any(axis=1)
        if differs.any():
            at = int(differs.argmax())
            return (
                f"{name} of {int(differs.sum())} of {len(rows)} rows are not what the output "
                f"makes of the raw answers; first row {at} ({_shown(rows, at)}): {theirs[at]}, "
                f"not {ours[at]}"
            )
    return ""


def _unequal(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Equal but for the last digits, which another machine's logarithm may set otherwise."""
    if ours.dtype.kind != "f":
        return np.asarray(ours != theirs)
    return np.asarray(~np.isclose(theirs, ours, rtol=1e-9, atol=1e-9, equal_nan=True))


def _numbers(answers: Answers) -> np.ndarray:
    if answers.probabilities is not None:
        return np.asarray(answers.probabilities, dtype=np.float64)
    return np.asarray(answers.values, dtype=np.float64).reshape(-1, 1)


def _shown(rows: pd.DataFrame, at: int) -> str:
    cells = [f"{name}={rows[name].iloc[at]!r}" for name in rows.columns[:8]]
    return ", ".join(cells) + (", …" if len(rows.columns) > len(cells) else "")


def _short(numbers: np.ndarray) -> str:
    return ", ".join(f"{number:.8g}" for number in numbers[:4])
