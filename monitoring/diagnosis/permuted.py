"""`columns_shifted`: values that stand in other columns than their own.

Each column is asked whose values it holds: those of a column are known by where its days lie, by
the values that occurred before, and for a category by its words. Columns are called shifted only
when at least two of them hold what is foreign to them, and one permutation explains it.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.values import parse_text
from monitoring.diagnosis.look import LEAST_PERIODS, Found, Look
from monitoring.diagnosis.units import measure_of
from monitoring.diagnosis.words import moment_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

_LEAST_ROWS = 8
_MOST_COLUMNS = 60
_MOST_WORDS = 5000
_FOREIGN = 1.0
_OWN = 0.8
_CAP = 3.0
_STAY = 0.1
_NOTHING = np.zeros(0, dtype=object)
_GAIN = 1.5


def find_permuted(look: Look, period: int, suspects: "Whole") -> list[Found]:
    """Find the columns that hold the values of one another."""
    suspects = suspects[suspects < look.target]
    span = look.span(period)
    if len(suspects) < 2 or span.stop - span.start < _LEAST_ROWS:  # noqa: PLR2004 - two swap
        return []
    rows = np.arange(span.start, span.stop)
    everything, refused = rows, look.rows.refused[span]
    if refused.mean() >= 1 / 5:
        rows = rows[refused]
    own_fit = np.minimum(np.diag(_misfits(look, period, suspects, rows, own=True)), _CAP)
    foreign = suspects[own_fit >= _FOREIGN]
    if len(foreign) < 2 or own_fit.sum() < 2 * _GAIN:  # noqa: PLR2004 - two swap
        return []
    positions = _among(look, foreign)
    misfit = _misfits(look, period, positions, rows)
    moved = _moves(misfit)
    if not moved:
        return []
    own = {i: float(misfit[i, i]) for i, _ in moved}
    names = look.names
    pairs = ", ".join(f"{names[positions[i]]} holds {names[positions[j]]}" for i, j in moved[:8])
    evidence = (
        f"in {len(rows)} rows from {moment_in_words(int(look.rows.time[rows[0]]))}: {pairs}; as "
        f"they stand {sum(fit >= _FOREIGN for fit in own.values())} of {len(moved)} columns hold "
        "values foreign to them, so exchanged none but one does"
    )
    first = min(positions[i] for i, _ in moved)
    spoiled = everything if refused.mean() >= 1 / 2 else rows
    return [Found("columns_shifted", names[first], evidence, spoiled, whole=True)]


def _among(look: Look, suspects: "Whole") -> "Whole":
    """Take all columns where they are few, else the suspects; words only where one is of words."""
    if look.target > _MOST_COLUMNS:
        return suspects[:_MOST_COLUMNS]
    numbers = [at for at in look.features if look.columns[at].numbers is not None]
    return np.array(numbers) if set(suspects) <= set(numbers) else np.arange(look.target)


def _moves(misfit: "Floats") -> list[tuple[int, int]]:
    """Find the permutation that explains the columns; empty when none does much better."""
    from scipy.optimize import linear_sum_assignment

    cost = np.minimum(misfit, _CAP) + _STAY
    np.fill_diagonal(cost, np.minimum(np.diag(misfit), _CAP))
    mine, theirs = linear_sum_assignment(cost)
    moved = [(int(i), int(j)) for i, j in zip(mine, theirs, strict=True) if i != j]
    foreign = [i for i, _ in moved if misfit[i, i] >= _FOREIGN]
    gain = sum(min(misfit[i, i], _CAP) - min(misfit[i, j], _CAP) for i, j in moved)
    # Where much is gained it is enough that no value is foreign where it is said to belong.
    own = _FOREIGN if gain >= 2 * _GAIN else _OWN
    unexplained = [i for i, j in moved if misfit[i, j] >= own]
    allowed = len(moved) // 5  # one falls off the end of a long shift
    enough = len(foreign) >= max(2, len(moved) / 2) and len(unexplained) <= allowed
    return moved if enough and gain >= _GAIN else []


def _misfits(
    look: Look, period: int, positions: "Whole", rows: "Whole", *, own: bool = False
) -> "Floats":
    """Say how badly what stands in column i fits what was in column j before.

    Parameters
    ----------
    own : bool
        Fill the diagonal only.

    Returns
    -------
    ndarray of shape (n_columns, n_columns)
        1 and more is foreign.

    """
    texts = [
        _texts(look, int(at), rows) if not own or look.columns[at].numbers is None else _NOTHING
        for at in positions
    ]
    numbers = [_numbers(look, int(at), rows) for at in positions]
    found = np.full((len(positions), len(positions)), _CAP)
    for j, at in enumerate(positions):
        past = look.clean(period, int(at))
        if len(past) < LEAST_PERIODS:
            found[:, j] = np.where(np.arange(len(positions)) == j, 0.0, _CAP)
            continue
        if look.columns[at].numbers is None:
            asked = slice(j, j + 1) if own else slice(None)
            found[asked, j] = _as_words(look, int(at), past, texts[asked])
        else:
            asked = slice(j, j + 1) if own else slice(None)
            found[asked, j] = _as_numbers(look, period, int(at), past, numbers[asked], rows)
    return found


def _as_words(look: Look, at: int, past: "Whole", texts: "list[NDArray[Any]]") -> "Floats":
    column = look.columns[at]
    codes = column.codes[look.rows_of(past)]
    known = set(column.distinct[np.unique(codes[codes >= 0])])
    fits = []
    for text in texts:
        given = [word for word in text if word is not None]
        if len(given) < _LEAST_ROWS:
            fits.append(_CAP)
            continue
        fits.append(sum(word not in known for word in given) / len(given) / 0.3)
    return np.array(fits)


def _as_numbers(
    look: Look, period: int, at: int, past: "Whole", numbers: "list[Floats]", rows: "Whole"
) -> "Floats":
    measure = measure_of(look, period, at, past)
    fits = []
    for values in numbers:
        given = values[~np.isnan(values)]
        if len(given) < max(_LEAST_ROWS, 0.3 * len(rows)):
            fits.append(_CAP)
            continue
        fit = measure.fit(given, rows, alone=True)
        fits.append(max(fit.level, fit.atoms))
    return np.array(fits)


def _texts(look: Look, at: int, rows: "Whole") -> "NDArray[Any]":
    """Read a column as text: refused rows as they came."""
    column = look.columns[at]
    if column.numbers is not None and len(column.distinct) > _MOST_WORDS:
        texts = np.array(
            [None if np.isnan(x) else f"{x:g}" for x in column.numbers[rows]], dtype=object
        )
        return _with_raw(look, at, rows, texts)
    words = parse_text(pd.Series(column.distinct)).values.astype(object).to_numpy()
    words = np.array([*words, None], dtype=object)
    return _with_raw(look, at, rows, words[column.codes[rows]])


def _with_raw(look: Look, at: int, rows: "Whole", text: "NDArray[Any]") -> "NDArray[Any]":
    refused = look.rows.refused[rows]
    if refused.any():
        raw = pd.Series(look.rows.raw[look.names[at]][rows[refused]], dtype=object)
        text[refused] = parse_text(raw).values.astype(object).to_numpy()
    return np.array([None if pd.isna(word) else word for word in text], dtype=object)


def _numbers(look: Look, at: int, rows: "Whole") -> "Floats":
    numbers = look.columns[at].numbers
    if numbers is not None and not look.rows.refused[rows].any():
        return numbers[rows]
    text = _texts(look, at, rows)
    return np.asarray(pd.to_numeric(pd.Series(text), errors="coerce"), dtype=np.float64)
