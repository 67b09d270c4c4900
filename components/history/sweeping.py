"""Count, add up and find among changes that came in any order: every case, no shortcut.

A version of a value becomes visible at one time and is superseded at a later one. Sorted by
time these are *changes*, each with the rank of its version in the order of events. What a
row sees are the first changes (those known at its moment) of ranks below a bound (earlier
events): a dominance query. All queries are answered at once by walking down the bits of the
ranks, one stable partition a bit (the wavelet matrix of Claude, Navarro and Ordóñez, 2015),
so that n changes and q queries take O((n + q) log n) steps of vectorised work.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class _Level:
    """One bit of the ranks, with the changes in the order that the higher bits left.

    Attributes
    ----------
    bit : int
    zeros : ndarray of shape (n_changes + 1,)
        How many of the first so many changes have a 0 there.
    sums : ndarray of shape (n_weights, n_changes + 1)
        The weights of those that have a 0, added up.

    """

    bit: int
    zeros: np.ndarray
    sums: np.ndarray

    def left(self, place: np.ndarray) -> np.ndarray:
        """Follow a place to where the zeros go."""
        return np.asarray(self.zeros[place])

    def right(self, place: np.ndarray) -> np.ndarray:
        """Follow a place to where the ones go."""
        return np.asarray(self.zeros[-1] + place - self.zeros[place])


def sums_below(
    ranks: np.ndarray, weights: np.ndarray, first: np.ndarray, below: np.ndarray
) -> np.ndarray:
    """Add up the weights of the first so many changes whose rank is below a bound.

    Parameters
    ----------
    ranks : ndarray of shape (n_changes,)
        int64, of at least 0, in the order of time.
    weights : ndarray of shape (n_weights, n_changes)
        int64.
    first : ndarray of shape (n_queries,)
        How many changes count.
    below : ndarray of shape (n_queries,)
        Bounds, of at least 0.

    Returns
    -------
    ndarray of shape (n_weights, n_queries)
        int64.

    Examples
    --------
    >>> ranks, weights = np.array([2, 0, 1]), np.array([[10, 20, 30]])
    >>> sums_below(ranks, weights, np.array([2, 3]), np.array([2, 2])).tolist()
    [[20, 50]]

    """
    found = np.zeros((len(weights), len(first)), dtype=np.int64)
    start, end = np.zeros_like(first), first
    for level in _levels(ranks, weights, int(below.max(initial=0))):
        ones = (below >> level.bit) & 1 == 1
        added = level.sums[:, end[ones]] - level.sums[:, start[ones]]
        found[:, ones] += added
        start = np.where(ones, level.right(start), level.left(start))
        end = np.where(ones, level.right(end), level.left(end))
    return found


def newest_standing(
    ranks: np.ndarray, signs: np.ndarray, first: np.ndarray, after: np.ndarray, below: np.ndarray
) -> np.ndarray:
    """Find the highest rank in ``[after, below)`` that stands after the first so many changes.

    A rank stands when its signs add up to 1: it became visible and is not superseded yet.

    Parameters
    ----------
    ranks, signs : ndarray of shape (n_changes,)
        In the order of time; a sign is 1 or -1.
    first, after, below : ndarray of shape (n_queries,)

    Returns
    -------
    ndarray of shape (n_queries,)
        The rank, or -1 where none stands.

    """
    weights = signs[None, :]
    standing = sums_below(ranks, weights, first, below)[0]
    there = standing > sums_below(ranks, weights, first, after)[0]
    found = np.full(len(first), -1)
    if there.any():
        found[there] = _select(ranks, weights, first[there], standing[there] - 1)
    return found


def _select(
    ranks: np.ndarray, weights: np.ndarray, first: np.ndarray, number: np.ndarray
) -> np.ndarray:
    """Find the rank that stands at a number, counted from 0 in the order of ranks."""
    found = np.zeros_like(number)
    start, end = np.zeros_like(first), first
    for level in _levels(ranks, weights, int(ranks.max(initial=0))):
        left = level.sums[0][end] - level.sums[0][start]
        ones = number >= left
        number = np.where(ones, number - left, number)
        found += np.where(ones, 1 << level.bit, 0)
        start = np.where(ones, level.right(start), level.left(start))
        end = np.where(ones, level.right(end), level.left(end))
    return found


def _levels(ranks: np.ndarray, weights: np.ndarray, largest: int) -> Iterator[_Level]:
    """Walk down the bits, the highest first; one level is in memory at a time."""
    top = max(largest, int(ranks.max(initial=0)))
    for bit in reversed(range(top.bit_length())):
        ones = (ranks >> bit) & 1 == 1
        zeros = np.concatenate([[0], np.cumsum(~ones)])
        sums = np.zeros((len(weights), len(ranks) + 1), dtype=np.int64)
        np.cumsum(np.where(ones, 0, weights), axis=1, out=sums[:, 1:])
        yield _Level(bit, zeros, sums)
        order = np.concatenate([np.flatnonzero(~ones), np.flatnonzero(ones)])
        ranks, weights = ranks[order], weights[:, order]
