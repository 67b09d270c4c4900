"""What a model's answers owe to each column: how much worse they get once it is shuffled.

A column whose work another one does as well looks unimportant alone, and history features of
one column stand in for each other; so a low rise is no reason alone to leave a column out.

References
----------
Breiman. Random forests. Machine Learning 45 (2001).

Fisher, Rudin, Dominici. All models are wrong, but many are useful: learning a variable's
importance by studying an entire class of prediction models simultaneously. Journal of Machine
Learning Research 20 (2019).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.intervals import student_quantile

REPEATS, MOST_ROWS = 5, 2_000


@dataclass(frozen=True, slots=True)
class Importance:
    """What shuffling one column costs.

    Attributes
    ----------
    column : str
    rise : float
        How much the mean loss a row rises; below 0 by chance where the column adds nothing.
    low, high : float
        95 % interval over the shuffles, of these rows: other rows are another matter.

    """

    column: str
    rise: float
    low: float
    high: float


def permutation_importance(
    rows: pd.DataFrame,
    columns: Sequence[str],
    losses: Callable[[pd.DataFrame], np.ndarray],
    *,
    seed: int,
    repeats: int = REPEATS,
    most_rows: int = MOST_ROWS,
) -> tuple[Importance, ...]:
    """Shuffle one column at a time, and see how much the loss rises.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        Rows that the model was not fitted on, or what it learnt by heart looks important. Not
        modified; of more than `most_rows` so many are drawn.
    columns : sequence of str
    losses : callable
        Gives the loss of each row of a frame like `rows`, in its order: the true label must
        be a column that is not in `columns`.
    seed : int
        The only source of chance.
    repeats : int
        Shuffles of each column, at least 2.
    most_rows : int
        The cost is ``repeats * len(columns)`` predictions of so many rows.

    Returns
    -------
    tuple of Importance
        The highest rise first; empty without rows.

    """
    if repeats < 2:  # noqa: PLR2004 - one shuffle has no spread
        raise ValueError(f"needs at least 2 repeats for an interval. Got {repeats}")
    chance = np.random.default_rng(seed)
    if len(rows) > most_rows:
        drawn = chance.choice(len(rows), most_rows, replace=False)
        rows = rows.iloc[np.sort(drawn)]
    if rows.empty:
        return ()
    whole = float(np.mean(losses(rows)))
    found = []
    for column in columns:
        rises = np.array(
            [_shuffled_loss(rows, column, losses, chance) - whole for _ in range(repeats)]
        )
        error = float(rises.std(ddof=1) / np.sqrt(repeats))
        reach = student_quantile(0.025, repeats) * error
        rise = float(rises.mean())
        found.append(Importance(column, rise, rise - reach, rise + reach))
    return tuple(sorted(found, key=lambda one: -one.rise))


def _shuffled_loss(
    rows: pd.DataFrame,
    column: str,
    losses: Callable[[pd.DataFrame], np.ndarray],
    chance: np.random.Generator,
) -> float:
    order = chance.permutation(len(rows))
    shuffled = rows[column].iloc[order].set_axis(rows.index)
    return float(np.mean(losses(rows.assign(**{column: shuffled}))))
