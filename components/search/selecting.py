"""Which features a model does not read, and why."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from components.errors import TrainingError
from components.looking.leaks import DETERMINES, find_leaks
from components.models.fitting import Fitted
from components.pipelines import Pipeline
from components.recipes import losses_of
from components.records import EVENT_TIME, LABEL

REPEATS = 5
"""How often each column is shuffled."""

SURE = 1.0
"""A column helps for certain once its importance is so many standard errors above 0."""

_MOST_ROWS = 5_000


def unusable(rows: pd.DataFrame, pipeline: Pipeline) -> dict[str, str]:
    """Find features that teach nothing, or the answer itself; the reason for each.

    A feature of history cannot leak: it is made of what was known before the event. Features
    that leak stay where there is nothing else to learn from.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)
        What may be learnt from. Not modified.

    Raises
    ------
    TrainingError
        If every feature is constant.

    """
    found = {
        name: "constant on the training rows" for name in pipeline.inputs if is_constant(rows[name])
    }
    left = [name for name in pipeline.inputs if name not in found]
    if not left:
        reasons = "; ".join(f"{name}: {why}" for name, why in found.items())
        raise TrainingError(
            f"{pipeline.name}: no feature is left to learn from ({reasons}); look at the columns"
        )
    leaks = find_leaks(
        _parsed(rows, [name for name in pipeline.features if name in left], pipeline),
        _target(rows, pipeline),
        rows[EVENT_TIME],
        task=pipeline.resolved_task,
    )
    leaking = {
        leak.columns[0]: f"leaks: {leak}, at least {DETERMINES}"
        for leak in leaks.certain
        if len(leak.columns) == 1
    }
    # With nothing else to learn from it may be a rule and no leak: the gate judges.
    return found | leaking if set(left) > set(leaking) else found


def _parsed(rows: pd.DataFrame, names: Sequence[str], pipeline: Pipeline) -> pd.DataFrame:
    kinds = pipeline.inputs
    return pd.DataFrame(
        {
            name: pd.to_numeric(rows[name], errors="coerce").astype("float64")
            if kinds[name] == "number"
            else rows[name].astype("str").where(rows[name].notna())
            for name in names
        },
        index=rows.index,
    )


def _target(rows: pd.DataFrame, pipeline: Pipeline) -> pd.Series:
    if pipeline.resolved_task == "regression":
        return rows[LABEL].astype("float64")
    return rows[LABEL].astype("str")


def unhelpful(fitted: Fitted, rows: pd.DataFrame, pipeline: Pipeline) -> dict[str, str]:
    """Find features whose permutation importance on later rows is not surely above 0.

    A feature that never varies on these rows cannot be judged on them, and is kept.

    Parameters
    ----------
    fitted : Fitted
        Fitted on earlier rows.
    rows : DataFrame of shape (n_labelled, n_columns)
        Later rows. Not modified.

    References
    ----------
    Breiman. Random forests. Machine Learning 45 (2001): permutation importance.

    """
    if len(rows) > _MOST_ROWS:
        rows = rows.iloc[np.linspace(0, len(rows) - 1, _MOST_ROWS).astype(int)]
    base = losses_of(fitted, rows, pipeline)
    chance = np.random.default_rng(pipeline.seed)
    found = {}
    for name in fitted.contract.names:
        if is_constant(rows[name]):
            continue
        rises = [
            losses_of(fitted, rows.assign(**{name: _shuffled(rows[name], chance)}), pipeline) - base
            for _ in range(REPEATS)
        ]
        rise = np.mean(rises, axis=0)
        mean, error = float(rise.mean()), float(rise.std() / np.sqrt(len(rise)))
        if mean <= SURE * error:
            found[name] = (
                f"permutation importance {mean:.3g} ± {error:.2g} on the newest fold, and "
                "the model does better on every fold without it"
            )
    return found


def is_constant(column: pd.Series) -> bool:
    """Say whether all values are the same; missing ones are all the same."""
    return len(pd.unique(column)) <= 1


def _shuffled(column: pd.Series, chance: np.random.Generator) -> pd.Series:
    return pd.Series(
        column.array.take(chance.permutation(len(column))), index=column.index, name=column.name
    )
