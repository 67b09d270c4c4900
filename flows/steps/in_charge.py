"""Who was in charge when: one reading of the promotions, for all who ask.

A promotion counts from its `as_of`, the moment whose knowledge it used. One that was written
later but counts from an earlier moment, as when a day is run again, has been in charge from
there on: it replaces those that began after it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from flows.steps.rivals import NAIVE

if TYPE_CHECKING:
    from components.stores.ledger import Promotion


def reigns(promotions: "Sequence[Promotion]", *, by: pd.Timestamp) -> "tuple[Promotion, ...]":
    """Give those who were in charge one after the other, each from its `as_of` on.

    Parameters
    ----------
    promotions : sequence of Promotion
        All epochs of a pipeline, newest last, as the ledger reads them.
    by : Timestamp
        Promotions that count from later moments are not seen.

    """
    past: list[Promotion] = []
    for one in promotions:
        if one.as_of <= by:
            past = [*(earlier for earlier in past if earlier.as_of < one.as_of), one]
    return tuple(past)


def in_charge_at(promotions: "Sequence[Promotion]", moment: pd.Timestamp) -> "Promotion | None":
    """Say who was in charge at a moment, the moment of a promotion included; None: naive."""
    past = reigns(promotions, by=moment)
    return past[-1] if past else None


def version_before(promotions: "Sequence[Promotion]", moment: pd.Timestamp) -> str:
    """Name the version in charge just before a moment: whom a training of it challenges."""
    past = reigns([one for one in promotions if one.as_of < moment], by=moment)
    return past[-1].version if past else NAIVE


def versions_for(
    promotions: "Sequence[Promotion]",
    moments: pd.Series,
    labelled: pd.Series,
    *,
    as_of: pd.Timestamp,
) -> pd.Series:
    """Name for each record the version in charge at the moment it was known.

    Before the first promotion that is the naive baseline; but a record that still waited for
    its label at that promotion is answered by the model, which cannot have learnt from it.

    Parameters
    ----------
    promotions : sequence of Promotion
    moments, labelled : Series of shape (n_records,), datetime64[us, UTC]
        When each record, and its label, were known; NaT where no label is known yet.
    as_of : Timestamp
        Promotions that count from later moments are not seen.

    Returns
    -------
    Series of shape (n_records,), object
        With the index of `moments`. Who is promoted at the very moment a record is known does
        not answer it: the model may have learnt from what came with it.

    """
    past = reigns(promotions, by=as_of)
    if not past:
        return pd.Series(NAIVE, index=moments.index)
    starts = np.array([pd.Timestamp(one.as_of).value for one in past])
    place = np.searchsorted(starts, moments.astype("int64").to_numpy() * 1_000, side="left") - 1
    names = np.array([one.version for one in past])
    learnt = (labelled <= pd.Timestamp(past[0].as_of)).to_numpy()
    in_force = np.where((place < 0) & learnt, NAIVE, names[np.maximum(place, 0)])
    return pd.Series(in_force, index=moments.index)
