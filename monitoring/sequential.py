"""The gate of the ``shadow`` mode: a verdict that holds at whatever moment one looks.

A challenger answers beside the champion, and labels come day by day. Whoever looks at an
ordinary interval every day, and stops when it says yes, is wrong far more often than its level
says. Here evidence is a capital that bets against "the challenger does not win by the margin":
while that is true, the chance that the capital ever grows to ``1 / level`` is at most `level`
(Ville), so that one may look at every moment. A second capital bets against "it does win by
the margin": when that one grows, going on is futile, and the challenger is refused.

One bet is placed on each pair of neighbouring blocks of time, since rows within a block depend
on each other and some of it reaches into the next one. Its stake is the sum over the pair of
``champion's loss * (1 - margin) - challenger's loss``. The capital is a mixture over all sizes
of a bet of ``exp(size * sum - size**2 / 2 * sum of squares)``, which cannot grow by chance when
the sums lie symmetrically about a mean that is not above zero, given the past. No loss needs a
bound, and none is cut off: a large one counts in full in both terms. What no data can show
remains: a loss too rare to have happened yet.

The first sums are not bet on, they only say how large a sum is.

Measured on 2,000 simulated challengers, looked at every other day, differences with a standard
deviation of 15 % of the loss, margin 1 %, level 5 %: a gain of just the margin is promoted within
84 days in 1 % of the cases, in 1.5 % where hours resemble their neighbours by 0.9; twice the
margin is seen in half of the cases within 84 days, in nine of ten within 168.

References
----------
De la Peña. A general class of exponential inequalities for martingales and ratios. Annals of
Probability 27 (1999): symmetric sums, normalised by their own squares.

Howard, Ramdas, McAuliffe, Sekhon. Time-uniform, nonparametric, nonasymptotic confidence
sequences. Annals of Statistics 49 (2021): mixtures, one-sided.

Waudby-Smith, Ramdas. Estimating means of bounded random variables by betting. Journal of the
Royal Statistical Society B 86 (2024). Podkopaev, Ramdas. Tracking the risk of a deployed model
and detecting harmful distribution shifts. ICLR (2022): the same for a model's live losses.

"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from components.intervals import Interval
from components.pipelines.learning import Gate
from monitoring.gate import Case, GateDecision, Outcome
from monitoring.limits import Beside, percent

if TYPE_CHECKING:
    from numpy.typing import NDArray

WARM_UP = 3
"""So many sums say how large a sum is; they are not bet on."""
RIPE = 10
"""The bets are best tuned for about so many sums: three weeks, where a block is a day."""
_STEPS = 20
_FARTHEST = 10.0


def judge_so_far(
    times: pd.Series,
    champion_losses: np.ndarray,
    challenger_losses: np.ndarray,
    *,
    gate: Gate,
    rival: str,
    least_rows: int,
    complete_until: pd.Timestamp | None = None,
    beside: Beside | None = None,
) -> GateDecision:
    """Judge a challenger on the rows that have their labels by now; look as often as you like.

    Parameters
    ----------
    times : Series of shape (n_rows,)
        Event times, UTC, in any order. Between two looks rows may be added, and none may
        change: hand over only rows old enough for their labels to have come.
    champion_losses, challenger_losses : ndarray of shape (n_rows,)
        Loss of each row, at least 0, lower is better.
    gate : Gate
        Margin, level, width of a block, and limits.
    rival, least_rows, beside
        As for :func:`monitoring.gate.judge`.
    complete_until : Timestamp, optional
        Before this event time no further row will come; by default the newest pair of blocks
        counts as unfinished. Rows of unfinished pairs are left out.

    Returns
    -------
    GateDecision
        ``promoted`` when the evidence for a gain above the margin reaches ``1 / level`` and no
        limit is exceeded; ``refused`` when that for a gain below it does; ``wait`` otherwise.
        `gain_low` and `gain_high` hold at every look, with an error of the level each over
        all looks together; `blocks` counts pairs of them.

    Raises
    ------
    ValueError
        If times, losses, and what stands beside them are not about the same rows.

    """
    case = Case(
        gate, rival, times, champion_losses, challenger_losses, beside, test="better_so_far"
    )
    ended = times.max() if complete_until is None else complete_until
    case = case.of(_pair_of(times, gate.block) < _pair_of(pd.Series([ended]), gate.block))
    unusable = case.unusable(least_rows)
    return unusable or case.within_limits(_weigh(case))


def evidence(sums: np.ndarray) -> float:
    """Give the e-value against "these sums lie symmetrically about a mean not above zero".

    Parameters
    ----------
    sums : ndarray of shape (n_sums,)
        In the order of time. Zeros say nothing and are passed over.

    Returns
    -------
    float
        The capital that a stake of 1 has become: at least ``1 / level`` at any time with a
        probability of at most `level`.

    Examples
    --------
    >>> gains = np.array([1.0, 2.0, 1.5] * 5)
    >>> evidence(gains) > 20 > 1 > evidence(-gains)
    True

    """
    from scipy.special import ndtr  # scipy.stats takes ten times as long to import

    told = sums[sums != 0]
    scale = RIPE * float(np.square(told[:WARM_UP]).mean()) if len(told) > WARM_UP else 0.0
    if scale == 0:
        return 1.0
    bet = told[WARM_UP:]
    whole = float(np.square(bet).sum()) + scale
    reach = float(bet.sum()) / np.sqrt(whole)
    # Beyond the largest number that a float holds, more evidence changes nothing.
    grown = min(reach**2 / 2 + np.log(scale / whole) / 2, 700.0)
    return float(2 * ndtr(reach) * np.exp(grown))


def _weigh(case: Case) -> GateDecision:
    gate, needed = case.gate, 1 / case.level
    stakes = _Stakes.of(case)
    better, worse = stakes.above(gate.margin), stakes.below(gate.margin)
    gain = stakes.bounds(needed)
    margin = percent(gate.margin)
    outcome: Outcome
    if better >= needed:
        outcome, words = "promoted", f"evidence for a gain above {margin}"
    elif worse >= needed:
        outcome, words = "refused", f"evidence for a gain below {margin}"
    else:
        outcome, words = "wait", f"not enough evidence yet for or against a gain of {margin}"
    said = (
        f"{case.found(gain)}; {words}: {better:.3g} for, {worse:.3g} against, "
        f"{needed:.3g} is needed, at whatever moment one looks ({case.at_level})"
    )
    return replace(case.decide(outcome, said, gain), evidence=better)


@dataclass(frozen=True, slots=True)
class _Stakes:
    """Sums of the losses of both sides over pairs of blocks, in the order of time."""

    champion: np.ndarray
    challenger: np.ndarray

    @classmethod
    def of(cls, case: Case) -> Self:
        """Sum up the rows of a case."""
        place = _pair_of(case.times, case.gate.block)
        pairs, place = np.unique(place, return_inverse=True)
        champion, challenger = (
            np.bincount(place, weights=losses, minlength=len(pairs))
            for losses in (case.champion_losses, case.challenger_losses)
        )
        return cls(champion, challenger)

    def above(self, gain: float) -> float:
        """Give the evidence that the gain is above this."""
        return evidence(self.champion * (1 - gain) - self.challenger)

    def below(self, gain: float) -> float:
        """Give the evidence that the gain is below this."""
        return evidence(self.challenger - self.champion * (1 - gain))

    def bounds(self, needed: float) -> Interval:
        """Find between which gains neither evidence reaches what is needed."""
        mean = 1 - float(self.challenger.sum() / self.champion.sum())
        low = _last(lambda gain: self.above(gain) >= needed, start=-_FARTHEST, end=mean)
        high = _last(lambda gain: self.below(gain) >= needed, start=1.0, end=mean)
        pairs = len(self.champion)
        return Interval(
            mean,
            -np.inf if low is None else low,
            np.inf if high is None else high,
            blocks=pairs,
            stretches=pairs,
            error=np.inf,
        )


def _last(holds: Callable[[float], bool], *, start: float, end: float) -> float | None:
    """Find how far from `start` towards `end` something holds, by halving; None if nowhere."""
    if not holds(start):
        return None
    for _ in range(_STEPS):
        middle = (start + end) / 2
        start, end = (middle, end) if holds(middle) else (start, middle)
    return start


def _pair_of(times: pd.Series, block: timedelta) -> "NDArray[np.int64]":
    """Give each row the number of its pair of blocks, on the UTC calendar."""
    moments = pd.DatetimeIndex(times).as_unit("us").asi8
    return np.asarray(moments // _microseconds(2 * block), dtype=np.int64)


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
