"""Answer rows with a package, in a process of its own: what a parity check starts.

``python -m components.packages.answering`` reads ``{"folder": …, "frame": …, "trust": …}`` from
standard input and writes ``{"classes": …, "raw": …, "said": …}``, answers before and after the
output, or ``{"error": …}``, to standard output.
"""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from components.errors import DriftwheelError
from components.packages.cells import read_frame
from components.packages.scorer import load_package
from components.packages.telling import tell_answers
from components.packages.trust import Trust


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
        scorer = load_package(Path(asked["folder"]), trust=Trust.from_dict(asked["trust"]))
        rows = read_frame(asked["frame"])
        raw, said = scorer.raw(rows), scorer.predict(rows)
    except DriftwheelError as problem:
        return {"error": str(problem)}
    classes = list(scorer.manifest.classes)
    return {"classes": classes, "raw": tell_answers(raw), "said": tell_answers(said)}


if __name__ == "__main__":
    sys.exit(main())
