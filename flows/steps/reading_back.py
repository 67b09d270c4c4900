"""Read logged predictions back as answers, with the classes that each of them knew."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from components.answers import Answers
from components.pipelines import Pipeline
from components.records import KNOWN_TIME
from flows.steps.replay_score import joined
from flows.steps.rivals import NAIVE, classes_of, open_package
from flows.steps.snapshots import labels_known

if TYPE_CHECKING:
    from components.stores.ledger import Challenger, Promotion
    from flows.steps.home import Home


def read_back(home: "Home", pipeline: Pipeline, made: pd.DataFrame) -> tuple[pd.DataFrame, Answers]:
    """Give logged predictions, in an order of their own, and the answers that they were.

    A class that appeared later has probability 0 in what was said before.

    Parameters
    ----------
    made : DataFrame of shape (n_predictions, n_columns)
        Rows of the table `predictions`. Not modified.

    """
    if pipeline.resolved_task == "regression":
        return made, Answers(made["prediction"].to_numpy(dtype=float))
    if made.empty:
        return made, Answers(made["prediction"].to_numpy(dtype=object))
    said = (rows for _, rows in made.groupby(["model_version", KNOWN_TIME], sort=False))
    return joined([(rows, _answers(rows, _classes(home, pipeline, rows.iloc[0]))) for rows in said])


def _classes(home: "Home", pipeline: Pipeline, made: pd.Series) -> tuple[str, ...]:
    """Name the classes that the version of a prediction knew when it was made."""
    version = made["model_version"]
    if version == NAIVE:
        return classes_of(pipeline, labels_known(home.lake, pipeline, as_of=made[KNOWN_TIME]))
    registered: list[Promotion | Challenger] = [
        *home.ledger.promotions(pipeline.name),
        *home.ledger.challengers(pipeline.name),
    ]
    promotion = next(one for one in registered if one.version == version)
    found = open_package(home, pipeline, digest=promotion.digest, uri=promotion.package_uri)
    return found.manifest.classes


def _answers(rows: pd.DataFrame, classes: tuple[str, ...]) -> Answers:
    values = rows["prediction"].to_numpy(dtype=object)
    if any(len(one) != len(classes) for one in rows["probabilities"]):
        # Labels that arrived under an earlier date: what the naive baseline knew is lost.
        classes = tuple(sorted(set(values)))
        return Answers(values, (values[:, None] == np.array(classes)).astype(float), classes)
    return Answers(values, np.array(rows["probabilities"].tolist(), dtype=float), classes)
