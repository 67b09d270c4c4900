"""Which columns a pipeline reads, and whether a source has them."""

import difflib
from collections.abc import Iterable

from components.errors import PipelineFileError, SourceError
from components.pipelines import Pipeline, nearest
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID

LABEL_KNOWN = "label_known_time"
OWN_PREFIX = "_dw_"
"""Columns that start so are ours, for the length of a query."""

# Shorter names stand in many others by chance.
_FEWEST_LETTERS = 3


def needed_columns(pipeline: Pipeline) -> list[str]:
    """Name the columns of the source that a resolved pipeline reads, each once."""
    return list(dict.fromkeys([*roles(pipeline), *pipeline.columns]))


def roles(pipeline: Pipeline) -> dict[str, str]:
    """Columns that serve as more than a feature, with the field that names them.

    Where labels have a table of their own, target and label time are no columns of the source.
    """
    fields = ["time", "id", "entity", "updated"]
    if pipeline.labels is None:
        fields[1:1] = ["target"]
        fields.append("label_time")
    named = ((getattr(pipeline, field), field) for field in fields)
    return {column: field for column, field in named if column is not None}


def require_columns(present: Iterable[object], pipeline: Pipeline, *, part: str = "") -> None:
    """See that a source has the columns that nothing can be done without.

    A feature may be absent: its rows are still records, and the gap is written down (see
    :func:`absent_columns`). No column that is read may stand twice.

    Parameters
    ----------
    present : iterable of str
        The columns as they stand there.
    pipeline : Pipeline
    part : str
        What was looked at, for people; the whole source by default.

    Raises
    ------
    SourceError
        Names the column, the field of the pipeline file, the part and the nearest column.

    """
    names = list(present)
    where = _where(part, pipeline.source.shown)
    fields = {**dict.fromkeys(pipeline.columns, "columns"), **roles(pipeline)}
    for column, field in fields.items():
        if field == "columns" and column not in names:
            continue
        about = f"column {column!r} (field {field!r} of {pipeline.file.name or pipeline.name})"
        require_one(column, names, about, where)


def require_one(column: str, names: list[object], about: str, where: str) -> None:
    """See that a column stands in a part exactly once; `about` and `where` say it in words."""
    if names.count(column) == 1:
        return
    if column in names:
        raise SourceError(f"{about} stands twice in {where}; rename one of them")
    known = [str(name) for name in names]
    raise SourceError(
        f"{about} is not in {where}{nearest(column, known) or '.'} "
        f"It has: {', '.join(known) or 'no columns'}"
    )


def require_label_columns(present: Iterable[object], pipeline: Pipeline, *, part: str = "") -> None:
    """See that a table of labels has its id, its time and the target, each once.

    Raises
    ------
    SourceError
        Names the column, the field of the pipeline file, the part and the nearest column.

    """
    names, labels = list(present), pipeline.labels
    if labels is None:
        return
    where = _where(part, labels.shown)
    columns = {"labels.id": labels.id, "labels.time": labels.time, "target": pipeline.target}
    for field, column in columns.items():
        about = f"column {column!r} (field {field!r} of {pipeline.file.name or pipeline.name})"
        require_one(column, names, about, where)


def absent_columns(present: Iterable[object], pipeline: Pipeline) -> dict[str, str | None]:
    """Name the features that a part lacks, each with the nearest column that nobody reads."""
    names = [str(name) for name in present]
    read = {*needed_columns(pipeline), *pipeline.exclude}
    unread = [name for name in names if name not in read]
    absent = [column for column in pipeline.columns if column not in names]
    return {column: _likely(column, unread, alone=len(absent) == 1) for column in absent}


def _likely(column: str, unread: list[str], *, alone: bool) -> str | None:
    """Guess under which of the columns that nobody reads another one stands now."""
    near = difflib.get_close_matches(column, unread, n=1, cutoff=0.6)
    if near:
        return near[0]
    holding = [
        name
        for name in unread
        if min(len(name), len(column)) >= _FEWEST_LETTERS and (column in name or name in column)
    ]
    if holding:
        return holding[0]
    # One went and one came: it is the same one.
    return unread[0] if alone and len(unread) == 1 else None


def require_names(pipeline: Pipeline) -> None:
    """See that the features can stand as columns beside the keys of the tables.

    Raises
    ------
    PipelineFileError
        If one has the name of a key, or differs from another in case only.

    """
    seen = dict.fromkeys((RECORD_ID, EVENT_TIME, KNOWN_TIME, LABEL, LABEL_KNOWN), "a key")
    history = [feature.name for feature in pipeline.history]
    for name in dict.fromkeys([*pipeline.columns, *filter(None, [pipeline.entity]), *history]):
        other = seen.get(name.lower(), "a reserved word" if name.startswith(OWN_PREFIX) else "")
        if other or not name.strip():
            raise PipelineFileError(
                f"pipeline {pipeline.name}: feature {name!r} has the name of "
                f"{other or 'nothing'} in our tables (case does not count); rename the column, "
                "or put it under 'exclude'"
            )
        seen[name.lower()] = f"feature {name!r}"


def _where(part: str, source: str) -> str:
    return source if part in {"", source} else f"{part} of {source}"
