"""Rows that try what a model may meet: real ones, and every way a cell can be odd."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from components.models.contract import InputContract

_REAL_ROWS = 20
_ODD_TEXTS: tuple[object, ...] = (None, np.nan, "", " ", "never seen before ✓", 7, True)
_ODD_NUMBERS: tuple[object, ...] = (
    None,
    np.nan,
    np.inf,
    -np.inf,
    1e300,  # beyond float32: held at its largest
    0,
    -1,
    True,
    np.int64(3),
    -0.0,
)


def golden_rows(frame: pd.DataFrame, contract: InputContract, *, seed: int) -> pd.DataFrame:
    """Make the rows on which a package must answer as its model did.

    Parameters
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        Rows that the model learnt from. Not modified.
    contract : InputContract
        The model's columns.
    seed : int
        Draws the real rows.

    Returns
    -------
    DataFrame
        Columns of dtype object in the contract's order: up to 20 real rows, then one row
        for each odd value of each column, then one where everything is missing.

    """
    names = [name for name, _ in contract.columns]
    real = _real_rows(frame[names], seed)
    base = real[0] if real else [0.0 if kind == "number" else "" for _, kind in contract.columns]
    rows = [*real]
    for at, (name, kind) in enumerate(contract.columns):
        odd = _ODD_TEXTS if kind == "category" else (*_ODD_NUMBERS, *_extremes(frame[name]))
        rows.extend([*base[:at], value, *base[at + 1 :]] for value in odd)
    rows.append([None] * len(names))
    columns = {
        name: pd.Series([row[at] for row in rows], dtype=object) for at, name in enumerate(names)
    }
    return pd.DataFrame(columns, columns=names)


def _real_rows(frame: pd.DataFrame, seed: int) -> list[Sequence[object]]:
    drawn = frame.sample(min(_REAL_ROWS, len(frame)), random_state=seed)
    return [list(row) for row in drawn.astype(object).itertuples(index=False, name=None)]


def _extremes(column: pd.Series) -> tuple[float, ...]:
    """Go a thousand times beyond what was seen, in both directions."""
    seen = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    seen = np.abs(seen[np.isfinite(seen)])
    far = 1000.0 * max(1.0, float(seen.max(initial=0.0)))
    return (far, -far)
