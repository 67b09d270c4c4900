"""From when to when each version of a record or label was the newest that was known."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from components.records import EVENT_TIME, KNOWN_TIME, RECORD_ID

FOREVER = int(np.iinfo(np.int64).max)
"""No newer version came."""
NO_TIME = int(np.iinfo(np.int64).min)
"""How pandas writes NaT as a whole number."""


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions that were the newest known of their record for some time; times in µs, UTC.

    Attributes
    ----------
    row : ndarray of shape (n_versions,)
        Where the version stands in its frame.
    record : ndarray of shape (n_versions,)
        The number of its record.
    event, known, until : ndarray of shape (n_versions,)
        Its event time, when it became known, and when the next one did (`FOREVER`: none).

    """

    row: np.ndarray
    record: np.ndarray
    event: np.ndarray
    known: np.ndarray
    until: np.ndarray

    @classmethod
    def of(cls, frame: pd.DataFrame, record: np.ndarray) -> Self:
        """Read the versions of a frame; one without a known time was never known.

        Of versions of one record with the same known time one counts, told by a hash of its
        content: the order of the frame, which compaction may change, decides nothing.

        Parameters
        ----------
        frame : DataFrame of shape (n_rows, n_columns)
            With `event_time` and `known_time`. Not modified.
        record : ndarray of shape (n_rows,)
            The number of each row's record.

        """
        event, known = microseconds(frame[EVENT_TIME]), microseconds(frame[KNOWN_TIME])
        row = np.flatnonzero(known != NO_TIME)
        until = np.full(len(row), FOREVER)
        if np.bincount(record[row]).max(initial=0) > 1:
            row = _in_turn(frame, row, record, known)
            next_one = np.flatnonzero(record[row][1:] == record[row][:-1])
            until = np.full(len(row), FOREVER)
            until[next_one] = known[row][next_one + 1]
        return cls(row, record[row], event[row], known[row], until)

    def kept(self, which: np.ndarray) -> Self:
        """Keep some versions; what superseded them stays as it is."""
        return type(self)(
            self.row[which],
            self.record[which],
            self.event[which],
            self.known[which],
            self.until[which],
        )

    def first(self) -> Self:
        """Keep of each record the version known first, in the order of the records' numbers."""
        order = np.lexsort((self.known, self.record))
        record = self.record[order]
        return self.kept(order[np.append(True, record[1:] != record[:-1])[: len(order)]])


def paired(labels: Versions, records: Versions) -> tuple[Versions, np.ndarray]:
    """Pair versions of labels with those of their records, for as long as both stood.

    Returns
    -------
    versions : Versions of shape (n_pairs,)
        `row` and `event` are those of the label.
    partner : ndarray of shape (n_pairs,)
        The place of the record's version in `records`.

    """
    left = pd.DataFrame({"record": labels.record, "label": np.arange(len(labels.row))})
    right = pd.DataFrame({"record": records.record, "partner": np.arange(len(records.row))})
    pairs = left.merge(right, on="record", how="inner")
    label, partner = pairs["label"].to_numpy(), pairs["partner"].to_numpy()
    known = np.maximum(labels.known[label], records.known[partner])
    until = np.minimum(labels.until[label], records.until[partner])
    stood = known < until
    label, partner = label[stood], partner[stood]
    made = Versions(
        labels.row[label], labels.record[label], labels.event[label], known[stood], until[stood]
    )
    return made, partner


def microseconds(times: pd.Series) -> np.ndarray:
    """Write times as whole microseconds since 1970, UTC; NaT as `NO_TIME`."""
    return np.asarray(times.array.as_unit("us").asi8)


def record_numbers(*frames: pd.DataFrame) -> tuple[list[np.ndarray], pd.Index]:
    """Give the records of several frames numbers, alike in all; and their ids."""
    together = pd.concat([frame[RECORD_ID] for frame in frames], ignore_index=True)
    numbers, ids = pd.factorize(together)
    ends = np.cumsum([len(frame) for frame in frames])[:-1]
    return np.split(numbers, ends), pd.Index(ids)


def _in_turn(
    frame: pd.DataFrame, row: np.ndarray, record: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Order rows by record and known time, one row for each pair of them."""
    order = row[np.lexsort((known[row], record[row]))]
    same = (np.diff(record[order]) == 0) & (np.diff(known[order]) == 0)
    if not same.any():
        return order
    tied = np.append(same, False) | np.append(False, same)
    content = np.zeros(len(frame), dtype=np.uint64)
    rows = frame.iloc[order[tied]]
    content[order[tied]] = pd.util.hash_pandas_object(rows, index=False).to_numpy()
    order = row[np.lexsort((content[row], known[row], record[row]))]
    same = (np.diff(record[order]) == 0) & (np.diff(known[order]) == 0)
    return np.asarray(order[~np.append(same, False)])
