"""Read numbers and days that are written as in many countries, before anything else reads them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.pipelines import Source
from components.sources.parts import Feed, Part

_COMMA = r"^\s*[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?\s*$"
_DAY = (
    r"^\s*(?P<first>\d{1,2})[./-]\s?(?P<second>\d{1,2})[./-]\s?(?P<year>\d{4}|\d{2})"
    r"(?:(?:[T,]|\s)\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second_of>\d{2})"
    r"(?P<rest>\.\d+)?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?\s*$"
)
_FULL_YEAR, _LAST_CENTURY = 100, 69
_NOON = 12


@dataclass(frozen=True, slots=True)
class WrittenFeed:
    """A source some columns of which are written otherwise than the loop reads them.

    Parameters
    ----------
    feed : Feed
    source : Source
        Names the columns: `decimal_comma`, `day_first`, `month_first`.

    """

    feed: Feed
    source: Source

    @property
    def shown(self) -> str:
        """As the feed itself."""
        return self.feed.shown

    def parts(self, *, since: pd.Timestamp | None = None) -> Iterator[Part]:
        """List the parts of the feed; their rows come rewritten."""
        for part in self.feed.parts(since=since):
            yield Part(part.name, part.columns, partial(self._batches, part), part.fingerprint)

    def _batches(self, part: Part) -> Iterator[pa.RecordBatch]:
        ways: dict[str, Callable[[pa.Array], pa.Array]] = {
            **dict.fromkeys(self.source.decimal_comma, with_point),
            **dict.fromkeys(self.source.day_first, partial(in_iso, day_first=True)),
            **dict.fromkeys(self.source.month_first, partial(in_iso, day_first=False)),
        }
        for batch in part.batches():
            columns = [
                ways[name](column) if name in ways and _is_text(column) else column
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def with_point(text: pa.Array) -> pa.Array:
    """Write ``1.234,5`` as ``1234.5``; what is no such number stays as it is.

    >>> with_point(pa.array(["1.234,5", "-7,25", "8", "none", None])).to_pylist()
    ['1234.5', '-7.25', '8', 'none', None]
    """
    plain = pc.replace_substring(pc.replace_substring(text, ".", ""), ",", ".")
    return pc.if_else(pc.match_substring_regex(text, _COMMA), plain, text)


def in_iso(text: pa.Array, *, day_first: bool) -> pa.Array:
    """Write days as ISO does; what is no such day stays as it is.

    A year of two digits is in 1969 to 2068.

    >>> in_iso(pa.array(["3.2.2024", "03/02/24 5:00 PM", "2024-02-03", None]),
    ...        day_first=True).to_pylist()
    ['2024-02-03T00:00:00', '2024-02-03T17:00:00', '2024-02-03', None]
    """
    values = pd.Series(text.to_pandas(), dtype="str")
    # Many rows share few days; each is read once.
    codes, distinct = pd.factorize(values)
    if not len(distinct):
        return text
    written = pd.Series(_iso(pd.Series(distinct, dtype="str"), day_first=day_first))
    # The code -1 is missing, and takes the last place.
    named = pa.array([*written.tolist(), None], pa.string())
    return named.take(pa.array(codes % len(named)))


def _iso(text: pd.Series, *, day_first: bool) -> pd.Series:
    found = text.str.extract(_DAY)
    number = {
        name: pd.to_numeric(found[name], errors="coerce")
        for name in ("first", "second", "year", "hour", "minute", "second_of")
    }
    day, month = ("first", "second") if day_first else ("second", "first")
    year = number["year"]
    century = np.where(year < _LAST_CENTURY, 2000, 1900)
    half = found["half"].str[:1].str.lower()
    hour = number["hour"].fillna(0)
    hour = hour.where(half.isna(), hour % _NOON + np.where(half.eq("p"), _NOON, 0))
    moments = pd.to_datetime(
        pd.DataFrame(
            {
                "year": year.where(year >= _FULL_YEAR, year + century),
                "month": number[month],
                "day": number[day],
                "hour": hour,
                "minute": number["minute"].fillna(0),
                "second": number["second_of"].fillna(0),
            }
        ),
        errors="coerce",
    )
    written = moments.dt.strftime("%Y-%m-%dT%H:%M:%S") + found["rest"].fillna("")
    return written.where(moments.notna(), text)


def _is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))
