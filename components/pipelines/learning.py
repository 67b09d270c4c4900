"""What a pipeline file says of learning: what is tried, what the answers carry, who may decide."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.pipelines.data import Section, Span

Fraction = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Price = Annotated[float, Field(ge=0)]
Loss = Literal["squared", "absolute", "huber", "poisson", "quantile"]
Calibration = Literal["auto", "none", "sigmoid", "isotonic"]


class Search(Section):
    """How long recipes are searched for, and when.

    A recipe is a family, a training window and the family's settings. Every candidate is first
    tried on every window with the settings of the house; then Optuna goes on, until `trials`
    have been made or `budget` is used up (which is the one way in which two searches of the
    same rows may differ). Each trial is judged on `folds` later stretches, as wide as the
    gate's holdout, with the delay of the labels between.

    `select`: features that do not help are left out, with the reason.
    `first`: search at the first training and keep what was found; `always`: at every one.
    """

    when: Literal["first", "always"] = "first"
    trials: Annotated[int, Field(ge=1, le=10_000)] = 20
    budget: Span = timedelta(seconds=60)
    folds: Annotated[int, Field(ge=1, le=20)] = 3
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    select: bool = True

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        return {"when": given} if isinstance(given, str) else given


class Trusted(Section):
    """A class of the user's own, in a file under ``HOME/code``, known by the file's digest."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_/-]*\.py$")]
    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Weights(Section):
    """How much each row counts in a fit: a column, classes evenly, and newer rows more.

    What is given is multiplied. `half_life`: a row so much older than the newest counts half.
    """

    column: str | None = None
    balanced: bool = False
    half_life: Span | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        if given == "balanced":
            return {"balanced": True}
        return {"column": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.column is None and not self.balanced and self.half_life is None:
            raise ValueError("weights needs a column, balanced or half_life. Got none of them")
        return self


class Decision(Section):
    """Where a binary score becomes a yes: by cost, or to reach a precision or recall.

    `false_positive` and `false_negative` are the costs of one wrong answer each, in any unit.
    """

    false_positive: Price | None = None
    false_negative: Price | None = None
    precision: Share | None = None
    recall: Share | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        costs = (self.false_positive, self.false_negative)
        priced = None not in costs
        if (costs != (None, None)) != priced:
            raise ValueError("a cost needs both false_positive and false_negative")
        if sum((priced, self.precision is not None, self.recall is not None)) != 1:
            raise ValueError(
                "decision needs one of false_positive with false_negative, precision, recall"
            )
        if priced and sum(cost or 0.0 for cost in costs) == 0:
            raise ValueError("one of false_positive and false_negative must be above 0")
        return self


class Intervals(Section):
    """Prediction intervals (regression) or sets (classes) that hold the truth so often."""

    coverage: Share = 0.9

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        return {"coverage": given} if isinstance(given, int | float) else given


class Limits(Section):
    """What a challenger must not lose, however much better it is on the whole.

    Each is left out with ``null``. A slice is lost where its loss has risen by more than
    `slice_loss` of the rival's, surely at the gate's level over all slices; calibration error
    and the largest difference of selection or error rates between groups may rise by so much;
    latency (of one row) and size of the package may be so many times the champion's, where that
    is stated: a linear model is a hundredth of the trees that rightly follow it;
    `flips` is the largest share of rows that were right before and are wrong now.
    """

    slice_loss: Fraction | None = 0.1
    calibration: Fraction | None = 0.05
    fairness: Fraction | None = 0.05
    latency: Annotated[float, Field(gt=0)] | None = None
    size: Annotated[float, Field(gt=0)] | None = None
    flips: Fraction | None = None


class Gate(Section):
    """What a challenger must show: a gain above `margin`, a fraction of the champion's loss.

    `holdout` judges on the newest labelled rows, kept from the fit, and refits the winner;
    `shadow` lets the challenger answer beside the champion, and judges once new labels came.
    """

    mode: Literal["holdout", "shadow"] = "holdout"
    margin: Fraction = 0.01
    level: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    block: Span = timedelta(days=1)
    limits: Limits = Limits()
