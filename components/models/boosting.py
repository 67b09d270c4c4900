"""What every kind of boosted trees is told, in the same words."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Boosting:
    """Settings of boosted trees.

    Parameters
    ----------
    rounds : int
        Trees, or trees a class.
    learning_rate : float
        How much of each tree is added.
    leaves : int
        Most leaves of a tree.
    least_rows : int
        Fewest rows of a leaf.
    penalty : float
        L2, on the leaves' values.

    """

    rounds: int = 100
    learning_rate: float = 0.1
    leaves: int = 31
    least_rows: int = 20
    penalty: float = 0.0

    def settings(self) -> dict[str, Any]:
        """Name the settings and their values."""
        return asdict(self)
