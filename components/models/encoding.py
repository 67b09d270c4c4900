"""Text into numbers, learnt once and written the same into every graph."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from components.models.contract import MISSING, Array, Columns, Inputs
from components.models.protocol import Target

if TYPE_CHECKING:
    from components.models.graph import Graph

# A word seen less often teaches nothing of its own; it teaches what the unknown looks like.
LEAST_SEEN = 5
# The commonest words that keep a code of their own: one-hot columns stay affordable.
MOST_WORDS = 256
# A word's mean target is drawn towards the common mean as if seen so often there.
SMOOTHING = 10.0


@dataclass(frozen=True, slots=True)
class Encoding:
    """Numbers as they are, then one code a category.

    A word's code is its rank from 1, words ordered by their mean target so that a tree can
    split them with a threshold. Rare and unknown words share code 0: the model learns from
    the rare what to do with the unknown.

    Attributes
    ----------
    columns : tuple of (name, kind)
        The contract's columns.
    words : tuple of (column, tuple of words)
        The words of each category, in the order of their codes.

    """

    columns: Columns
    words: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def learn(cls, inputs: Inputs, target: Target) -> Self:
        """Learn the words of every category.

        Parameters
        ----------
        inputs : dict of arrays of shape (n, 1)
            Prepared rows.
        target : ndarray of shape (n,)
            Values, or class indices.

        """
        columns: Columns = tuple(
            (name, "category" if values.dtype == object else "number")
            for name, values in inputs.items()
        )
        words = tuple(
            (name, _ordered_words(inputs[name][:, 0], target))
            for name, kind in columns
            if kind == "category"
        )
        return cls(columns=columns, words=words)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of the numbers, in the order of the matrix."""
        return tuple(name for name, kind in self.columns if kind == "number")

    @property
    def width(self) -> int:
        """The columns of the matrix."""
        return len(self.columns)

    def matrix(self, inputs: Inputs) -> Array:
        """Lay rows out as one float32 matrix: numbers with their NaN, then codes.

        Returns
        -------
        ndarray of shape (n, n_numbers + n_categories)

        """
        parts = [inputs[name] for name in self.numbers]
        parts += [_codes(inputs[name], _numbering(words)) for name, words in self.words]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def one_hot(self, matrix: Array) -> Array:
        """Replace the codes of a matrix by one column a word.

        Returns
        -------
        ndarray of shape (n, n_numbers + n_words)
            Of the matrix's type; code 0 leaves all of a category's columns 0.

        """
        first = len(self.numbers)
        parts = [matrix[:, :first]]
        for place, (_, words) in enumerate(self.words, start=first):
            parts.append(matrix[:, [place]] == np.arange(1, len(words) + 1))
        return np.concatenate(parts, axis=1, dtype=matrix.dtype)

    def draw_codes(self, graph: "Graph") -> list[str]:
        """Draw each category's code, of shape (n, 1) and type float."""
        return [graph.codes(name, _numbering(words)) for name, words in self.words]

    def draw_matrix(self, graph: "Graph") -> str:
        """Draw :meth:`matrix`, in double.

        Doubles hold every float32, so a threshold falls on the same side as in the fit.
        """
        return graph.widen(graph.add("Concat", *self.numbers, *self.draw_codes(graph), axis=1))

    def draw_one_hot(self, graph: "Graph") -> str:
        """Draw :meth:`one_hot` of the matrix, in double."""
        parts = list(self.numbers)
        for codes, (_, words) in zip(self.draw_codes(graph), self.words, strict=True):
            if words:
                each = graph.constant(np.arange(1, len(words) + 1, dtype=np.float32))
                parts.append(graph.narrow(graph.add("Equal", codes, each)))
        return graph.widen(graph.add("Concat", *parts, axis=1))


def _ordered_words(texts: Array, target: Target) -> tuple[str, ...]:
    counts = Counter(texts)
    often = [(-count, word) for word, count in counts.items() if count >= LEAST_SEEN]
    kept = [word for _, word in sorted(often)[:MOST_WORDS]]
    sums = dict.fromkeys(kept, 0.0)
    for word, value in zip(texts, target, strict=True):
        if word in sums:
            sums[word] += float(value)
    prior = float(target.mean()) * SMOOTHING
    return tuple(
        sorted(kept, key=lambda word: ((sums[word] + prior) / (counts[word] + SMOOTHING), word))
    )


def _numbering(words: tuple[str, ...]) -> Mapping[str, float]:
    """Give each word its code; a column with none gets an entry that changes nothing."""
    return {word: float(code) for code, word in enumerate(words, start=1)} or {MISSING: 0.0}


def _codes(texts: Array, numbering: Mapping[str, float]) -> Array:
    codes = [numbering.get(text, 0.0) for text in texts[:, 0]]
    return np.array(codes, dtype=np.float32).reshape(-1, 1)
