"""How the gate's error is shared among challengers that are judged on the same rows.

Whoever tries often enough wins by chance: of ten equal challengers, each judged at 5 % on one
holdout, some challenger wins far more often than in 5 % of the cases. So the uses of rows
share the level: the first gets nine tenths of it, and however many follow, the shares sum to
one, which bounds the error of all uses together (Bonferroni) whatever the challengers have in
common, and whatever made somebody try again.

References
----------
Dwork, Feldman, Hardt, Pitassi, Reingold, Roth. The reusable holdout. Science 349 (2015): why
reuse needs a price. Foster, Stine. Alpha-investing. Journal of the Royal Statistical Society
B 70 (2008): spending a level over a stream of tests.

"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

SAME = 2 / 3
"""Rows count as used before where an earlier gate lies over at least this share of them: a weekly
look at fortnights is new, a second challenger on the same day is not."""

FIRST = 0.9
"""The share of the first use; most rows are used once."""


def share_of_use(use: int) -> float:
    """Give the share of the level for one use of the same rows; over all uses they sum to 1.

    >>> [round(share_of_use(use), 3) for use in (1, 2, 3, 10)]
    [0.9, 0.05, 0.017, 0.001]
    """
    if use < 1:
        raise ValueError(f"uses of rows are counted from 1. Got {use}")
    return FIRST if use == 1 else (1 - FIRST) / (use * (use - 1))


def use_of(times: pd.Series, earlier: Iterable[Mapping[str, Any]]) -> int:
    """Count which use of these rows this is, this one included.

    Parameters
    ----------
    times : Series of shape (n_rows,)
        Event times (UTC) of the rows to judge on.
    earlier : iterable of mapping
        The `numbers` of the pipeline's earlier gate decisions, as the ledger holds them. Only
        those count that judged losses, and lie over at least half of these rows: what is
        mostly new is no second look.

    """
    return 1 + sum(_covered(times, numbers) >= SAME for numbers in earlier)


def _covered(times: pd.Series, numbers: Mapping[str, Any]) -> float:
    """Give the share of the rows that lie in the stretch of an earlier gate."""
    known = numbers.get("gain") is not None and numbers.get("rows_until") is not None
    if not known or times.empty:
        return 0.0
    first, last = pd.Timestamp(numbers["rows_from"]), pd.Timestamp(numbers["rows_until"])
    return float(times.between(first, last).mean())
