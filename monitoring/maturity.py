"""What can be said of a window from the labels known by a moment: mature, corrected, waiting.

*Mature*: every row measured had a fair chance of its label. *Corrected*: some did not yet, so
the known rows are weighed to stand for those still to come. *Waiting*: neither can be had, and
no number is better than one that flatters.

Old enough is not yet labelled: a feed of labels may have stopped. So where labels are missing,
their share is held against that of older stretches; and a stated delay says when a label may
be there at the earliest, not that it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd

from components.maturity import (
    FAIR_SHARE,
    LEAST_LABELS,
    as_stated,
    fair_age,
    in_micros,
    labelled_curve,
    percent,
    short_age,
)
from components.pipelines.durations import write_duration
from components.pipelines.spec import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID
from components.weights import LEAST_CHANCE, LEAST_IN_STRATUM, Waits, learn_waits
from monitoring.windows import Window

State = Literal["mature", "corrected", "partial", "waiting"]

LEAST_COVERED = 0.5
"""A correction speaks for at least so much of the window, or the window waits."""

PAST_ROWS = 20_000
"""Waits are learnt from so many of the newest rows: they drift as everything does."""

PARTS = 10
"""What was learnt of waits is left out in so many parts, to see how sure it is."""

UNUSUAL = 4.0
"""Labels are missing where their share lies so many spreads below the usual one."""

_CHANCE = 3.0
"""… and as many standard errors as chance takes from a share of that many rows."""

_WEIGHT = "_dw_weight"
_LACKING = "its labels are missing"


@dataclass(frozen=True, slots=True)
class Usual:
    """Which share of the rows has a label once all had their chance: median and spread."""

    share: float = 1.0
    spread: float = 0.0

    @classmethod
    def of(cls, shares: Sequence[float]) -> "Usual":
        """Sum up the shares of older stretches; of each at most one in two may be odd."""
        middle = float(np.median(shares))
        return cls(middle, 1.4826 * float(np.median(np.abs(np.asarray(shares) - middle))))

    def lacks(self, share: float, error: float) -> bool:
        """Say whether a share, known up to a standard error, lies below what is usual."""
        odd = self.share - max(UNUSUAL * self.spread, _CHANCE * error)
        return share < min(FAIR_SHARE * self.share, odd)


Asked = Callable[[pd.Timestamp], Usual | None]
"""Tells what was usual of events before a moment; None where there are none."""


def unknown(_: pd.Timestamp) -> None:
    """Know nothing of older rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The rows of a window that can be measured at a moment, and what they stand for.

    Attributes
    ----------
    state : {"mature", "corrected", "partial", "waiting"}
    rows : DataFrame of shape (n_measured, n_columns)
        Predicted rows with a known `label`; none while waiting. Where corrected, their
        weights travel along: see :func:`weights_of`.
    made, known : int
        Predictions made for the window, and how many of their labels are known.
    said : str
        The state in words, with the share known.

    """

    state: State
    rows: pd.DataFrame
    made: int
    known: int
    said: str


def see(
    made: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    pipeline: Pipeline,
    window: Window,
    as_known_at: pd.Timestamp,
    at_maturity: timedelta | None = None,
    usual: Asked = unknown,
) -> Seen:
    """Find what the labels known by a moment say of a window.

    Parameters
    ----------
    made : DataFrame of shape (n_predictions, n_columns)
        Predictions for the window: `record_id`, `event_time`, `known_time`. Not modified;
        those made later than `as_known_at` do not count. With a `label`, that is the truth as
        known at the moment, or at the age; without, it is looked up in `labels`.
    labels : DataFrame of shape (n_versions, n_columns)
        Every version of every label: `record_id`, `event_time`, `known_time`, `label`; of
        other windows too, for the waits are learnt from them. Not modified.
    pipeline : Pipeline
        Its label delay, `mature_after`, and `least_rows` under `monitor`.
    window : Window
    as_known_at : Timestamp
        What became known later is not looked at, whenever this is asked.
    at_maturity : timedelta, optional
        Take each label as it was known at this age, and only rows as old as that.
    usual : callable
        Tells which share of older rows has a label; asked only where labels are missing. By
        default nothing is known of them: then a stated delay must have been kept.

    """
    made = made[made[KNOWN_TIME] <= as_known_at]
    labels = labels[labels[KNOWN_TIME] <= as_known_at]
    fair = None
    if at_maturity is not None:
        fair = _fair_age(first_known(labels), pipeline, as_known_at)
        made = made[made[EVENT_TIME] <= as_known_at - pd.Timedelta(at_maturity)]
        labels = labels[labels[KNOWN_TIME] - labels[EVENT_TIME] <= pd.Timedelta(at_maturity)]
    scored = made if LABEL in made else _with_truth(made, labels)
    found = _Found(scored, scored[scored[LABEL].notna()].reset_index(drop=True))
    if at_maturity is not None:
        return _at_age(found, pipeline, window, as_known_at, at_maturity, fair, usual)
    if len(found.rows) == len(scored) > 0:
        return found.mature("")
    first = first_known(labels)
    if pipeline.label_delay is not None and pipeline.mature_after is None:
        return _by_statement(found, first, pipeline, window, as_known_at, usual)
    return _by_waits(found, first, pipeline, window, as_known_at, usual)


def _with_truth(made: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    newest = labels.sort_values(KNOWN_TIME, kind="stable").drop_duplicates(RECORD_ID, keep="last")
    return made.merge(newest[[RECORD_ID, LABEL]], on=RECORD_ID, how="left")


def weights_of(rows: pd.DataFrame) -> tuple[np.ndarray | None, list[np.ndarray]]:
    """Give the weights that travel with the rows of a corrected window.

    Returns
    -------
    ndarray of shape (n_rows,) or None
        How many rows each stands for; None where each stands for itself.
    list of ndarray
        The weights anew, each time without one part of what was learnt of waits.

    """
    if _WEIGHT not in rows:
        return None, []
    others = [rows[f"{_WEIGHT}_{part}"].to_numpy() for part in range(PARTS)]
    return rows[_WEIGHT].to_numpy(), others


def said_mature(reason: str) -> bool:
    """Say whether the reason of a measurement calls its number mature."""
    return "mature: " in reason


def said_lacking(reason: str) -> bool:
    """Say whether the reason of a measurement says that labels are missing that were due."""
    return _LACKING in reason


def effective_rows(weights: np.ndarray) -> float:
    """Say how many rows of equal weight would tell as much (Kish)."""
    return float(weights.sum() ** 2 / np.square(weights).sum()) if len(weights) else 0.0


def first_known(labels: pd.DataFrame) -> pd.DataFrame:
    """Keep of each label the version known first: a correction is no wait."""
    labels = labels[labels[EVENT_TIME].notna() & labels[LABEL].notna()]
    return labels.sort_values(KNOWN_TIME, kind="stable").drop_duplicates(RECORD_ID, keep="first")


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The predictions of a window, and those of them that have a label."""

    scored: pd.DataFrame
    rows: pd.DataFrame

    def mature(self, said: str) -> Seen:
        return self._seen("mature", self.rows, said)

    def corrected(self, weighed: pd.DataFrame, said: str) -> Seen:
        return self._seen("corrected", weighed, said)

    def partial(self, said: str) -> Seen:
        return self._seen("partial", self.rows, said)

    def waiting(self, said: str) -> Seen:
        return self._seen("waiting", self.rows[:0], said)

    def _seen(self, state: State, rows: pd.DataFrame, said: str) -> Seen:
        made, known = len(self.scored), len(self.rows)
        share = f" ({percent(known / made)})" if made else ""
        return Seen(
            state, rows, made, known, f"{state}: {known} of {made} rows have a label{share}{said}"
        )


def _at_age(
    found: _Found,
    pipeline: Pipeline,
    window: Window,
    as_known_at: pd.Timestamp,
    age: timedelta,
    fair: pd.Timedelta | None,
    usual: Asked,
) -> Seen:
    """Measure the labels known by an age, unless fewer are than usually by that age.

    Below the fair age those that are slow are left out, and the number is called partial.
    """
    said = f", each as known {short_age(age)} after its event"
    made, known = len(found.scored), len(found.rows)
    if known >= FAIR_SHARE * made:
        return found.mature(said)
    if known and fair is not None and age < fair:
        return found.partial(f"{said}: slower ones, until {short_age(fair)}, are left out")
    told = usual(min(window.start, as_known_at - pd.Timedelta(age)))
    if told is None and pipeline.label_delay is not None and age >= pipeline.label_delay:
        told = Usual()
    if told is None or not told.lacks(known / made, _error(told.share, made)):
        return found.mature(said)
    return found.waiting(f"{said}, and {percent(told.share)} usually do: {_LACKING}")


def _by_statement(
    found: _Found,
    first: pd.DataFrame,
    pipeline: Pipeline,
    window: Window,
    as_known_at: pd.Timestamp,
    usual: Asked,
) -> Seen:
    """Measure what is due as it is, where it has its labels; else as the waits allow."""
    delay = pd.Timedelta(pipeline.label_delay or 0)
    due = int((found.scored[EVENT_TIME] <= as_known_at - delay).sum())
    said = f", and each is due {write_duration(delay.to_pytimedelta())} after its event"
    known = len(found.rows)
    if not due or (known and known >= FAIR_SHARE * due):
        return found.mature(said) if known else found.waiting(said)
    if not as_stated(first, pipeline, as_of=as_known_at):
        fair = _fair_age(first, pipeline, as_known_at)
        if fair is not None and fair > delay:
            return _by_waits(found, first, pipeline, window, as_known_at, usual)
    told = usual(min(window.start, as_known_at - delay))
    share = told.share if told is not None else 1.0
    if known and told is not None and not told.lacks(known / due, _error(share, due)):
        return found.mature(f"{said}; {percent(1 - share, 1)} never come")
    return found.waiting(
        f"{said}; of the {due} that are due {percent(known / due)} have one where "
        f"{percent(share)} usually do: {_LACKING}"
    )


def _by_waits(
    found: _Found,
    first: pd.DataFrame,
    pipeline: Pipeline,
    window: Window,
    as_known_at: pd.Timestamp,
    usual: Asked,
) -> Seen:
    """Say whether a window is mature by the waits that were measured, or correct it by them."""
    fair = _fair_age(first, pipeline, as_known_at)
    if fair is None:
        return found.waiting(f"; fewer than {LEAST_LABELS} labels say how long they take")
    ripe = window.end + fair
    before = min(window.start, as_known_at - fair)
    if ripe <= as_known_at:
        return _if_usual(found, window, as_known_at, lambda: usual(before))
    later = f"; mature from {ripe.ceil('s'):%Y-%m-%d %H:%M:%S}"
    past = first[first[EVENT_TIME] <= as_known_at - fair]
    past = past.sort_values(EVENT_TIME, kind="stable").tail(PAST_ROWS)
    if len(past) < LEAST_IN_STRATUM:
        return found.waiting(f"; only {len(past)} older labels say how long which takes{later}")
    waits = learn_waits(past, regression=pipeline.resolved_task == "regression")
    return _young(found, waits, later, pipeline, as_known_at, lambda: usual(before))


def _young(
    found: _Found,
    waits: Waits,
    later: str,
    pipeline: Pipeline,
    as_known_at: pd.Timestamp,
    usual: Callable[[], Usual | None],
) -> Seen:
    """Correct a young window by the waits, where it has rows enough for that."""
    oldest = as_known_at - waits.least_age
    old_enough = found.scored[EVENT_TIME] <= oldest
    covered = float(old_enough.mean()) if len(found.scored) else 0.0
    old = (
        f"; {percent(covered)} of the rows are {short_age(waits.least_age)} old or more, so that "
        "every outcome had a chance to be known"
    )
    if covered < LEAST_COVERED:
        return found.waiting(f"{old}{later}")
    rows = found.rows[found.rows[EVENT_TIME] <= oldest].reset_index(drop=True)
    weighed = _weighed(rows, waits, as_known_at)
    weights = weighed[_WEIGHT].to_numpy()
    if _stand_for_too_few(weights, int(old_enough.sum()), usual):
        return found.waiting(f"{old}, yet fewer are than usually by that age: {_LACKING}{later}")
    worth = effective_rows(weights)
    said = f", weighed by how long their outcome takes, worth {worth:.0f} rows{old}{later}"
    if worth < pipeline.monitor.least_rows:
        return found.waiting(said)
    return found.corrected(weighed, said)


def _if_usual(
    found: _Found,
    window: Window,
    as_known_at: pd.Timestamp,
    usual: Callable[[], Usual | None],
) -> Seen:
    """Call a window that is old enough mature, unless labels are missing that usually come."""
    had = f", the youngest had {short_age(as_known_at - window.end)} to come"
    made, known = len(found.scored), len(found.rows)
    told = usual() if known < FAIR_SHARE * made else None
    if told is None or not told.lacks(known / made, _error(told.share, made)):
        return found.mature(had)
    return found.waiting(f"{had}, and {percent(told.share)} usually do: {_LACKING}")


def _stand_for_too_few(weights: np.ndarray, rows: int, usual: Callable[[], Usual | None]) -> bool:
    """Say whether the rows known, weighed, stand for fewer than there are.

    Horvitz and Thompson's count of all rows, with its standard error.
    """
    share = float(weights.sum()) / rows
    told = usual() if share < FAIR_SHARE else None
    if told is None:
        return False
    error = float(np.sqrt((weights * np.maximum(weights - 1, 0)).sum())) / rows
    return told.lacks(share, error + _error(told.share, rows))


def _error(share: float, rows: int) -> float:
    """Give the standard error of a share of so many rows."""
    return float(np.sqrt(share * (1 - share) / max(rows, 1)))


def _fair_age(
    first: pd.DataFrame, pipeline: Pipeline, as_known_at: pd.Timestamp
) -> pd.Timedelta | None:
    """Give the fair age, or None where it is neither stated nor can be measured yet."""
    if pipeline.mature_after is None:
        curve = labelled_curve(first[EVENT_TIME], first[KNOWN_TIME], as_of=as_known_at)
        return None if curve.labelled < LEAST_LABELS else fair_age(curve, pipeline)
    return pd.Timedelta(pipeline.mature_after)


def _weighed(rows: pd.DataFrame, waits: Waits, as_known_at: pd.Timestamp) -> pd.DataFrame:
    """Let each row carry its weight, and the weights by what part of the past would say."""
    ages = in_micros(as_known_at - rows[EVENT_TIME])
    parts = waits.chances_without(rows[LABEL], ages, parts=PARTS)
    chances = {f"{_WEIGHT}_{one}": part for one, part in enumerate(parts)}
    chances[_WEIGHT] = waits.chances(rows[LABEL], ages)
    return rows.assign(
        **{name: 1 / np.maximum(chance, LEAST_CHANCE) for name, chance in chances.items()}
    )
