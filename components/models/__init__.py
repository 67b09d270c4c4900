"""Model families behind one protocol; each family's libraries load when it is asked for."""

from typing import TYPE_CHECKING, Any

from components.errors import InvalidInputError
from components.models.contract import MISSING, InputContract, Inputs
from components.pipelines import nearest
from components.pipelines.spec import Family

if TYPE_CHECKING:
    from components.models.protocol import Estimator

__all__ = ["FAMILIES", "MISSING", "InputContract", "Inputs", "estimator"]

FAMILIES: tuple[Family, ...] = ("linear", "forest", "hist_boosting", "lightgbm", "network")


def estimator(family: str, **params: Any) -> "Estimator":
    """Make an estimator of a family.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    **params
        Settings other than the defaults; each family documents its own.

    Raises
    ------
    InvalidInputError
        If there is no such family or setting; names the nearest.

    Examples
    --------
    >>> estimator("linear", strength=2.0).settings()
    {'strength': 2.0}

    """
    kind = _estimator_class(family)
    known = list(kind().settings())
    for name in params:
        if name not in known:
            raise InvalidInputError(
                f"family {family!r} has no setting {name!r}{nearest(name, known)} "
                f"Known: {', '.join(known)}."
            )
    return kind(**params)


def _estimator_class(family: str) -> "type[Estimator]":
    # Inside, not on top: torch takes two seconds to import, LightGBM and scikit-learn one.
    if family == "linear":
        from components.models.linear import Linear

        return Linear
    if family == "forest":
        from components.models.forest import Forest

        return Forest
    if family == "hist_boosting":
        from components.models.hist_boosting import HistBoosting

        return HistBoosting
    if family == "lightgbm":
        from components.models.lightgbm import LightGBM

        return LightGBM
    if family == "network":
        from components.models.network import Network

        return Network
    raise InvalidInputError(
        f"no model family named {family!r}{nearest(family, FAMILIES)} Known: {', '.join(FAMILIES)}."
    )
