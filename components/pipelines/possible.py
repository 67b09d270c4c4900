"""What the parts of a pipeline file may ask of each other."""

from collections.abc import Mapping, Sequence

from components.pipelines.data import Column, History

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
