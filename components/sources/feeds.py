"""Open a source, whatever its kind; which one it is, its content tells."""

from datetime import timedelta
from functools import partial

import pandas as pd

from components.checks import needed_columns
from components.errors import SourceError
from components.pipelines import Pipeline
from components.pipelines.data import Labels, Source
from components.sources.databases import DatabaseFeed
from components.sources.delta import DeltaFeed, is_delta
from components.sources.files import FileFeed
from components.sources.functions import FunctionFeed
from components.sources.parts import Feed, frame_of
from components.sources.written import WrittenFeed

_CODE = "code"
_PIPELINES = "pipelines"


def open_feed(source: Source, pipeline: Pipeline) -> Feed:
    """Open the source of a pipeline, or its table of labels; nothing is read yet.

    Raises
    ------
    SourceError
        If an address is not known here.

    """
    feed = _as_it_stands(source, pipeline)
    odd = source.decimal_comma or source.day_first or source.month_first
    return WrittenFeed(feed, source) if odd else feed


def _as_it_stands(source: Source, pipeline: Pipeline) -> Feed:
    needed = tuple(_needed(source, pipeline))
    if source.url is not None:
        return DatabaseFeed(source, pipeline, _address(source, pipeline), needed)
    if source.python is not None:
        return _function(source, pipeline, needed)
    path = pipeline.path_of(source)
    if is_delta(path):
        return DeltaFeed(path, needed)
    field = "labels.path" if isinstance(source, Labels) else "source.path"
    named_in = f"'{field}' of {pipeline.file}, relative to that file"
    return FileFeed(path, needed, needed or needed_columns(pipeline), named_in)


def _function(source: Source, pipeline: Pipeline, needed: tuple[str, ...]) -> FunctionFeed:
    folder = pipeline.file.resolve().parent
    home = folder.parent if folder.name == _PIPELINES else folder
    waits = None if isinstance(source, Labels) else pipeline.label_delay
    return FunctionFeed(
        name=str(source.python),
        folder=home / _CODE,
        needed=needed,
        waits=waits or timedelta(),
        hidden=partial(_hide, pipeline=pipeline),
    )


def head(source: Source, pipeline: Pipeline, rows: int) -> pd.DataFrame:
    """Read the first rows of a source, and no more; columns that stand twice are left out.

    Raises
    ------
    SourceError, StoreUnreachableError
        If it cannot be read.

    """
    found: list[pd.DataFrame] = []
    count = 0
    for part in open_feed(source, pipeline).parts():
        batches = part.batches()
        while count < rows and (batch := next(batches, None)) is not None:
            taken = batch.slice(0, rows - count)
            found.append(frame_of(taken))
            count += taken.num_rows
        if count >= rows:
            break
    return together(found)


def together(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Join frames of raw rows, numbered from 0; a column that one lacks is missing there."""
    if not frames:
        return pd.DataFrame()
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _needed(source: Source, pipeline: Pipeline) -> list[str]:
    """Name the columns to read; none means all, while the pipeline names no features."""
    if isinstance(source, Labels):
        return [source.id, source.time, pipeline.target]
    if not pipeline.columns:
        return []
    needed = needed_columns(pipeline)
    if pipeline.labels is None:
        return needed
    return [name for name in needed if name != pipeline.target or name in pipeline.columns]


def _address(source: Source, pipeline: Pipeline) -> str:
    try:
        return pipeline.address_of(source)
    except ValueError as problem:
        raise SourceError(str(problem)) from problem


def _hide(text: str, *, pipeline: Pipeline) -> str:
    """Take addresses and passwords out of a text that the user's own code has written."""
    from components.stores.sql import hide_password

    for name, address in pipeline.places.items():
        text = hide_password(text.replace(address, f"${{{name}}}"), address)
    return text
