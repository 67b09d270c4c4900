"""What a challenger must not lose, however much better it is on the whole.

A gain on the whole may be paid for by a few: one slice, one group, the caller who waits for
an answer. Slices are tested, since a slice of few rows moves by chance; the error level holds
over all of them together (Holm). Everything else is compared as it was measured.

References
----------
Yan, Xiong, Kundu, Yang, Deng, Wang, Xia, Soatto. Positive-congruent training: towards
regression-free model updates. CVPR (2021): negative flips.

"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import pandas as pd

from components.evaluation.slices import SliceChange, measure_changes
from components.evaluation.slicing import Slice
from components.pipelines.learning import Gate

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Pair(NamedTuple):
    """One number of both sides; None where a side has none (the naive baseline has no size)."""

    champion: float | None
    challenger: float | None


@dataclass(frozen=True, slots=True)
class Beside:
    """What is known of both sides beside their losses; whatever is left out is not limited.

    Attributes
    ----------
    slices : tuple of Slice
        Named parts of the rows; they may overlap.
    flips : float, optional
        Share of the rows that were right before and are wrong now.
    calibration : Pair, optional
        Calibration errors, 0 to 1.
    fairness : mapping of str to Pair
        The largest difference of a rate between the groups of a sensitive column, 0 to 1,
        named as a person shall read it: ``selection rate by sex``.
    latency : Pair, optional
        Seconds that a package takes for one row.
    size : Pair, optional
        Bytes of a package.

    """

    slices: tuple[Slice, ...] = ()
    flips: float | None = None
    calibration: Pair | None = None
    fairness: Mapping[str, Pair] = field(default_factory=dict)
    latency: Pair | None = None
    size: Pair | None = None

    def of(self, rows: "NDArray[np.bool_]") -> Self:
        """Keep what is known of some of the rows; numbers of both sides stay as they are."""
        return replace(self, slices=tuple(replace(one, rows=one.rows[rows]) for one in self.slices))


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that may get worse only so far, and how far it did.

    Attributes
    ----------
    name : str
        ``slice weekend``, ``calibration error``, ``selection rate by sex``, ``latency``, …
    champion, challenger : float or None
        The number of each side: of a slice its mean loss.
    worse_by : float or None
        How much worse the challenger is: of a slice the relative rise of its loss, of latency
        and size the ratio, of flips the share of rows, else the difference.
    bound : float or None
        Beyond this it is lost; None where it is only reported.
    lost : bool
    sentence : str
        All that in words.
    rows : int or None
        Rows of a slice.
    chance : float or None
        Of a slice: Holm's p-value, over all of them, of "the bound is kept"; None where the
        rows lie in one stretch of time.

    """

    name: str
    champion: float | None
    challenger: float | None
    worse_by: float | None
    bound: float | None
    lost: bool
    sentence: str
    rows: int | None = None
    chance: float | None = None


def examine(
    times: pd.Series,
    champion_losses: np.ndarray,
    challenger_losses: np.ndarray,
    beside: Beside,
    *,
    gate: Gate,
) -> tuple[Limit, ...]:
    """Hold everything that is known of both sides against the limits of the gate.

    Parameters
    ----------
    times : Series of shape (n_rows,)
        Event times, UTC, in any order.
    champion_losses, challenger_losses : ndarray of shape (n_rows,)
        Finite loss of each row, at least 0, lower is better.
    beside : Beside
    gate : Gate
        Its limits, its level (over all slices together) and its width of a block.

    Returns
    -------
    tuple of Limit
        One for each thing known, also where no limit is stated; slices of too few rows to
        measure are left out.

    """
    limits = gate.limits
    found = list(_slices(times, champion_losses, challenger_losses, beside.slices, gate))
    if beside.flips is not None:
        found.append(_flips(beside.flips, limits.flips))
    if beside.calibration is not None:
        found.append(_rise("calibration error", beside.calibration, limits.calibration))
    found += [_rise(name, pair, limits.fairness) for name, pair in beside.fairness.items()]
    if beside.latency is not None:
        found.append(_times("latency of one row", "s", beside.latency, limits.latency))
    if beside.size is not None:
        found.append(_times("size of the package", "bytes", beside.size, limits.size))
    return tuple(found)


def _slices(
    times: pd.Series,
    champion: np.ndarray,
    challenger: np.ndarray,
    slices: Sequence[Slice],
    gate: Gate,
) -> Iterator[Limit]:
    bound = gate.limits.slice_loss
    changes = measure_changes(
        slices, champion, challenger, times, allowed=bound or 0.0, block=gate.block
    )
    for one in changes:
        worse = (one.after - one.before) / one.before if one.before > 0 else None
        lost = bound is not None and one.chance <= gate.level
        yield Limit(
            name=f"slice {one.name}",
            champion=one.before,
            challenger=one.after,
            worse_by=worse,
            bound=bound,
            lost=lost,
            sentence=_of_slice(one, worse, bound, lost=lost),
            rows=one.rows,
            chance=None if bound is None else _known(one.chance),
        )


def _of_slice(one: SliceChange, worse: float | None, bound: float | None, *, lost: bool) -> str:
    said = f"slice {one.name}: its loss is "
    if worse is not None:
        said += f"{percent(abs(worse))} {'higher' if worse > 0 else 'lower'}, "
    said += f"{one.after:.4g} against {one.before:.4g} on {one.rows} rows"
    if bound is None:
        return said
    if lost:
        return f"{said}, surely more than {percent(bound)} higher"
    if worse is not None and worse > bound:
        return f"{said}, which may be chance ({percent(bound)} higher is allowed)"
    return said


def _flips(share: float, bound: float | None) -> Limit:
    lost = bound is not None and not share <= bound
    allowed = f", {percent(bound)} are allowed" if bound is not None and lost else ""
    said = f"{percent(share)} of the rows were right before and are wrong now"
    return Limit("negative flips", None, None, _known(share), bound, lost, said + allowed)


def _rise(name: str, pair: Pair, bound: float | None) -> Limit:
    """Compare two numbers where lower is better, by their difference."""
    before, now = _known(pair.champion), _known(pair.challenger)
    if before is None or now is None:
        return _one_sided(name, before, now, bound, "")
    worse = now - before
    lost = bound is not None and worse > bound
    verb = "rose" if worse > 0 else "fell"
    said = f"{name} {verb} by {abs(worse):.3f}, from {before:.3f} to {now:.3f}"
    allowed = f", {bound:g} is allowed" if lost else ""
    return Limit(name, before, now, worse, bound, lost, said + allowed)


def _times(name: str, unit: str, pair: Pair, bound: float | None) -> Limit:
    """Compare two numbers where lower is better, by their ratio."""
    before, now = _known(pair.champion), _known(pair.challenger)
    if before is None or now is None or before <= 0:
        return _one_sided(name, before, now, bound, f" {unit}")
    ratio = now / before
    lost = bound is not None and ratio > bound
    said = f"{name} is {ratio:.2g} times the champion's, {now:.3g} against {before:.3g} {unit}"
    allowed = f", {bound:g} times are allowed" if lost else ""
    return Limit(name, before, now, ratio, bound, lost, said + allowed)


def _one_sided(
    name: str, before: float | None, now: float | None, bound: float | None, unit: str
) -> Limit:
    """Say what one side lacks: a challenger must show what its champion shows."""
    lost = bound is not None and before is not None and now is None
    if now is not None:
        said = f"{name} is {now:.3g}{unit}, with nothing to compare it with"
    else:
        said = f"{name} could not be measured for the challenger"
    return Limit(name, before, now, None, bound, lost, said)


def percent(share: float) -> str:
    """Write a share for people."""
    return f"{100 * share:.1f} %"


def _known(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
