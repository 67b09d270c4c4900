"""What a package costs whoever serves it: the time of one row, and its bytes."""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pandas as pd

from components.packages.scorer import Scorer, load_package
from components.packages.trust import Trust
from components.pipelines import Pipeline
from flows.steps.rivals import Rival
from monitoring.limits import Pair

if TYPE_CHECKING:
    from flows.steps.home import Home
    from flows.steps.packaging import Packaged

ROUNDS = 200
"""One row each side and round: the medians of so many differ by a few hundredths."""

_LEAST_ROUNDS = 20
_REAL_ROWS = 20
_MOST_SECONDS = 1.0


def compare_footprints(
    home: "Home", pipeline: Pipeline, rival: Rival, challenger: "Packaged"
) -> tuple[Pair, Pair]:
    """Measure champion and challenger as they would serve; the naive baseline has no footprint.

    Returns
    -------
    latency, size : Pair
        Median seconds of one row, the two sides in turn, so that what else this machine does
        slows both alike; bytes of the package.

    """
    with tempfile.TemporaryDirectory(prefix="driftwheel-") as work:
        folder = home.registry.fetch(challenger.uri, Path(work))
        theirs = load_package(folder, digest=challenger.manifest.digest, trust=Trust.of(pipeline))
        return compare_opened(rival.model if isinstance(rival.model, Scorer) else None, theirs)


def compare_opened(champion: Scorer | None, challenger: Scorer) -> tuple[Pair, Pair]:
    """Do the same with two opened packages."""
    size = Pair(None if champion is None else bytes_of(champion), bytes_of(challenger))
    return row_latency(champion, challenger), size


def row_latency(champion: Scorer | None, challenger: Scorer) -> Pair:
    """Time single rows on both sides in turn: medians, in seconds, of up to :data:`ROUNDS`.

    Each side answers the real rows that travel with its package. Where rows are slow, fewer
    rounds do: about a second in all.
    """
    sides = [one for one in (champion, challenger) if one is not None]
    rows = [_single_rows(one) for one in sides]
    for side, mine in zip(sides, rows, strict=True):
        side.predict(mine[0])  # what is made at the first answer is no latency of the others
    seconds: list[list[float]] = [[] for _ in sides]
    begun = time.perf_counter()
    for turn in range(ROUNDS):
        for side, mine, took in zip(sides, rows, seconds, strict=True):
            row = mine[turn % len(mine)]
            before = time.perf_counter()
            side.predict(row)
            took.append(time.perf_counter() - before)
        if turn >= _LEAST_ROUNDS and time.perf_counter() - begun > _MOST_SECONDS:
            break
    typical = [median(took) for took in seconds]
    return Pair(typical[0] if champion is not None else None, typical[-1])


def bytes_of(scorer: Scorer) -> int:
    """Count the bytes of an opened package."""
    return sum(file.stat().st_size for file in scorer.folder.rglob("*") if file.is_file())


def _single_rows(scorer: Scorer) -> list[pd.DataFrame]:
    golden = scorer.golden().rows
    return [golden.iloc[[at]] for at in range(min(len(golden), _REAL_ROWS))]
