"""How often the truth lay inside what predictions said of their own reach."""

import numpy as np
import pandas as pd

from components.pipelines.spec import Pipeline
from components.records import INTERVAL_HIGH, INTERVAL_LOW, LABEL, PREDICTION_SET
from monitoring.maturity import weights_of
from monitoring.measurements import Measurement
from monitoring.windows import Window


def coverage_of(labelled: pd.DataFrame, pipeline: Pipeline, window: Window) -> list[Measurement]:
    """Measure the live coverage of intervals, or of sets of classes.

    What conformal prediction promises holds while rows are like those it was learnt on; where
    the world changes it does not, so it is counted. The number is recorded and judged by people.

    Parameters
    ----------
    labelled : DataFrame of shape (n_rows, n_columns)
        Predictions with their true `label`; where labels are still coming in, with weights.
        Not modified.

    Returns
    -------
    list of Measurement
        ``coverage``, a share from 0 to 1; empty where no prediction carries an interval or set.

    """
    regression = pipeline.resolved_task == "regression"
    carries = INTERVAL_LOW if regression else PREDICTION_SET
    if carries not in labelled or labelled[carries].isna().all():
        return []
    bounded = labelled[labelled[carries].notna()]
    inside = _within(bounded) if regression else _among(bounded)
    weights, _ = weights_of(bounded)
    value = float(np.average(inside, weights=weights))
    rows, what = len(bounded), "intervals" if regression else "sets"
    few = rows < pipeline.monitor.least_rows
    wanted = pipeline.intervals and f"; {pipeline.intervals.coverage:g} is wanted"
    return [
        Measurement(
            name="coverage",
            column=None,
            window=window,
            method=what,
            value=value,
            threshold=None,
            direction="below",
            status="cannot_tell" if few else "fine",
            rows=rows,
            reason=f"{int(inside.sum())} of {rows} true values lie inside their {what}"
            f"{wanted or ''}",
        )
    ]


def _within(rows: pd.DataFrame) -> np.ndarray:
    truth = rows[LABEL].to_numpy(dtype=np.float64)
    low, high = (rows[name].to_numpy(dtype=np.float64) for name in (INTERVAL_LOW, INTERVAL_HIGH))
    return np.asarray((low <= truth) & (truth <= high))


def _among(rows: pd.DataFrame) -> np.ndarray:
    pairs = zip(rows[LABEL], rows[PREDICTION_SET], strict=True)
    return np.array([label in set(names) for label, names in pairs], dtype=bool)
