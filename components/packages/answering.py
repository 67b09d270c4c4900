"""Answer rows with a package, in a process of its own: what a parity check starts.

``python -m components.packages.answering`` reads ``{"folder": …, "frame": …}`` from standard
input and writes ``{"values": …, "probabilities": …}``, or ``{"error": …}``, to standard output.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from components.errors import PackageError
from components.packages.cells import read_frame
from components.packages.scorer import load_package


def main() -> int:
    """Answer one question."""
    asked = json.load(sys.stdin)
    # A library that prints must not end up in the answer.
    with contextlib.redirect_stdout(sys.stderr):
        said = _answer(asked)
    json.dump(said, sys.stdout)
    return 0


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        answers = load_package(Path(asked["folder"])).predict(read_frame(asked["frame"]))
    except PackageError as problem:
        return {"error": str(problem)}
    probabilities = answers.probabilities
    return {
        "values": answers.values.tolist(),
        "probabilities": None if probabilities is None else probabilities.tolist(),
    }


if __name__ == "__main__":
    sys.exit(main())
