"""The one input contract that stands before every model graph.

Training, batch and endpoint all come through :meth:`InputContract.prepare`, so none of
them can see a row another way: numbers as float32, text with a sentinel for missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.errors import InvalidInputError
from components.pipelines import Pipeline, nearest

Array = npt.NDArray[Any]
Inputs = Mapping[str, Array]
Kind = Literal["number", "category"]
Columns = tuple[tuple[str, Kind], ...]

MISSING = "<missing>"
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class InputContract:
    """The columns that a model reads, by name, with their kinds.

    Examples
    --------
    >>> contract = InputContract((("temp", "number"), ("weather", "category")))
    >>> inputs = contract.prepare(pd.DataFrame({"temp": [3], "weather": [None]}))
    >>> inputs["temp"], inputs["weather"]
    (array([[3.]], dtype=float32), array([['<missing>']], dtype=object))

    """

    columns: Columns

    @classmethod
    def of(cls, pipeline: Pipeline) -> Self:
        """Take the features of a resolved pipeline, those of history last."""
        return cls(tuple(pipeline.inputs.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in the order of the graph's inputs."""
        return tuple(name for name, _ in self.columns)

    def prepare(self, frame: pd.DataFrame) -> Inputs:
        """Turn rows into the arrays that a model, or its ONNX graph, reads.

        A number is float32: missing and infinite become NaN, what is too large for float32
        becomes its largest; integers, booleans and numbers written as text are accepted. A
        category is text: missing, empty and blank become `MISSING`; a whole number loses its
        ``.0``, so that 3 and 3.0 are one category.

        Parameters
        ----------
        frame : DataFrame of shape (n_rows, n_columns)
            Columns beyond the contract's are ignored. Not modified.

        Returns
        -------
        dict
            One array of shape (n_rows, 1) a column: float32, or objects that are all str.

        Raises
        ------
        InvalidInputError
            If a column is missing, or a number is none.

        """
        return {
            name: _PREPARE[kind](name, self._column(frame, name)) for name, kind in self.columns
        }

    def _column(self, frame: pd.DataFrame, name: str) -> pd.Series:
        if name not in frame.columns:
            known = [str(column) for column in frame.columns]
            raise InvalidInputError(
                f"column {name!r} is needed to predict and missing{nearest(name, known)} "
                f"Found: {', '.join(known) or 'none'}."
            )
        column: pd.Series = frame[name]
        return column


def _numbers(name: str, column: pd.Series) -> Array:
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        raise InvalidInputError(f"column {name!r} must hold numbers. Got times")
    try:
        wide = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError, OverflowError):
        wide = np.array([_number(name, value) for value in column], dtype=np.float64)
    wide = np.where(np.isinf(wide), np.nan, np.clip(wide, -_LARGEST, _LARGEST))
    return wide.astype(np.float32).reshape(-1, 1)


def _number(name: str, value: object) -> float:
    """Read one value of a column that pandas could not read as a whole."""
    if value is None or value is pd.NA or (isinstance(value, str) and not value.strip()):
        return np.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return _LARGEST if value > 0 else -_LARGEST  # type: ignore[operator]
    except (ValueError, TypeError) as problem:
        raise InvalidInputError(f"column {name!r} must hold numbers. Got {value!r}") from problem


def _texts(name: str, column: pd.Series) -> Array:
    del name  # any value has a text
    if isinstance(column.dtype, pd.StringDtype) or pd.api.types.is_numeric_dtype(column):
        # Written once a distinct value: a million rows of 12 weathers take 12 conversions.
        codes, distinct = pd.factorize(column)
        words = [_text(value) for value in distinct] + [MISSING]
        return np.array(words, dtype=object)[codes].reshape(-1, 1)
    # Objects may mix 1, 1.0 and True, which a hash table holds for one.
    texts = np.empty(len(column), dtype=object)
    texts[:] = [_text(value) for value in column]
    return texts.reshape(-1, 1)


def _text(value: object) -> str:
    if value is None or value is pd.NA or value is pd.NaT:
        return MISSING
    if isinstance(value, float | np.floating):
        if np.isnan(value):
            return MISSING
        value = int(value) if value.is_integer() else value
    # A lone surrogate, which JSON may carry, has no UTF-8 and would stop the whole batch.
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return text if text.strip() else MISSING


_PREPARE: Mapping[Kind, Callable[[str, pd.Series], Array]] = {
    "number": _numbers,
    "category": _texts,
}
