"""What a training costs beyond its fits, in a home of its own and without a server."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.running import begin
from flows.settings import Settings, load_settings
from flows.steps import everyday

PIPELINE = "bikeshare"
BEFORE = (datetime(2011, 4, 2, tzinfo=UTC), datetime(2011, 4, 9, tzinfo=UTC))
TIMED = datetime(2011, 6, 25, tzinfo=UTC)
_FITS = ("fit", "refit")


def measure() -> dict[str, float]:
    """Train as a process that has trained before does: every stage, from snapshot to promotion.

    The first two trainings of the process pay for its imports, for new databases and for the
    search; ``training_first_s`` says what the first took.

    Returns
    -------
    dict
        Seconds: of all, of the stages that fit, of the difference, and of each stage.

    """
    with tempfile.TemporaryDirectory(prefix="driftwheel-bench-") as folder:
        settings = load_settings(Path(folder))
        first, _ = [_train(settings, moment)[0] for moment in BEFORE]
        total, spent = _train(settings, TIMED)
    fits = sum(spent[name] for name in _FITS)
    return {
        "training_s": total,
        "training_fits_s": fits,
        "training_overhead_s": total - fits,
        "training_first_s": first,
        **{f"training_stage_{name}_s": seconds for name, seconds in spent.items()},
    }


def _train(settings: Settings, moment: datetime) -> tuple[float, dict[str, float]]:
    """Ingest, then train; give the seconds of the training, and of each of its stages."""
    run = begin(moment, settings=settings)
    pipeline = run.home.pipeline(PIPELINE)
    everyday.ingest(run.home, pipeline, as_of=run.as_of)
    spent: dict[str, float] = defaultdict(float)
    began = time.perf_counter()
    everyday.train(
        run.home,
        pipeline,
        as_of=run.as_of,
        clock=run.clock,
        holder=run.holder,
        who="benchmark",
        stage=_timed(spent),
    )
    return time.perf_counter() - began, spent


def _timed(spent: dict[str, float]) -> Any:
    """Make a `stage` that adds up the seconds of each step under its name."""

    def stage(name: str, step: Callable[..., Any], **_: Any) -> Callable[..., Any]:
        def timed(*args: Any, **more: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*args, **more)
            finally:
                spent[name.replace("-", "_")] += time.perf_counter() - began

        return timed

    return stage
