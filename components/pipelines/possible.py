"""What the parts of a pipeline file may ask of each other."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from components.pipelines.data import Column, History
from components.pipelines.spelling import nearest

if TYPE_CHECKING:
    from components.pipelines.spec import Pipeline

NUMBERS_ONLY = frozenset({"wasserstein", "ks"})
"""Drift methods that compare numbers by their order; a category has none."""


def impossible_history(
    features: Sequence[History],
    columns: Mapping[str, Column],
    entity: str | None,
    task: str | None,
) -> str:
    """Say why these history features cannot be made; empty when they can.

    Parameters
    ----------
    columns : mapping
        The feature columns; while empty they are left to the data, and not compared with.
    task : str, optional
        While None it is left to the data.

    """
    names = [feature.name for feature in features]
    twice = sorted({name for name in names if names.count(name) > 1 or name in columns})
    if twice:
        return f"history makes {', '.join(twice)} twice, or a column has the name"
    if not columns:
        return ""
    found = (_impossible(feature, columns, entity, task) for feature in features)
    return next(filter(None, found), "")


def _impossible(
    feature: History, columns: Mapping[str, Column], entity: str | None, task: str | None
) -> str:
    known = {"label", "records", *columns}
    if feature.of not in known:
        return (
            f"history: {feature.of!r} is neither label, nor records, nor a feature; "
            f"known: {', '.join(sorted(known))}"
        )
    groups = {name for name, column in columns.items() if column.kind == "category"}
    groups |= {entity} if entity else set()
    wrong = [column for column in feature.by if column not in groups]
    if wrong:
        return (
            f"history: by must name the entity or a category. Got {wrong[0]!r}; "
            f"known: {', '.join(sorted(groups)) or 'none'}"
        )
    if feature.take not in {"mean", "trend"}:
        return ""
    if feature.of == "label":
        many = task == "multiclass"
        return f"history: a label of many classes has no {feature.take}" if many else ""
    if columns[feature.of].kind == "category":
        return f"history: {feature.of} is a category and has no {feature.take}"
    return ""


_OF_CLASSES = frozenset({"roc_auc", "pr_auc", "accuracy", "log_loss"})
_OF_TWO = frozenset({"precision", "recall", "f1"})
_OF_NUMBERS = frozenset({"mae", "rmse", "pinball"})


def impossible_learning(pipeline: "Pipeline", families: Sequence[str]) -> str:
    """Say why a model cannot be learnt or judged so; empty when it can.

    Parameters
    ----------
    families : sequence of str
        Those that are built in; others must be listed under ``trusted``.

    """
    clash = sorted(set(pipeline.trusted) & set(families))
    if clash:
        return f"trusted must not take the name of what is built in: {', '.join(clash)}"
    known = {*families, *pipeline.trusted}
    strange = sorted(set(pipeline.candidates) - known)
    if strange:
        return (
            f"candidates must be built in or listed under trusted. Got {strange[0]!r}"
            f"{nearest(strange[0], known) or '.'} Known: {', '.join(sorted(known))}"
        )
    return unkept_cuts(pipeline) or _not_for_the_task(pipeline)


def unkept_cuts(pipeline: "Pipeline") -> str:
    """Say which slice or sensitive column no record keeps; empty while `columns` is."""
    if not pipeline.columns:
        return ""
    known = {*pipeline.columns, *(feature.name for feature in pipeline.history)}
    known |= {pipeline.entity} if pipeline.entity else set()
    for field in ("slices", "sensitive"):
        for name in getattr(pipeline, field):
            if name not in known:
                return (
                    f"{field} must name features or the entity: of other columns no record keeps "
                    f"the value. Got {name!r}{nearest(name, known) or '.'} "
                    f"Known: {', '.join(sorted(known))}"
                )
    return ""


def _not_for_the_task(pipeline: "Pipeline") -> str:
    task, metric = pipeline.task, pipeline.metric
    classes = task in {"binary", "multiclass"}
    quantile = pipeline.loss == "quantile" or metric == "pinball"
    wrong = {
        f"metric: {metric} judges classes, and this is a regression; use mae or rmse": (
            task == "regression" and metric in _OF_CLASSES | _OF_TWO
        ),
        f"metric: {metric} judges numbers, and the target holds classes; use log_loss": (
            classes and metric in _OF_NUMBERS
        ),
        f"metric: {metric} is of two classes; use accuracy or log_loss": (
            task == "multiclass" and metric in _OF_TWO
        ),
        f"decision is about two classes; the task is {task}": (
            task in {"regression", "multiclass"} and pipeline.decision is not None
        ),
        "quantile goes with loss: quantile or metric: pinball, and they need it": (
            quantile != (pipeline.quantile is not None)
        ),
        f"loss: {pipeline.loss} is for regressions; classes are learnt by log loss": (
            classes and pipeline.loss is not None
        ),
    }
    return next((words for words, applies in wrong.items() if applies), "")
