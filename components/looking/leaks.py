"""Columns that hold the answer: one, or two together, that alone determine the target.

A relation must hold on stretches of time that it was not learnt from: a column that merely
grows with time, as the target may do, tells neighbours apart without knowing the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

DETERMINES = 0.999
"""AUC (classes) or R² (numbers) from which on a column is the answer in disguise."""

SUSPICIOUS = 0.95
"""AUC or R² from which on a person should look."""

_ROWS = 20_000
_STRETCHES = 10
_FEWEST_ROWS = 30
_FEWEST_OUTSIDE = 100
_FEWEST_OF_A_CLASS = 5
_ROWS_OF_A_VALUE = 5
_MOST_PAIRED = 1_000
_PAIRS_TRIED = 60
_EXACT = 1 - 1e-9
_ALMOST = 0.99
_MOST_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Leak:
    """Columns that tell the target, how well, and by which relation.

    `strength` is AUC or R²; `measure` says which.
    """

    columns: tuple[str, ...]
    strength: float
    measure: str
    relation: str

    def __str__(self) -> str:
        return f"{self.relation} ({self.measure} {_floored(self.strength)})"


@dataclass(frozen=True, slots=True)
class Leaks:
    """What determines the target, and what is suspiciously close to it."""

    certain: tuple[Leak, ...] = ()
    suspicious: tuple[Leak, ...] = ()
    judged: bool = True


def find_leaks(columns: pd.DataFrame, target: pd.Series, times: pd.Series, *, task: str) -> Leaks:
    """Find the columns that determine the target alone, or by twos.

    Parameters
    ----------
    columns : DataFrame of shape (n_rows, n_columns)
        Features, parsed: float64 or str. Not modified.
    target : Series of shape (n_rows,)
        float64 in regression, else the name of the class; missing where it is unknown.
    times : Series of datetime64[us, UTC]
    task : str

    Examples
    --------
    >>> days = pd.Series(pd.date_range("2026-01-01", periods=200, tz="UTC"))
    >>> chance = np.random.default_rng(0)
    >>> parts = pd.DataFrame(chance.normal(size=(200, 2)), columns=["a", "b"])
    >>> [leak.columns for leak in find_leaks(
    ...     parts, parts["a"] + parts["b"], days, task="regression").certain]
    [('a', 'b')]

    """
    problem = _Problem.of(columns, target, times, task)
    if problem is None:
        return Leaks(judged=False)
    alone = [problem.alone(name) for name in columns.columns]
    certain = [leak for leak in alone if leak.strength >= DETERMINES]
    taken = {name for leak in certain for name in leak.columns}
    certain += problem.by_twos([name for name in columns.columns if name not in taken])
    taken = {name for leak in certain for name in leak.columns}
    near = [x for x in alone if x.strength >= SUSPICIOUS and not taken & set(x.columns)]
    return Leaks(tuple(certain), tuple(sorted(near, key=lambda x: -x.strength)))


@dataclass(frozen=True, slots=True)
class _Problem:
    """Labelled rows in the order of time; even stretches are learnt from, odd ones asked."""

    columns: pd.DataFrame
    answers: np.ndarray  # (n_rows, n_classes) of 0/1, or (n_rows, 1)
    asked: np.ndarray
    regression: bool

    @classmethod
    def of(
        cls, columns: pd.DataFrame, target: pd.Series, times: pd.Series, task: str
    ) -> "_Problem | None":
        labelled = (target.notna() & times.notna()).to_numpy()
        order = np.argsort(times[labelled].to_numpy(), kind="stable")
        if len(order) > _ROWS:
            # Whole stretches, so that "another stretch of time" keeps its meaning.
            order = order[np.linspace(0, len(order) - 1, _ROWS).astype(int)]
        rows = columns[labelled].iloc[order].reset_index(drop=True)
        truth = target[labelled].iloc[order]
        if len(rows) < _FEWEST_ROWS:
            return None
        if task == "regression":
            answers = truth.to_numpy(dtype=float)[:, None]
            if np.ptp(answers) == 0:
                return None
        else:
            counts = truth.value_counts()
            names = counts.index[counts >= _FEWEST_OF_A_CLASS][:_MOST_CLASSES]
            if len(names) < 2:  # noqa: PLR2004 - nothing to tell apart
                return None
            names = names[:1] if len(counts) == 2 else names  # noqa: PLR2004 - the other mirrors it
            answers = (truth.to_numpy()[:, None] == names.to_numpy()).astype(float)
        stretch = np.arange(len(rows)) * _STRETCHES // len(rows)
        return cls(rows, answers, stretch % 2 == 1, task == "regression")

    @property
    def measure(self) -> str:
        """What strength is measured in."""
        return "R²" if self.regression else "AUC"

    def alone(self, name: str) -> Leak:
        """Measure how well one column tells the target, by the best of a few relations."""
        values = self.columns[name]
        found = [Leak((name,), 0.0, self.measure, "tells nothing")]
        if pd.api.types.is_numeric_dtype(values.dtype):
            numbers = values.to_numpy(dtype=float)
            found.append(self._direct(name, numbers))
            guessed = np.column_stack([self._along(numbers, y) for y in self.answers.T])
        else:
            guessed = np.column_stack([self._by_value(values, y) for y in self.answers.T])
        strength = self._outside(guessed)
        found.append(Leak((name,), strength, self.measure, "alone determines the target"))
        missing = values.isna().to_numpy()
        if 0 < missing.mean() < 1:
            strength = self._strength(np.repeat(missing[:, None], self.answers.shape[1], axis=1))
            found.append(
                Leak((name,), strength, self.measure, "being missing alone determines the target")
            )
        best = max(found, key=lambda leak: leak.strength)
        if DETERMINES > best.strength >= SUSPICIOUS:
            return Leak(best.columns, best.strength, best.measure, "alone almost tells the target")
        return best

    def _direct(self, name: str, numbers: np.ndarray) -> Leak:
        """Measure the relation as it stands: straight, or in the same or the opposite order."""
        known = np.isfinite(numbers)
        if known.mean() < 0.5 or known.sum() < _FEWEST_ROWS or np.ptp(numbers[known]) == 0:  # noqa: PLR2004 - a column that is mostly there
            return Leak((name,), 0.0, self.measure, "")
        guess = np.repeat(numbers[known, None], self.answers.shape[1], axis=1)
        strength = self._strength(guess, known)
        if self.regression:
            ranks = pd.Series(numbers[known]).rank().to_numpy()
            truth = pd.Series(self.answers[known, 0]).rank().to_numpy()
            strength = max(strength, _r_squared(ranks, truth))
        return Leak((name,), strength, self.measure, "alone determines the target")

    def _strength(self, guess: np.ndarray, rows: np.ndarray | None = None) -> float:
        """Measure answers of unknown scale and direction: the squared correlation, or the AUC."""
        truth = self.answers if rows is None else self.answers[rows]
        if self.regression:
            return _r_squared(guess[:, 0].astype(float), truth[:, 0])
        found = [_auc(g.astype(float), y) for g, y in zip(guess.T, truth.T, strict=True)]
        both = [max(auc, 1 - auc) for auc in found if np.isfinite(auc)]
        return min(both, default=0.0)

    def _outside(self, guess: np.ndarray) -> float:
        """Measure answers to rows of other stretches than those learnt from."""
        rows = self.asked & np.isfinite(guess).all(axis=1)
        if rows.sum() < max(_FEWEST_OUTSIDE, 0.5 * self.asked.sum()):
            return 0.0
        truth, given = self.answers[rows], guess[rows]
        if self.regression:
            spread = float(((truth - truth.mean()) ** 2).sum())
            return 1 - float(((truth - given) ** 2).sum()) / spread if spread else 0.0
        found = [_auc(g, y) for g, y in zip(given.T, truth.T, strict=True)]
        return min((auc for auc in found if np.isfinite(auc)), default=0.0)

    def _along(self, numbers: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """Answer by the values next to one's own; those without by the mean of such."""
        learnt = ~self.asked
        known = np.isfinite(numbers)
        guess = np.full(len(numbers), np.nan)
        if (learnt & known).sum() < _FEWEST_ROWS:
            return guess
        by_value = pd.Series(answer[learnt & known]).groupby(numbers[learnt & known]).mean()
        places = by_value.index.to_numpy()
        inside = known & (numbers >= places[0]) & (numbers <= places[-1])
        guess[inside] = np.interp(numbers[inside], places, by_value.to_numpy())
        missing = learnt & ~known
        if missing.sum() >= _ROWS_OF_A_VALUE:
            guess[~known] = answer[missing].mean()
        return guess

    def _by_value(self, values: pd.Series, answer: np.ndarray) -> np.ndarray:
        """Answer by the mean of the same value, where that was seen often enough."""
        codes = values.fillna("\0missing").astype(object)
        learnt = ~self.asked
        grouped = pd.Series(answer[learnt]).groupby(codes[learnt].to_numpy())
        means = grouped.mean()[grouped.size() >= _ROWS_OF_A_VALUE]
        return codes.map(means).to_numpy(dtype=float)

    def by_twos(self, names: Sequence[str]) -> list[Leak]:
        """Find pairs whose sum, difference or other straight combination is the target."""
        numbers = self.columns[[n for n in names if self.columns[n].dtype == np.float64]]
        usable = numbers.columns[numbers.notna().mean() >= 0.5][:_MOST_PAIRED]  # noqa: PLR2004 - as above
        found: list[Leak] = []
        left = list(usable[numbers[usable].std() > 0])
        while len(left) > 1:
            leak = self._best_pair(left)
            if leak is None:
                break
            found.append(leak)
            left = [name for name in left if name not in leak.columns]
        return found

    def _best_pair(self, names: list[str]) -> Leak | None:
        values = self.columns[names].to_numpy(dtype=float)
        values = np.where(np.isfinite(values), values, np.nanmean(values, axis=0))
        fits, alone = _pairs(values, self.answers)
        upper = np.triu_indices(len(names), 1)
        best = np.argsort(-fits[upper])[:_PAIRS_TRIED]
        tried = [self._pair(names[upper[0][at]], names[upper[1][at]], alone, names) for at in best]
        good = [leak for leak in tried if leak.strength >= DETERMINES]
        return max(good, key=lambda leak: (leak.strength, len(leak.columns)), default=None)

    def _pair(self, one: str, other: str, alone: np.ndarray, names: list[str]) -> Leak:
        """Measure two columns together, on the rows that have both."""
        both = self.columns[[one, other]].to_numpy(dtype=float)
        known = np.isfinite(both).all(axis=1)
        truth = self.answers[known]
        if known.sum() < _FEWEST_ROWS:
            return Leak((one, other), 0.0, self.measure, "")
        a, b = both[known].T
        ways = {f"{one} + {other}": a + b, f"{one} - {other}": a - b}
        ways[f"a straight combination of {one} and {other}"] = _straight(a, b, truth[:, 0])
        strengths = {
            way: self._strength(np.repeat(g[:, None], truth.shape[1], axis=1), known)
            for way, g in ways.items()
        }
        way = max(strengths, key=lambda w: round(strengths[w], 9))  # the plainest of equals
        strength = strengths[way]
        blamed: tuple[str, ...] = (one, other)
        if self.regression and strength < _EXACT:
            # Where one does nearly all of it, the other is only there by chance.
            heavy = [n for n in blamed if alone[names.index(n)] >= _ALMOST]
            blamed = tuple(heavy[:1]) or blamed
        return Leak(blamed, strength, self.measure, f"{way} determines the target")


def _pairs(values: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give R² of the target on each pair of columns, and on each column alone.

    Of several answers the best counts. R² of two regressors follows from the correlations:
    (r₁² + r₂² - 2 r₁ r₂ r₁₂) / (1 - r₁₂²).
    """
    whole = np.corrcoef(np.column_stack([values, answers]), rowvar=False)
    count = values.shape[1]
    among = whole[:count, :count]
    best, alone = np.zeros((count, count)), np.zeros(count)
    for r in whole[count:, :count]:
        r = np.nan_to_num(r)  # noqa: PLW2901 - a constant column correlates with nothing
        top = r[:, None] ** 2 + r[None, :] ** 2 - 2 * r[:, None] * r[None, :] * among
        rest = 1 - among**2
        with np.errstate(divide="ignore", invalid="ignore"):
            fits = np.where(rest > 1e-9, top / rest, np.maximum(r[:, None] ** 2, r[None, :] ** 2))  # noqa: PLR2004 - two columns that are one
        best, alone = np.maximum(best, np.nan_to_num(fits)), np.maximum(alone, r**2)
    return best, alone


def _straight(a: np.ndarray, b: np.ndarray, truth: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones_like(a), a, b])
    weights = np.linalg.lstsq(design, truth, rcond=None)[0]
    return np.asarray(design @ weights)


def _r_squared(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    spread = float((a @ a) * (b @ b))
    return float(a @ b) ** 2 / spread if spread > 0 and np.isfinite(spread) else 0.0


def _auc(guess: np.ndarray, truth: np.ndarray) -> float:
    """Measure how often a row of the class is ranked above one of the others; ties half."""
    ours = truth > 0
    count, others = int(ours.sum()), int((~ours).sum())
    if not count or not others:
        return float("nan")
    ranks = pd.Series(guess).rank().to_numpy()
    return float((ranks[ours].sum() - count * (count + 1) / 2) / (count * others))


def _floored(value: float) -> str:
    """Write a share so that 0.99996 does not look like 1.

    >>> _floored(1.0), _floored(0.99996)
    ('1', '0.9999')
    """
    return "1" if value > _EXACT else f"{np.floor(value * 1e4) / 1e4:.4g}"
