"""Answers as plain JSON values, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.answers import Answers


def tell_answers(answers: Answers) -> dict[str, Any]:
    """Write answers as plain values; what they do not carry is left out.

    >>> tell_answers(Answers.of_output(np.array([[0.9, 0.1]]), ["no", "yes"]))
    {'values': ['no'], 'probabilities': [[0.9, 0.1]]}
    """
    probabilities = answers.probabilities
    told = {
        "values": answers.values.tolist(),
        "probabilities": None if probabilities is None else probabilities.tolist(),
    }
    for name in ("intervals", "sets"):
        part = getattr(answers, name)
        if part is not None:
            told[name] = part.tolist()
    if answers.threshold is not None:
        told["threshold"] = answers.threshold
    return told


def hear_answers(told: Mapping[str, Any], classes: Sequence[str]) -> Answers:
    """Read what :func:`tell_answers` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is anything else.

    """
    rows = len(told["values"])
    kind: type = object if classes else np.float64
    return Answers(
        values=np.array(told["values"], dtype=kind).reshape(rows),
        probabilities=_table(told["probabilities"], rows, len(classes), np.float64),
        classes=(*classes,),
        intervals=_table(told.get("intervals"), rows, 2, np.float64),
        sets=_table(told.get("sets"), rows, len(classes), np.bool_),
        threshold=told.get("threshold"),
    )


def _table(cells: object, rows: int, columns: int, kind: type) -> np.ndarray | None:
    return None if cells is None else np.array(cells, dtype=kind).reshape(rows, columns)
