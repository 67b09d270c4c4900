"""Whom a challenger has to beat: the champion, or the best naive baseline."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from components.answers import Answers
from components.baselines import BestNaive, best_naive, naive_answers
from components.packages.scorer import Scorer, load_package
from components.packages.trust import Trust
from components.pipelines import Pipeline
from components.recipes import Recipe
from components.records import LABEL
from components.splits import known_by

if TYPE_CHECKING:
    from flows.steps.home import Home

NAIVE = "naive"
"""The version that answers until a model is promoted."""

NAIVE_JUDGED_ON = 2_000
"""The naive baseline that answers is the best on so many of the newest labelled rows."""


class Answering(Protocol):
    """Whatever answers rows: an opened package, or a fitted model in a backtest."""

    def predict(self, frame: pd.DataFrame) -> Answers:
        """Answer the rows of a frame that holds the feature columns."""


@dataclass(frozen=True, slots=True)
class Rival:
    """Who is in charge: a champion, or nobody yet.

    Attributes
    ----------
    version : str
        The model version, or `naive`.
    epoch : int
        The epoch of its promotion; 0 before the first.
    model : Answering or None
        None: the naive baseline answers.
    recipe : Recipe or None
        What the champion was fitted by.
    seen_until : Timestamp or None
        Event time of the newest row that the champion was fitted on.
    reference : DataFrame or None
        Rows that the champion learnt from, bounded: what drift is measured against.

    """

    version: str = NAIVE
    epoch: int = 0
    model: Answering | None = None
    recipe: Recipe | None = None
    seen_until: pd.Timestamp | None = None
    reference: pd.DataFrame | None = None


def open_rival(home: "Home", pipeline: Pipeline) -> Rival:
    """Open whoever is in charge now."""
    promotion = home.ledger.champion(pipeline.name)
    if promotion is None:
        return Rival()
    scorer = open_package(home, pipeline, digest=promotion.digest, uri=promotion.package_uri)
    about = scorer.manifest.about
    return Rival(
        version=promotion.version,
        epoch=promotion.epoch,
        model=scorer,
        recipe=Recipe.from_dict(about["recipe"]),
        seen_until=pd.Timestamp(about["seen_until"]),
        reference=scorer.reference(),
    )


def open_package(home: "Home", pipeline: Pipeline, *, digest: str, uri: str) -> Scorer:
    """Open a package by its digest; fetched from the registry once, then kept.

    Raises
    ------
    PackageError
        If it is of a class of the user's own that the pipeline file does not trust.
    TamperedPackageError
        If the bytes, fetched or kept, are not those that were registered.

    """
    kept = home.packages / digest
    if not kept.is_dir():
        _keep(home, kept, uri=uri, digest=digest, trust=Trust.of(pipeline))
    return load_package(kept, digest=digest, trust=Trust.of(pipeline))


def _keep(home: "Home", kept: Path, *, uri: str, digest: str, trust: Trust) -> None:
    """Fetch into a private folder, check, and move into place in one step."""
    home.packages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.packages, prefix=".fetch-") as folder:
        fetched = home.registry.fetch(uri, Path(folder))
        load_package(fetched, digest=digest, trust=trust)
        try:
            fetched.rename(kept)
        except OSError:
            # Another process kept the same digest first: the same bytes.
            if not kept.is_dir():
                shutil.copytree(fetched, kept)


def naive_on(pipeline: Pipeline, rows: pd.DataFrame, labels: pd.DataFrame) -> BestNaive:
    """Find the naive baseline that does best on labelled rows, each seeing only what it could.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        Labelled rows to answer, with `event_time`, `label` and the pipeline's entity.
    labels : DataFrame
        Every label known so far, with event and known time, and the pipeline's entity.

    """
    return best_naive(
        rows,
        rows[LABEL],
        labels,
        kinds=pipeline.naive_kinds,
        task=pipeline.resolved_task,
        classes=classes_of(pipeline, labels),
        season=pipeline.season,
        metric=pipeline.resolved_metric,
        entity=pipeline.entity,
        quantile=pipeline.quantile,
    )


def naive_now(
    pipeline: Pipeline, rows: pd.DataFrame, labels: pd.DataFrame, *, as_of: pd.Timestamp
) -> Answers:
    """Answer rows with the naive baseline that did best on the newest labels known.

    Parameters
    ----------
    rows : DataFrame
        Rows to answer, with `event_time` and the pipeline's entity; each sees the labels known
        at that time.
    labels : DataFrame
        Labels with event and known time, and the pipeline's entity; those known later than
        `as_of` do not choose the kind. Where none is known by then, it is the first kind of
        the pipeline.

    """
    labels = labels[labels[LABEL].notna()]  # one that was withdrawn says nothing
    judged = known_by(labels, as_of).tail(NAIVE_JUDGED_ON)
    kind = naive_on(pipeline, judged, labels).kind
    return naive_answers(
        kind,
        rows,
        labels,
        task=pipeline.resolved_task,
        classes=classes_of(pipeline, labels),
        season=pipeline.season,
        known_by=None,
        entity=pipeline.entity,
    )


def classes_of(pipeline: Pipeline, labels: pd.DataFrame) -> tuple[str, ...]:
    """List the classes seen so far, sorted; none for regression."""
    if pipeline.resolved_task == "regression":
        return ()
    return tuple(sorted(labels[LABEL].unique()))


def answer(rival: Rival, pipeline: Pipeline, rows: pd.DataFrame, labels: pd.DataFrame) -> Answers:
    """Answer labelled rows with whoever is in charge."""
    if rival.model is not None:
        return rival.model.predict(rows[list(pipeline.inputs)])
    return naive_on(pipeline, rows, labels).answers
