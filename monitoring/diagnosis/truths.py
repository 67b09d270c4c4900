"""`labels_broken`: labels that are reversed, of another kind, or do not come.

A small additive model, learnt on the clean reference, says what the label should be. Where labels
say the opposite of it more clearly than on any day before, they are reversed.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from components.faults import LABELS_DUE
from monitoring.diagnosis.look import DAY, HOUR, LEAST_PERIODS, Found, Look
from monitoring.diagnosis.observed import NEVER
from monitoring.diagnosis.silences import longest_usual
from monitoring.diagnosis.words import moment_in_words, number_in_words, share_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

_View = tuple[int, bool]
"""Position of a column, and whether the mean of its period is taken off."""

_LEAST_ROWS = 12
_BINS = 12
_MOST_COLUMNS = 40
_MOST_ROWS = 5_000
_TWO = 2


def find_labels(look: Look, period: int) -> list[Found]:
    """Find out whether the labels of a period are broken."""
    return [*_absent(look, period), *(_new_kind(look, period) or _reversed(look, period))][:1]


def _due_since(look: Look, past: "Whole") -> int:
    """Say how long after the event nearly all labels of the reference were known."""
    rows = look.rows_of(past)
    known = look.rows.label_known[rows]
    waited = (known - look.rows.time[rows])[known != NEVER]
    return int(np.quantile(waited, 0.99, method="higher")) if len(waited) else 0


def _expected(look: Look, rows: "Whole", came: "NDArray[np.bool_]", due: int) -> "Whole":
    """Keep the rows whose label must have come: by its delay, and by how labels arrive."""
    time = look.rows.time
    if look.silences is None:
        return rows[time[rows] + due <= look.as_of]
    labelled = np.flatnonzero(came)
    newest = int(time[labelled[-1]]) if len(labelled) else int(time[0]) - 1
    rows = rows[time[rows] + due <= look.taken]
    usual = longest_usual(look.silences.labels, newest)
    waited = look.rows.label_known[labelled] - time[labelled]
    if usual is None and len(waited) and np.ptp(waited) > 0:
        return rows  # the source says itself when each label was known
    if usual is not None and look.taken - newest > usual:
        return rows[(time[rows] <= newest) | (time[rows] + usual <= look.taken)]
    return rows[time[rows] <= newest]


def _absent(look: Look, period: int) -> Iterator[Found]:
    """Find labels that are due and did not come."""
    if look.nulls[period, look.target] < 1 / 2:
        return
    past = look.clean(period, look.target)
    if len(past) < LEAST_PERIODS:
        return
    span = look.span(period)
    came = ~np.isnan(look.rows.label)
    asked = ~look.rows.refused[span]  # a refused row has no label that could come
    shares = np.sort(1.0 - look.nulls[past, look.target])
    usual, worst = float(np.median(shares)), float(shares[1])
    if usual < 1 / 2 or not asked.any() or came[span][asked].mean() > 0.2 * worst:
        return
    due = _due_since(look, past)
    rows = _expected(look, span.start + np.flatnonzero(asked), came, due)
    if len(rows) < _LEAST_ROWS or came[rows].mean() > 0.2 * worst:
        return
    lacking = rows[~came[rows]]
    evidence = (
        f"{share_in_words(float(came[rows].mean()))} of {len(rows)} {LABELS_DUE} "
        f"{moment_in_words(look.as_of)} came; of the rows before, {share_in_words(usual)} are "
        f"labelled, 99% of those within {due / HOUR:.1f} hours"
    )
    yield Found("labels_broken", look.pipeline.target, evidence, lacking)


def _new_kind(look: Look, period: int) -> list[Found]:
    """Find classes that the reference did not know."""
    novel = look.novel[period, look.target]
    if look.pipeline.task == "regression" or not novel > 1 / 2:
        return []
    past, span = look.clean(period, look.target), look.span(period)
    if len(past) < LEAST_PERIODS:
        return []
    codes = look.columns[look.target].codes[span]
    low = look.first[look.before(period, look.target)]
    new = (codes >= 0) & (look.last_seen[look.target][codes] < low)
    rows = span.start + np.flatnonzero(new)
    if len(rows) < _LEAST_ROWS:
        return []
    classes = sorted({look.rows.classes[int(look.rows.label[row])] for row in rows})
    evidence = (
        f"{len(rows)} labels from {moment_in_words(int(look.rows.time[rows[0]]))} are "
        f"{', '.join(map(number_in_words, classes[:4]))}, never seen in the {len(past)} periods "
        "before"
    )
    return [Found("labels_broken", look.pipeline.target, evidence, rows)]


def _reversed(look: Look, period: int) -> list[Found]:
    """Find labels that contradict what they followed, on this day or on the last three."""
    if not look.relation[period] < 0:
        return []
    _look_back(look)
    past = look.clean(period, look.target)
    past = past[~np.isnan(look.relation[past])]
    if len(past) < 3 * LEAST_PERIODS:
        return []
    usual = look.relation[past]
    stands = look.stands(period, look.target) and _stood_reversed(look, period)
    # How far it can go on a clean day is not seen in a few periods.
    young = 0 if len(past) < _MANY else 1
    below = (1.0 + _BELOW) * max(1.0, _MANY / len(past)) ** 0.5 - 1.0
    for days in (1, 3):
        low = period - days + 1
        here = look.relation[max(low, 0) : period + 1]
        if (
            low < 0
            or np.isnan(here).any()
            or look.start[period] - look.start[low] != (days - 1) * look.width
        ):
            continue
        pooled = np.convolve(usual, np.ones(days) / days, mode="valid")
        middle, lowest = float(np.median(pooled)), float(np.sort(pooled)[young])
        now = float(here.mean())
        enough = 0.5 if stands else 1.0  # what goes on needs less than what begins
        least = min(-_REVERSED * middle, lowest - below * (middle - lowest)) * enough
        if middle < _CLEAR or now > least:
            continue
        days_off = low + np.flatnonzero(here < 0)
        if stands:  # a day between two that are reversed is not told from them by itself
            off = look.faulty[:period, look.target]
            days_off = np.arange(int(np.flatnonzero(off)[-1]) + 1, period + 1)
        rows = look.rows_of(days_off)
        rows = rows[~np.isnan(look.rows.label[rows])]
        evidence = (
            f"labels of {len(rows)} rows from {moment_in_words(int(look.rows.time[rows[0]]))} say "
            f"the opposite of what they follow: agreement {now:.2f}, where {middle:.2f} was usual, "
            f"{pooled.min():.2f} the least in the {len(past)} periods before"
        )
        return [Found("labels_broken", look.pipeline.target, evidence, rows)]
    return []


def _stood_reversed(look: Look, period: int) -> bool:
    """Say whether the labels said the opposite since the fault that stands began."""
    since = look.before(period, look.target)
    stood = look.relation[since:period][look.faulty[since:period, look.target]]
    stood = stood[~np.isnan(stood)]
    return bool(len(stood) and stood.mean() < 0)


def _look_back(look: Look) -> None:
    """Say how labels agreed in the periods before those that are judged; asked for seldom."""
    for period in look.unasked:
        begins = period == look.unasked.start
        agreements(look, period, begins=begins, until=look.unasked.stop)
        if is_doubtful(look, period):
            look.relation[period] = np.nan
    look.unasked = range(0)


def is_doubtful(look: Look, period: int) -> bool:
    """Say whether the features of a period are too faulty to hold the labels against."""
    spoiled = look.faulty[period, : look.target]
    return bool(look.target and spoiled.mean() > 1 / 4)


_CLEAR = 0.1
_REVERSED = 0.4
_BELOW = 0.9
_MANY = 42


def agreements(look: Look, period: int, *, begins: bool = False, until: int | None = None) -> None:
    """Say how well the labels agree with what the clean reference taught, a week at a time.

    Fills `relation` for the week that `period` begins; `begins` says so of one in its midst. In
    regression it is the correlation with the prediction; for two classes the mean advantage, in
    nats a row, of the labels as they are
    over the labels reversed, the odds capped at 9 to 1. NaN where too few are known.
    """
    week = look.start[period] // (7 * DAY)
    if period and not begins and look.start[period - 1] // (7 * DAY) == week:
        return
    end = int(np.searchsorted(look.start, (week + 1) * 7 * DAY))
    end = end if until is None else min(end, until)
    model = _model_for(look, period)
    if model is None or len(look.rows.classes) > _TWO:
        return
    rows = np.arange(look.bounds[period], look.bounds[end])
    rows = rows[~np.isnan(look.rows.label[rows])]
    if not len(rows):
        return
    said = model.predict(look, rows)
    for at in range(period, end):
        low, high = np.searchsorted(rows, [look.bounds[at], look.bounds[at + 1]])
        if high - low >= _LEAST_ROWS:
            truth = look.rows.label[rows[low:high]]
            look.relation[at] = _agreement(said[low:high], truth, look.pipeline.task)


def _agreement(said: "Floats", truth: "Floats", task: str | None) -> float:
    if task == "regression":
        if np.ptp(said) <= 0 or np.ptp(truth) <= 0:
            return float("nan")
        away, apart = said - said.mean(), truth - truth.mean()
        scale = float(np.sqrt((away @ away) * (apart @ apart)))
        return float(away @ apart) / scale if 0 < scale < np.inf else float("nan")
    said = np.clip(said, 0.1, 0.9)
    odds = np.log(said / (1.0 - said))
    return float(np.mean(np.where(truth > 0, odds, -odds)))


def _model_for(look: Look, period: int) -> "Additive | None":
    """Learn the model of the week that a period begins, from what was clean before."""
    past = look.clean(period, look.target)
    return Additive.learn(look, past) if len(past) >= LEAST_PERIODS else None


class Additive:
    """Ridge regression on the mean label of each column's bins.

    A number is binned twice: as it is, and less the mean of its period. Whether a price rises
    hangs on how demand stands within the day more than on how high it is.
    """

    def __init__(self) -> None:
        self.weights: Floats = np.zeros(1)
        self.parts: list[tuple[_View, Floats, Floats]] = []  # edges (or none), bin means
        self.hours: Floats = np.zeros(168)

    @classmethod
    def learn(cls, look: Look, past: "Whole") -> "Additive | None":
        """Learn from the labelled rows of some periods; None where they teach nothing."""
        rows = look.rows_of(past)
        rows = rows[~np.isnan(look.rows.label[rows])]
        rows = rows[:: max(1, len(rows) // _MOST_ROWS)]
        truth = look.rows.label[rows]
        if len(rows) < 5 * _LEAST_ROWS or np.ptp(truth) <= 0:
            return None
        made = cls()
        made.hours = _means(_hour_of_week(look, rows), truth, 168)
        for view in _views(look):
            edges = _edges(look, view, rows)
            bins = _binned(look, view, rows, edges)
            made.parts.append((view, edges, _means(bins, truth, int(bins.max(initial=0)) + 2)))
        features = made.features(look, rows)
        gram = features.T @ features + np.eye(features.shape[1]) * 0.01 * len(rows) * truth.var()
        gram[0, 0] -= 0.01 * len(rows) * truth.var()
        made.weights = np.linalg.lstsq(gram, features.T @ truth, rcond=None)[0]
        return made

    def features(self, look: Look, rows: "Whole") -> "Floats":
        """Give each row the mean label of its bin in each column, less the mean of all."""
        columns = [np.ones(len(rows)), self.hours[_hour_of_week(look, rows)]]
        for view, edges, means in self.parts:
            bins = np.minimum(_binned(look, view, rows, edges), len(means) - 1)
            columns.append(means[bins])
        made = np.column_stack(columns)
        made[:, 1:] -= self.hours.mean()
        return np.asarray(made)

    def predict(self, look: Look, rows: "Whole") -> "Floats":
        """Say what the labels should be."""
        return np.asarray(self.features(look, rows) @ self.weights)


def _hour_of_week(look: Look, rows: "Whole") -> "Whole":
    return np.asarray((look.rows.time[rows] // HOUR) % 168)


def _views(look: Look) -> list[_View]:
    """List the columns as they are, then the numbers among them less the mean of their period."""
    some = list(look.features)[:_MOST_COLUMNS]
    numbers = [at for at in some if look.columns[at].numbers is not None]
    return [*((at, False) for at in some), *((at, True) for at in numbers)]


def _numbers_of(look: Look, view: _View) -> "Floats | None":
    """Give a column as numbers, NaN where missing; None for a category."""
    position, apart = view
    numbers = look.columns[position].numbers
    if numbers is None or not apart:
        return numbers
    if position not in look.apart:
        given = np.add.reduceat(~np.isnan(numbers), look.bounds[:-1])
        mean = np.add.reduceat(np.nan_to_num(numbers), look.bounds[:-1]) / np.maximum(given, 1)
        look.apart[position] = numbers - np.repeat(mean, np.diff(look.bounds))
    return look.apart[position]


def _edges(look: Look, view: _View, rows: "Whole") -> "Floats":
    numbers = _numbers_of(look, view)
    if numbers is None:
        return np.zeros(0)
    given = numbers[rows]
    given = np.sort(given[~np.isnan(given)])
    at = (np.arange(1, _BINS) * len(given)) // _BINS
    return np.unique(given[at]) if len(given) else np.zeros(0)


def _binned(look: Look, view: _View, rows: "Whole", edges: "Floats") -> "Whole":
    """Give each row the number of its bin; 0 is missing."""
    numbers = _numbers_of(look, view)
    if numbers is None:
        return np.asarray(np.minimum(look.columns[view[0]].codes[rows] + 1, 500))
    given = numbers[rows]
    bins = 1 + np.searchsorted(edges, given, side="right")
    bins[np.isnan(given)] = 0
    return np.asarray(bins)


def _means(bins: "Whole", truth: "Floats", count: int) -> "Floats":
    """Average the label in each bin, drawn towards the mean of all by ten rows' worth."""
    size = np.bincount(bins, minlength=count)
    total = np.bincount(bins, weights=truth, minlength=count)
    return np.asarray((total + 10.0 * truth.mean()) / (size + 10.0))
