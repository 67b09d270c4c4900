"""Why values are missing: what another column says may ask for it, as it always did.

A flight that was cancelled has no aeroplane, an airport that nothing leaves has no mean delay: on
the day of a storm both are missing as often as the rows of that day make them be. Told by direct
standardisation: the shares of missing values that the reference had among rows of each kind,
weighted by how many rows of each kind the period holds.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from monitoring.diagnosis.look import Look
from monitoring.diagnosis.observed import NEVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Mask = NDArray[np.bool_]

_RECENT = 28
_LEAST_ROWS = 20
_LEFT = 0.1
_MOST_KINDS = 200
_MOST_COLUMNS = 60


def explaining(look: Look, period: int, position: int, past: "Whole") -> str | None:
    """Name the column that explains why values of another are missing in a period.

    Returns
    -------
    str or None
        A feature, or the target where it is the rows without a label; None if nothing explains
        all but a tenth of what is missing.

    """
    rows, before = look.rows_of(np.array([period])), look.rows_of(past[-_RECENT:])
    missing = look.columns[position].missing
    usual = float(missing[before].mean())
    for name, kind, counted in _kinds(look, position, rows, before):
        here, there = rows[counted[rows]], before[counted[before]]
        if len(here) < max(_LEAST_ROWS, len(rows) / 2) or len(there) < _LEAST_ROWS:
            continue
        count = int(kind.max(initial=0)) + 1
        size = np.bincount(kind[there], minlength=count)
        lacking = np.bincount(kind[there], weights=missing[there], minlength=count)
        share = np.where(size >= _LEAST_ROWS, lacking / np.maximum(size, 1), usual)
        if float(missing[here].mean() - share[kind[here]].mean()) <= _LEFT:
            return name
    return None


def _kinds(
    look: Look, position: int, rows: "Whole", before: "Whole"
) -> "Iterator[tuple[str, Whole, Mask]]":
    """Give each way to tell kinds of rows apart: a name, the kind of each row, which rows count."""
    everything = np.ones(len(look.rows.time), dtype=bool)
    for other in list(look.features)[:_MOST_COLUMNS]:
        column = look.columns[other]
        lacks_more = column.missing[rows].mean() - column.missing[before].mean()
        if other == position or lacks_more > _LEFT:
            continue  # what is missing itself explains nothing
        if column.numbers is None:
            if len(column.distinct) <= _MOST_KINDS:
                yield look.names[other], column.codes + 1, everything
            continue
        given = column.numbers[before]
        if np.isnan(given).all():
            continue
        # None at all, as a count that is zero, is another kind than some.
        yield look.names[other], (column.numbers <= np.nanmin(given)).astype(np.int64), everything
    labelled = look.rows.label_known != NEVER
    waited = (look.rows.label_known - look.rows.time)[before][labelled[before]]
    if len(waited):
        due = look.rows.time + int(np.quantile(waited, 0.99, method="higher")) <= look.as_of
        yield look.pipeline.target, labelled.astype(np.int64), due
