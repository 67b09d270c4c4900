"""Add up what rows see of a timeline, in whole numbers.

A sum over the versions that stood is a sum over *changes*: plus the weight when a version
became known, minus when it was superseded. Up to a place, nearly every row is answered by a
difference of running sums, for one of two reasons: all changes of the events before the place
were known at its moment (a bound a week back, where labels take a day), or none of the changes
known at its moment belongs to an event behind the place (the newest labels). To let one of the
two hold for every change, changes are first parted by how long they took: those that took less
than the distance from the row to the bound, and those that took longer. What is hard all the
same is swept (:mod:`components.history.sweeping`), or walked where it is little.
"""

from collections.abc import Sequence

import numpy as np

from components.history.sweeping import sums_below
from components.history.timeline import Arrivals, Range, Timeline, distinct, walks


class Sums:
    """Weights of versions, to be added up over what rows see.

    Parameters
    ----------
    timeline : Timeline
    weights : ndarray of shape (n_weights, n_versions)
        int64, in the order of the timeline.
    distances : sequence of int
        How far before a row its bounds lie, in microseconds.

    """

    def __init__(self, timeline: Timeline, weights: np.ndarray, distances: Sequence[int]) -> None:
        self._width = len(weights)
        rank, sign, time = timeline.changes
        took = time - timeline.event[rank]
        kind = np.searchsorted(np.unique(np.array(distances, dtype=np.int64)), took)
        self._parts = [
            _Part(timeline, weights, rank[chosen], sign[chosen], time[chosen])
            for chosen in (np.flatnonzero(kind == number) for number in np.unique(kind))
        ]

    def of(self, asked: Range) -> np.ndarray:
        """Add up the weights of the versions that stood.

        Returns
        -------
        ndarray of shape (n_weights, n_rows)
            int64; more than 63 bits wrap.

        """
        found = np.zeros((self._width, len(asked.moments)), dtype=np.int64)
        for part in self._parts:
            part.add(found, asked)
        return found


class _Part:
    """Changes that took about equally long."""

    def __init__(
        self,
        timeline: Timeline,
        weights: np.ndarray,
        rank: np.ndarray,
        sign: np.ndarray,
        time: np.ndarray,
    ) -> None:
        order = np.lexsort((time, rank))
        self._rank, self._time = rank[order], time[order]
        # Where every version has just one change here, ranks are places.
        self._plain = len(rank) == len(timeline.known) and bool((np.diff(self._rank) == 1).all())
        # They may be the ends of all versions, too: where each was superseded, late.
        as_given = self._plain and bool((sign > 0).all())
        self._weights = weights if as_given else weights[:, self._rank] * sign[order]
        self._sums = _running(self._weights)
        group = timeline.group[self._rank]
        self._starts = np.searchsorted(group, np.arange(timeline.groups + 1))
        self._latest = _latest(group, self._time)
        order = np.lexsort((self._time, group))
        self._arrivals = Arrivals(
            group[order], self._time[order], self._rank[order], timeline.groups
        )
        in_turn = bool((np.diff(order) == 1).all())  # labels of one delay: nothing to lay out again
        self._arrived = self._sums if in_turn else _running(self._weights[:, order])

    def add(self, found: np.ndarray, asked: Range) -> None:
        """Add what rows see of these changes to `found`."""
        seen = self._arrivals.seen(asked.group, asked.moments)
        highest = self._arrivals.highest_of(asked.group, seen)
        found += self._before(asked, asked.before, seen, highest)
        if not asked.whole:
            found -= self._before(asked, asked.after, seen, highest)

    def _before(
        self, asked: Range, rank: np.ndarray, seen: np.ndarray, highest: np.ndarray
    ) -> np.ndarray:
        """Add up from the start of the group to a rank."""
        start = self._starts[asked.group]
        place = rank if self._plain else np.searchsorted(self._rank, rank)
        settled = (place == start) | (self._latest[place - 1] <= asked.moments)
        found = self._sums[:, place] - self._sums[:, start]
        if settled.all():
            return np.asarray(found)
        arrived = np.flatnonzero(~settled & (highest < rank))
        first = self._arrivals.starts[asked.group[arrived]]
        found[:, arrived] = self._arrived[:, seen[arrived]] - self._arrived[:, first]
        hard = np.flatnonzero(~settled & (highest >= rank))
        if len(hard):
            found[:, hard] = self._hard(start[hard], place[hard], asked.moments[hard])
        return np.asarray(found)

    def _hard(self, start: np.ndarray, place: np.ndarray, moments: np.ndarray) -> np.ndarray:
        if walks(np.zeros_like(place), len(self._rank)):
            rows = zip(start.tolist(), place.tolist(), moments.tolist(), strict=True)
            return np.array([self._walk(*row) for row in rows], dtype=np.int64).T
        order = np.argsort(self._time, kind="stable")
        first = np.searchsorted(self._time[order], moments, side="right")
        weights = self._weights[:, order]
        upper = sums_below(order, weights, first, place)
        return np.asarray(upper - sums_below(order, weights, first, start))

    def _walk(self, start: int, place: int, moment: int) -> np.ndarray:
        """Add up the settled stretch at once, the rest change by change."""
        settled = start + int(np.searchsorted(self._latest[start:place], moment, side="right"))
        rest = self._weights[:, settled:place][:, self._time[settled:place] <= moment]
        return np.asarray(self._sums[:, settled] - self._sums[:, start] + rest.sum(axis=1))


def _latest(group: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Find the latest time up to each place, counted from the start of its group."""
    if not len(group) or group[0] == group[-1]:
        return np.maximum.accumulate(time)
    times = distinct(time)
    number = np.searchsorted(times, time)
    return np.asarray(
        times[np.maximum.accumulate(group * len(times) + number) - group * len(times)]
    )


def _running(each: np.ndarray) -> np.ndarray:
    sums = np.zeros((each.shape[0], each.shape[1] + 1), dtype=np.int64)
    np.cumsum(each, axis=1, out=sums[:, 1:])
    return sums
