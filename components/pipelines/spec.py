"""One prediction problem under care, as a value: what `pipelines/NAME.yaml` says.

The classes here are the schema; :mod:`components.pipelines.reading` turns a file into
them and turns their complaints into words.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    Field,
    model_validator,
)

from components.pipelines.data import (
    Column,
    Diagnosis,
    Duration,
    History,
    Kind,
    Labels,
    Section,
    Sink,
    Source,
    Span,
)
from components.pipelines.durations import write_duration
from components.pipelines.learning import (
    Calibration,
    Decision,
    Gate,
    Intervals,
    Loss,
    Search,
    Share,
    Trusted,
    Weights,
)
from components.pipelines.possible import (
    NUMBERS_ONLY,
    impossible_history,
    impossible_learning,
)

Task = Literal["regression", "binary", "multiclass"]
Family = Literal["linear", "forest", "hist_boosting", "lightgbm", "network"]
Metric = Literal[
    "mae",
    "rmse",
    "pinball",
    "roc_auc",
    "pr_auc",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "log_loss",
]
NaiveKind = Literal["last", "season", "mean", "majority"]
DriftMethod = Literal["wasserstein", "jensenshannon", "psi", "ks", "hellinger"]
FlowName = Literal["ingest", "train", "score", "monitor", "reconcile", "maintain"]

# Lower is better for every metric but these.
HIGHER_IS_BETTER = frozenset({"roc_auc", "pr_auc", "accuracy", "precision", "recall", "f1"})
DEFAULT_METRIC = {"regression": "mae", "binary": "roc_auc", "multiclass": "log_loss"}


class Window(Section):
    """Which history a model is trained on: everything, the newest stretch, or since a change.

    `since_change`: since the loss of a small model last changed for good, found anew at every
    fit; all history where no change is found.
    """

    last: Span | None = None
    since_change: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        if given == "all":
            return {}
        if given == "since change":
            return {"since_change": True}
        if isinstance(given, str) and given.startswith("last "):
            return {"last": given.removeprefix("last ")}
        if isinstance(given, dict):
            return given
        raise ValueError(
            f"must be 'all', 'since change' or, for example, 'last 90d'. Got {given!r}"
        )

    def __str__(self) -> str:
        if self.since_change:
            return "since change"
        return "all" if self.last is None else f"last {write_duration(self.last)}"


class Holdout(Section):
    """The newest labelled stretch that the gate judges on."""

    least_rows: Annotated[int, Field(ge=2)] = 200
    most: Span = timedelta(days=14)


class DriftTest(Section):
    """How one column is compared with the reference; a score above `threshold` is drift.

    For `ks` the score is a p-value, and drift is a score *below* the threshold.
    """

    method: DriftMethod
    threshold: Annotated[float, Field(gt=0)]


class Monitor(Section):
    """What is measured, on windows of which width."""

    window: Span = timedelta(days=7)
    least_rows: Annotated[int, Field(ge=1)] = 30
    number: DriftTest = DriftTest(method="wasserstein", threshold=0.3)
    category: DriftTest = DriftTest(method="jensenshannon", threshold=0.2)
    columns: dict[str, DriftTest] = Field(default_factory=dict)


def _cooldown_of(given: dict[str, Any]) -> timedelta:
    return timedelta(days=14 if given.get("kind", "drift") == "drift" else 0)


class Policy(Section):
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


class Pipeline(Section):
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
    labels: Labels | None = None
    mature_after: Span | None = None
    columns: dict[str, Column] = Field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    history: tuple[History, ...] = ()
    diagnosis: Diagnosis = Diagnosis()
    sink: Sink | None = None
    retain: Span | None = None
    candidates: tuple[str, ...] = ("linear", "lightgbm")
    trusted: dict[str, Trusted] = Field(default_factory=dict)
    windows: tuple[Window, ...] = (Window(),)
    least_train_rows: Annotated[int, Field(ge=10)] = 100
    search: Search = Search()
    loss: Loss | None = None
    quantile: Share | None = None
    weights: Weights | None = None
    metric: Metric | None = None
    decision: Decision | None = None
    intervals: Intervals | None = None
    calibration: Calibration = "auto"
    slices: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    naive: tuple[NaiveKind, ...] = ()
    season: Span = timedelta(days=7)
    first_train: datetime | None = None
    holdout: Holdout = Holdout()
    gate: Gate = Gate()
    monitor: Monitor = Monitor()
    policy: Policy = Policy()
    max_age: Duration | None = None
    mode: Literal["auto", "propose", "watch"] = "auto"
    approvers: tuple[str, ...] = ()
    schedule: dict[FlowName, str | None] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    file: Path = Field(default=Path(), exclude=True)
    # What ${NAME} stands for here. Never shown, never written: it may hold a password.
    places: dict[str, str] = Field(default={}, exclude=True, repr=False)

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
        problem = impossible_learning(self, get_args(Family))
        if problem:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _one_truth(self) -> Self:
        ways = (self.label_delay, self.label_time, self.labels)
        if sum(way is not None for way in ways) != 1:
            raise ValueError(
                "needs one of label_delay (how long after the event the label is known, such as "
                "1d), label_time (the column that says when) or labels (a table of their own); "
                "a guess would leak the future"
            )
        if self.labels is not None and self.id is None:
            raise ValueError(
                "labels in a table of their own need id: the column of the source that names a "
                "record, as labels.id does in theirs"
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

    @model_validator(mode="after")
    def _drift_of_its_kind(self) -> Self:
        monitor = self.monitor
        tests = {"monitor.category": monitor.category}
        kinds = {name: column.kind for name, column in self.columns.items()}
        for name, test in monitor.columns.items():
            if kinds.get(name) == "category":
                tests[f"monitor.columns.{name}"] = test
        for field, test in tests.items():
            if test.method in NUMBERS_ONLY:
                raise ValueError(
                    f"{field}: {test.method} compares numbers, and a category is none; "
                    "use jensenshannon, psi or hellinger"
                )
        return self

    @model_validator(mode="after")
    def _history_of_something(self) -> Self:
        problem = impossible_history(self.history, self.columns, self.entity, self.task)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def inputs(self) -> dict[str, Kind]:
        """What a model reads: the feature columns, then the history features, with kinds."""
        raw = {name: column.kind for name, column in self.columns.items()}
        return {**raw, **{feature.name: self._kind_of(feature) for feature in self.history}}

    def _kind_of(self, feature: History) -> Kind:
        """Say what a history feature holds: the last value of a category is a category."""
        if feature.take != "last":
            return "number"
        if feature.of == "label":
            return "number" if self.resolved_task == "regression" else "category"
        return self.columns[feature.of].kind

    @property
    def naive_kinds(self) -> tuple[NaiveKind, ...]:
        """The naive baselines that a model must beat: as stated, else by task."""
        if self.naive:
            return self.naive
        return ("last", "season", "mean" if self.resolved_task == "regression" else "majority")

    @property
    def addressed(self) -> tuple[Source | Sink, ...]:
        """The parts that may name an address."""
        return tuple(part for part in (self.source, self.labels, self.sink) if part is not None)

    def address_of(self, part: Source | Sink) -> str:
        """Fill the ``${NAME}`` of a source or sink.

        Raises
        ------
        ValueError
            If nothing is known under that name; says where to put it.

        """
        name = str(part.url)[2:-1]
        if name not in self.places:
            raise ValueError(
                f"{self.file.name or self.name} names ${{{name}}}, which is neither set in the "
                f"environment nor under [urls] in driftwheel.toml; export {name}=… and try again"
            )
        return self.places[name]

    @property
    def source_path(self) -> Path:
        """Where the source lies, if it has a path."""
        return self.path_of(self.source)

    def path_of(self, source: Source) -> Path:
        """Where a source lies that has a path: relative to the pipeline file."""
        return (self.file.parent / str(source.path)).expanduser().resolve()
