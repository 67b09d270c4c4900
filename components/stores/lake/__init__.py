"""The lake: Delta tables under ``lake/<pipeline>/<table>``, written exactly once."""

from components.stores.lake.reading import Reader, quote
from components.stores.lake.tables import Commit, Lake, Rows

__all__ = ["Commit", "Lake", "Reader", "Rows", "quote"]
