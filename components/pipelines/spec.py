"""One prediction problem under care, as a value: what `pipelines/NAME.yaml` says.

The classes here are the schema; :mod:`components.pipelines.reading` turns a file into
them and turns their complaints into words.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from components.pipelines.durations import parse_duration, some_time, write_duration

Task = Literal["regression", "binary", "multiclass"]
Family = Literal["linear", "forest", "hist_boosting", "lightgbm", "network"]
NaiveKind = Literal["last", "season", "mean", "majority"]
DriftMethod = Literal["wasserstein", "jensenshannon", "psi", "ks", "hellinger"]
FlowName = Literal["ingest", "train", "score", "monitor", "reconcile", "maintain"]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(write_duration)]
Span = Annotated[Duration, AfterValidator(some_time)]
Fraction = Annotated[float, Field(ge=0, le=1)]

# Lower is better for every metric but these.
HIGHER_IS_BETTER = frozenset({"roc_auc", "accuracy"})
DEFAULT_METRIC = {"regression": "mae", "binary": "roc_auc", "multiclass": "log_loss"}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Column(_Section):
    """One feature: its kind and what it may hold."""

    kind: Literal["number", "category"]
    nulls: bool = True
    min: float | None = None
    max: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        return {"kind": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) must not exceed max ({self.max:g})")
        return self


class Source(_Section):
    """Where records and labels come from; `path` is relative to the pipeline file."""

    path: str


class Window(_Section):
    """Which history a model is trained on: everything, or the newest stretch."""

    last: Span | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        if given == "all":
            return {}
        if isinstance(given, str) and given.startswith("last "):
            return {"last": given.removeprefix("last ")}
        if isinstance(given, dict):
            return given
        raise ValueError(f"must be 'all' or, for example, 'last 90d'. Got {given!r}")

    def __str__(self) -> str:
        return "all" if self.last is None else f"last {write_duration(self.last)}"


class Holdout(_Section):
    """The newest labelled stretch that the gate judges on."""

    least_rows: Annotated[int, Field(ge=2)] = 200
    most: Span = timedelta(days=14)


class Gate(_Section):
    """What a challenger must show: a gain above `margin`, a fraction of the champion's loss."""

    margin: Fraction = 0.01
    level: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    block: Span = timedelta(days=1)


class DriftTest(_Section):
    """How one column is compared with the reference; a score above `threshold` is drift.

    For `ks` the score is a p-value, and drift is a score *below* the threshold.
    """

    method: DriftMethod
    threshold: Annotated[float, Field(gt=0)]


class Monitor(_Section):
    """What is measured, on windows of which width."""

    window: Span = timedelta(days=7)
    least_rows: Annotated[int, Field(ge=1)] = 30
    number: DriftTest = DriftTest(method="wasserstein", threshold=0.3)
    category: DriftTest = DriftTest(method="jensenshannon", threshold=0.2)
    columns: dict[str, DriftTest] = {}


def _cooldown_of(given: dict[str, Any]) -> timedelta:
    return timedelta(days=14 if given.get("kind", "drift") == "drift" else 0)


class Policy(_Section):
    """When to ask for a retraining.

    `never`; `periodic`, every `period`; `drift`, when at least `share` of the columns have
    drifted in `needed` of the last `of` windows, the newest among them. No policy asks
    again within `cooldown` of the last answer: by default 14 days for `drift`, none for the
    others, since a calendar decides by itself when it is due.
    """

    kind: Literal["never", "periodic", "drift"] = "drift"
    period: Span = timedelta(days=28)
    share: Annotated[float, Field(gt=0, le=1)] = 0.3
    needed: Annotated[int, Field(ge=1)] = 2
    of: Annotated[int, Field(ge=1)] = 3
    cooldown: Duration = Field(default_factory=_cooldown_of)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        if isinstance(given, str):
            kind, _, period = given.partition(":")
            return {"kind": kind, "period": period} if period else {"kind": kind}
        return given

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.needed > self.of:
            raise ValueError(f"needed ({self.needed}) must not exceed of ({self.of})")
        return self


class Pipeline(_Section):
    """One pipeline file.

    `name`, `source`, `time`, `target` and a label delay (or the label's own time) are
    enough; everything else has a default.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
    source: Source
    time: str
    target: str
    task: Task | None = None
    id: str | None = None
    entity: str | None = None
    updated: str | None = None
    label_delay: Duration | None = None
    label_time: str | None = None
    columns: dict[str, Column] = {}
    exclude: tuple[str, ...] = ()
    candidates: tuple[Family, ...] = ("linear", "lightgbm")
    windows: tuple[Window, ...] = (Window(),)
    search: Literal["first", "always"] = "first"
    metric: Literal["mae", "rmse", "roc_auc", "accuracy", "log_loss"] | None = None
    naive: tuple[NaiveKind, ...] = ()
    season: Span = timedelta(days=7)
    first_train: datetime | None = None
    holdout: Holdout = Holdout()
    gate: Gate = Gate()
    monitor: Monitor = Monitor()
    policy: Policy = Policy()
    max_age: Duration | None = None
    schedule: dict[FlowName, str | None] = {}
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    file: Path = Field(default=Path(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _one_window(cls, given: object) -> object:
        if isinstance(given, dict) and "window" in given:
            if "windows" in given:
                raise ValueError("give either window or windows, not both")
            rest = {key: value for key, value in given.items() if key != "window"}
            window = given["window"]
            return {**rest, "windows": window if isinstance(window, list) else [window]}
        return given

    @model_validator(mode="after")
    def _something_to_fit(self) -> Self:
        if not (self.candidates and self.windows):
            raise ValueError("candidates and windows must each name at least one. Got none")
        return self

    @model_validator(mode="after")
    def _one_truth(self) -> Self:
        if (self.label_delay is None) == (self.label_time is None):
            raise ValueError(
                "needs either label_delay (how long after the event the label is known, such "
                "as 1d) or label_time (the column that says when); a guess would leak the future"
            )
        roles = {self.time, self.target, self.id, self.label_time, self.updated} - {None}
        taken = roles & set(self.columns)
        if taken:
            raise ValueError(
                f"columns must hold features only; {', '.join(sorted(map(str, taken)))} "
                "already serves as time, target, id or label time"
            )
        return self

    @property
    def resolved_task(self) -> Task:
        """The task, once :func:`components.sources.resolve` has looked at the data."""
        if self.task is None:
            raise ValueError("task is not resolved yet; read the pipeline through resolve()")
        return self.task

    @property
    def resolved_metric(self) -> str:
        """The metric that is reported: as stated, else by task."""
        return self.metric or DEFAULT_METRIC[self.resolved_task]

    @property
    def features(self) -> tuple[str, ...]:
        """The feature columns, in the order of the file."""
        return tuple(self.columns)

    @property
    def naive_kinds(self) -> tuple[NaiveKind, ...]:
        """The naive baselines that a model must beat: as stated, else by task."""
        if self.naive:
            return self.naive
        return ("last", "season", "mean" if self.resolved_task == "regression" else "majority")

    @property
    def source_path(self) -> Path:
        """The source, relative to the pipeline file."""
        return (self.file.parent / self.source.path).resolve()
