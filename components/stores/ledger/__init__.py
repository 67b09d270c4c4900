"""The ledger: requests, leases, decisions and promotions, in SQLite or PostgreSQL."""

from components.stores.ledger.ledger import Ledger, open_ledger
from components.stores.ledger.values import (
    Action,
    Decision,
    Lease,
    Merge,
    NewPromotion,
    Outcome,
    Promotion,
    Request,
    State,
    What,
    WrittenVerdict,
)

__all__ = [
    "Action",
    "Decision",
    "Lease",
    "Ledger",
    "Merge",
    "NewPromotion",
    "Outcome",
    "Promotion",
    "Request",
    "State",
    "What",
    "WrittenVerdict",
    "open_ledger",
]
