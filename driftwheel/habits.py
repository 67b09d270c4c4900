"""How a source writes numbers and days, found before anything else is read of it."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from components.errors import SourceError
from components.looking import Firsts, with_decimal_comma, writes_days
from components.pipelines import Source
from components.sources import frame_of, open_feed
from driftwheel.drafting import Asked, Draft, knows_label_time

_HEAD_ROWS = 20_000
_POSTGRES = ("postgresql", "postgres")


def find_habits(asked: Asked, draft: Draft) -> list[str]:
    """Say in the draft which columns write a decimal comma, the day or the month first.

    Returns
    -------
    list of str
        What was assumed, in words.

    Raises
    ------
    SourceError
        If no day tells whether it or the month comes first, and nobody says it.

    """
    told = _find(asked, draft, "source", [asked.time, asked.updated, asked.label_time])
    if asked.labels is not None:
        told += _find(asked, draft, "labels", [asked.labels_time])
    return told


def _find(asked: Asked, draft: Draft, field: str, times: Sequence[str | None]) -> list[str]:
    stated = {} if knows_label_time(asked) else {"label_delay": "0s"}
    pipeline = draft.pipeline(**stated)
    source = pipeline.source if field == "source" else pipeline.labels
    if source is None or _typed(source, draft):
        return []
    feed = open_feed(source, pipeline)
    frames = (frame_of(batch) for part in feed.parts() for batch in part.batches())
    head = list(_until(frames, _HEAD_ROWS))
    texts = _texts(head)
    told, fields = list[str](), draft.fields[field]
    named = {asked.id, asked.entity, asked.labels_id}
    commas = with_decimal_comma({name: raw for name, raw in texts.items() if name not in named})
    if commas:
        fields["decimal_comma"] = commas
        shown = ", ".join(commas[:6]) + (", …" if len(commas) > 6 else "")  # noqa: PLR2004 - a line
        told.append(f"a decimal comma, as in {_example(texts[commas[0]], ',')}, in {shown}")
    for name in dict.fromkeys(filter(None, times)):
        if name in texts and writes_days(texts[name]):
            order = _order(name, texts[name], frames, asked, feed.shown)
            fields.setdefault(order, []).append(name)
            first = order.removesuffix("_first")
            told.append(f"{name} writes the {first} first, as in {_example(texts[name], '')}")
    return told


def _typed(source: Source, draft: Draft) -> bool:
    """Say whether a source gives numbers and times as such; a query is not asked twice."""
    if source.url is None:
        return False
    address = draft.addresses.get(source.url[2:-1])
    return address is not None and address.url.startswith(_POSTGRES)


def _until(frames: Iterator[pd.DataFrame], most: int) -> Iterator[pd.DataFrame]:
    seen = 0
    for frame in frames:
        yield frame
        seen += len(frame)
        if seen >= most:
            return


def _texts(frames: Sequence[pd.DataFrame]) -> dict[str, pd.Series]:
    """Join the columns that are text in each of some frames."""
    found: dict[str, Any] = {}
    for frame in frames:
        for name in frame.columns:
            if isinstance(frame[name].dtype, pd.StringDtype):
                found.setdefault(name, []).append(frame[name])
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}


def _order(
    name: str, head: pd.Series, rest: Iterator[pd.DataFrame], asked: Asked, shown: str
) -> str:
    firsts = Firsts().with_those_of(head)
    if firsts.order is None and not firsts.contradictory:
        for frame in rest:
            firsts = firsts.with_those_of(frame[name])
            if firsts.order is not None:
                break
    if firsts.contradictory:
        raise SourceError(
            f"column {name!r} of {shown} writes some days with the day first and others with the "
            "month first; write them in ISO, such as 2026-01-31 05:00:00"
        )
    stated = None if asked.dates is None else asked.dates.replace("-", "_")
    if stated and firsts.order not in {None, stated}:
        raise SourceError(
            f"--dates {asked.dates}: column {name!r} of {shown} writes days such as "
            f"{_example(head, '')}, and one of them has a month above 12 so read"
        )
    order = stated or firsts.order
    if order is None:
        raise SourceError(
            f"column {name!r} of {shown} writes days such as {_example(head, '')}, none of them "
            "above 12: whether day or month comes first cannot be told. Say --dates day-first or "
            "--dates month-first"
        )
    return order


def _example(raw: pd.Series, holding: str) -> str:
    found = raw[raw.notna() & raw.str.contains(holding, regex=False, na=False)]
    return str(found.iloc[0])[:40]
