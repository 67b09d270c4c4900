"""Which values a row sees at all: those of the same entity, category, hour or weekday."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from components.history.timeline import distinct

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_FEW = 8  # so few rows are looked up one by one: the endpoint asks for one
_THURSDAY = 3  # 1970-01-01, where Monday is 0
_BUCKETS = {None: 1, "hour": 24, "weekday": 7, "hour_of_week": 168}


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of versions, numbered from 0 in the order of their codes.

    Attributes
    ----------
    same : str or None
        ``hour``, ``weekday`` or ``hour_of_week`` of the event, UTC.
    by : tuple of str
        Columns whose values must be equal; a missing value equals nothing.

    """

    same: str | None
    by: tuple[str, ...]
    _values: tuple[pd.Index, ...]
    _codes: np.ndarray

    @classmethod
    def of(
        cls, same: str | None, by: Mapping[str, pd.Series], events: np.ndarray
    ) -> tuple[Self, np.ndarray]:
        """Find the groups of versions.

        Parameters
        ----------
        by : mapping of str to Series of shape (n_versions,)
        events : ndarray of shape (n_versions,)
            Microseconds.

        Returns
        -------
        groups : Groups
        number : ndarray of shape (n_versions,)
            The group of each version; -1 where a value is missing.

        """
        values = tuple(pd.Index(column.dropna().unique()) for column in by.values())
        bare = cls(same, tuple(by), values, np.zeros(0, dtype=np.int64))
        code = bare._code(by, events)
        codes = distinct(code[code >= 0])
        groups = cls(same, tuple(by), values, codes)
        return groups, groups._number(code)

    def __len__(self) -> int:
        return len(self._codes)

    def find(self, by: Mapping[str, pd.Series], events: np.ndarray) -> np.ndarray:
        """Find the group of each row, or -1."""
        if not self.by and self.same is None:
            return np.zeros(len(events), dtype=np.int64) - (len(self._codes) == 0)
        return self._number(self._code({name: by[name] for name in self.by}, events))

    def _code(self, by: Mapping[str, pd.Series], events: np.ndarray) -> np.ndarray:
        code = np.zeros(len(events), dtype=np.int64)
        missing = np.zeros(len(events), dtype=bool)
        for values, column in zip(self._values, by.values(), strict=True):
            place = _places(values, column)
            missing |= place < 0
            code = code * max(len(values), 1) + place
        code = code * _BUCKETS[self.same] + bucket(self.same, events)
        return np.where(missing, -1, code)

    def _number(self, code: np.ndarray) -> np.ndarray:
        if not len(self._codes):
            return np.full(len(code), -1)
        place = np.searchsorted(self._codes, code).clip(max=len(self._codes) - 1)
        return np.where(self._codes[place] == code, place, -1)


def _places(values: pd.Index, column: pd.Series) -> np.ndarray:
    if len(column) > _FEW:
        return values.get_indexer(pd.Index(column))
    there = (values.get_loc(value) if value in values else -1 for value in column.tolist())
    return np.fromiter(there, dtype=np.int64, count=len(column))


def bucket(same: str | None, events: np.ndarray) -> np.ndarray | int:
    """Tell the hour (0-23), weekday (0-6, Monday first) or hour of the week of events.

    >>> bucket("hour_of_week", np.array([-_HOUR])).tolist()  # Wednesday, 23:00
    [71]
    """
    if same is None:
        return 0
    hour = events // _HOUR % 24
    if same == "hour":
        return np.asarray(hour)
    weekday = (events // _DAY + _THURSDAY) % 7
    return np.asarray(weekday if same == "weekday" else weekday * 24 + hour)
