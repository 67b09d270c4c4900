"""Fill what a pipeline file leaves to the data: its columns and its task."""

from typing import Literal

import pandas as pd

from components.checks import needed_columns, require_columns, require_names
from components.errors import PipelineFileError, SourceError
from components.pipelines import Column, Pipeline, Source
from components.pipelines.possible import unkept_cuts
from components.sources.feeds import open_feed
from components.sources.parts import Feed, frame_of, once
from components.values import parse_numbers, parse_text

_HEAD_ROWS = 10_000

# A numeric target of more distinct values than this is a quantity, of fewer a class.
_MOST_CLASSES = 20
_BOTH = 2
# Text of which more than half the values are distinct names rows; there is nothing to learn.
_FEWEST_TO_TELL = 50


def resolve(pipeline: Pipeline) -> Pipeline:
    """Fill what a pipeline file leaves to the data: its columns and its task.

    Columns that serve as time, target, id and so on are left out, and so are times, names
    (text of which most values are distinct) and columns without a value. The source is
    read only if something is missing; then its first 10,000 rows decide, or as many more
    as it takes until every column has a value and the target varies.

    Raises
    ------
    SourceError
        If the source cannot be read, leaves no feature, or its target never varies.
    StoreUnreachableError
        If it is a database that does not answer.
    PipelineFileError
        If a feature has a name that the tables need themselves, or a slice or sensitive column
        is no feature.

    """
    if pipeline.columns and pipeline.task is not None:
        return pipeline
    apart = pipeline.labels is not None
    target = None if apart else pipeline.target
    found = _Sample(open_feed(pipeline.source, pipeline), target, pipeline).values
    columns = pipeline.columns or _columns_of(found, pipeline)
    if not (columns or pipeline.history):
        raise SourceError(
            f"{pipeline.source.shown} leaves no feature to learn from besides time and target; "
            "name some under 'columns', or what is made of the past under 'history'"
        )
    task = pipeline.task or _task_of(_target_of(found, pipeline), pipeline)
    resolved = pipeline.model_copy(update={"columns": columns, "task": task})
    require_names(resolved)
    if problem := unkept_cuts(resolved):
        raise PipelineFileError(f"pipeline {pipeline.name}: {problem}")
    return resolved


def columns_of(source: Source, pipeline: Pipeline) -> tuple[str, ...]:
    """Name the columns of a source, of all its parts, in the order in which they turn up.

    Raises
    ------
    SourceError, StoreUnreachableError
        If it cannot be read.

    """
    parts = open_feed(source, pipeline).parts()
    return tuple(dict.fromkeys(name for part in parts for name in part.columns))


def _target_of(found: dict[str, pd.Series], pipeline: Pipeline) -> pd.Series:
    if pipeline.labels is None:
        return found[pipeline.target]
    labels = _Sample(open_feed(pipeline.labels, pipeline), pipeline.target, None).values
    if pipeline.target not in labels:
        raise SourceError(
            f"column {pipeline.target!r} (field 'target') is not in {pipeline.labels.shown}. "
            f"It has: {', '.join(labels) or 'no rows yet; name the task in the pipeline file'}"
        )
    return labels[pipeline.target]


class _Sample:
    """Values of every column of a source: of its first rows, and of later ones where needed.

    Parameters
    ----------
    feed : Feed
    target : str, optional
        The column that must vary, where it stands here.
    pipeline : Pipeline, optional
        Whose columns must be there.

    Attributes
    ----------
    values : dict of str to Series
        As they stand there; a column that is all missing has no value anywhere.

    """

    def __init__(self, feed: Feed, target: str | None, pipeline: Pipeline | None) -> None:
        self._target = target
        self._rows = 0
        parts = list(feed.parts())
        self.values = {name: pd.Series(dtype=object) for p in parts for name in once(p.columns)}
        for part in parts:
            if pipeline is not None:
                require_columns(part.columns, pipeline, part=part.name)
            for batch in part.batches():
                self._take(frame_of(batch))
                if self._decided():
                    return
        if not self._rows:
            raise SourceError(f"{feed.shown} is empty: it has no rows; check what writes it")

    def _take(self, frame: pd.DataFrame) -> None:
        room = max(_HEAD_ROWS - self._rows, 0)
        self._rows += len(frame)
        head, rest = frame.iloc[:room], frame.iloc[room:]
        for name in frame.columns:
            self._add(name, head[name])
            if len(rest) and self._open(name):
                later = rest[name].dropna()
                self._add(name, _each_once(later) if name == self._target else later[:_HEAD_ROWS])

    def _add(self, name: str, given: pd.Series) -> None:
        known = self.values[name]
        if not given.empty:
            some = [given] if known.empty else [known, given]
            self.values[name] = pd.concat(some, ignore_index=True)

    def _open(self, name: str) -> bool:
        """Say whether a column is undecided after the first rows."""
        values = self.values[name]
        if name == self._target:
            return True
        return bool(values.isna().all())

    def _decided(self) -> bool:
        if self._rows < _HEAD_ROWS:
            return False
        if self._target in self.values and len(_each_once(self.values[self._target])) < _BOTH:
            return False
        return not any(values.isna().all() for values in self.values.values())


def _each_once(values: pd.Series) -> pd.Series:
    text = parse_text(values).values
    return values[~text.duplicated() & text.notna()]


def _columns_of(found: dict[str, pd.Series], pipeline: Pipeline) -> dict[str, Column]:
    taken = {*needed_columns(pipeline), pipeline.target, *pipeline.exclude}
    kinds = {name: _kind_of(values) for name, values in found.items() if name not in taken}
    return {name: Column(kind=kind) for name, kind in kinds.items() if kind is not None}


def _kind_of(values: pd.Series) -> Literal["number", "category"] | None:
    """Tell a number from a category; None for what a model cannot use."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or values.isna().all():
        return None
    if not parse_numbers(values).unreadable.any():
        return "number"
    text = parse_text(values)
    given = text.values.dropna()
    if text.unreadable.any() or given.empty:
        return None
    names = len(given) >= _FEWEST_TO_TELL and given.nunique() > len(given) / 2
    return None if names else "category"


def _task_of(target: pd.Series, pipeline: Pipeline) -> str:
    numbers = parse_numbers(target)
    values = numbers.values if not numbers.unreadable.any() else parse_text(target).values
    distinct = values.nunique()
    if distinct < _BOTH:
        where = (pipeline.labels or pipeline.source).shown
        raise SourceError(
            f"target {pipeline.target!r} in {where} must take at least two values. "
            f"Got {distinct}; is it the right column?"
        )
    if not numbers.unreadable.any() and distinct > _MOST_CLASSES:
        return "regression"
    return "binary" if distinct == _BOTH else "multiclass"
