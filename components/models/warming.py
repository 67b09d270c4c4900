"""Going on from an earlier model: only from one that means the same by rows and answers."""

from typing import TYPE_CHECKING, Any, TypeVar

from components.errors import TrainingError
from components.models.contract import Inputs
from components.models.protocol import Model, Objective

if TYPE_CHECKING:
    from components.models.encoding import Encoding

Kind = TypeVar("Kind")


def same_kind(model: Model, kind: type[Kind], inputs: Inputs, objective: Objective) -> Kind:
    """Give an earlier model as what it is, where a fit can go on from it.

    Raises
    ------
    TrainingError
        If it is of another family, task, classes or columns; says which.

    """
    if not isinstance(model, kind):
        raise TrainingError(
            f"a warm start needs an earlier model of the same family with all of its state. Got "
            f"{type(model).__name__}; fit afresh"
        )
    found: Any = model
    encoding: Encoding = found.encoding
    columns = tuple(
        (name, "category" if values.dtype == object else "number")
        for name, values in inputs.items()
    )
    for what, before, now in (
        ("task", found.task, objective.task),
        ("classes", found.classes, objective.classes),
        ("columns", encoding.columns, columns),
    ):
        if before != now:
            raise TrainingError(
                f"a warm start needs the same {what}; the earlier model has {before}, the rows "
                f"have {now}; fit afresh"
            )
    return model
