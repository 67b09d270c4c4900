"""The stages of one training, each a plain function: data in, values out.

snapshot -> preprocess -> fit -> evaluate -> package -> register -> gate -> refit
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.answers import Answers
from components.maturity import fair_age_of
from components.metrics import metric_value, row_losses
from components.models.fitting import Fitted
from components.pipelines import Pipeline
from components.recipes import Recipe, fit_rows, training_rows
from components.records import EVENT_TIME, KNOWN_TIME, LABEL
from components.search import Search, search_recipe
from components.search.selecting import is_constant
from components.splits import Split, split_newest
from flows.steps.outputs import with_output_of, with_own_output
from flows.steps.rivals import Rival, answer, naive_on
from flows.steps.snapshots import Snapshot
from monitoring.gate import GateDecision, judge, judge_not_worse
from monitoring.limits import Beside
from monitoring.spending import use_of
from monitoring.unseen import refuse_seen_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

REFERENCE_ROWS = 5_000
"""At most so many training rows travel with a model, as the reference of its drift checks."""

AGREEMENT = 0.5
"""Largest mean difference between refit and twin on the holdout, in standard deviations of
the labels (regression) or of probability (classification)."""


MAX_AGE = "max_age"
"""The cause of a retraining because its champion has become old."""

APART = 2
"""All history and a window can be told apart once history is so many times as long: bikeshare,
refitted every 28 days, has MAE 41.0 with 2, 41.2 with 3, 57.0 where the first choice is kept."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows split for a training, and the recipe if one is kept.

    `fair_age` is the age, as of the training, below which rows were not judged on: too few of
    their labels had come. A fit measures its own, as of its own moment. `champion` is what the
    one in charge was fitted by: where no recipe is kept, the search begins with it.
    """

    split: Split
    recipe: Recipe | None
    fair_age: timedelta = timedelta(0)
    champion: Recipe | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted model with the rows that it learnt from.

    `seen_until` is the event time of the newest of them.
    """

    fitted: Fitted
    recipe: Recipe
    rows: pd.DataFrame
    search: Search | None = None

    @property
    def seen_until(self) -> pd.Timestamp:
        """Event time of the newest row learnt from."""
        return pd.Timestamp(self.rows[EVENT_TIME].max())

    def reference(self, pipeline: Pipeline) -> pd.DataFrame:
        """Take the rows that drift is measured against: all of them, or a seeded sample."""
        features = self.rows[list(pipeline.inputs)]
        if len(features) <= REFERENCE_ROWS:
            return features
        return features.sample(REFERENCE_ROWS, random_state=pipeline.seed)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Twin, rival and naive baseline on the same held-out rows.

    `raw` is what the twin answers before its output (calibration, threshold) is applied.
    """

    times: pd.Series
    twin_losses: "NDArray[np.float64]"
    rival_losses: "NDArray[np.float64]"
    metrics: dict[str, float]
    naive_kind: str
    twin_answers: Answers
    rival_answers: Answers
    naive_answers: Answers
    raw: Answers
    label_spread: float


def preprocess(snapshot: Snapshot, pipeline: Pipeline, rival: Rival) -> Prepared:
    """Split off the rows that neither side was fitted on; take over the champion's recipe."""
    age = fair_age_of(snapshot.rows, pipeline, as_of=snapshot.as_of)
    split = split_newest(
        snapshot.rows,
        as_of=snapshot.as_of,
        holdout=pipeline.holdout,
        seen_until=rival.seen_until,
        fair_age=age,
    )
    kept = kept_recipe(pipeline, rival, snapshot.rows)
    return Prepared(split, kept, age, rival.recipe)


def kept_recipe(pipeline: Pipeline, rival: Rival, rows: pd.DataFrame) -> Recipe | None:
    """Give the champion's recipe where it still stands in the pipeline file, and was a choice.

    Windows that held nearly the same rows when the champion was fitted could not be told
    apart: which of them won was noise, so it is searched again until they can be.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)
        What may be learnt from now: its first event says how far history reached back then.

    """
    recipe = rival.recipe
    if recipe is None or pipeline.search.when == "always":
        return None
    if not (_stands(recipe, pipeline) and _told_apart(pipeline, rival, rows)):
        return None
    return replace(recipe, dropped=_still_dropped(recipe, rival, rows))


def _stands(recipe: Recipe, pipeline: Pipeline) -> bool:
    """Say whether the pipeline file still allows a recipe."""
    return recipe.family in pipeline.candidates and recipe.window in pipeline.windows


def _still_dropped(recipe: Recipe, rival: Rival, rows: pd.DataFrame) -> tuple[str, ...]:
    """Take up again what never varied when the champion was fitted, and does now."""
    if rival.seen_until is None:
        return recipe.dropped
    seen = rows[rows[EVENT_TIME] <= rival.seen_until]
    return tuple(
        name
        for name in recipe.dropped
        if name in rows.columns and not (is_constant(seen[name]) and not is_constant(rows[name]))
    )


def _told_apart(pipeline: Pipeline, rival: Rival, rows: pd.DataFrame) -> bool:
    """Say whether the champion's history was long enough for its windows to differ."""
    bounded = [window.last for window in pipeline.windows if window.last is not None]
    if len(pipeline.windows) == 1 or not bounded or rows.empty or rival.seen_until is None:
        return True
    reached = rival.seen_until - rows[EVENT_TIME].min()
    times = 1 if len(bounded) == len(pipeline.windows) else APART
    return bool(reached >= times * max(bounded))


def fit_twin(
    prepared: Prepared,
    pipeline: Pipeline,
    *,
    storage: Path | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Fit the twin that will be tested: on what was known at the cut, nothing later.

    Where the champion's recipe still stands but its windows could not be told apart, only
    these are tried again.

    Parameters
    ----------
    storage : Path, optional
        A file in which a search is kept, to be gone on with after a kill.

    """
    train, cut = prepared.split.train, prepared.split.cut
    search, recipe, champion = None, prepared.recipe, prepared.champion
    if recipe is None:
        again = champion is not None and pipeline.search.when == "first"
        search = search_recipe(
            train,
            pipeline,
            as_of=cut,
            champion=champion,
            windows_only=again and champion is not None and _stands(champion, pipeline),
            storage=storage,
            told=told,
        )
        recipe = search.best
    told(f"fitting {recipe}")
    twin = fit_on(train, recipe, pipeline, until=cut, search=search)
    return with_own_output(prepared, twin, pipeline)


def fit_on(
    rows: pd.DataFrame,
    recipe: Recipe,
    pipeline: Pipeline,
    *,
    until: pd.Timestamp,
    search: Search | None = None,
) -> Trained:
    """Fit a recipe on what was known at a moment, and keep the rows beside the model.

    Rows too young to have had a fair chance of a label are left out; how old that is, is
    measured on the rows as known at `until`.
    """
    age = fair_age_of(rows, pipeline, as_of=until)
    learnt = training_rows(rows, recipe, pipeline, until=until, fair_age=age)
    fitted = fit_rows(learnt, recipe, pipeline, until=until)
    return Trained(fitted, recipe, learnt, search)


def evaluate(
    prepared: Prepared, twin: Trained, pipeline: Pipeline, rival: Rival, snapshot: Snapshot
) -> Evaluation:
    """Measure twin, rival and naive baseline on the held-out rows.

    Raises
    ------
    SeenRowsError
        If the champion or the twin was fitted on any of them.

    """
    rows = prepared.split.holdout
    refuse_seen_rows(rows, champion_seen_until=rival.seen_until, challenger_rows=twin.rows)
    whose = [] if pipeline.entity is None else [pipeline.entity]
    labels = snapshot.rows[[EVENT_TIME, KNOWN_TIME, LABEL, *whose]]
    raw = twin.fitted.raw(rows[list(pipeline.inputs)])
    ours = twin.fitted.output.apply(raw)
    theirs = answer(rival, pipeline, rows, labels)
    naive = naive_on(pipeline, rows, labels)
    task, metric, truth = pipeline.resolved_task, pipeline.resolved_metric, rows[LABEL]
    quantile = pipeline.quantile
    return Evaluation(
        times=rows[EVENT_TIME],
        twin_losses=row_losses(task, metric, truth, ours, quantile=quantile),
        rival_losses=row_losses(task, metric, truth, theirs, quantile=quantile),
        metrics={
            f"holdout_{metric}": metric_value(metric, truth, ours, quantile=quantile),
            f"holdout_{metric}_rival": metric_value(metric, truth, theirs, quantile=quantile),
            f"holdout_{metric}_naive": metric_value(
                metric, truth, naive.answers, quantile=quantile
            ),
            "holdout_rows": float(len(rows)),
            "train_rows": float(len(twin.rows)),
        },
        naive_kind=naive.kind,
        twin_answers=ours,
        rival_answers=theirs,
        naive_answers=naive.answers,
        raw=raw,
        label_spread=float(truth.std()) if task == "regression" else 1.0,
    )


def gate(
    evaluation: Evaluation | None,
    prepared: Prepared,
    pipeline: Pipeline,
    rival: Rival,
    *,
    beside: Beside | None = None,
    earlier: Iterable[Mapping[str, Any]] = (),
    cause: str = "",
) -> GateDecision:
    """Judge the twin against the rival; too few rows is a *wait*, said so.

    Parameters
    ----------
    beside : Beside, optional
        What else is known of both sides, held against the gate's limits.
    earlier : iterable of mapping
        The numbers of earlier decisions: challengers judged on the same rows share the level.
    cause : str
        Why it was trained. A champion past its `max_age` may be followed by a model that is
        not worse, where these rows cannot show that it is better.

    """
    times = prepared.split.holdout[EVENT_TIME] if evaluation is None else evaluation.times
    empty = np.full(len(times), np.nan)
    naive = "" if evaluation is None else evaluation.naive_kind
    sides = (
        times,
        empty if evaluation is None else evaluation.rival_losses,
        empty if evaluation is None else evaluation.twin_losses,
    )
    said: dict[str, Any] = {
        "gate": pipeline.gate,
        "rival": f"version {rival.version}" if rival.model else f"the naive baseline ({naive})",
        "least_rows": pipeline.holdout.least_rows,
        "beside": beside,
        "use": use_of(times, earlier),
    }
    decision = judge(*sides, **said)
    if cause == MAX_AGE and rival.model is not None and decision.outcome == "wait":
        return judge_not_worse(*sides, **said)
    return decision


def refit(
    snapshot: Snapshot,
    twin: Trained,
    evaluation: Evaluation,
    prepared: Prepared,
    pipeline: Pipeline,
) -> Trained:
    """Fit the winning recipe on everything known: the version that will serve."""
    served = fit_on(snapshot.rows, twin.recipe, pipeline, until=snapshot.as_of)
    return with_output_of(evaluation.raw, prepared.split.holdout, served, pipeline)


def disagreement(served: Trained, evaluation: Evaluation, prepared: Prepared) -> str:
    """Say why a refit must not stand in for its tested twin; empty when it may.

    Both answer the holdout; the mean absolute difference is bounded by :data:`AGREEMENT`
    standard deviations of the labels. A refit has learnt from these rows, so the bound is
    on gross differences (a broken fit), not on quality.
    """
    features = list(served.fitted.contract.names)
    ours = served.fitted.raw(prepared.split.holdout[features])
    twin = evaluation.raw
    if ours.probabilities is not None and twin.probabilities is not None:
        if ours.classes != twin.classes:
            return f"the refit knows the classes {ours.classes}, its twin {twin.classes}"
        gap = float(np.abs(ours.probabilities - twin.probabilities).mean())
    else:
        spread = evaluation.label_spread or 1.0
        gap = float(np.abs(ours.values - twin.values).mean()) / spread
    if np.isfinite(gap) and gap <= AGREEMENT:
        return ""
    return f"the refit differs from its tested twin by {gap:.2f} on average (bound {AGREEMENT})"
