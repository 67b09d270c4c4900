"""What `init` gathers from the data: rows, labels, and how a row is named."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from components.errors import InvalidInputError, SourceError
from components.looking import (
    Roles,
    Survey,
    Truth,
    differing_claims,
    fingerprints,
    naming_columns,
    plausible_label_times,
    survey,
    truth_apart,
    truth_beside,
    unique_columns,
    unreadable_words,
)
from components.pipelines import Labels, Pipeline, nearest, parse_duration
from components.sources import Part, data_files, frame_of, open_feed
from components.values import parse_times
from driftwheel.drafting import Asked, Draft, knows_label_time

if TYPE_CHECKING:
    import pyarrow as pa

_HEAD_ROWS = 20_000
_HIDDEN = re.compile(r"(^|/)[._]")
_LEAST_READABLE = 0.5
_FEW_DISPUTED = 0.01
_WAYS = (
    "--label-delay 1d (every label is known so long after its event), --label-time COL (the "
    "column that says when) or --labels PATH --labels-id COL --labels-time COL (a table of "
    "their own)"
)


def say_the_ways(asked: Asked, draft: Draft) -> None:
    """Refuse to guess when labels are known; name the column that may say it."""
    roles = asked.roles
    found, shown = survey_source(asked, draft, roles, most=_HEAD_ROWS)
    likely = plausible_label_times(found, roles)
    hint = f" {shown} has a column that may say it: --label-time {likely[0]}." if likely else ""
    raise InvalidInputError(
        f"when a label becomes known must be said: a wrong guess would let the model see the "
        f"future. Give one of {_WAYS}.{hint}"
    )


def survey_source(
    asked: Asked, draft: Draft, roles: Roles, most: int | None = None
) -> tuple[Survey, str]:
    """Look through the source once."""
    stated = {} if knows_label_time(asked) else {"label_delay": "0s"}
    pipeline = draft.pipeline(**stated)
    feed = open_feed(pipeline.source, pipeline)
    options = {f"--{option.replace('_', '-')}": c for option, c in roles.named.items()}
    parts = list(feed.parts())
    _check_columns(parts, options, [*asked.exclude, *asked.keep], feed.shown)
    found = survey(_bounded(parts, most), roles)
    if not found.rows:
        raise SourceError(f"{feed.shown} is empty: it has no rows; check what writes it")
    if found.rows == 1:
        raise SourceError(f"{feed.shown} has one row; nothing can be learnt from it")
    return found, feed.shown


def _bounded(parts: Iterable[Part], most: int | None) -> "Iterator[pa.RecordBatch]":
    seen = 0
    for part in parts:
        for batch in part.batches():
            yield batch
            seen += batch.num_rows
            if most is not None and seen >= most:
                return


def _check_columns(
    parts: Sequence[Part], options: dict[str, str], named: Sequence[str], shown: str
) -> None:
    known = list(dict.fromkeys(name for part in parts for name in part.columns))
    if not parts:
        raise SourceError(f"{shown} is empty: it holds nothing to read")
    for option, column in {**options, **{f"--exclude/--keep {c}": c for c in named}}.items():
        if column not in known:
            raise SourceError(
                f"{option}: {shown} has no column {column!r}{nearest(column, known) or '.'} "
                f"It has: {', '.join(known[:40])}{', …' if len(known) > 40 else ''}"  # noqa: PLR2004 - a screenful
            )
        if any(part.columns.count(column) > 1 for part in parts):
            raise SourceError(
                f"{option}: column {column!r} stands twice in {shown}; rename one of them"
            )


def passed_over(pipeline: Pipeline) -> list[str]:
    """Name the files of a folder that are not read: a person may take them for data."""
    found = []
    for source in filter(None, (pipeline.source, pipeline.labels)):
        folder = None if source.path is None else pipeline.path_of(source)
        if folder is None or not folder.is_dir() or (folder / "_delta_log").is_dir():
            continue
        read = set(data_files(folder))
        names = [str(file.relative_to(folder)) for file in sorted(folder.rglob("*"))
                 if file.is_file() and file not in read]  # fmt: skip
        names = [name for name in names if not _HIDDEN.search(name)]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - as shown
            found.append(
                f"{folder} holds files that are not read, since their names say that they are "
                f"neither CSV nor Parquet: {', '.join(names[:3])}{more}"
            )
    return found


def check_times(found: Survey, asked: Asked, shown: str) -> None:
    """See that the columns that serve as times can be read as such."""
    options = {"event": asked.time, "updated": asked.updated, "label_known": asked.label_time}
    for fact, column in options.items():
        if column is None or fact not in found.facts:
            continue
        moments = found.moments[column]
        raw = found.sample[column]
        if not moments.given:
            raise SourceError(
                f"column {column!r} of {shown} is empty in every row; it must be a time"
            )
        if moments.unreadable > (1 - _LEAST_READABLE) * moments.given:
            from components.values import parse_times

            bad = raw[parse_times(raw).unreadable]
            raise SourceError(unreadable_words(bad, column, shown))
    if found.facts["event"].min() == found.facts["event"].max():
        raise SourceError(
            f"column {asked.time!r} of {shown} is {found.facts['event'].iloc[0]} in every row; is "
            "it the time of the event?"
        )


@dataclass(frozen=True, slots=True)
class Named:
    """How rows are named: by an id column, or by time and entity; and what was assumed."""

    id: str | None
    assumed: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()


def name_rows(asked: Asked, found: Survey, shown: str) -> Named:
    """See that rows can be told apart; pick an id where the time does not do it.

    Raises
    ------
    SourceError
        If nothing does: then a person has to say what names a row, or whom it is about.

    """
    roles = asked.roles
    key = [asked.id] if asked.id else [asked.time, *filter(None, [asked.entity])]
    disputed, example = differing_claims(found, key)
    words = " and ".join(key)
    if not disputed:
        return Named(asked.id, () if asked.id else (f"each row is named by its {words}",))
    shared = f"{disputed} rows share their {words} with another that differs, such as {example}"
    if asked.id is not None:
        return Named(asked.id, noticed=_of_shared_ids(asked, found, shared, shown))
    unique = [name for name in unique_columns(found, roles) if name not in asked.exclude]
    if unique:
        name = unique[0]
        return Named(name, (f"each row is named by {name} (--id {name}), since {shared}",))
    entities = naming_columns(found, roles) if asked.entity is None else []
    hint = f" {' or '.join(f'--entity {name}' for name in entities)} would do." if entities else ""
    if disputed <= _FEW_DISPUTED * len(found.sample):
        first = "the first stands, the others are set aside; --id COL tells them apart"
        return Named(None, noticed=(f"{shared}: {first}.{hint}",))
    raise SourceError(
        f"{words} does not name a row of {shown}: of {len(found.sample)}, {shared}. Say --id COL "
        f"(a column that names each row) or --entity COL (whom a row is about).{hint}"
    )


def _of_shared_ids(asked: Asked, found: Survey, shared: str, shown: str) -> tuple[str, ...]:
    """Say what becomes of rows that share their id; too many of them name no row.

    Raises
    ------
    SourceError
        If more than one of a hundred rows does, and no column says which of them is newer.

    """
    if asked.updated is not None:
        return ()
    ids = found.sample[str(asked.id)].dropna()
    again = int(ids.duplicated().sum())
    if again > _FEW_DISPUTED * len(found.sample):
        raise SourceError(
            f"--id {asked.id} does not name a row of {shown}: of {len(found.sample)} rows, {again} "
            f"repeat the id of an earlier one and say something else, such as "
            f"{ids[ids.duplicated()].iloc[0]}. Leave --id out where the time names a row, say "
            f"--entity {asked.id} where it names whom a row is about, or --updated COL where a "
            "later row corrects an earlier one"
        )
    newer = "the first stands, the others are set aside; --updated COL says which is newer"
    return (f"{shared}: {newer}",)


def same_ids(found: Survey, column: str | None) -> list[str]:
    """Say how many rows have an id that another row has, over all rows."""
    if column is None or "id" not in found.facts:
        return []
    ids = found.facts["id"]
    again = int(ids[ids != 0].duplicated().sum())
    nameless = int((ids == 0).sum())
    said = []
    if again:
        said.append(f"{column}: {again} rows have the id of an earlier row")
    if nameless:
        said.append(f"{column}: {nameless} rows have no id; they are set aside")
    return said


def find_truth(asked: Asked, draft: Draft, found: Survey, roles: Roles) -> Truth:
    """Find the labels: beside the data, or in a table of their own."""
    if asked.labels is None:
        stated = (
            None if asked.label_delay is None else pd.Timedelta(parse_duration(asked.label_delay))
        )
        truth = truth_beside(found, replace(roles, target=asked.target), stated)
        if asked.label_time is not None and not truth.delay.measured and truth.labelled:
            raise SourceError(
                f"--label-time {asked.label_time}: no row has both a label and a readable time "
                "there; is it the right column?"
            )
        return truth
    labels, shown = _label_rows(asked, draft)
    truth = truth_apart(found, roles, labels)
    if not truth.labelled:
        ids = found.sample[str(asked.id)].dropna().head(2).astype(str).tolist()
        others = labels["raw_id"].dropna().head(2).astype(str).tolist()
        raise SourceError(
            f"no label of {shown} names a row: --id {asked.id} holds {', '.join(ids)}, … and "
            f"--labels-id {asked.labels_id} holds {', '.join(others)}, …"
        )
    return truth


def _label_rows(asked: Asked, draft: Draft) -> tuple[pd.DataFrame, str]:
    """Read the table of labels: a fingerprint of the id, the time, the raw label."""
    pipeline = draft.pipeline()
    source = pipeline.labels
    if source is None:
        raise InvalidInputError("--labels needs --labels-id and --labels-time")
    feed = open_feed(source, pipeline)
    parts = list(feed.parts())
    options = {"--labels-id": source.id, "--labels-time": source.time, "--target": asked.target}
    _check_columns(parts, options, [], feed.shown)
    batches = (frame_of(batch) for part in parts for batch in part.batches())
    found = [_label_batch(raw, source, asked.target, feed.shown) for raw in batches if len(raw)]
    if not found:
        raise SourceError(f"{feed.shown} is empty: it has no labels; check what writes it")
    rows = pd.concat(found, ignore_index=True)
    return rows[rows["known"].notna()], feed.shown


def _label_batch(raw: pd.DataFrame, source: Labels, target: str, shown: str) -> pd.DataFrame:
    known = parse_times(raw[source.time])
    if known.unreadable.all():
        raise SourceError(unreadable_words(raw[source.time], source.time, shown))
    return pd.DataFrame(
        {
            "id": fingerprints(raw[source.id]),
            "raw_id": raw[source.id],
            "known": known.values,
            "label": raw[target],
        }
    )
