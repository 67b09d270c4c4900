"""What each column holds: numbers, categories, or something that no model should see."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from components.looking.bounds import OPEN, Bounds, bounds_of, is_whole
from components.looking.surveying import Survey
from components.looking.times import epoch_unit, looks_like_times
from components.looking.writing import writes_days
from components.values import Parsed, parse_numbers, parse_text

Kind = Literal["number", "category"]

MANY_CATEGORIES = 200
"""A category of more values than this is noticed: each is learnt from few rows."""

# Text of which more than half the values are distinct names rows; there is nothing to learn.
_NAMES = 0.5
_FEWEST_TO_TELL = 50
# A number with at most this share of words in it is one: the words are set aside.
_FEW_WORDS = 0.02
_LONG_TEXT, _MANY_WORDS = 60, 6
_ROWS_FOR_NO_NULLS = 1_000
_MOST_NUMBERED = 20
_CLOSE = 2
_LONGEST_NAME = 300
_SEEN_OFTEN = 5
_FLAG = 2
_NAMES_A_THING = re.compile(r"(^|_)(id|uuid|guid|key)$|[a-z]I[Dd]$", re.IGNORECASE)
# Singular, and at the end: `customers` counts them, `customer_age` measures one.
_IS_A_THING = re.compile(
    r"(^|_)(customer|client|user|member|patient|account|device|sensor|machine|vehicle|store|shop|"
    r"station|product|item|sku|article|supplier|vendor|seller|merchant|employee|driver|courier|"
    r"zip|zip_?code|post_?code|postal_code|barcode|ean|phone)$",
    re.IGNORECASE,
)
_COUNTS_ROWS = re.compile(
    r"(^|_)(seq|index|idx|row|rownum|no|nr|number|id|unnamed.*)$", re.IGNORECASE
)
_DECORATED = (
    r"\s*[+-]?[^\w\s.,]{0,2}\s?(?:[A-Z]{3}\s?)?[+-]?\d[\d.,' ]*\s?(?:[^\W\d]{0,4}|[^\w\s]{1,2})\s*"
)
_A_DAY = re.compile(r"(date|day|dt)$|^date", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one column holds.

    Attributes
    ----------
    name : str
    kind : {"number", "category"} or None
        None: left out, for `reason`.
    nulls : float
        Share of all rows without a value.
    may_be_null : bool
        False where many rows hold it and none lacks it.
    distinct : int
        Values in the sample.
    shown : str
        The values, in a few words.
    bounds : Bounds
        What a number may be; open where nothing can be said.
    noticed : tuple of str
        What a person should know of it.

    """

    name: str
    kind: Kind | None
    reason: str = ""
    nulls: float = 0.0
    may_be_null: bool = True
    distinct: int = 0
    shown: str = ""
    bounds: Bounds = OPEN
    noticed: tuple[str, ...] = ()


def look_at_column(name: str, survey: Survey) -> Seen:
    """Look at one column of a source.

    Parameters
    ----------
    name : str
        One of ``survey.columns``.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from components.looking.surveying import Roles, survey
    >>> batch = pa.RecordBatch.from_pydict({"at": ["2026-01-01"] * 3, "x": ["1", "2", "2"]})
    >>> look_at_column("x", survey([batch], Roles("at"))).kind
    'number'

    """
    raw = survey.sample[name]
    nulls = survey.nulls[name] / max(survey.rows, 1)
    if survey.nulls[name] == survey.rows:
        return Seen(name, None, "holds no value", nulls=1.0)
    if len(name) > _LONGEST_NAME:
        return Seen(name, None, "its name is longer than a name can be", nulls=nulls)
    if looks_like_times(raw) or writes_days(raw):
        return Seen(name, None, "is a time, which no model can use as it is", nulls=nulls)
    numbers = parse_numbers(raw)
    given = len(raw) - int(raw.isna().sum())
    words = int(numbers.unreadable.sum())
    if words <= _FEW_WORDS * given and numbers.values.notna().any():
        return _number(name, raw, numbers, survey)
    return _category(name, raw, survey)


def look_at_entity(name: str, survey: Survey) -> Seen:
    """Look at the column that says whom a record is about: a name, however it is written.

    Its values are never taken as numbers, for then the next one would lie beyond the largest
    seen. Where few come again and again they are a category; else a model learns nothing from
    them that would hold for the next, and they are left out.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from components.looking.surveying import Roles, survey
    >>> batch = pa.RecordBatch.from_pydict({"at": ["2026-01-01"] * 12, "who": [1, 2] * 6})
    >>> look_at_entity("who", survey([batch], Roles("at"))).kind
    'category'

    """
    given = parse_text(survey.sample[name]).values.dropna()
    distinct = int(given.nunique())
    nulls = survey.nulls[name] / max(survey.rows, 1)
    if distinct > MANY_CATEGORIES or 0 < len(given) < _SEEN_OFTEN * distinct:
        each = len(given) / distinct
        reason = (
            f"names whom a record is about: {distinct} in {len(given)} rows, and new ones to come"
            if each < _SEEN_OFTEN
            else f"names whom a record is about: {distinct} of them, and new ones to come"
        )
        return Seen(name, None, reason, nulls=nulls, distinct=distinct)
    return _category(name, survey.sample[name], survey)


def _number(name: str, raw: pd.Series, parsed: Parsed, survey: Survey) -> Seen:
    values = parsed.values[np.isfinite(parsed.values)]
    nulls = _missing(name, parsed, survey)
    distinct = int(values.nunique())
    noticed = []
    words = raw[parsed.unreadable].astype(str).unique()[:3].tolist()
    if words:
        noticed.append(
            f"{name}: a number, but {int(parsed.unreadable.sum())} values are words such as "
            f"{words[0]!r}; rows with them are set aside"
        )
    if not distinct:
        return Seen(name, None, "holds no finite number", nulls=nulls)
    if distinct == 1 and not nulls:
        return Seen(name, None, f"is always {values.iloc[0]:g}", nulls=nulls, distinct=1)
    reason = _no_measure(name, values, survey)
    if reason:
        return Seen(name, None, reason, nulls=nulls, distinct=distinct)
    if is_whole(values) and _names_things(name, distinct):
        return _numbered(name, distinct, nulls, survey)
    bounds = bounds_of(name, values)
    if bounds.odd:
        noticed.append(f"{name}: {bounds.odd}")
    return Seen(
        name, "number", nulls=nulls, may_be_null=nulls > 0 or survey.rows < _ROWS_FOR_NO_NULLS,
        distinct=distinct,
        shown=f"{_short(values.min())} … {_short(values.max())}", bounds=bounds,
        noticed=tuple(noticed),
    )  # fmt: skip


def _no_measure(name: str, values: pd.Series, survey: Survey) -> str:
    """Say why numbers are no measure: they count rows, or write times."""
    whole = is_whole(values)
    unit = epoch_unit(values) if whole else ""
    if unit and re.search(r"time|date|_at$|^ts$|_ts$|stamp|epoch", name, re.IGNORECASE):
        return f"is a time ({unit} since 1970), which no model can use as it is"
    if whole and _A_DAY.search(name) and len(values) >= _FEWEST_TO_TELL:
        days = pd.to_datetime(values.astype("int64").astype(str), format="%Y%m%d", errors="coerce")
        if days.notna().all():
            return "is a date written as a number, which no model can use as it is"
    if len(values) < _MOST_NUMBERED or not whole or not values.is_unique:
        return ""
    # As many different whole numbers as rows, close together: whatever their order.
    if values.max() - values.min() < _CLOSE * survey.rows:
        return "only numbers the rows"
    if _COUNTS_ROWS.search(name):
        return "names the rows: no two are alike"
    return ""


def _names_things(name: str, distinct: int) -> bool:
    """Say whether whole numbers name things; a flag, as whether one is a member, does not."""
    return bool(_NAMES_A_THING.search(name) or (distinct > _FLAG and _IS_A_THING.search(name)))


def _numbered(name: str, distinct: int, nulls: float, survey: Survey) -> Seen:
    """Judge numbers that name things: their size means nothing."""
    if distinct > MANY_CATEGORIES:
        return Seen(
            name, None,
            f"is an id by its name, of {distinct} things; --entity {name} makes it the one that "
            "a record is about",
            nulls=nulls, distinct=distinct,
        )  # fmt: skip
    noticed = f"{name}: numbers that name things by its name; taken as a category"
    return Seen(
        name, "category", nulls=nulls, may_be_null=_may_be_null(name, survey), distinct=distinct,
        shown=f"{distinct} values", noticed=(noticed,),
    )  # fmt: skip


def _category(name: str, raw: pd.Series, survey: Survey) -> Seen:
    nulls = survey.nulls[name] / survey.rows
    parsed = parse_text(raw)
    given = parsed.values.dropna()
    if parsed.unreadable.any() or given.empty:
        return Seen(name, None, "holds neither numbers nor text", nulls=nulls)
    distinct = int(given.nunique())
    if distinct == 1 and not nulls:
        return Seen(name, None, f"is always {given.iloc[0][:40]!r}", nulls=nulls, distinct=1)
    if len(given) >= _FEWEST_TO_TELL and distinct > _NAMES * len(given):
        reason = f"names things: {distinct} of {len(given)} values differ"
        if given.str.fullmatch(_DECORATED).mean() >= 1 - _FEW_WORDS:
            plain = "write it plainly, such as 1234.5, to use it"
            reason = f"is a number written with signs, such as {given.iloc[0][:24]!r}: {plain}"
        if _is_prose(given):
            reason = "is free text"
        return Seen(name, None, reason, nulls=nulls, distinct=distinct)
    if distinct > MANY_CATEGORIES and _is_prose(given):
        return Seen(name, None, "is free text", nulls=nulls, distinct=distinct)
    noticed: tuple[str, ...] = ()
    if distinct > MANY_CATEGORIES:
        words = (
            f"{name}: {distinct} different values; each is learnt from few rows (--exclude {name} "
            f"leaves it out, --entity {name} makes it the one that a record is about)"
        )
        noticed = (words,)
    common = given.value_counts().index[:4].tolist()
    shown = ", ".join(str(value)[:24] for value in common)
    return Seen(
        name, "category", nulls=nulls, may_be_null=_may_be_null(name, survey), distinct=distinct,
        shown=shown if distinct <= len(common) else f"{distinct} values: {shown}, …",
        noticed=noticed,
    )  # fmt: skip


def _missing(name: str, parsed: Parsed, survey: Survey) -> float:
    """Give the share of rows without a number; words for nothing, as N/A, are counted too."""
    words = float((parsed.values.isna() & ~parsed.unreadable).mean()) if len(parsed.values) else 0.0
    return max(survey.nulls[name] / survey.rows, words)


def _may_be_null(name: str, survey: Survey) -> bool:
    return survey.nulls[name] > 0 or survey.rows < _ROWS_FOR_NO_NULLS


def _is_prose(given: pd.Series) -> bool:
    few = given.iloc[:1_000]
    return bool(few.str.len().mean() > _LONG_TEXT or few.str.count(" ").mean() + 1 >= _MANY_WORDS)


def _short(value: float) -> str:
    return f"{value:.6g}"
