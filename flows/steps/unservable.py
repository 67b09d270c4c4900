"""Why a fit must not take charge, where no gate judges it."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from components.errors import PackageError
from components.packages.golden import golden_rows
from components.packages.scorer import load_package
from components.packages.trust import Trust
from components.packages.writing import write_package
from components.pipelines import Pipeline
from flows.steps.training import Trained


def unservable(trained: Trained, pipeline: Pipeline, *, packaged: bool) -> str:
    """Say why a fit must not take charge; empty when it may.

    Parameters
    ----------
    trained : Trained
    pipeline : Pipeline
    packaged : bool
        Also write the package, ONNX or the fallback that would be shipped, and ask it.

    """
    golden = golden_rows(
        trained.rows[list(pipeline.inputs)], trained.fitted.contract, seed=pipeline.seed
    )
    answers = trained.fitted.predict(golden)
    given = answers.values if answers.probabilities is None else answers.probabilities
    finite = np.isfinite(np.asarray(given, dtype=np.float64)).reshape(len(golden), -1).all(axis=1)
    if not finite.all():
        return f"{(~finite).sum()} of {len(golden)} golden rows get an answer that is not finite"
    return _packaging_problem(trained, pipeline, golden) if packaged else ""


def _packaging_problem(trained: Trained, pipeline: Pipeline, golden: pd.DataFrame) -> str:
    trust = Trust.of(pipeline)
    with tempfile.TemporaryDirectory(prefix="driftwheel-") as folder:
        try:
            write_package(
                Path(folder),
                trained.fitted,
                golden=golden,
                reference=trained.reference(pipeline),
                about={},
                trust=trust,
            )
            load_package(Path(folder), trust=trust).probe()
        except PackageError as problem:
            return f"its package cannot serve: {problem}"
    return ""
