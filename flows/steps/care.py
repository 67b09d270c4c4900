"""Since when a pipeline is under care: from its first decision on."""

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from components.stores.ledger import Ledger


def under_care_since(ledger: "Ledger", pipeline: str) -> pd.Timestamp | None:
    """Find the moment of the first decision; before it, records are history.

    A data fault that was found is no care yet: `diagnose` may come before any training.

    Returns
    -------
    Timestamp or None
        None while nothing was decided.

    """
    made = ledger.decisions(pipeline)
    moments = [one.as_of for one in made if one.request_id or one.what != "data_fault"]
    return pd.Timestamp(min(moments)) if moments else None
