"""A frame as strict JSON and back, cell by cell: ints stay ints, NaN stays NaN, None stays None."""

import math
from typing import Any

import numpy as np
import pandas as pd

_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def write_frame(frame: pd.DataFrame) -> dict[str, Any]:
    """Write a frame as plain values; ``{"float": "nan"}`` stands for what JSON cannot hold.

    >>> write_frame(pd.DataFrame({"x": [1.5, float("nan")], "w": ["wet", None]}, dtype=object))
    {'columns': ['x', 'w'], 'rows': [[1.5, 'wet'], [{'float': 'nan'}, None]]}
    """
    columns = [[write_cell(cell) for cell in frame[name].tolist()] for name in frame.columns]
    rows = [list(row) for row in zip(*columns, strict=True)] if columns else []
    return {"columns": [str(name) for name in frame.columns], "rows": rows}


def read_frame(given: dict[str, Any]) -> pd.DataFrame:
    """Read what :func:`write_frame` wrote; every column is of dtype object.

    >>> read_frame({"columns": ["x"], "rows": [[1], [{"float": "inf"}], [None]]})["x"].tolist()
    [1, inf, None]
    """
    names = given["columns"]
    cells = {
        name: pd.Series([read_cell(row[at]) for row in given["rows"]], dtype=object)
        for at, name in enumerate(names)
    }
    return pd.DataFrame(cells, columns=names)


def write_cell(cell: object) -> object:
    """Write one value; what is neither text, number, truth value nor missing becomes text."""
    if isinstance(cell, np.generic):
        cell = cell.item()
    if cell is None or cell is pd.NA or isinstance(cell, bool | int | str):
        return None if cell is pd.NA else cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else {"float": str(cell)}
    return str(cell)


def read_cell(cell: object) -> object:
    """Read what :func:`write_cell` wrote."""
    return _SPECIAL[cell["float"]] if isinstance(cell, dict) else cell
