"""`encoding_changed` and, for numbers spelled anew, `type_changed`: words that stand for others."""

from typing import TYPE_CHECKING

import numpy as np

from monitoring.diagnosis.look import LEAST_PERIODS, Found, Look
from monitoring.diagnosis.words import moment_in_words, number_in_words, share_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Mask = NDArray[np.bool_]

_LEAST_ROWS = 8
_MOSTLY_NEW = 0.5
_NEWER = 0.3
_FEW_CODES = 20
_MOST_WORDS = 2000
_RECENT = 28
_ALONE = 0.95
_MOSTLY_ALONE = 0.9


def find_codes(look: Look, period: int) -> list[Found]:
    """Find the categories of a period whose values stand for others than before."""
    found = []
    for position in look.features:
        column = look.columns[position]
        few = column.numbers is not None and len(column.distinct) <= _FEW_CODES
        if column.numbers is not None and not few:
            continue
        if few and not look.novel[period, position] > 1 / 2:
            continue
        past = look.clean(period, position)
        span = look.span(period)
        codes = column.codes[span]
        if len(past) < LEAST_PERIODS or np.count_nonzero(codes >= 0) < _LEAST_ROWS:
            continue
        words = column.numbers is None and len(column.distinct) <= _MOST_WORDS
        steps = words and _moves_in_steps(look, period, position, past)
        one = _mostly_new(look, period, position, past, steps=steps)
        if one is None and words and not steps:
            one = _one_taken_over(look, period, position, past)
            one = one or _exchanged(look, period, position, past)
        if one is not None:
            found.append(one)
    return found


def _moves_in_steps(look: Look, period: int, position: int, past: "Whole") -> bool:
    """Say whether a category holds one value for days, and then the next, as a season does.

    So it must have been in nearly all of the clean periods before, and be in this one: at most
    one value is new. The period in which it moves may hold the value before, too.
    """
    shares = _shares(look, np.append(past, period), position)
    alone = shares[:-1].max(axis=1) >= _ALONE
    here = np.flatnonzero(shares[-1] > 0)
    fresh = look.last_seen[position][here] < look.first[look.before(period, position)]
    return bool(alone.mean() >= _MOSTLY_ALONE and len(here) <= 2 and fresh.sum() <= 1)  # noqa: PLR2004 - before and after


def _mostly_new(
    look: Look, period: int, position: int, past: "Whole", *, steps: bool
) -> Found | None:
    """Find a column most of whose values the reference never held.

    One that moves in steps has the next value before it one day; only another spelling of the
    value before is a fault in it.
    """
    column, span = look.columns[position], look.span(period)
    usual = look.novel[past, position]
    usual = np.sort(usual[~np.isnan(usual)])
    worst = float(usual[-2]) if len(usual) > 1 else 0.0
    novel = float(look.novel[period, position])
    least = 0.9 if column.numbers is not None else _MOSTLY_NEW
    codes = column.codes[span]
    # A month or a holiday is one value a day, and a new one now and then is no new code.
    if novel < max(least, worst + _NEWER) or (
        column.numbers is not None and len(np.unique(codes)) < 3  # noqa: PLR2004
    ):
        return None
    rows = span.start + np.flatnonzero((codes >= 0) & _unseen(look, period, position, codes))
    before = column.codes[look.rows_of(past)]
    old = column.distinct[_commonest(before[before >= 0])]
    new = column.distinct[_commonest(column.codes[rows])]
    name = "encoding_changed"
    if column.numbers is None and _same_numbers(old, new):
        name = "type_changed"
    pairs = _alike(new, old)
    if steps and not pairs and name == "encoding_changed":
        return None
    like = [f"{number_in_words(n)} like {number_in_words(o)}" for n, o in pairs]
    shown = ", ".join(like or [number_in_words(value) for value in new])
    evidence = (
        f"{len(rows)} of {len(codes)} rows from {moment_in_words(int(look.rows.time[rows[0]]))} "
        f"hold values never seen in the {len(past)} periods before ({shown}), where at most "
        f"{share_in_words(worst)} of a period were new; usual were "
        f"{', '.join(number_in_words(value) for value in old)}"
    )
    return Found(name, look.names[position], evidence, rows)


def _unseen(look: Look, period: int, position: int, codes: "Whole") -> "Mask":
    low = look.first[look.before(period, position)]
    return np.asarray(look.last_seen[position][codes] < low)


def _commonest(codes: "Whole") -> "Whole":
    values, counts = np.unique(codes, return_counts=True)
    return np.asarray(values[np.argsort(-counts, kind="stable")][:3])


def _alike(new: "NDArray[np.object_]", old: "NDArray[np.object_]") -> list[tuple[object, object]]:
    """Pair the values that differ in case, blanks or what stands around them only."""
    pairs = []
    for value in map(str, new):
        plain = value.casefold().strip()
        near = [o for o in map(str, old) if o.casefold().strip() in plain and o.strip()]
        pairs += [(value, near[0])] if near else []
    return list(pairs)


def _same_numbers(old: "NDArray[np.object_]", new: "NDArray[np.object_]") -> bool:
    """Say whether the new words are the old numbers in another spelling, as 7.0 for 7."""
    before, now = (_as_numbers(values) for values in (old, new))
    return bool(before and now and len(before & now) * 2 > len(now))


def _as_numbers(values: "NDArray[np.object_]") -> set[float]:
    try:
        return {float(str(value)) for value in values}
    except ValueError:
        return set()


def _one_taken_over(look: Look, period: int, position: int, past: "Whole") -> Found | None:
    """Find a new value with the share of an old one that is gone."""
    column, span = look.columns[position], look.span(period)
    codes = column.codes[span]
    if not look.novel[period, position] > 0:
        return None
    fresh = codes[(codes >= 0) & _unseen(look, period, position, codes)]
    if len(fresh) < _LEAST_ROWS:
        return None
    value = int(_commonest(fresh)[0])
    shares = _shares(look, np.append(past[-_RECENT:], period), position)
    now, days = shares[-1], shares[:-1]
    mean, spread = days.mean(axis=0), days.std(axis=0)
    gone = np.flatnonzero((mean >= 0.1) & (now < 0.2 * mean) & (mean - 3 * spread > now))  # noqa: PLR2004
    near = [int(old) for old in gone if abs(now[value] - mean[old]) <= 0.35 * mean[old]]
    if not near:
        return None
    rows = span.start + np.flatnonzero(codes == value)
    evidence = (
        f"{number_in_words(column.distinct[value])}, never seen before, stands in {len(rows)} of "
        f"{len(codes)} rows from {moment_in_words(int(look.rows.time[rows[0]]))}, and "
        f"{number_in_words(column.distinct[near[0]])}, with {share_in_words(float(mean[near[0]]))} "
        "of the rows before, is gone"
    )
    return Found("encoding_changed", look.names[position], evidence, rows)


def _exchanged(look: Look, period: int, position: int, past: "Whole") -> Found | None:
    """Find known values with the shares of one another.

    Told by the total variation distance to the usual shares: farther than on any day of the
    reference, but near once the values are ordered by their share.
    """
    span = look.span(period)
    if np.count_nonzero(look.columns[position].codes[span] >= 0) < 5 * _LEAST_ROWS:
        return None
    shares = _shares(look, np.append(past[-_RECENT:], period), position)
    days, now = shares[:-1], shares[-1]
    mean = days.mean(axis=0)
    usual = 0.5 * np.abs(days - mean).sum(axis=1)
    far = 0.5 * float(np.abs(now - mean).sum())
    ordered = -np.sort(-shares, axis=1)
    apart = 0.5 * np.abs(ordered - ordered[:-1].mean(axis=0)).sum(axis=1)
    if far < 2.0 * usual.max() + 0.05 or apart[-1] > apart[:-1].max() + 0.05:
        return None
    if far < 2.0 * apart[-1]:
        return None
    moved = np.argsort(-np.abs(now - mean))[:3]
    distinct = look.columns[position].distinct
    told = ", ".join(
        f"{number_in_words(distinct[at])} {share_in_words(float(mean[at]))} before, "
        f"{share_in_words(float(now[at]))} now"
        for at in moved
    )
    evidence = (
        f"the values have the shares of one another: {told}; the distance to the usual shares is "
        f"{far:.2f}, on no day before above {usual.max():.2f}, and "
        f"{apart[-1]:.2f} once ordered by share"
    )
    return Found(
        "encoding_changed", look.names[position], evidence, np.arange(span.start, span.stop)
    )


def _shares(look: Look, periods: "Whole", position: int) -> "Floats":
    """Give the share of each value in each period, shape (n_periods, n_distinct)."""
    if position not in look.shares:
        column = look.columns[position]
        given, count = column.codes >= 0, len(column.distinct)
        period = np.repeat(np.arange(len(look.start)), np.diff(look.bounds))
        cells = period[given] * count + column.codes[given]
        table = np.bincount(cells, minlength=len(look.start) * count).reshape(-1, count)
        look.shares[position] = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    return look.shares[position][periods]
