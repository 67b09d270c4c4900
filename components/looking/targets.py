"""The target: which task it makes, how it is spread, how it moves, how late it becomes known."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from components.answers import Answers
from components.baselines import naive_answers
from components.looking.times import span_in_words
from components.values import parse_numbers, parse_text

Labelled = pd.DataFrame
"""Columns `event_time`, `known_time`, `label`; the label is a number or the class's name."""

# A numeric target of more distinct values than this is a quantity, of fewer a class.
MOST_CLASSES = 20
# Text of more distinct values than this, each in few rows, is no class.
MOST_TEXTS = 50
_TWO = 2
_RARE = 0.05
_SKEWED = 3.0
_GROWN = 1.3
_FEWEST_ROWS = 100
_NEWEST = 5_000
_STRONG = 1.15
_NO_WAIT = pd.Timedelta(0)


@dataclass(frozen=True, slots=True)
class Target:
    """The labels of the sample, parsed, and the task that they make.

    `problem` says why nothing can be learnt from them; empty where something can.
    """

    values: pd.Series
    task: str
    problem: str = ""
    noticed: tuple[str, ...] = ()


def read_target(name: str, raw: pd.Series, wanted: str | None) -> Target:
    """Read the target, and tell the task as the loop would.

    Parameters
    ----------
    name : str
    raw : Series
    wanted : {"binary", "multiclass", "regression"}, optional
        The task as the person states it.

    Examples
    --------
    >>> read_target("late", pd.Series(["1", "0", None]), None).task
    'binary'

    """
    numbers = parse_numbers(raw)
    text = parse_text(raw).values
    given = int(text.notna().sum())
    distinct = int(text.nunique())
    if distinct < _TWO:
        found = "is empty in every row" if not given else f"is always {text.dropna().iloc[0]!r}"
        found = "holds neither numbers nor text" if raw.notna().any() and not given else found
        return Target(
            text, "binary",
            f"target {name!r} {found}; it must take at least two values. Is it the right column?",
        )  # fmt: skip
    words = int(numbers.unreadable.sum())
    numeric = words == 0
    task = wanted or _task_of(numbers.values if numeric else text, numeric=numeric)
    if task == "regression":
        if words == given:
            example = str(raw[numbers.unreadable].iloc[0])
            return Target(
                text, task, f"target {name!r} must hold numbers for a regression. Got {example!r}"
            )
        return Target(numbers.values.where(np.isfinite(numbers.values)), task)
    if task == "binary" and distinct > _TWO:
        return Target(
            text, task, f"--task binary: target {name!r} takes {distinct} values ({_few(text)}); a "
            "binary one takes two. Leave --task out, or say --task multiclass"
            + (" or regression" if numeric else "")
        )  # fmt: skip
    if not numeric and given >= _FEWEST_ROWS and distinct > max(MOST_TEXTS, given / 20):
        return Target(
            text, task, f"target {name!r} takes {distinct} different texts in {given} rows "
            f"({_few(text)}): too many for classes, and no numbers. Is it the right column, and "
            "are its numbers written plainly, such as 1234.5?"
        )  # fmt: skip
    noticed = []
    if wanted is None and numeric and distinct > _TWO:
        noticed.append(
            f"target {name}: {distinct} different numbers, taken as classes; if their order "
            "counts, say --task regression"
        )
    return Target(text, task, noticed=tuple(noticed))


def _few(text: pd.Series) -> str:
    common = [str(value)[:24] for value in text.value_counts().index[:3]]
    return ", ".join(common) + (", …" if text.nunique() > len(common) else "")


def _task_of(values: pd.Series, *, numeric: bool) -> str:
    distinct = values.nunique()
    if numeric and distinct > MOST_CLASSES:
        return "regression"
    return "binary" if distinct == _TWO else "multiclass"


def notice_target(name: str, rows: Labelled, task: str) -> list[str]:
    """Say what stands out in the labels, oldest first."""
    known = rows.dropna(subset=["label", "event_time"]).sort_values("event_time", kind="stable")
    if known.empty:
        return []
    found = _spread(name, known["label"]) if task == "regression" else _shares(name, known["label"])
    if len(known) >= 4 * _FEWEST_ROWS:
        found += _moved(name, known["label"], task)
    return found


def _spread(name: str, label: pd.Series) -> list[str]:
    skew = float(label.skew() or 0.0) if label.std() else 0.0  # type: ignore[arg-type]
    if abs(skew) < _SKEWED:
        return []
    return [
        (
            f"target {name}: very uneven (half of the values are below {label.median():g}, the "
            f"largest is {label.max():g}); the mean error will be ruled by few rows"
        )
    ]


def _shares(name: str, label: pd.Series) -> list[str]:
    shares = label.value_counts(normalize=True)
    rare = shares[shares < _RARE]
    if rare.empty:
        return []
    named = ", ".join(f"{value!s} {share:.2%}" for value, share in rare.iloc[:4].items())
    more = f" and {len(rare) - 4} more" if len(rare) > 4 else ""  # noqa: PLR2004 - as shown
    return [f"target {name}: rare classes: {named}{more}; AUC or log loss says more than accuracy"]


def _moved(name: str, label: pd.Series, task: str) -> list[str]:
    quarter = len(label) // 4
    first, last = label.iloc[:quarter], label.iloc[-quarter:]
    if task == "regression":
        a, b = float(first.mean()), float(last.mean())
        if min(a, b) > 0 and max(a / b, b / a) > _GROWN:
            return [
                (
                    f"target {name}: its mean went from {a:.4g} in the first quarter of the rows "
                    f"to {b:.4g} in the last: an old model would be wrong by as much"
                )
            ]
        return []
    new = sorted(set(last.unique()) - set(first.unique()))
    return [f"target {name}: class {value!s} comes only later in the data" for value in new[:3]]


def notice_naive(name: str, rows: Labelled, task: str) -> list[str]:
    """Say how good it is to repeat the last label known at the time, if that is a strong rival.

    Measured on the newest labels, each row seeing only what was known by then; of the same one,
    where a column `entity` says whom a row is about.
    """
    known = rows.dropna(subset=["label", "event_time", "known_time"])
    known = known.sort_values("event_time", kind="stable").reset_index(drop=True)
    if len(known) < _FEWEST_ROWS:
        return []
    newest = known.tail(_NEWEST)
    whose = "entity" if "entity" in known else None
    classes = () if task == "regression" else tuple(sorted(known["label"].unique()))

    def answered(kind: str) -> Answers:
        return naive_answers(
            kind, newest, known, task=task, classes=classes,
            season=pd.Timedelta(days=7).to_pytimedelta(), known_by=None, entity=whose,
        )  # fmt: skip

    if task == "regression":
        truth = newest["label"].to_numpy(dtype=float)
        last, mean = (
            float(np.abs(answered(kind).values.astype(float) - truth).mean())
            for kind in ("last", "mean")
        )
        if last * 2 > mean:
            return []
        return [
            (
                f"target {name}: repeating the last known label has a mean error of {last:.4g}, "
                f"the mean so far one of {mean:.4g}: a strong rival, and history features will help"
            )
        ]
    truth = newest["label"].to_numpy(dtype=object)
    last = float((answered("last").values == truth).mean())
    common = float((answered("majority").values == truth).mean())
    if last < common * _STRONG:
        return []
    return [
        (
            f"target {name}: repeating the last known label is right in {last:.1%} of the rows, "
            f"the most common class in {common:.1%}: a strong rival, and history features will help"
        )
    ]


def labels_stop(rows: Labelled, delay: "Delay") -> pd.Timestamp | None:
    """Say after which event no label came any more though it was due; None where they go on.

    It must have been so for a day at least: fewer say nothing.
    """
    labelled = rows.loc[rows["label"].notna(), "event_time"]
    if labelled.dropna().empty:
        return None
    last = pd.Timestamp(labelled.max())
    due = rows["event_time"].max() - max(delay.nearly, _NO_WAIT)
    return last if due - last >= pd.Timedelta(days=1) else None


@dataclass(frozen=True, slots=True)
class Delay:
    """How long after the event something is known: half of it, 95 %, 99.9 %, all of it."""

    median: pd.Timedelta = _NO_WAIT
    late: pd.Timedelta = _NO_WAIT
    nearly: pd.Timedelta = _NO_WAIT
    longest: pd.Timedelta = _NO_WAIT
    early: int = 0
    measured: bool = False
    noticed: tuple[str, ...] = field(default=())

    @property
    def shown(self) -> str:
        """Half, 95 % and all of the labels."""
        return (
            f"half of the labels are known after {span_in_words(self.median)}, 95 % after "
            f"{span_in_words(self.late)}, the last after {span_in_words(self.longest)}"
        )


def measure_delay(events: pd.Series, known: pd.Series) -> Delay:
    """Measure the wait for labels that came.

    Parameters
    ----------
    events, known : Series of datetime64[us, UTC]
        Of the rows with a label, in the same order.

    Examples
    --------
    >>> day = pd.Series(pd.date_range("2026-01-01", periods=3, tz="UTC"))
    >>> measure_delay(day, day + pd.Timedelta("2h")).shown
    'half of the labels are known after 2 hours, 95 % after 2 hours, the last after 2 hours'

    """
    waited = (known - events).dropna()
    if waited.empty:
        return Delay()
    early = int((waited < pd.Timedelta(0)).sum())
    noticed: tuple[str, ...] = ()
    if early:
        noticed = (
            (
                f"{early} labels ({early / len(waited):.1%}) are known before the event; if that "
                "is no mistake of the clock, the label is no secret when one predicts"
            ),
        )
    return Delay(
        median=pd.Timedelta(float(waited.dt.total_seconds().quantile(0.5)), "s"),
        late=pd.Timedelta(float(waited.dt.total_seconds().quantile(0.95)), "s"),
        nearly=pd.Timedelta(float(waited.dt.total_seconds().quantile(0.999)), "s"),
        longest=pd.Timedelta(waited.max()),
        early=early,
        measured=True,
        noticed=noticed,
    )
