"""Numbers spread over bins, so that a small network sees sharp edges such as rush hours."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from components.models.contract import Array

if TYPE_CHECKING:
    from components.models.graph import Graph

# Narrow enough for the hours of a day.
MOST_BINS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Each bin tells how far a number has come through it, from 0 to 1.

    Nothing outside the training range moves any of them: extremes are held at the edge.
    Missing numbers count as the median, and say that they are missing where the fit has
    seen missing ones.

    Attributes
    ----------
    median : ndarray of shape (n_numbers,)
        In the number's own unit, float64.
    column : ndarray of shape (n_bins,)
        int64; which number each bin is of.
    low, width : ndarray of shape (n_bins,)
        In the number's own unit, float64.
    gaps : ndarray of shape (n_gaps,)
        int64; the numbers that were missing in some training row.

    References
    ----------
    Gorishniy, Rubachev, Babenko. On Embeddings for Numerical Features in Tabular Deep
    Learning. NeurIPS, 2022: piecewise linear encoding.

    """

    median: Array
    column: Array
    low: Array
    width: Array
    gaps: Array

    @classmethod
    def learn(cls, numbers: Array) -> Self:
        """Learn bins of equal counts from numbers of shape (n, n_numbers), with NaN."""
        wide = numbers.astype(np.float64)
        edges = [_edges(values[~np.isnan(values)]) for values in wide.T]
        places = [np.full(max(0, len(e) - 1), place) for place, e in enumerate(edges)]
        return cls(
            median=np.array([np.median(e) if len(e) else 0.0 for e in edges], dtype=np.float64),
            column=np.array([p for place in places for p in place], dtype=np.int64),
            low=np.array([low for e in edges for low in e[:-1]], dtype=np.float64),
            width=np.array([width for e in edges for width in np.diff(e)], dtype=np.float64),
            gaps=np.flatnonzero(np.isnan(wide).any(axis=0)).astype(np.int64),
        )

    def spread(self, numbers: Array) -> Array:
        """Spread numbers of shape (n, n_numbers) into float64 of shape (n, n_bins + n_gaps)."""
        missing = np.isnan(numbers)
        whole = np.where(missing, self.median, numbers.astype(np.float64))
        progress = (whole[:, self.column] - self.low) / self.width
        return np.concatenate([np.clip(progress, 0.0, 1.0), missing[:, self.gaps]], axis=1)

    def draw(self, graph: "Graph", numbers: str) -> str:
        """Draw :meth:`spread` for doubles of shape (n, n_numbers)."""
        missing = graph.add("IsNaN", numbers)
        whole = graph.add("Where", missing, graph.constant(self.median), numbers)
        picked = graph.add("Gather", whole, graph.constant(self.column), axis=1)
        above = graph.add("Sub", picked, graph.constant(self.low))
        progress = graph.add("Div", above, graph.constant(self.width))
        held = graph.add(
            "Clip", progress, graph.constant(np.array(0.0)), graph.constant(np.array(1.0))
        )
        said = graph.add("Gather", graph.widen(missing), graph.constant(self.gaps), axis=1)
        return graph.add("Concat", held, said, axis=1)


def _edges(values: Array) -> Array:
    """Cut at quantiles, each edge once; nothing for nothing."""
    if not len(values):
        return values
    return np.unique(np.quantile(values, np.linspace(0, 1, MOST_BINS + 1)))
