"""What is learnt for a model's answers, as values; applying it, and writing it as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from components.answers import Answers
from components.errors import PackageError
from components.output.calibrations import Calibration, read_calibration


@dataclass(frozen=True, slots=True)
class Threshold:
    """The probability of the positive class from which on it is said, and why that one.

    Attributes
    ----------
    value : float
        From 0 (always said) to just above 1 (never).
    chosen_by : str
        ``cost``, ``precision`` or ``recall``.
    target : float
        The precision or recall asked for; by cost, the threshold that the two costs ask of
        probabilities that are exact.
    reached : bool
        Whether the rows below reached the target; by cost always.
    rows : int
        Held-out rows that it was chosen on; the numbers below are theirs.
    cost : float or None
        Mean cost a row, in the unit of the costs; None where no cost is stated.
    precision, recall : float or None
        None where not defined.

    """

    value: float
    chosen_by: str
    target: float
    reached: bool
    rows: int
    cost: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class Reaches:
    """How far the truth lies from a number at most, `coverage` of the time, by its size.

    Attributes
    ----------
    coverage : float
        The share of rows whose truth is wanted inside.
    edges : tuple of float
        Where predicted values are cut into bins, rising; a value on an edge is of the upper one.
    reach : tuple of float
        One more than `edges`, in units of the target.
    rows : tuple of int
        Held-out rows behind each.

    """

    coverage: float
    edges: tuple[float, ...]
    reach: tuple[float, ...]
    rows: tuple[int, ...]

    def intervals(self, values: np.ndarray) -> np.ndarray:
        """Give (n, 2) bounds around n values."""
        reach = np.array(self.reach)[np.searchsorted(self.edges, values, side="right")]
        return np.column_stack([values - reach, values + reach])


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """How improbable a class may be and still be in the set, `coverage` of the time.

    Attributes
    ----------
    coverage : float
        The share of rows whose class is wanted in the set.
    furthest : tuple of float
        One a class: it is in the set while one less its (raw) probability is at most this.
    rows : tuple of int
        Held-out rows behind each.

    """

    coverage: float
    furthest: tuple[float, ...]
    rows: tuple[int, ...]

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """Give (n, k) truth values for (n, k) probabilities."""
        return np.asarray(1.0 - probabilities <= np.array(self.furthest))


@dataclass(frozen=True, slots=True)
class Output:
    """What turns a model's raw answers into what a user can act on. Nothing learnt: no change.

    Attributes
    ----------
    calibration : Calibration or None
        From raw probabilities to shares.
    threshold : Threshold or None
        On calibrated probabilities; None says the likeliest class.
    conformal : Reaches or Cutoffs or None
        Intervals of a regression, sets of a classification; on raw answers, so that learning
        the calibration on the same rows takes nothing from what they promise.
    notes : tuple of str
        What was asked for and could not be learnt, in words.

    Examples
    --------
    >>> output = Output(conformal=Reaches(0.9, (), (2.0,), (100,)))
    >>> output.apply(Answers(np.array([10.0]))).intervals.tolist()
    [[8.0, 12.0]]

    """

    calibration: Calibration | None = None
    threshold: Threshold | None = None
    conformal: Reaches | Cutoffs | None = None
    notes: tuple[str, ...] = ()

    def apply(self, answers: Answers) -> Answers:
        """Calibrate, decide and bound raw answers of shape (n_rows,)."""
        reach = self.conformal
        if answers.probabilities is None:
            if not isinstance(reach, Reaches):
                return answers
            return replace(answers, intervals=reach.intervals(answers.values.astype(np.float64)))
        raw = answers.probabilities
        given = raw if self.calibration is None else self.calibration.apply(raw)
        if self.threshold is None:
            said = given.argmax(axis=1)
        else:
            said = (given[:, 1] >= self.threshold.value).astype(np.intp)
        sets = None
        if isinstance(reach, Cutoffs):
            # An empty set helps nobody, and what is said stands in its own set.
            sets = reach.sets(raw) | (np.arange(raw.shape[1]) == said[:, None])
        return replace(
            answers,
            values=np.array(answers.classes, dtype=object)[said],
            probabilities=given,
            sets=sets,
            threshold=None if self.threshold is None else self.threshold.value,
        )

    def as_dict(self) -> dict[str, Any]:
        """Give plain JSON values, for manifests."""
        return {
            "calibration": None if self.calibration is None else self.calibration.as_dict(),
            "threshold": None if self.threshold is None else asdict(self.threshold),
            "conformal": None if self.conformal is None else _plain(asdict(self.conformal)),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any] | None) -> "Output":
        """Read what :meth:`as_dict` wrote; nothing, as in packages of old, changes no answer.

        Raises
        ------
        PackageError
            If it is anything else.

        """
        try:
            return cls._read(given or {})
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise PackageError(
                "the package's output (calibration, threshold, intervals) cannot be read: "
                f"{type(problem).__name__}: {problem}; train anew"
            ) from problem

    @classmethod
    def _read(cls, given: Mapping[str, Any]) -> "Output":
        calibration, threshold = given.get("calibration"), given.get("threshold")
        conformal = given.get("conformal")
        return cls(
            calibration=None if calibration is None else read_calibration(calibration),
            threshold=None if threshold is None else _read_threshold(threshold),
            conformal=None if conformal is None else _read_conformal(conformal),
            notes=tuple(map(str, given.get("notes", ()))),
        )


UNCHANGED = Output()
"""Answers stay as the model gave them."""


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}


def _read_threshold(given: Mapping[str, Any]) -> Threshold:
    found = Threshold(**{**given, "value": float(given["value"])})
    if not np.isfinite(found.value):
        raise ValueError(f"the threshold must be a number. Got {found.value!r}")
    return found


def _read_conformal(given: Mapping[str, Any]) -> Reaches | Cutoffs:
    rows = tuple(map(int, given["rows"]))
    coverage = float(given["coverage"])
    if "furthest" in given:
        furthest = tuple(map(float, given["furthest"]))
        if not np.isfinite(furthest).all():
            raise ValueError(f"each class needs a cutoff that is finite. Got {furthest}")
        return Cutoffs(coverage, furthest, rows)
    edges, reach = tuple(map(float, given["edges"])), tuple(map(float, given["reach"]))
    if len(reach) != len(edges) + 1:
        raise ValueError(f"needs one reach more than edges. Got {len(reach)} and {len(edges)}")
    far = np.array(reach)
    if (np.diff(np.array(edges)) <= 0).any() or not (np.isfinite(far) & (far >= 0)).all():
        raise ValueError("needs edges that rise, and a reach of 0 or more for each bin")
    return Reaches(coverage, edges, reach, rows)
