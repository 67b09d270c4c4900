"""The promotion gate: a challenger takes charge only on evidence.

Rival and challenger answer the same labelled rows. The challenger must be better by more
than the margin, beyond what chance and autocorrelation would do: the lower bound of its
relative gain decides. And it must not lose what the limits protect. Any doubt keeps the rival.

References
----------
CPMP. Points to consider on switching between superiority and non-inferiority. British Journal
of Clinical Pharmacology 52 (2001): both may be asked of the same rows, each at the full level,
because whoever is worse by the margin is not better by it either.

"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd

from components.intervals import Interval, gain_interval, student_quantile
from components.pipelines.learning import Gate
from monitoring.limits import Beside, Limit, examine, percent
from monitoring.spending import share_of_use

if TYPE_CHECKING:
    from numpy.typing import NDArray

Outcome = Literal["promoted", "refused", "wait"]
Test = Literal["better", "not_worse", "better_so_far"]
POWER = 0.8
"""A gain counts as visible when these rows would show it to be above zero this often."""


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate said, in one sentence, with the numbers behind it.

    Losses are means a row in the metric's own loss. `gain` is the relative fall of the loss
    (0.1: a tenth lower); it exceeds `gain_low`, and stays under `gain_high`, with an error of
    `level_here` each: what this use of the rows, the `use`-th, may spend of the gate's `level`.
    `smallest_visible_gain` is what these rows could have told from zero. `rows_from` and
    `rows_until` are event times (ISO, UTC). `evidence` is the e-value against "no gain above
    the margin" of a test that goes on while rows come; `limits` what else was compared.
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
    test: Test = "better"
    use: int = 1
    level_here: float | None = None
    rows_from: str | None = None
    rows_until: str | None = None
    evidence: float | None = None
    limits: tuple[Limit, ...] = ()

    @property
    def numbers(self) -> dict[str, Any]:
        """Everything but outcome and reason, ready for JSON; `limits` is a list of mappings."""
        said = {
            key: value for key, value in asdict(self).items() if key not in {"outcome", "reason"}
        }
        return said | {"limits": list(said["limits"])}


def judge(
    times: pd.Series,
    champion_losses: np.ndarray,
    challenger_losses: np.ndarray,
    *,
    gate: Gate,
    rival: str,
    least_rows: int,
    beside: Beside | None = None,
    use: int = 1,
) -> GateDecision:
    """Judge whether a challenger is better than its rival on the same rows, by the margin.

    Parameters
    ----------
    times : Series of shape (n_rows,)
        Event times, UTC, in any order.
    champion_losses, challenger_losses : ndarray of shape (n_rows,)
        Loss of each row, at least 0, lower is better. The champion's are those of `rival`.
    gate : Gate
        Margin, level, width of a block, and limits.
    rival : str
        Who is challenged, for the sentence: ``champion 3``, ``naive baseline (season)``.
    least_rows : int
        With fewer rows the gate waits.
    beside : Beside, optional
        What the limits are about: a challenger that wins and loses one of them is refused.
    use : int
        Which use of these rows this is, from 1: see :mod:`monitoring.spending`.

    Returns
    -------
    GateDecision
        ``promoted`` when the lower bound of the gain is above the margin and no limit is
        exceeded; ``wait`` when there are too few rows, or these could not have seen a gain as
        small as the margin and do not rule it out; ``refused`` otherwise.

    Raises
    ------
    ValueError
        If times, losses, and what stands beside them are not about the same rows.

    """
    case = Case(gate, rival, times, champion_losses, challenger_losses, beside, use)
    return case.unusable(least_rows) or case.bounded(_better)


def judge_not_worse(
    times: pd.Series,
    champion_losses: np.ndarray,
    challenger_losses: np.ndarray,
    *,
    gate: Gate,
    rival: str,
    least_rows: int,
    beside: Beside | None = None,
    use: int = 1,
) -> GateDecision:
    """Judge whether a challenger is at most the margin worse: what may renew a model too old.

    Parameters and errors are those of :func:`judge`; so is the level, on its own, also where
    :func:`judge` has looked at the same rows before (see References).

    Returns
    -------
    GateDecision
        ``promoted`` when the lower bound of the gain is above minus the margin and no limit is
        exceeded; ``refused`` when it surely is worse than that; ``wait`` otherwise.

    """
    case = Case(gate, rival, times, champion_losses, challenger_losses, beside, use, "not_worse")
    return case.unusable(least_rows) or case.bounded(_not_worse)


@dataclass(frozen=True, slots=True)
class Case:
    """One challenge: who, on which rows, under which rules. See :func:`judge`."""

    gate: Gate
    rival: str
    times: pd.Series
    champion_losses: np.ndarray
    challenger_losses: np.ndarray
    beside: Beside | None = None
    use: int = 1
    test: Test = "better"

    def __post_init__(self) -> None:
        counts = len(self.times), len(self.champion_losses), len(self.challenger_losses)
        if len(set(counts)) > 1:
            raise ValueError(
                f"needs one time and two losses for each row. Got {counts[0]} times, "
                f"{counts[1]} of the rival, {counts[2]} of the challenger"
            )

    def of(self, rows: "NDArray[np.bool_]") -> Self:
        """Make the case on some of its rows."""
        return replace(
            self,
            times=self.times[rows],
            champion_losses=self.champion_losses[rows],
            challenger_losses=self.challenger_losses[rows],
            beside=None if self.beside is None else self.beside.of(rows),
        )

    @property
    def level(self) -> float:
        """What this use of the rows may spend of the gate's level: all, where looks are free."""
        if self.test == "better_so_far":
            return self.gate.level
        return self.gate.level * share_of_use(self.use)

    @property
    def at_level(self) -> str:
        """The level in words."""
        if self.use == 1:
            return f"at level {self.gate.level:g}"
        return (
            f"at level {self.gate.level:g} over all uses of these rows "
            f"({self.level:.2g} for this one, number {self.use})"
        )

    def unusable(self, least_rows: int) -> GateDecision | None:
        """Decide where the losses allow no comparison; None where they do."""
        rows = len(self.times)
        if rows < least_rows:
            return self.decide(
                "wait", f"needs at least {least_rows} labelled rows, there are {rows}"
            )
        bad = int((~np.isfinite(self.champion_losses)).sum())
        if bad:
            return self.decide("wait", f"{self.rival} has no usable answer on {bad} of {rows} rows")
        bad = int((~np.isfinite(self.challenger_losses)).sum())
        if bad:
            words = f"the challenger has no usable answer on {bad} of {rows} rows"
            return self.decide("refused", words)
        if not self.champion_losses.sum() > 0:
            words = f"{self.rival} made no error on {rows} rows: nothing to gain"
            return self.decide("refused", words)
        return None

    def bounded(self, rule: "Rule") -> GateDecision:
        """Decide by the bounds of the gain on all rows."""
        gain = gain_interval(
            self.champion_losses,
            self.challenger_losses,
            self.times,
            block=self.gate.block,
            level=self.level,
        )
        if gain.stretches < 2:  # noqa: PLR2004 - one stretch has no spread
            words = "all rows lie in one block of time, which has no spread"
            return self.decide("wait", words, gain)
        outcome, words = rule(self, gain)
        decision = self.decide(outcome, f"{self.found(gain)}; {words}", gain)
        return self.within_limits(decision)

    def found(self, gain: Interval) -> str:
        """Say what was measured."""
        return (
            f"its loss is {_change(gain.mean)} than that of {self.rival} "
            f"({self.challenger_losses.mean():.4g} against {self.champion_losses.mean():.4g}) "
            f"on {len(self.times)} rows in {gain.blocks} blocks"
        )

    def within_limits(self, decision: GateDecision) -> GateDecision:
        """Add what stands beside the losses; refuse a winner that exceeds a limit."""
        if self.beside is None:
            return decision
        limits = examine(
            self.times,
            self.champion_losses,
            self.challenger_losses,
            self.beside,
            gate=self.gate,
        )
        lost = "; ".join(limit.sentence for limit in limits if limit.lost)
        if decision.outcome != "promoted" or not lost:
            return replace(decision, limits=limits)
        reason = f"{decision.reason}; but a limit is exceeded: {lost}"
        return replace(decision, outcome="refused", reason=reason, limits=limits)

    def decide(self, outcome: Outcome, reason: str, gain: Interval | None = None) -> GateDecision:
        """Put the decision together with its numbers."""
        rows = len(self.times)
        return GateDecision(
            outcome=outcome,
            reason=reason,
            rival=self.rival,
            rows=rows,
            blocks=gain.blocks if gain else 0,
            champion_loss=_finite(self.champion_losses.mean() if rows else None),
            challenger_loss=_finite(self.challenger_losses.mean() if rows else None),
            gain=_finite(gain.mean if gain else None),
            gain_low=_finite(gain.low if gain else None),
            gain_high=_finite(gain.high if gain else None),
            margin=self.gate.margin,
            level=self.gate.level,
            smallest_visible_gain=_finite(smallest_visible(gain, self.level) if gain else None),
            test=self.test,
            use=self.use,
            level_here=self.level,
            rows_from=pd.Timestamp(self.times.min()).isoformat() if rows else None,
            rows_until=pd.Timestamp(self.times.max()).isoformat() if rows else None,
        )


def _better(case: Case, gain: Interval) -> tuple[Outcome, str]:
    sure = f"{case.at_level} the gain is above {percent(gain.low)}"
    margin = percent(case.gate.margin)
    if gain.low > case.gate.margin:
        return "promoted", f"{sure}, the margin is {margin}"
    visible = smallest_visible(gain, case.level)
    if visible > case.gate.margin and gain.high > case.gate.margin:
        blind = f"these rows could only have shown a gain of {percent(visible)} or more"
        return "wait", f"{sure}, not {margin}, and {blind}"
    return "refused", f"{sure} and below {percent(gain.high)}, it must be above {margin}"


def _not_worse(case: Case, gain: Interval) -> tuple[Outcome, str]:
    allowed = f"and {percent(case.gate.margin)} higher is allowed"
    if gain.low > -case.gate.margin:
        bound = f"at most {percent(-gain.low)} higher" if gain.low < 0 else "not higher"
        return "promoted", f"{case.at_level} it is {bound}, {allowed}"
    if gain.high < -case.gate.margin:
        return "refused", f"{case.at_level} it is over {percent(-gain.high)} higher, {allowed}"
    return "wait", f"{case.at_level} it could be {percent(-gain.low)} higher, {allowed}"


Rule = Callable[[Case, Interval], tuple[Outcome, str]]


def smallest_visible(gain: Interval, level: float) -> float:
    """Give the gain that such rows would show to be above zero, as often as :data:`POWER`."""
    if gain.stretches < 2:  # noqa: PLR2004 - one stretch has no spread
        return float("inf")
    reach = student_quantile(level, gain.stretches) + student_quantile(1 - POWER, gain.stretches)
    return reach * gain.error


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _change(gain: float) -> str:
    return f"{percent(abs(gain))} {'lower' if gain >= 0 else 'higher'}"
