"""The lake: Delta tables under ``lake/<pipeline>/<table>``, written exactly once."""

from components.stores.lake.appending import Rows
from components.stores.lake.erasing import Removed, Wanted, values_held
from components.stores.lake.folders import Folder
from components.stores.lake.reading import Reader, quote
from components.stores.lake.staging import ROW, Ids, Stage, marked
from components.stores.lake.tables import Commit, Lake

__all__ = [
    "ROW",
    "Commit",
    "Folder",
    "Ids",
    "Lake",
    "Reader",
    "Removed",
    "Rows",
    "Stage",
    "Wanted",
    "marked",
    "quote",
    "values_held",
]
