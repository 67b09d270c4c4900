"""What a pipeline file says of its data: where it is, what it holds, what is made of it."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

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

Kind = Literal["number", "category"]
Fallback = Literal["last", "default", "refuse"]
Taken = Literal["last", "mean", "count", "trend"]
Same = Literal["hour", "weekday", "hour_of_week"]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(write_duration)]
Span = Annotated[Duration, AfterValidator(some_time)]


class Section(BaseModel):
    """A part of the pipeline file: frozen, and no field that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Column(Section):
    """One feature: its kind, what it may hold, and what stands in for it while it is faulty.

    `fallback` is what scoring does while a data fault stands in the column: ``last``, the
    last value from before the fault; ``default``, the value under `default`; ``refuse``, no
    prediction until the fault ends. By default the column is scored as missing. ``last`` and
    ``default`` stand in for a single impossible value, too; else its row has no prediction.
    """

    kind: Kind
    nulls: bool = True
    min: float | None = None
    max: float | None = None
    fallback: Fallback | None = None
    default: float | str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        return {"kind": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min:g}) must not exceed max ({self.max:g})")
        if (self.fallback == "default") != (self.default is not None):
            raise ValueError("fallback: default needs a value under default, and the reverse")
        if self.kind == "number" and isinstance(self.default, str):
            raise ValueError(f"default must be a number. Got {self.default!r}")
        return self


class Source(Section):
    """Where rows come from: a file or folder, a database, or a function of the user's own.

    Attributes
    ----------
    path : str
        CSV (also gzipped or zipped), Parquet, a folder of either, or a Delta table;
        relative to the pipeline file.
    url : str
        ``${NAME}`` of a PostgreSQL or SQLite database, with `query` or `table`.
    python : str
        ``module:function`` in HOME/code, which yields batches since a watermark.
    lateness : Span
        How long after a row was known it may still arrive; later ones are set aside.
        By default whenever they come.
    decimal_comma : tuple of str
        Columns of text that write 1234.5 as ``1.234,5``.
    day_first, month_first : tuple of str
        Columns of text that write days as ``31.1.2024`` or ``1/31/2024``.

    """

    path: str | None = None
    url: str | None = None
    query: str | None = None
    table: str | None = None
    python: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] | None = None
    lateness: Span | None = None
    decimal_comma: tuple[str, ...] = ()
    day_first: tuple[str, ...] = ()
    month_first: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _read_in_one_way(self) -> Self:
        named = [*self.decimal_comma, *self.day_first, *self.month_first]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(
                f"{', '.join(twice)} stands twice in decimal_comma, day_first and month_first; a "
                "column is written in one way"
            )
        return self

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("path", "url", "python") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "needs one of path (a file, a folder or a Delta table), url (a database) or "
                f"python (module:function). Got {' and '.join(given) or 'none'}"
            )
        asked = [name for name in ("query", "table") if getattr(self, name) is not None]
        if (self.url is not None) != (len(asked) == 1):
            raise ValueError(
                "url needs either query or table beside it, and neither stands without url. "
                f"Got {' and '.join([*given, *asked])}"
            )
        if self.path is not None and "://" in self.path:
            raise ValueError("path must be a file or folder; give an address as url: ${NAME}")
        _only_named(self.url)
        return self

    @property
    def shown(self) -> str:
        """Name the source for people: never with a password."""
        if self.url is not None:
            return f"{self.url} ({self.table or 'query'})"
        return str(self.path or self.python)


class Labels(Source):
    """Where the truth comes from, where it is a table of its own.

    `id` is the column that names the record, `time` the one that says when the label was
    known. Its values are in the column that `target` names.
    """

    id: str
    time: str


class Sink(Section):
    """The user's own table that predictions are upserted into, by `prediction_id`."""

    url: str
    table: str = "predictions"

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        if isinstance(given, str):
            url, _, table = given.partition("#")
            return {"url": url, "table": table} if table else {"url": url}
        return given

    @model_validator(mode="after")
    def _no_secret(self) -> Self:
        _only_named(self.url)
        return self


class History(Section):
    """One history feature: what was known of the past when the record was to be predicted.

    Attributes
    ----------
    of : str
        ``label``, or the name of a feature column; for `count` also ``records``.
    take : {"last", "mean", "count", "trend"}
        The newest value, the mean, the number of values, or the slope per day.
    over : Span, optional
        How far back it looks; everything by default.
    back : Span, optional
        A lag: only values at least so much older than the record (event time).
    same : {"hour", "weekday", "hour_of_week"}, optional
        Only values of the same hour, weekday or both (UTC).
    by : tuple of str
        Only values of the same entity, or the same category in these columns.

    """

    of: str = "label"
    take: Taken
    over: Span | None = None
    back: Span | None = None
    same: Same | None = None
    by: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: object) -> object:
        if isinstance(given, dict) and "take" not in given:
            named = [take for take in ("last", "mean", "count", "trend") if take in given]
            if len(named) == 1:
                rest = {key: value for key, value in given.items() if key != named[0]}
                given = {**rest, "take": named[0], "of": given[named[0]]}
        if isinstance(given, dict) and isinstance(given.get("by"), str):
            given = {**given, "by": (given["by"],)}
        return given

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.of == "records" and self.take != "count":
            raise ValueError("records can only be counted: {count: records, over: 7d}")
        if self.over and self.back and self.back >= self.over:
            raise ValueError("back must be shorter than over: nothing lies between")
        return self

    @property
    def name(self) -> str:
        """The name of the column, such as ``label_mean_7d_same_hour_by_origin``."""
        parts = [self.of, self.take]
        parts += [write_duration(self.over)] if self.over else []
        parts += [f"back_{write_duration(self.back)}"] if self.back else []
        parts += [f"same_{self.same}"] if self.same else []
        parts += [f"by_{'_'.join(self.by)}"] if self.by else []
        return "_".join(parts)


class Diagnosis(Section):
    """How data faults are looked for.

    `period` is the stretch that is judged as one, by default a day, or longer where a day
    holds too few rows; `reference` is how far back normal is learnt from. `ignore` names
    faults that are none here, as ``frozen`` or, for one column, ``frozen:vicprice``.
    """

    period: Span | None = None
    reference: Span = timedelta(days=56)
    ignore: tuple[str, ...] = ()


def _only_named(url: str | None) -> None:
    if url is not None and not re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", url):
        # The address itself is not repeated: it may hold a password.
        raise ValueError(
            "url must be ${NAME}: the address stands in the environment variable NAME, or under "
            "[urls] in driftwheel.toml; so no password is in a pipeline file. Got something else"
        )
