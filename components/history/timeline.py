"""Versions of one thing in the order of their events, and which of them a row sees."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.history.sweeping import newest_standing
from components.history.versions import FOREVER

STEPS = 4
"""How far one looks back for the newest value before all hard rows are swept together."""
_A_SWEEP = 60
"""A sweep costs so many times the look at one version (measured, 10 to 100)."""
_A_WALK = 20_000
"""To walk one row costs as much as to look at so many versions (measured, about 20 µs)."""


class Times:
    """Sorted times in numbered groups, to be searched at once.

    Parameters
    ----------
    group, time : ndarray of shape (n_times,)
        Sorted by group, then time.
    groups : int
        How many groups there are.

    """

    def __init__(self, group: np.ndarray, time: np.ndarray, groups: int) -> None:
        self.starts = np.searchsorted(group, np.arange(groups + 1))
        self._times, self._keys = time, None
        if groups > 1:
            self._times = distinct(time)
            number = np.searchsorted(self._times, time)
            self._keys = group * (len(self._times) + 1) + number

    def until(self, group: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Find the place behind the last time of the group that is not later."""
        earlier = np.searchsorted(self._times, time, side="right")
        if self._keys is None:
            return earlier
        return np.searchsorted(self._keys, group * (len(self._times) + 1) + earlier)


@dataclass(frozen=True, slots=True)
class Range:
    """What rows ask for: the versions at ``[after, before)`` that stood at their moments.

    Attributes
    ----------
    group, after, before : ndarray of shape (n_rows,)
        The group, and places in the timeline that lie in it.
    moments : ndarray of shape (n_rows,)
        Microseconds.
    whole : bool
        Whether `after` is where the group starts.

    """

    group: np.ndarray
    after: np.ndarray
    before: np.ndarray
    moments: np.ndarray
    whole: bool


class Timeline:
    """Versions sorted by group, event, known time and record; their places are ranks.

    Parameters
    ----------
    group, event, known, until : ndarray of shape (n_versions,)
        Times in microseconds.
    groups : int
        How many groups there are, at least 1.

    """

    def __init__(
        self,
        group: np.ndarray,
        event: np.ndarray,
        known: np.ndarray,
        until: np.ndarray,
        groups: int,
    ) -> None:
        self.group, self.event, self.known, self.until = group, event, known, until
        self.groups = groups
        self._events = Times(group, event, groups)
        self.starts = self._events.starts

    @cached_property
    def changes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rank, sign and time of each change: a version became known (1), or superseded (-1)."""
        ended = np.flatnonzero(self.until < FOREVER)
        rank = np.concatenate([np.arange(len(self.known)), ended])
        sign = np.repeat([1, -1], [len(self.known), len(ended)])
        return rank, sign, np.concatenate([self.known, self.until[ended]])

    def asked(
        self, group: np.ndarray, since: np.ndarray | None, last: np.ndarray, moments: np.ndarray
    ) -> Range:
        """Find what rows ask for: events in ``(since, last]`` of their group.

        Parameters
        ----------
        group, last, moments : ndarray of shape (n_rows,)
            No group may be negative.
        since : ndarray of shape (n_rows,), optional
            From the beginning by default.

        """
        before = self._events.until(group, last)
        after = self.starts[group] if since is None else self._events.until(group, since)
        return Range(group, after, np.maximum(after, before), moments, whole=since is None)

    def newest(self, asked: Range) -> np.ndarray:
        """Find the rank of the newest version that stood, or -1."""
        found = np.full(len(asked.moments), -1)
        # No version above the highest that was known by then can have stood.
        place = np.minimum(asked.before - 1, self._arrivals.highest(asked.group, asked.moments))
        rows = np.flatnonzero(place >= asked.after)
        for _ in range(STEPS):
            here, moments = place[rows], asked.moments[rows]
            stood = self._stood(here, moments)
            found[rows[stood]] = here[stood]
            rows = rows[~stood]
            if not len(rows):
                return found
            place[rows] -= 1
            rows = rows[place[rows] >= asked.after[rows]]
        if len(rows):
            found[rows] = self._search(asked.after[rows], place[rows] + 1, asked.moments[rows])
        return found

    def _search(self, after: np.ndarray, before: np.ndarray, moments: np.ndarray) -> np.ndarray:
        rank, sign, time = self.changes
        if walks(before - after, len(rank)):
            pairs = zip(after.tolist(), before.tolist(), moments.tolist(), strict=True)
            return np.array([self._walk(a, b, m) for a, b, m in pairs], dtype=np.int64)
        order = np.argsort(time, kind="stable")
        first = np.searchsorted(time[order], moments, side="right")
        return newest_standing(rank[order], sign[order], first, after, before)

    def _walk(self, after: int, before: int, moment: int) -> int:
        """Look back from a place, in stretches that double."""
        width = 64
        while before > after:
            begin = max(after, before - width)
            stood = self._stood(slice(begin, before), moment)
            if stood.any():
                return int(begin + np.flatnonzero(stood)[-1])
            before, width = begin, width * 2
        return -1

    def _stood(self, here: np.ndarray | slice, moments: np.ndarray | int) -> np.ndarray:
        return np.asarray((self.known[here] <= moments) & (moments < self.until[here]))

    @cached_property
    def _arrivals(self) -> "Arrivals":
        order = np.lexsort((self.known, self.group))
        return Arrivals(self.group[order], self.known[order], order, self.groups)


class Arrivals:
    """Changes in the order in which they became known, group by group.

    Parameters
    ----------
    group, time, rank : ndarray of shape (n_changes,)
        Sorted by group, then time.

    """

    def __init__(self, group: np.ndarray, time: np.ndarray, rank: np.ndarray, groups: int) -> None:
        self._times = Times(group, time, groups)
        self.starts = self._times.starts
        # Ranks of a later group are higher, so this starts again with every group.
        self._highest = np.maximum.accumulate(rank)

    def seen(self, group: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Find the place behind the last change that was known at a moment."""
        return self._times.until(group, moments)

    def highest_of(self, group: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Find the highest rank among the changes before a place, or -1."""
        return np.where(seen == self.starts[group], -1, self._highest[seen - 1])

    def highest(self, group: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Find the highest rank that was known at a moment, or -1."""
        return self.highest_of(group, self.seen(group, moments))


def distinct(numbers: np.ndarray) -> np.ndarray:
    """Sort whole numbers, each once; five times as fast as NumPy's for a million times."""
    ordered = np.sort(numbers)
    return np.asarray(ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]])


def walks(lengths: np.ndarray, changes: int) -> bool:
    """Say whether so few rows are hard that each is better looked at alone."""
    sweep = (changes + len(lengths)) * _A_SWEEP
    return int(lengths.sum()) + _A_WALK * len(lengths) < sweep
