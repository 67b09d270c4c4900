"""The promotion gate: a challenger takes charge only on evidence.

Rival and challenger answer the same labelled rows. The challenger must be better by more
than the margin, beyond what chance and autocorrelation would do: the lower bound of its
relative gain decides. Any doubt keeps the rival.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd

from components.intervals import Interval, gain_interval, student_quantile
from components.pipelines.spec import Gate

Outcome = Literal["promoted", "refused", "wait"]
POWER = 0.8
"""A gain counts as visible when these rows would show it to be above zero this often."""


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate said, in one sentence, with the numbers behind it.

    Losses are means a row in the metric's own loss. `gain` is the relative fall of the loss
    (0.1: a tenth lower); it exceeds `gain_low`, and stays under `gain_high`, with an error of
    `level` each. `smallest_visible_gain` is what these rows could have told from zero.
    Numbers that could not be computed are None.
    """

    outcome: Outcome
    reason: str
    rival: str
    rows: int
    blocks: int
    champion_loss: float | None
    challenger_loss: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    margin: float
    level: float
    smallest_visible_gain: float | None

    @property
    def numbers(self) -> dict[str, str | float | int | None]:
        """Everything but outcome and reason, ready for JSON."""
        return {
            key: value for key, value in asdict(self).items() if key not in {"outcome", "reason"}
        }


def judge(
    times: pd.Series,
    champion_losses: np.ndarray,
    challenger_losses: np.ndarray,
    *,
    gate: Gate,
    rival: str,
    least_rows: int,
) -> GateDecision:
    """Judge a challenger against its rival on the same rows.

    Parameters
    ----------
    times : Series of shape (n_rows,)
        Event times, UTC, in any order.
    champion_losses, challenger_losses : ndarray of shape (n_rows,)
        Loss of each row, at least 0, lower is better. The champion's are those of `rival`.
    gate : Gate
        Margin, level and width of a block.
    rival : str
        Who is challenged, for the sentence: ``champion 3``, ``naive baseline (season)``.
    least_rows : int
        With fewer rows the gate waits.

    Returns
    -------
    GateDecision
        ``promoted`` when the lower bound of the gain is above the margin; ``wait`` when
        there are too few rows, or these could not have seen a gain as small as the margin
        and do not rule it out; ``refused`` otherwise.

    """
    if not len(times) == len(champion_losses) == len(challenger_losses):
        raise ValueError(
            f"needs one time and two losses for each row. Got {len(times)} times, "
            f"{len(champion_losses)} of the rival, {len(challenger_losses)} of the challenger"
        )
    case = _Case(gate, rival, len(times), champion_losses, challenger_losses)
    if len(times) < least_rows:
        return case.decide(
            "wait", f"needs at least {least_rows} labelled rows, there are {len(times)}"
        )
    if not np.isfinite(champion_losses).all():
        bad = int((~np.isfinite(champion_losses)).sum())
        return case.decide("wait", f"{rival} has no usable answer on {bad} of {len(times)} rows")
    if not np.isfinite(challenger_losses).all():
        bad = int((~np.isfinite(challenger_losses)).sum())
        return case.decide(
            "refused", f"the challenger has no usable answer on {bad} of {len(times)} rows"
        )
    if not champion_losses.sum() > 0:
        return case.decide(
            "refused", f"{rival} made no error on {len(times)} rows: nothing to gain"
        )
    gain = gain_interval(
        champion_losses, challenger_losses, times, block=gate.block, level=gate.level
    )
    return case.weigh(gain)


@dataclass(frozen=True, slots=True)
class _Case:
    gate: Gate
    rival: str
    rows: int
    champion_losses: np.ndarray
    challenger_losses: np.ndarray

    def weigh(self, gain: Interval) -> GateDecision:
        if gain.stretches < 2:  # noqa: PLR2004 - one stretch has no spread
            return self.decide(
                "wait", "all rows lie in one block of time, which has no spread", gain
            )
        found = (
            f"its loss is {_change(gain.mean)} than that of {self.rival} "
            f"({self.challenger_losses.mean():.4g} against {self.champion_losses.mean():.4g}) "
            f"on {self.rows} rows in {gain.blocks} blocks"
        )
        sure = f"at level {self.gate.level:g} the gain is above {_percent(gain.low)}"
        margin = _percent(self.gate.margin)
        if gain.low > self.gate.margin:
            return self.decide("promoted", f"{found}; {sure}, the margin is {margin}", gain)
        visible = _smallest_visible(gain, self.gate.level)
        if visible > self.gate.margin and gain.high > self.gate.margin:
            blind = f"these rows could only have shown a gain of {_percent(visible)} or more"
            return self.decide("wait", f"{found}; {sure}, not {margin}, and {blind}", gain)
        limit = f"{sure} and below {_percent(gain.high)}, it must be above {margin}"
        return self.decide("refused", f"{found}; {limit}", gain)

    def decide(self, outcome: Outcome, reason: str, gain: Interval | None = None) -> GateDecision:
        return GateDecision(
            outcome=outcome,
            reason=reason,
            rival=self.rival,
            rows=self.rows,
            blocks=gain.blocks if gain else 0,
            champion_loss=_finite(self.champion_losses.mean() if self.rows else None),
            challenger_loss=_finite(self.challenger_losses.mean() if self.rows else None),
            gain=_finite(gain.mean if gain else None),
            gain_low=_finite(gain.low if gain else None),
            gain_high=_finite(gain.high if gain else None),
            margin=self.gate.margin,
            level=self.gate.level,
            smallest_visible_gain=_finite(
                _smallest_visible(gain, self.gate.level) if gain else None
            ),
        )


def _smallest_visible(gain: Interval, level: float) -> float:
    if gain.stretches < 2:  # noqa: PLR2004 - one stretch has no spread
        return float("inf")
    reach = student_quantile(level, gain.stretches) + student_quantile(1 - POWER, gain.stretches)
    return reach * gain.error


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _change(gain: float) -> str:
    return f"{_percent(abs(gain))} {'lower' if gain >= 0 else 'higher'}"
