"""How numbers and days are written: with a decimal comma, the day or the month first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Order = Literal["day_first", "month_first"]

_DAY = r"^\s*(\d{1,2})[./-]\s?(\d{1,2})[./-]\s?(?:\d{4}|\d{2})(?:[T,\s]|$)"
_COMMA = r"^\s*[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?\s*$"
_SURELY = r",(?:\d{1,2}|\d{4,})\s*$"
_MOST = 0.98
_MONTHS = 12


def writes_days(raw: pd.Series) -> bool:
    """Say whether text writes days as ``31.1.2024`` or ``1/31/2024``.

    >>> writes_days(pd.Series(["31.1.2024 05:00"])), writes_days(pd.Series(["2024-01-31"]))
    (True, False)
    """
    given = _given(raw)
    return len(given) > 0 and bool(given.str.match(_DAY).mean() >= _MOST)


@dataclass(frozen=True, slots=True)
class Firsts:
    """The largest first and second number of the days of a column; they tell which is the day."""

    first: int = 0
    second: int = 0

    def with_those_of(self, raw: pd.Series) -> "Firsts":
        """Look at more values."""
        parts = _given(raw).str.extract(_DAY).dropna()
        if parts.empty:
            return self
        most = parts.astype(int).max()
        return Firsts(max(self.first, int(most[0])), max(self.second, int(most[1])))

    @property
    def order(self) -> Order | None:
        """Which comes first; None where no day is above 12, or days contradict each other.

        >>> Firsts(31, 12).order, Firsts(12, 31).order, Firsts(9, 12).order
        ('day_first', 'month_first', None)
        """
        if (self.first > _MONTHS) == (self.second > _MONTHS):
            return None
        return "day_first" if self.first > _MONTHS else "month_first"

    @property
    def contradictory(self) -> bool:
        """Whether some days begin with the day and others with the month."""
        return self.first > _MONTHS and self.second > _MONTHS


def with_decimal_comma(columns: Mapping[str, pd.Series]) -> list[str]:
    """Name the columns of text that hold numbers with a decimal comma.

    ``1,234`` may also be a thousand and more: it is a decimal comma only where another
    column is one for sure.

    >>> with_decimal_comma({"a": pd.Series(["1,5", "2"]), "b": pd.Series(["1,234"])})
    ['a', 'b']
    >>> with_decimal_comma({"b": pd.Series(["1,234"]), "c": pd.Series(["7", "8"])})
    []
    """
    found, sure = [], False
    for name, raw in columns.items():
        given = _given(raw)
        if given.empty or not given.str.contains(",", regex=False).any():
            continue
        if given.str.match(_COMMA).mean() >= _MOST:
            found.append(name)
            sure |= bool(given.str.contains(_SURELY, regex=True).any())
    return found if sure else []


def _given(raw: pd.Series) -> pd.Series:
    if not isinstance(raw.dtype, pd.StringDtype):
        return raw.iloc[:0].astype("str")
    return raw[raw.notna() & raw.ne("")]
