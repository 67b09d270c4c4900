"""How one thing is done: no orchestrator, no clock, no environment."""
