"""Sums that do not depend on what else was added up: exact, in whole numbers.

A running sum of floats carries the rounding of everything before it, so a value that was not
known yet would still change the last digits of a mean. Here every number is split into limbs
of 20 bits at fixed places (a superaccumulator, Kulisch 1971) and limbs are added as whole
numbers: differences of running sums are exact, whatever lies outside of them.
"""

from dataclasses import dataclass

import numpy as np

BITS = 20
"""Bits of a limb: four million values, weighted with two million steps of time, fit 63 bits."""
_MOST_LIMBS = 110  # from the largest float64 to the smallest one that is not zero


@dataclass(frozen=True, slots=True)
class Limbs:
    """Numbers as sums of whole numbers: ``value = Σ limbs[j] · 2^(20 · places[j])``.

    Attributes
    ----------
    places : tuple of int
        From the highest to the lowest; only those that some number needs.
    limbs : ndarray of shape (n_places, n_values)
        int64, each smaller than 2^20 in size.

    """

    places: tuple[int, ...]
    limbs: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "Limbs":
        """Split finite numbers; exact for every float64.

        >>> split = Limbs.of(np.array([3.0, -0.5]))
        >>> split.places, split.limbs.tolist()
        ((0, -1), [[3, 0], [0, -524288]])
        """
        rest = np.asarray(values, dtype=np.float64).copy()
        largest = float(np.abs(rest).max(initial=0.0))
        place = (int(np.frexp(largest)[1]) - 1) // BITS
        places, limbs = [], []
        for _ in range(_MOST_LIMBS):
            if not rest.any():
                break
            whole = np.trunc(np.ldexp(rest, -BITS * place))
            if whole.any():
                places.append(place)
                limbs.append(whole.astype(np.int64))
                rest -= np.ldexp(whole, BITS * place)
            place -= 1
        table = np.array(limbs, dtype=np.int64).reshape(len(limbs), len(rest))
        return cls(tuple(places), table)

    def joined(self, totals: np.ndarray) -> np.ndarray:
        """Turn totals of limbs back into numbers, the highest limb first.

        Parameters
        ----------
        totals : ndarray of shape (n_places, n_totals)

        """
        found = np.zeros(totals.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):  # a sum beyond float64 is infinite
            for place, total in zip(self.places, totals, strict=True):
                found += np.ldexp(total.astype(np.float64), BITS * place)
        return found
