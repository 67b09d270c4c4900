"""What a search leaves behind."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Outcome:
    """One recipe fitted and judged on one fold, or why it could not be."""

    loss: float
    seconds: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One recipe tried.

    Attributes
    ----------
    recipe : Recipe
        What was fitted.
    loss : float
        The mean of `losses`; infinite where not every fold was judged.
    seconds : float
        Spent on fits and answers, all folds together.
    problem : str
        Why it failed, or was given up early; else empty.
    losses : tuple of float
        Mean row loss on each fold judged, the newest fold first.

    """

    recipe: Recipe
    loss: float
    seconds: float
    problem: str = ""
    losses: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """The best recipe, and every trial behind it.

    Attributes
    ----------
    best : Recipe
        Of the lowest mean loss among the settings of the house and those that beat them on
        every fold; without any trial where there was nothing to choose.
    trials : tuple of Trial
        In the order in which they were made.
    dropped : mapping of str to str
        Each feature that the best recipe leaves out, with the reason.
    folds : tuple of str
        Each stretch that recipes were judged on, newest first, in words.
    said : tuple of str
        What a person should know of this search: folds that were too short, time that was up.

    """

    best: Recipe
    trials: tuple[Trial, ...] = ()
    dropped: Mapping[str, str] = field(default_factory=dict)
    folds: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
