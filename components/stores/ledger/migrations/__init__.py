"""How a ledger of any age becomes a current one; forward only."""
