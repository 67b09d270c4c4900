"""Propose history features for a new pipeline: the few that lower the loss on its early history.

Candidates follow from the data: the newest label, the label a day and a week back where records
come more often than daily, means over a week and over four, of the same hour of the week, by
the entity and by category. Each is judged by what it adds to a small gradient boosting that
already sees the features and the calendar, fitted twice on what was known at a cut in the head of
history and judged on what follows. Forward selection (Guyon and Elisseeff, 2003) keeps what
lowers the loss by at least two parts in a hundred, and after either cut, one at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from components.history.groups import bucket
from components.history.index import HistoryIndex
from components.history.versions import microseconds
from components.pipelines import Pipeline
from components.pipelines.data import History
from components.records import EVENT_TIME, KNOWN_TIME, LABEL, RECORD_ID

HEAD = 12_000
"""Labelled records that are looked at: the first ones, at most half of all."""
_LEAST = 200
_CUTS = (0.5, 0.75, 1.0)  # learnt up to the first, judged up to the second, and again
_GAIN = 0.02
_MOST = 4
_SHORTLIST = 4
_CATEGORIES = 100
_REPEATS = 3
_ROUNDS = 60
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
        At most four, the most useful first; none where nothing helps, or where the head holds
        too few labels to tell. The same for the same data.

    """
    trial = _Trial.of(records, labels, pipeline)
    if trial is None:
        return ()
    chosen: tuple[History, ...] = ()
    best = trial.losses(chosen)
    tried = [(trial.losses((one,)), one) for one in trial.candidates]
    helpful = sorted(
        (pair for pair in tried if _lower(pair[0], best)), key=lambda pair: sum(pair[0])
    )
    shortlist = [one for _, one in helpful[:_SHORTLIST]]
    while shortlist and len(chosen) < _MOST:
        tried = [(trial.losses((*chosen, one)), one) for one in shortlist]
        helpful = [pair for pair in tried if _lower(pair[0], best)]
        if not helpful:
            break
        best, added = min(helpful, key=lambda pair: sum(pair[0]))
        chosen = (*chosen, added)
        shortlist.remove(added)
    return chosen


def _lower(losses: tuple[float, ...], than: tuple[float, ...]) -> bool:
    """Say whether losses are lower by enough: on the whole, and after each cut."""
    each = all(ours < theirs for ours, theirs in zip(losses, than, strict=True))
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
        if len(rows) < _LEAST or rows[LABEL].nunique() < 2:  # noqa: PLR2004 - nothing to tell apart
            return None
        folds = tuple(_folds(rows))
        if any(len(np.unique(rows[LABEL].to_numpy()[learnt])) < 2 for learnt, _ in folds):  # noqa: PLR2004
            return None
        candidates = tuple(_candidates(rows, pipeline))
        asked = pipeline.model_copy(update={"history": candidates})
        made = HistoryIndex.of(records, labels, asked).at(rows)
        inputs = rows[list(pipeline.columns)].assign(**_calendar(rows[EVENT_TIME]))
        truth = _truth(rows[LABEL], pipeline.resolved_task)
        task = pipeline.resolved_task
        return cls(candidates, _coded(inputs), _coded(made), truth, task, folds)

    def losses(self, history: Sequence[History]) -> tuple[float, ...]:
        """Fit with some candidates, and judge after each cut: mean absolute error, or log loss."""
        table = self.inputs.join(self.made[[one.name for one in history]])
        table.columns = pd.Index([f"f{place}" for place in range(table.shape[1])])
        return tuple(self._loss(table, learnt, judged) for learnt, judged in self.folds)

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


def _candidates(rows: pd.DataFrame, pipeline: Pipeline) -> Iterator[History]:
    """List what could help, from what the data is like."""
    numeric = pipeline.resolved_task != "multiclass"
    gap = pd.Timedelta(rows[EVENT_TIME].drop_duplicates().diff().median())
    yield History(take="last")
    if gap < _DAY:
        yield History(take="last", back=_DAY)
        yield History(take="last", back=_WEEK)
    if numeric:
        for few in [span for span in _SHORT if span >= _FEW * gap][:1]:
            yield History(take="mean", over=few)
        yield History(take="mean", over=_DAY)
        yield History(take="mean", over=_WEEK)
        yield History(take="mean", over=4 * _WEEK, same="hour_of_week")
        yield History(take="trend", over=4 * _WEEK)
    yield History(of="records", take="count", over=_DAY)
    for column in _repeating(rows, pipeline):
        yield History(take="last", by=(column,))
        if numeric:
            yield History(take="mean", over=4 * _WEEK, by=(column,))


def _repeating(rows: pd.DataFrame, pipeline: Pipeline) -> Iterator[str]:
    """Name the entity, if it comes again, and the categories of not too many values."""
    entity = pipeline.entity
    if entity and rows[entity].value_counts().median() >= _REPEATS:
        yield entity
    for name, column in pipeline.columns.items():
        category = column.kind == "category" and name != entity
        if category and 1 < rows[name].nunique() <= _CATEGORIES:
            yield name


def _calendar(events: pd.Series) -> dict[str, np.ndarray | int]:
    moments = microseconds(events)
    return {f"dw_{same}": bucket(same, moments) for same in ("hour", "weekday")}


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
