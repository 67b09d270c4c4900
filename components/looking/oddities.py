"""What a person should know of a table before a model learns from it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from components.looking.surveying import BLOCK, Survey
from components.looking.times import Cadence, Moments, span_in_words

_MANY_NULLS = 0.05
_SHOWN = 6
_LATE = 0.8
_NEW_SHARE = 0.01
_FEWEST_ROWS = 200
_VARIES = 20
_LONG_RUN = 20
_UNUSUAL = 3.0
_STILL = pd.Timedelta(hours=20)
_FEW_AGAIN = 0.05
_COMMON = 0.2


def notice_times(column: str, moments: Moments) -> list[str]:
    """Say how times are written, where that can be misread."""
    found = []
    if moments.zone and moments.zone not in {"UTC", "Etc/UTC"}:
        found.append(f"{column}: times in {moments.zone}; turned into UTC")
    readable = moments.given - moments.unreadable
    if not moments.zone and 0 < moments.zoned < readable:
        found.append(
            f"{column}: {moments.zoned} of {readable} times say their zone, the others do not and "
            "are read as UTC"
        )
    if moments.unreadable:
        found.append(
            f"{column}: {moments.unreadable} of {moments.given} values are no time, such as "
            f"{moments.examples[0]!r}; rows with them are set aside"
        )
    return found


def notice_rhythm(rhythm: Cadence) -> list[str]:
    """Say where the rhythm of events was broken."""
    if not rhythm.gaps:
        return []
    longest = ", ".join(
        f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({span_in_words(end - start)})"
        for start, end in rhythm.gaps
    )
    missing = f"{rhythm.missing} moments without a row; " if rhythm.missing else ""
    return [f"gaps: {rhythm.words} rows, {missing}the longest stretches without: {longest}"]


def notice_order(facts: pd.DataFrame, now: pd.Timestamp) -> list[str]:
    """Say whether rows are out of order, or ahead of the clock."""
    found = []
    event = facts["event"].dropna()
    back = int((event.diff() < pd.Timedelta(0)).sum())
    if back:
        found.append(
            f"{back} {_rows(back, 'stands', 'stand')} after a later one: the source is not sorted "
            "by time"
        )
    ahead = int((event > now).sum())
    if ahead:
        found.append(
            f"{ahead} {_rows(ahead, 'is', 'are')} in the future, up to "
            f"{event.max():%Y-%m-%d %H:%M} UTC: local time taken for UTC, or rows to be predicted"
        )
    return found


def notice_copies(sample: pd.DataFrame) -> list[str]:
    """Say how many rows of the sample say exactly what another one says."""
    hashed = _row_hashes(sample)
    copies = int(pd.Series(hashed).duplicated().sum())
    if not copies:
        return []
    return [f"{copies} rows are exact copies of another one; each is taken once"]


def differing_claims(survey: Survey, key: Sequence[str]) -> tuple[int, str]:
    """Count rows of the sample that share their key with another and say something else.

    Returns
    -------
    (int, str)
        How many, and the key of one of them.

    """
    sample = survey.sample
    hashed = pd.Series(_row_hashes(sample), index=sample.index)
    parts = [sample[name].astype("str") for name in key]
    names = parts[0] if len(parts) == 1 else parts[0] + "|" + parts[1]
    keep = names.notna() & ~hashed.duplicated()
    shared = names[keep].duplicated(keep=False)
    if not shared.any():
        return 0, ""
    return int(shared.sum()), str(names[keep][shared].iloc[0])


def notice_nulls(nulls: dict[str, float]) -> list[str]:
    """Name the columns that often hold nothing; `nulls` are shares."""
    many = sorted((n for n in nulls.items() if n[1] >= _MANY_NULLS), key=lambda n: -n[1])
    if not many:
        return []
    named = ", ".join(f"{name} {share:.0%}" for name, share in many[:_SHOWN])
    more = f" and {len(many) - _SHOWN} columns more" if len(many) > _SHOWN else ""
    return [f"missing values: {named}{more}"]


def notice_new_values(name: str, values: pd.Series, times: pd.Series) -> list[str]:
    """Say which categories come only in the newest fifth of the events."""
    known = values.notna() & times.notna()
    values, times = values[known], times[known]
    if len(values) < _FEWEST_ROWS:
        return []
    cut = times.quantile(_LATE)
    old, new = values[times <= cut], values[times > cut]
    if new.empty:
        return []
    counts = new.value_counts(normalize=True)
    late = counts[~counts.index.isin(set(old)) & (counts >= _NEW_SHARE)]
    if late.empty:
        return []
    named = ", ".join(
        f"{value} ({share:.0%} of the rows since)" for value, share in late[:3].items()
    )
    return [f"{name}: values that come only after {cut:%Y-%m-%d}: {named}"]


def notice_frozen(name: str, values: pd.Series, times: pd.Series) -> list[str]:
    """Say where a number that varies stood still for most of a day, in rows one after another.

    Parameters
    ----------
    values : Series of float64
        Indexed by the row's number in the source.
    times : Series of datetime64[us, UTC]
        Of the same index.

    """
    numbers = values.to_numpy(dtype=float)
    if len(numbers) < _FEWEST_ROWS or values.nunique() < _VARIES:
        return []
    number = values.index.to_numpy()
    new = np.ones(len(numbers), dtype=bool)
    new[1:] = (numbers[1:] != numbers[:-1]) | (np.diff(number) != 1)
    starts = np.flatnonzero(new)
    lengths = np.diff(np.append(starts, len(numbers)))
    lengths = np.where(np.isfinite(numbers[starts]), lengths, 0)
    # An order that does not follow time says nothing of standing still.
    longest = int(lengths.argmax())
    usual = float(np.quantile(lengths[lengths > 0], 0.99)) if (lengths > 0).any() else 0.0
    first = starts[longest]
    last = first + lengths[longest] - 1
    lasted = times.iloc[last] - times.iloc[first]
    if lengths[longest] < max(_LONG_RUN, _UNUSUAL * usual) or not lasted >= _STILL:
        return []
    elsewhere = int((numbers == numbers[first]).sum()) - lengths[longest]
    if elsewhere > _COMMON * (len(numbers) - lengths[longest]):
        return []
    more = "at least " if lengths[longest] >= BLOCK else ""
    stretch = f"from {_day(times.iloc[first])} to {_day(times.iloc[last])}"
    still = f"stands still at {numbers[first]:g} for {more}{lengths[longest]} rows, {stretch}"
    return [f"{name}: {still}: a sensor or feed that had stopped?"]


def notice_shared_times(facts: pd.DataFrame, rhythm: Cadence, entity: str | None) -> list[str]:
    """Say which moments stand twice where each usually stands once, as after a second load."""
    if rhythm.step is None or entity is not None:
        return []
    event = facts["event"].dropna()
    again = event[event.duplicated()]
    if again.empty or len(again) > _FEW_AGAIN * len(event):
        return []
    return [
        (
            f"{len(again)} {_rows(len(again), 'has', 'have')} the time of another one, from "
            f"{_day(again.min())} to {_day(again.max())}: a stretch that was loaded twice, or the "
            "hour that comes twice when summer time ends?"
        )
    ]


def _rows(count: int, one: str, many: str) -> str:
    return f"row {one}" if count == 1 else f"rows {many}"


def _row_hashes(sample: pd.DataFrame) -> np.ndarray:
    plain = {name: _hashable(sample[name]) for name in sample.columns}
    return pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()


def _hashable(values: pd.Series) -> pd.Series:
    return values.map(str) if values.dtype == object else values


def _day(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
