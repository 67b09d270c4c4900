"""The one door to what outlives a run: lake (Delta), ledger (SQL), registry (MLflow)."""
