"""Propose history features for a new pipeline: the few that lower the loss on its early history.

Candidates follow from the data: the newest label, the label a day and a week back where records
come more often than daily, means over a week and over four, of the same hour, by the entity and
by the categories that part the labels most. Where a record is about somebody, the newest label
is asked of that one only: the newest of all is anybody's. Each candidate is judged by what it
adds to a small gradient boosting that sees what a model will see, the columns (not the time),
fitted twice on what was known at a cut in the first half of history and judged on what follows.
Forward selection (Guyon and Elisseeff, 2003) keeps what lowers the loss by at least two parts in
a hundred, and after either cut, one at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from operator import lt

import numpy as np
import pandas as pd

from components.history.index import HistoryIndex
from components.pipelines import Pipeline
from components.pipelines.data import History
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID

HEAD = 100_000
"""Labelled records that are looked at: the first ones, at most half of all."""

JUDGED = 6_000
"""Of these so many, spread over them, are learnt from and judged on; the past of each is whole."""
_LEAST = 200
_CUTS = (0.5, 0.75, 1.0)  # learnt up to the first, judged up to the second, and again
_GAIN = 0.02
_MOST = 4
_SHORTLIST = 4
_CATEGORIES = 100
_PARTING = 3
_REPEATS = 3
_ROUNDS = 60
_SEED = 0
_FLOOR = 1e-6
_FEW = 8
_SHORT = tuple(timedelta(minutes=minutes) for minutes in (15, 30, 60, 120, 240, 480, 720))
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)


def propose(records: pd.DataFrame, labels: pd.DataFrame, pipeline: Pipeline) -> tuple[History, ...]:
    """Choose history features that help, judged on the head of history alone.

    Parameters
    ----------
    records, labels : DataFrame of shape (n_versions, n_columns)
        As for :meth:`components.history.HistoryIndex.of`. Not modified.
    pipeline : Pipeline
        With its columns and a resolved task; its own `history` is not looked at.

    Returns
    -------
    tuple of History
        At most four, the most useful first; none where nothing helps, or where the first half
        holds too few labels to tell. The same for the same data.

    """
    trial = _Trial.of(records, labels, pipeline)
    if trial is None:
        return ()
    chosen: tuple[History, ...] = ()
    best = trial.losses(chosen)
    helpful = sorted(trial.better(chosen, trial.candidates, best), key=lambda pair: sum(pair[0]))
    shortlist = [one for _, one in helpful[:_SHORTLIST]]
    helpful = helpful[:1]  # the first to be chosen was tried just now
    while helpful and len(chosen) < _MOST:
        best, added = min(helpful, key=lambda pair: sum(pair[0]))
        chosen = (*chosen, added)
        shortlist.remove(added)
        helpful = list(trial.better(chosen, shortlist, best))
    return chosen


def _lower(losses: tuple[float, ...], than: tuple[float, ...]) -> bool:
    """Say whether losses are lower by enough: on the whole, and after each cut."""
    each = len(losses) == len(than) and all(map(lt, losses, than))
    return each and sum(losses) < sum(than) * (1 - _GAIN)


@dataclass(frozen=True, slots=True)
class _Trial:
    """Rows of the head with every candidate beside them, parted in earlier and later."""

    candidates: tuple[History, ...]
    inputs: pd.DataFrame
    made: pd.DataFrame
    truth: np.ndarray
    task: str
    folds: tuple[tuple[np.ndarray, np.ndarray], ...]

    @classmethod
    def of(cls, records: pd.DataFrame, labels: pd.DataFrame, pipeline: Pipeline) -> "_Trial | None":
        """Look at the head; None where it holds too little to judge by."""
        rows, records, labels = _head(records, labels)
        gap, again = _gap(rows, pipeline), _again(rows, pipeline)
        rows = _spread(rows)
        if len(rows) < _LEAST or rows[LABEL].nunique() < 2:  # noqa: PLR2004 - nothing to tell apart
            return None
        folds = tuple(_folds(rows))
        if any(len(np.unique(rows[LABEL].to_numpy()[learnt])) < 2 for learnt, _ in folds):  # noqa: PLR2004
            return None
        truth = _truth(rows[LABEL], pipeline.resolved_task)
        candidates = tuple(_candidates(rows, truth, gap, again, pipeline))
        asked = pipeline.model_copy(update={"history": candidates})
        made = HistoryIndex.of(records, labels, asked).at(rows)
        inputs = rows[list(pipeline.columns)]
        return cls(candidates, _coded(inputs), _coded(made), truth, pipeline.resolved_task, folds)

    def losses(
        self, history: Sequence[History], than: tuple[float, ...] | None = None
    ) -> tuple[float, ...]:
        """Fit with some candidates, and judge after each cut: mean absolute error, or log loss.

        No further than the first cut after which they are not lower than `than`.
        """
        table = self.inputs.join(self.made[[one.name for one in history]])
        table.columns = pd.Index([f"f{place}" for place in range(table.shape[1])])
        found: tuple[float, ...] = ()
        for place, (learnt, judged) in enumerate(self.folds):
            found = (*found, self._loss(table, learnt, judged))
            if than is not None and found[-1] >= than[place]:
                break
        return found

    def better(
        self, chosen: tuple[History, ...], others: Sequence[History], than: tuple[float, ...]
    ) -> Iterator[tuple[tuple[float, ...], History]]:
        """Give the candidates that, added to the chosen, lower the losses by enough."""
        for one in others:
            losses = self.losses((*chosen, one), than)
            if _lower(losses, than):
                yield losses, one

    def _loss(self, table: pd.DataFrame, learnt: np.ndarray, judged: np.ndarray) -> float:
        import lightgbm as lgb

        data = lgb.Dataset(table.iloc[learnt], self.truth[learnt], params={"verbose": -1})
        fitted = lgb.train(_params(self.task, self.truth), data, num_boost_round=_ROUNDS)
        answers = np.asarray(fitted.predict(table.iloc[judged]))
        return _loss(self.task, self.truth[judged], answers)


def _folds(rows: pd.DataFrame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Part rows at each cut: labels known by then, and events from then to the next cut."""
    events = rows[EVENT_TIME]
    cuts = [events.iloc[min(int(len(rows) * share), len(rows) - 1)] for share in _CUTS]
    for cut, end in pairwise(cuts):
        yield (
            np.flatnonzero(rows[KNOWN_TIME] <= cut),
            np.flatnonzero((events >= cut) & (events <= end)),
        )


def _head(
    records: pd.DataFrame, labels: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Give labelled rows of the head, and all versions that were known by its end."""
    first = records.sort_values([KNOWN_TIME, RECORD_ID]).drop_duplicates(RECORD_ID)
    truth = labels[labels[LABEL].notna()].sort_values([KNOWN_TIME, RECORD_ID])
    truth = truth.drop_duplicates(RECORD_ID)[[RECORD_ID, KNOWN_TIME, LABEL]]
    rows = first.drop(columns=KNOWN_TIME).merge(truth, on=RECORD_ID)
    rows = rows[rows[EVENT_TIME].notna()].sort_values([EVENT_TIME, RECORD_ID], kind="stable")
    rows = rows.iloc[: min(HEAD, -(-len(rows) // 2))].reset_index(drop=True)
    end = rows[KNOWN_TIME].max()
    return rows, records[records[KNOWN_TIME] <= end], labels[labels[KNOWN_TIME] <= end]


def _spread(rows: pd.DataFrame) -> pd.DataFrame:
    """Thin rows out, evenly over time on the whole; drawn, for a fixed step would favour some."""
    if len(rows) <= JUDGED:
        return rows
    drawn = np.random.default_rng(_SEED).choice(len(rows), JUDGED, replace=False)
    return rows.iloc[np.sort(drawn)].reset_index(drop=True)


def _gap(rows: pd.DataFrame, pipeline: Pipeline) -> timedelta:
    """Give the usual time from one record to the next; of the same entity, where there is one."""
    events = rows[EVENT_TIME]
    if pipeline.entity:
        gaps = events.groupby(rows[pipeline.entity]).diff()
    else:
        gaps = events.drop_duplicates().diff()
    known = gaps.dropna()
    return pd.Timedelta(known.median()).to_pytimedelta() if len(known) else _WEEK


def _again(rows: pd.DataFrame, pipeline: Pipeline) -> tuple[str, ...]:
    """Name the entity, if most come again: only then is there a past of the same."""
    entity = pipeline.entity
    if not entity or not len(rows) or rows[entity].value_counts().median() < _REPEATS:
        return ()
    return (entity,)


def _candidates(
    rows: pd.DataFrame,
    truth: np.ndarray,
    gap: timedelta,
    again: tuple[str, ...],
    pipeline: Pipeline,
) -> Iterator[History]:
    """List what could help, from what the data is like; `again`: the entity, if it comes again."""
    numeric = pipeline.resolved_task != "multiclass"
    if again or not pipeline.entity:
        yield from _newest(gap, again)
    if numeric:
        for few in [span for span in _SHORT if span >= _FEW * gap][:1]:
            yield History(take="mean", over=few)
        yield History(take="mean", over=_DAY)
        yield History(take="mean", over=_WEEK)
        yield from _alike(gap, ())
        yield History(take="trend", over=4 * _WEEK)
    yield History(of="records", take="count", over=_DAY)
    if again and numeric:
        yield History(take="mean", over=_WEEK, by=again)
        yield History(take="mean", over=4 * _WEEK, by=again)
        yield from _alike(gap, again)
    for place, column in enumerate(_parting(rows, truth, pipeline)):
        if not pipeline.entity:
            yield History(take="last", by=(column,))
        if numeric:
            yield History(take="mean", over=4 * _WEEK, by=(column,))
        if numeric and place == 0:
            yield from _alike(gap, (column,))


def _newest(gap: timedelta, by: tuple[str, ...]) -> Iterator[History]:
    """Ask for the newest label, and that of a day and a week ago where a day has several."""
    yield History(take="last", by=by)
    if gap < _DAY:
        yield History(take="last", back=_DAY, by=by)
        yield History(take="last", back=_WEEK, by=by)


def _alike(gap: timedelta, by: tuple[str, ...]) -> Iterator[History]:
    """Ask for means of the same hour, where a day has several records."""
    if gap < _DAY:
        yield History(take="mean", over=4 * _WEEK, same="hour", by=by)
    yield History(take="mean", over=4 * _WEEK, same="hour_of_week", by=by)


def _parting(rows: pd.DataFrame, truth: np.ndarray, pipeline: Pipeline) -> list[str]:
    """Name the few categories, of not too many values, whose values part the labels most.

    By the share of the variance of the labels that lies between the values (eta squared).
    """
    shares = {}
    label = pd.Series(truth, index=rows.index)
    for name, column in pipeline.columns.items():
        category = column.kind == "category" and name != pipeline.entity
        if category and 1 < rows[name].nunique() <= _CATEGORIES:
            shares[name] = float(label.groupby(rows[name]).transform("mean").var())
    return sorted(shares, key=lambda name: -shares[name])[:_PARTING]


def _coded(table: pd.DataFrame) -> pd.DataFrame:
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    return table.astype(dict.fromkeys(texts, "category"))


def _truth(label: pd.Series, task: str) -> np.ndarray:
    if task == "regression":
        return label.to_numpy(dtype=np.float64)
    return pd.factorize(label, sort=True)[0].astype(np.float64)


def _params(task: str, truth: np.ndarray) -> dict[str, object]:
    classes = int(truth.max()) + 1 if task == "multiclass" else 1
    return {
        "objective": {"regression": "l1"}.get(task, task),
        "num_class": classes,
        "num_leaves": 15,
        "learning_rate": 0.15,
        "min_data_in_leaf": 20,
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "seed": 0,
        "verbose": -1,
    }


def _loss(task: str, truth: np.ndarray, answers: np.ndarray) -> float:
    if task == "regression":
        return float(np.abs(answers - truth).mean())
    if task == "multiclass":
        given = answers[np.arange(len(truth)), truth.astype(int)]
    else:
        given = np.where(truth == 1, answers, 1 - answers)
    return float(-np.log(np.clip(given, _FLOOR, 1)).mean())
