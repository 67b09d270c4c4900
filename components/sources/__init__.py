"""Anybody's data: open a source, complete the pipeline file from it, say what it held."""

from components.sources.completing import columns_of, resolve
from components.sources.delivering import Delivery, deliver, read_source
from components.sources.feeds import head, open_feed
from components.sources.files import data_files
from components.sources.parts import BATCH_ROWS, Feed, Part, frame_of

__all__ = [
    "BATCH_ROWS",
    "Delivery",
    "Feed",
    "Part",
    "columns_of",
    "data_files",
    "deliver",
    "frame_of",
    "head",
    "open_feed",
    "read_source",
    "resolve",
]
