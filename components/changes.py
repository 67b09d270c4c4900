"""Since when rows look like today's: the change point of the loss of a small model over time.

A linear model is fitted on the newest stretch and asked about all rows, block by block. Where
an older stretch follows another rule, its loss there is higher than now, and the step down is
found by binary segmentation: the cut with the largest CUSUM of the blocks' losses, tested by
permuting the blocks, then the same again on what is newer, until no step is left.

The test is one-sided, at level :data:`LEVEL` for each cut. It takes the blocks' losses for
exchangeable while nothing changes: blocks are at least a day wide for that, and a slow season
can still look like a change, which costs a search some rows and is then judged on later ones.

References
----------
Page. Continuous inspection schemes. Biometrika 41 (1954): the cumulative sum.

Vostrikova. Detecting disorder in multidimensional random processes. Soviet Mathematics Doklady
24 (1981): binary segmentation.
"""

from datetime import timedelta

import numpy as np
import pandas as pd

from components.errors import DriftwheelError
from components.metrics import row_losses
from components.models.contract import Array, InputContract
from components.models.fitting import fit
from components.pipelines import Pipeline
from components.records import EVENT_TIME, LABEL

LEVEL = 0.01
"""Chance of a cut, at each step, where the losses did not change."""

HIGHEST = 0.9
"""No block's loss counts for more than this quantile of them: one odd day is no change."""

_PERMUTED = 499
_FEWEST_BLOCKS = 8
_MOST_BLOCKS = 120
_NEWEST_BLOCKS = 1 / 5
_FOLDS = 4
_MOST_ROWS = 20_000


def since_change(rows: pd.DataFrame, pipeline: Pipeline, *, least: int) -> pd.DataFrame:
    """Keep the rows since the last change, or the newest `least` where those are fewer.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)
        What may be learnt from. Not modified.

    """
    change = last_change(rows, pipeline, least=least)
    return rows if change is None else rows[rows[EVENT_TIME] >= change]


def last_change(rows: pd.DataFrame, pipeline: Pipeline, *, least: int = 10) -> pd.Timestamp | None:
    """Find the event time since which rows look like today's; None where no change is found.

    Parameters
    ----------
    least : int
        No change is looked for among so many of the newest rows.

    """
    ordered = rows.sort_values(EVENT_TIME, kind="stable")
    if len(ordered) > _MOST_ROWS:
        ordered = ordered.iloc[np.linspace(0, len(ordered) - 1, _MOST_ROWS).astype(int)]
        least = max(1, least * _MOST_ROWS // len(rows))
    block = _blocks(ordered[EVENT_TIME])
    count = int(block[-1]) + 1 if len(block) else 0
    if count < _FEWEST_BLOCKS:
        return None
    newest = block >= min(count * (1 - _NEWEST_BLOCKS), block[max(0, len(block) - least)])
    try:
        losses = _losses(ordered, newest, pipeline)
    except DriftwheelError:
        # One class only in the newest stretch, say: nothing can be told, so nothing is cut off.
        return None
    means = pd.Series(losses).groupby(block).mean().to_numpy()
    start = _last_step(means, int(block[newest][0]) + 1, pipeline.seed)
    if start == 0:
        return None
    found: pd.Timestamp = ordered[EVENT_TIME].iloc[int(np.searchsorted(block, start))]
    return found


def _blocks(times: pd.Series) -> Array:
    """Give the stretch of equal width that each row falls into, numbered without gaps."""
    if times.empty:
        return np.zeros(0, dtype=np.int64)
    width = max(pd.Timedelta(timedelta(days=1)), (times.max() - times.min()) / _MOST_BLOCKS)
    stretch = ((times - times.min()) // width).to_numpy()
    return np.unique(stretch, return_inverse=True)[1]


def _losses(rows: pd.DataFrame, newest: Array, pipeline: Pipeline) -> Array:
    """Ask a linear model of the newest rows about all; about the newest, one that left them out."""
    losses = np.empty(len(rows))
    losses[~newest] = _asked(rows[newest], rows[~newest], pipeline)
    places = np.flatnonzero(newest)
    for held in np.array_split(places, _FOLDS):
        others = np.setdiff1d(places, held)
        losses[held] = _asked(rows.iloc[others], rows.iloc[held], pipeline)
    return losses


def _asked(learnt: pd.DataFrame, rows: pd.DataFrame, pipeline: Pipeline) -> Array:
    if rows.empty:
        return np.empty(0)
    names = list(pipeline.inputs)
    fitted = fit(
        learnt[names],
        learnt[LABEL],
        family="linear",
        contract=InputContract.of(pipeline),
        task=pipeline.resolved_task,
        seed=pipeline.seed,
    )
    metric = "mae" if pipeline.resolved_task == "regression" else "log_loss"
    return row_losses(pipeline.resolved_task, metric, rows[LABEL], fitted.predict(rows[names]))


def _last_step(losses: Array, until: int, seed: int) -> int:
    """Give the block since which the losses have stayed down; 0 where there is no step.

    Parameters
    ----------
    until : int
        The last cut that may be made.

    """
    chance, start = np.random.default_rng(seed), 0
    while len(losses) - start >= _FEWEST_BLOCKS and start < until - 1:
        held = np.minimum(losses[start:], np.quantile(losses[start:], HIGHEST))
        centred = held - held.mean()
        cuts = until - start
        steps = _cusum(centred[None, :], cuts)[0]
        permuted = chance.permuted(np.tile(centred, (_PERMUTED, 1)), axis=1)
        reached = (_cusum(permuted, cuts).max(axis=1) >= steps.max()).sum()
        if (1 + reached) / (1 + _PERMUTED) > LEVEL:
            break
        start += int(steps.argmax()) + 1
    return start


def _cusum(centred: Array, cuts: int) -> Array:
    """Give the standardised sum before each cut: high where losses were higher than after."""
    count = centred.shape[1]
    before = np.arange(1, min(cuts, count - 1) + 1)
    sums = np.cumsum(centred, axis=1)[:, : len(before)]
    return np.asarray(sums / np.sqrt(before * (count - before)))
