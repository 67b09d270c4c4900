"""What a model says about some rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
"""No probability is taken below this: packages answer in float32, which holds no finer one."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers to n rows, in their order.

    Attributes
    ----------
    values : ndarray of shape (n,)
        float64 for a regression; class names, as objects, for a classification.
    probabilities : ndarray of shape (n, k) or None
        float64, one column a class in the order of `classes`; None for a regression.
    classes : tuple of str
        The class names, sorted; of two the last is the positive one. Empty for a regression.
    intervals : ndarray of shape (n, 2) or None
        float64, lower and upper bound of the true value of a regression, where learnt.
    sets : ndarray of bool, shape (n, k), or None
        The classes that the true one is among, in the order of `classes`, where learnt.
    threshold : float or None
        The probability of the positive class from which on `values` say it; None: the likelier
        class is said.

    """

    values: Array
    probabilities: Array | None = None
    classes: tuple[str, ...] = ()
    intervals: Array | None = None
    sets: Array | None = None
    threshold: float | None = None

    @classmethod
    def of_output(cls, output: Array, classes: Sequence[str] = ()) -> Self:
        """Read what a model or its graph put out.

        Parameters
        ----------
        output : ndarray of shape (n,) or (n, k)
            Values of a regression, or probabilities of `classes`.
        classes : sequence of str
            Empty for a regression.

        Examples
        --------
        >>> answers = Answers.of_output(np.array([[0.9, 0.1], [0.2, 0.8]]), ["no", "yes"])
        >>> list(answers.values)
        ['no', 'yes']

        """
        numbers = np.asarray(output, dtype=np.float64)
        if not classes:
            return cls(values=numbers.reshape(-1))
        numbers = numbers.reshape(-1, len(classes))
        names = np.array(classes, dtype=object)
        return cls(values=names[numbers.argmax(axis=1)], probabilities=numbers, classes=(*classes,))

    def take(self, rows: Array) -> Self:
        """Keep some rows, by a mask or by their places."""
        kept = (
            None if part is None else part[rows]
            for part in (self.probabilities, self.intervals, self.sets)
        )
        probabilities, intervals, sets = kept
        return replace(
            self,
            values=self.values[rows],
            probabilities=probabilities,
            intervals=intervals,
            sets=sets,
        )

    def __len__(self) -> int:
        return len(self.values)
