"""Answers without a model: the last value, the same hour last week, the mean, the majority.

They are the rivals of a first model, and what answers while no model is worth promoting.
Each row sees only labels that were known by then: a baseline that peeks at labels still on
their way looks far better than it is. Where records are about many (shops, meters), the last
label and that of a season ago are those of the same one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from components.answers import Answers
from components.errors import NotEnoughHistoryError
from components.metrics import row_losses

KINDS = ("last", "season", "mean", "majority")
MOST_SEASONS = 8
"""How many seasons back a row looks before it takes the last label instead."""


@dataclass(frozen=True, slots=True)
class BestNaive:
    """The baseline with the smallest mean loss a row, and what it answered."""

    kind: str
    loss: float
    answers: Answers


def naive_answers(
    kind: str,
    rows: pd.DataFrame,
    labels: pd.DataFrame,
    *,
    task: str,
    classes: tuple[str, ...] = (),
    season: timedelta,
    known_by: pd.Timestamp | None,
    entity: str | None = None,
) -> Answers:
    """Answer rows from labels alone, as it could have been done at the time.

    Parameters
    ----------
    kind : str
        ``last``: the label of the newest event; ``season``: the label one season before the
        row, or as many whole seasons as it takes for it to be known; ``mean`` (regression)
        and ``majority`` (classes): of all labels. A season without a label falls back to
        the last; where nothing is known yet the answer is 0, or the first class.
    rows : DataFrame of shape (n_rows, n_columns)
        With columns `event_time` and `entity`, in any order. Not modified.
    labels : DataFrame of shape (n_labels, n_columns)
        With columns `event_time`, `known_time`, `label` and `entity`. Nulls are left out. Not
        modified.
    task : str
        ``regression``, ``binary`` or ``multiclass``.
    classes : tuple of str
        Class names, sorted; empty for regression.
    season : timedelta
    known_by : Timestamp or None
        What was known at this moment; None: at each row's own event time. Either way a row
        sees only labels of earlier events.
    entity : str, optional
        The column that says whom a row is about: ``last`` and ``season`` then take labels of
        the same one, and the last of anybody for one of whom none is known yet. Without it
        all rows are about the same.

    Returns
    -------
    Answers of shape (n_rows,)
        Probabilities, where there are classes: for ``last`` and ``season`` how often that
        guess had been right so far, for the others the frequencies so far.

    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}. Got {kind!r}")
    history, asked = _laid_out(rows, labels, known_by=known_by, entity=entity)
    if task != "regression":
        return _class_answers(kind, history, asked, classes, season)
    if kind in {"last", "season"}:
        place = _look_up(kind, history, asked, season)
        values = history.labels.astype(float)
        return Answers(_pick(values, place, otherwise=0.0))
    totals = np.concatenate([[0.0], np.cumsum(history.labels.astype(float))])
    seen = history.seen(asked.moments)
    return Answers(totals[seen] / np.maximum(seen, 1))


def best_naive(
    rows: pd.DataFrame,
    truth: pd.Series,
    labels: pd.DataFrame,
    *,
    kinds: Sequence[str],
    task: str,
    classes: tuple[str, ...] = (),
    season: timedelta,
    metric: str,
    known_by: pd.Timestamp | None = None,
    entity: str | None = None,
    quantile: float | None = None,
) -> BestNaive:
    """Find the baseline that a model has to beat on these rows; the first one on a tie.

    Parameters
    ----------
    rows, labels, task, classes, season, known_by, entity
        As for :func:`naive_answers`.
    truth : Series of shape (n_rows,)
        The labels of `rows`, in their order.
    kinds : sequence of str
        The baselines to compare; at least one.
    metric, quantile
        Its loss of a row decides, see :func:`components.metrics.row_losses`.

    """
    if not kinds:
        raise ValueError("needs at least one kind of naive baseline, such as 'last'. Got none")
    found = []
    for kind in kinds:
        answers = naive_answers(
            kind,
            rows,
            labels,
            task=task,
            classes=classes,
            season=season,
            known_by=known_by,
            entity=entity,
        )
        losses = row_losses(task, metric, truth, answers, quantile=quantile)
        found.append(BestNaive(kind, float(losses.mean()) if len(losses) else np.nan, answers))
    return min(found, key=lambda one: one.loss)  # without rows, all NaN: the first


@dataclass(frozen=True, slots=True)
class _Asked:
    """Rows that ask: when, in microseconds, and whom they are about, as a number; -1: unknown."""

    moments: np.ndarray
    whose: np.ndarray


@dataclass(frozen=True, slots=True)
class _History:
    """Labels in the order in which rows come to see them; times in microseconds.

    A row at time t sees a label when it is known by then and its event lies before t.
    """

    seen_from: np.ndarray
    events: np.ndarray
    whose: np.ndarray
    labels: np.ndarray

    def seen(self, moments: np.ndarray) -> np.ndarray:
        """Count the labels that a row at each moment sees: the first so many."""
        return np.searchsorted(self.seen_from, moments, side="right")


def _laid_out(
    rows: pd.DataFrame, labels: pd.DataFrame, *, known_by: pd.Timestamp | None, entity: str | None
) -> tuple[_History, _Asked]:
    """Lay out labels and rows as numbers."""
    kept = labels[labels["label"].notna()]
    if known_by is not None:
        kept = kept[kept["known_time"] <= known_by]
    events = _microseconds(kept["event_time"])
    seen_from = events + 1
    if known_by is None:
        seen_from = np.maximum(seen_from, _microseconds(kept["known_time"]))
    order = np.lexsort((events, seen_from))
    of_labels, of_rows = np.zeros(len(kept), dtype=int), np.zeros(len(rows), dtype=int)
    if entity is not None:
        of_labels, names = pd.factorize(kept[entity], use_na_sentinel=False)
        of_rows = pd.Index(names).get_indexer(pd.Index(rows[entity]))
    history = _History(
        seen_from[order],
        events[order],
        of_labels[order],
        kept["label"].to_numpy(dtype=object)[order],
    )
    return history, _Asked(_microseconds(rows["event_time"]), of_rows)


def _look_up(kind: str, history: _History, asked: _Asked, season: timedelta) -> np.ndarray:
    """Find the label that each row repeats; -1 where it sees none."""
    newest = _last(history, asked)
    if kind == "last" or not len(history.events):
        return newest
    found = np.full(len(asked.moments), -1)
    index = _SeasonIndex.of(history)
    seen = history.seen(asked.moments)
    for seasons in range(1, MOST_SEASONS + 1):
        open_rows = np.flatnonzero(found < 0)
        if not len(open_rows):
            break
        back = seasons * int(season / timedelta(microseconds=1))
        found[open_rows] = index.find(
            asked.whose[open_rows], asked.moments[open_rows] - back, seen[open_rows]
        )
    return np.where(found >= 0, found, newest)


def _last(history: _History, asked: _Asked) -> np.ndarray:
    """Find the newest event among the labels of its own that each row sees, or of anybody's."""
    if not len(history.events):
        return np.full(len(asked.moments), -1)
    seen = history.seen(asked.moments)
    of_anybody = _newest_event(
        history, np.zeros_like(history.whose), np.zeros_like(asked.whose), seen
    )
    if not history.whose.any():
        return of_anybody
    own = _newest_event(history, history.whose, asked.whose, seen)
    return np.where(own >= 0, own, of_anybody)


def _newest_event(
    history: _History, groups: np.ndarray, asked: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """Find the newest event among the first so many labels, of one group each; -1 for none."""
    places = _Places.of(groups)
    order = places.keys % len(groups)
    # Groups stand one behind the other, so that the newest so far never reaches into the next.
    _, number = np.unique(history.events, return_inverse=True)
    rank = groups[order] * len(groups) + number[order]
    newest_so_far = np.maximum.accumulate(rank)
    leads = np.where(rank == newest_so_far, np.arange(len(rank)), 0)
    holder = order[np.maximum.accumulate(leads)]
    slot = places.find(asked, seen)
    return np.where(slot >= 0, holder[slot], -1)


@dataclass(frozen=True, slots=True)
class _Places:
    """The places of labels in the order of being seen, group by group."""

    keys: np.ndarray  # group * n_labels + place; sorted

    @classmethod
    def of(cls, groups: np.ndarray) -> "_Places":
        return cls(np.sort(groups * len(groups) + np.arange(len(groups))))

    def find(self, groups: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Find which key is the last of a group among the first so many labels, or -1."""
        size = len(self.keys)
        slot = np.searchsorted(self.keys, groups * size + seen - 1, side="right") - 1
        its_own = self.keys[slot.clip(min=0)] // size == groups
        return np.where(its_own & (slot >= 0) & (seen > 0), slot, -1)


@dataclass(frozen=True, slots=True)
class _SeasonIndex:
    """Finds the newest seen label of one exact event time; corrections come later, and win."""

    times: np.ndarray
    pairs: np.ndarray  # whose * n_times + time's number; sorted, each once
    places: _Places

    @classmethod
    def of(cls, history: _History) -> "_SeasonIndex":
        times, number = np.unique(history.events, return_inverse=True)
        pairs, group = np.unique(history.whose * len(times) + number, return_inverse=True)
        return cls(times, pairs, _Places.of(group))

    def find(self, whose: np.ndarray, wanted: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Find the label of whom at each wanted time: its place in the history, or -1."""
        number = np.searchsorted(self.times, wanted).clip(max=len(self.times) - 1)
        pair = whose * len(self.times) + number
        group = np.searchsorted(self.pairs, pair).clip(max=len(self.pairs) - 1)
        there = (self.times[number] == wanted) & (self.pairs[group] == pair) & (whose >= 0)
        slot = self.places.find(group, seen)
        return np.where(there & (slot >= 0), self.places.keys[slot] % len(self.places.keys), -1)


def _class_answers(
    kind: str,
    history: _History,
    asked: _Asked,
    classes: tuple[str, ...],
    season: timedelta,
) -> Answers:
    if not classes:
        raise NotEnoughHistoryError(
            "needs a known label to name a class, got none; ingest labels, or wait for them"
        )
    names = np.array(classes, dtype=object)
    codes = pd.Index(classes).get_indexer(pd.Index(history.labels))
    if kind in {"last", "season"}:
        guess = _pick(codes, _look_up(kind, history, asked, season), otherwise=0)
        itself = _Asked(history.events, history.whose)
        own = _pick(codes, _look_up(kind, history, itself, season), otherwise=-1)
        right = np.concatenate([[0], np.cumsum(own == codes)])
        seen = history.seen(asked.moments)
        trust = np.maximum((right[seen] + 1) / (seen + 2), 1 / len(classes))
        rest = (1 - trust) / max(len(classes) - 1, 1)
        shares = np.where(np.arange(len(classes)) == guess[:, None], trust[:, None], rest[:, None])
        return Answers(names[guess], shares, classes)
    counts = np.cumsum(codes[:, None] == np.arange(len(classes)), axis=0)
    counts = np.concatenate([np.zeros((1, len(classes)), dtype=int), counts])
    known = counts[history.seen(asked.moments)] + 1  # Laplace's rule: no class is ever impossible
    shares = known / known.sum(axis=1, keepdims=True)
    return Answers(names[shares.argmax(axis=1)], shares, classes)


def _pick(values: np.ndarray, place: np.ndarray, *, otherwise: float) -> np.ndarray:
    padded = np.append(values, otherwise).astype(values.dtype)
    return np.asarray(padded[place])  # -1 is the padding


def _microseconds(times: pd.Series) -> np.ndarray:
    return np.asarray(pd.DatetimeIndex(times).as_unit("us").asi8)
