"""History features: what was known of the past when a record was to be predicted."""

from components.history.index import HistoryIndex, add_history

__all__ = ["HistoryIndex", "add_history"]
