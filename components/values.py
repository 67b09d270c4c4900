"""Read raw values of any type as numbers, text or times, and say which cannot be read.

What stands in a file decides nothing here: `"7"`, `7` and `7.0` are the same number, and
the same category `7`. Missing is not unreadable: it comes back as NaN, None or NaT.
"""

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

EARLIEST = pd.Timestamp("1900-01-01", tz="UTC")
LATEST = pd.Timestamp("2261-12-31", tz="UTC")
"""Times outside are unreadable: libraries that count nanoseconds end there."""

# Words for a missing number. In a category they are values: NA is also a country.
_MISSING_NUMBER = frozenset({"", "na", "n/a", "nan", "null", "none"})
_WHOLE = 2.0**53
# 1974-10-03 and 2255-03-14: each finer scale begins where the one before it has ended.
_FIRST_SECOND, _LAST_SECOND = 1.5e8, 9e9
_EPOCH = r"\d{9,10}(?:\.\d+)?|\d{12,13}|\d{15,16}|\d{18,19}"
_STARTS_LIKE_A_DATE = re.compile(r"\d{4}-?\d\d")


@dataclass(frozen=True, slots=True)
class Parsed:
    """Values that were read, and where that failed.

    Attributes
    ----------
    values : Series of shape (n,)
        float64, str or datetime64[us, UTC]; missing where the value is, or cannot be read.
    unreadable : ndarray of bool, shape (n,)

    """

    values: pd.Series
    unreadable: "NDArray[np.bool_]"

    def only(self, rows: "NDArray[np.bool_]") -> "Parsed":
        """Keep some rows, numbered from 0."""
        return Parsed(self.values[rows].reset_index(drop=True), self.unreadable[rows])


def parse_numbers(raw: pd.Series) -> Parsed:
    """Read numbers; infinities are read, and left to the caller to judge.

    >>> parsed = parse_numbers(pd.Series(["7", "", "seven"]))
    >>> list(parsed.values), parsed.unreadable.tolist()
    ([7.0, nan, nan], [False, False, True])
    """
    if _is_text(raw):
        return _numbers_of_text(raw)
    if pd.api.types.is_bool_dtype(raw.dtype) or pd.api.types.is_numeric_dtype(raw.dtype):
        if not pd.api.types.is_complex_dtype(raw.dtype):
            plain = raw.to_numpy(dtype=np.float64, na_value=np.nan)
            return Parsed(pd.Series(plain, index=raw.index), np.zeros(len(raw), dtype=bool))
        return _nothing_of(raw, pd.Series(np.nan, index=raw.index, dtype=np.float64))
    found = [_number(value) for value in raw]
    values = pd.Series([math.nan if x is None else x for x in found], raw.index, np.float64)
    return Parsed(values, np.array([x is None for x in found], dtype=bool))


def parse_text(raw: pd.Series) -> Parsed:
    """Read categories as text; an empty text is missing.

    >>> list(parse_text(pd.Series([1.0, 2.5, None])).values.astype(object).fillna("-"))
    ['1', '2.5', '-']
    """
    if _is_text(raw):
        return Parsed(raw.astype("str").where(raw.ne("")), np.zeros(len(raw), dtype=bool))
    if raw.dtype == object:
        found = [_text(value) for value in raw]
    elif _is_whole(raw.dtype):
        # A million ids one by one take 5 s, at once 50 ms.
        written = pa.array(raw, from_pandas=True).cast(pa.string())
        values = pd.Series(written, index=raw.index, dtype="str")
        return Parsed(values, np.zeros(len(raw), dtype=bool))
    else:
        codes, distinct = pd.factorize(raw)
        names = [*(_text(value) for value in distinct), ""]  # the code -1 is missing
        found = [names[code] for code in codes]
    values = pd.Series([text or None for text in found], index=raw.index, dtype="str")
    return Parsed(values, np.array([text is None for text in found], dtype=bool))


def parse_times(raw: pd.Series) -> Parsed:
    """Read times: ISO text, datetimes, dates or epoch numbers; a naive one is UTC.

    A number counts seconds since 1970, or thousandths, millionths or milliardths of them: its
    size says which, since no two of these scales overlap between 1975 and 2255. Other numbers
    are unreadable.

    >>> parse_times(pd.Series(["2011-01-01 05:00", "5 o'clock"])).values[0]
    Timestamp('2011-01-01 05:00:00+0000', tz='UTC')
    """
    if isinstance(raw.dtype, pd.DatetimeTZDtype):
        moments = raw.dt.tz_convert("UTC")
    elif pd.api.types.is_datetime64_dtype(raw.dtype):
        moments = raw.dt.tz_localize("UTC")
    elif _is_text(raw):
        text = raw.str.strip()
        likely = text.str.match(_STARTS_LIKE_A_DATE).fillna(value=False).astype(bool)
        # Without the look at its start, "now" and "today" are read off the wall clock.
        counted = text.str.fullmatch(_EPOCH).fillna(value=False).astype(bool)
        given = text.where(likely & ~counted)
        moments = pd.to_datetime(given, utc=True, errors="coerce", format="ISO8601")
        if counted.any():
            moments = moments.dt.as_unit("us").where(~counted, _since_1970(text.where(counted)))
    elif raw.dtype == object or isinstance(raw.dtype, pd.CategoricalDtype):
        moments = pd.Series([_moment(value) for value in raw], raw.index, "datetime64[us, UTC]")
    elif _counts(raw.dtype):
        moments = _since_1970(raw)
    else:
        nothing = pd.Series(pd.NaT, index=raw.index, dtype="datetime64[us, UTC]")
        return _nothing_of(raw, nothing)
    moments = moments.where((moments >= EARLIEST) & (moments <= LATEST)).dt.as_unit("us")
    return Parsed(moments, _given(raw) & moments.isna().to_numpy(dtype=bool))


def _counts(dtype: Any) -> bool:
    """Tell numbers that may count seconds: neither truth values nor complex ones."""
    return (
        pd.api.types.is_numeric_dtype(dtype)
        and not pd.api.types.is_bool_dtype(dtype)
        and not pd.api.types.is_complex_dtype(dtype)
    )


def _since_1970(counts: pd.Series) -> pd.Series:
    """Read epoch numbers; NaT where the size fits no scale."""
    read = pd.to_numeric(counts, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    micros = np.full(len(read), np.nan)
    for step, to_micros in ((1.0, 1e6), (1e3, 1e3), (1e6, 1.0), (1e9, 1e-3)):
        fits = (read >= _FIRST_SECOND * step) & (read < _LAST_SECOND * step)
        micros[fits] = read[fits] * to_micros
    known = np.isfinite(micros)
    whole = np.where(known, np.rint(micros), 0).astype(np.int64)
    moments = pd.Series(whole.astype("datetime64[us]"), index=counts.index).dt.tz_localize("UTC")
    return moments.where(known)


def _is_whole(dtype: Any) -> bool:
    """Tell whole numbers, not booleans; not sparse ones, which arrow does not take."""
    return pd.api.types.is_integer_dtype(dtype) and not isinstance(dtype, pd.SparseDtype)


def _is_text(raw: pd.Series) -> bool:
    return isinstance(raw.dtype, pd.StringDtype)


def _given(raw: pd.Series) -> "NDArray[np.bool_]":
    """Mark the values that are not missing."""
    if raw.dtype == object:
        empty = (is_missing(value) or (isinstance(value, str) and not value) for value in raw)
        return ~np.fromiter(empty, dtype=bool, count=len(raw))
    given = raw.notna() & raw.ne("") if _is_text(raw) else raw.notna()
    return given.to_numpy(dtype=bool)


def _nothing_of(raw: pd.Series, nothing: pd.Series) -> Parsed:
    return Parsed(nothing, _given(raw))


def _numbers_of_text(raw: pd.Series) -> Parsed:
    text = raw.str.strip()
    missing = text.isna() | text.str.lower().isin(_MISSING_NUMBER)
    given = text.where(~missing)
    try:
        read = pa.array(given, from_pandas=True).cast(pa.float64())
        numbers = read.to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # one that is no number, or written as only Python reads it
        numbers = np.asarray(pd.to_numeric(given.astype(object), errors="coerce"), np.float64)
    values = pd.Series(np.asarray(numbers, dtype=np.float64), index=raw.index)
    return Parsed(values, (~missing & values.isna()).to_numpy(dtype=bool))


def _number(value: Any) -> float | None:
    """Read one number; None when it is none, NaN when it is missing."""
    if is_missing(value):
        return math.nan
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _MISSING_NUMBER:
            return math.nan
        value = None if "_" in text else text
    if not isinstance(value, (bool, int, float, np.bool_, np.number, Decimal, str)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (ValueError, TypeError):
        return None


def _text(value: Any) -> str | None:
    """Write one category; None when it is none, empty when it is missing."""
    if is_missing(value):
        return ""
    if isinstance(value, (float, np.floating)):
        value = float(value)
        if math.isinf(value):
            return None
        return str(int(value)) if value == int(value) and abs(value) < _WHOLE else repr(value)
    if isinstance(value, (bool, int, np.bool_, np.integer, Decimal)):
        return str(value)
    if not isinstance(value, str):
        return None
    return value if value.isascii() or _is_utf8(value) else None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        value = value.strip() if _STARTS_LIKE_A_DATE.match(value.strip()) else None
        moment = pd.to_datetime(value, utc=True, errors="coerce", format="ISO8601")
        return moment if value is not None else pd.NaT
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _since_1970(pd.Series([value])).iloc[0]
    if not isinstance(value, (datetime, date, np.datetime64)) or is_missing(value):
        return pd.NaT
    try:
        moment = pd.Timestamp(value)
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    except (ValueError, OverflowError):
        return pd.NaT
    return moment if EARLIEST <= moment <= LATEST else pd.NaT


def is_missing(value: Any) -> bool:
    """Say whether one raw value of any type is missing; an array or a list is not."""
    if isinstance(value, Decimal):
        return value.is_nan()  # pandas cannot compare a signalling NaN
    found = pd.isna(value)
    return found is True or found is np.True_
