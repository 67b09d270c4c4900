"""The ledger: requests, leases, decisions and promotions, in SQLite or PostgreSQL."""

from components.stores.ledger.ledger import Ledger, open_ledger
from components.stores.ledger.values import (
    Action,
    Awaits,
    Challenger,
    Decision,
    Lease,
    Merge,
    NewChallenger,
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
    "Awaits",
    "Challenger",
    "Decision",
    "Lease",
    "Ledger",
    "Merge",
    "NewChallenger",
    "NewPromotion",
    "Outcome",
    "Promotion",
    "Request",
    "State",
    "What",
    "WrittenVerdict",
    "open_ledger",
]
