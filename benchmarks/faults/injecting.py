"""Faults as injections into the raw rows of a source.

Each takes the raw rows of a stretch and gives them back spoiled, in the parts in which they would
have arrived. What an injection spoils is drawn from a seeded generator, so every run is the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from benchmarks.faults.sets import DataSet
from components.values import parse_numbers, parse_times

ROW = "_row"
"""Position of a row in the raw source; -1 for rows that the injection made."""


@dataclass
class Scene:
    """One injection: the raw rows from its day on, and what was done to them.

    Attributes
    ----------
    days : int
        The stretch that is spoiled, from `start`.
    parts : list of DataFrame
        What arrived, in pieces that were checked each by itself.
    spoiled : set of int
        Positions of the raw rows spoiled, by `ROW`.
    touched : set of int
        Those that the injection was applied to: a 0 times 100 is in the stretch, and unspoiled.
    columns : tuple of str
        A fault must be found in one of these; empty where it is in no one column.
    gap : (Timestamp, Timestamp) or None
        From when to when nothing came any more, half open.
    left : (Timestamp, Timestamp) or None
        The first and last moment that rows were moved away from.

    """

    data: DataSet
    start: pd.Timestamp
    rows: pd.DataFrame
    rng: np.random.Generator
    parts: list[pd.DataFrame] = field(default_factory=list)
    spoiled: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)
    columns: tuple[str, ...] = ()
    gap: tuple[pd.Timestamp, pd.Timestamp] | None = None
    left: tuple[pd.Timestamp, pd.Timestamp] | None = None

    def times(self) -> pd.Series:
        """Read the event times."""
        return parse_times(self.rows[self.data.pipeline.time]).values

    def inside(self, days: float, *, after: float = 0.0) -> np.ndarray:
        """Mark the rows of the stretch."""
        times, since = self.times(), self.start + pd.Timedelta(days=after)
        return ((times >= since) & (times < since + pd.Timedelta(days=days))).to_numpy()

    def number(self) -> str:
        """Draw a number column that varies, and is mostly filled, in the stretch."""
        inside = self.inside(1)
        fits = [
            name
            for name in self.data.numbers
            if parse_numbers(self.rows.loc[inside, name]).values.nunique() >= 5
            and parse_numbers(self.rows.loc[inside, name]).values.notna().mean() >= 0.5
        ]
        name = str(self.rng.choice(fits))
        self.columns = (name,)
        return name

    def target(self) -> str:
        """Name the label: the column that broken labels must be found in."""
        self.columns = (self.data.pipeline.target,)
        return self.data.pipeline.target

    def begins(self) -> pd.Timestamp:
        """Say when the first row, or the gap, that is spoiled happened."""
        return self._extent()[0]

    def ends(self) -> pd.Timestamp:
        """Say when the last of them happened."""
        return self._extent()[1]

    def _extent(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        times = self.times()[self.rows[ROW].isin(self.spoiled)]
        moments = [*times, *(self.gap or ()), *(self.left or ())]
        return min(moments), max(moments)

    def spoil(self, mask: np.ndarray) -> None:
        """Note which rows are spoiled."""
        self.spoiled |= set(self.rows.loc[mask, ROW])
        self.touched |= self.spoiled

    def put(self, name: str, mask: np.ndarray, values: object) -> None:
        """Write values into a column; rows whose value does not change are not spoiled."""
        column = self.rows[name].astype(object)
        before = column[mask].map(_plain)
        column[mask] = values
        self.rows[name] = column
        changed = mask.copy()
        changed[mask] = (column[mask].map(_plain) != before).to_numpy()
        self.touched |= set(self.rows.loc[mask, ROW])
        self.spoil(changed)


def _plain(value: object) -> object:
    """Make values comparable: 7 and "7" are one, and so are all that is missing."""
    if pd.isna(value):
        return ""  # None is unequal to None, column by column
    try:
        return float(str(value))
    except ValueError:
        return str(value)


Injection = Callable[[Scene], None]


@dataclass(frozen=True)
class Case:
    """One injection with its severity, and the name under which it must be found.

    `days` is how long the stretch is before it can be told: what lasts is looked at after three.
    """

    fault: str
    severity: str
    inject: Injection
    days: float = 1.0
    on: tuple[str, ...] = ("bikeshare", "elec2", "flights")
    also: tuple[str, ...] = ()  # other names that say the same

    def __reduce__(self) -> tuple[Callable[[str, str], "Case"], tuple[str, str]]:
        """Travel between processes by name: what injects is code."""
        return case_named, (self.fault, self.severity)


def case_named(fault: str, severity: str) -> Case:
    """Find a case of the suite."""
    return next(case for case in CASES if (case.fault, case.severity) == (fault, severity))


def _nulls(share: float, days: float = 1) -> Injection:
    def inject(scene: Scene) -> None:
        inside = np.flatnonzero(scene.inside(days))
        name = scene.number()
        given = inside[parse_numbers(scene.rows[name]).values.notna().to_numpy()[inside]]
        count = min(len(given), int(np.ceil(share * len(inside))))
        mask = np.zeros(len(scene.rows), dtype=bool)
        mask[scene.rng.choice(given, count, replace=False)] = True
        scene.put(name, mask, None)

    return inject


def _gone_null(scene: Scene) -> None:
    scene.put(scene.number(), scene.inside(99), None)


def _scaled(scale: float, offset: float = 0.0, column: str = "") -> Injection:
    def inject(scene: Scene) -> None:
        name = getattr(scene.data, column) if column else scene.number()
        scene.columns = (name,)
        mask = scene.inside(1)
        values = parse_numbers(scene.rows.loc[mask, name]).values * scale + offset
        scene.put(name, mask, list(values))

    return inject


def _one_place(scene: Scene) -> None:
    """Move the features one place to the right; the last one comes first."""
    names = list(scene.data.pipeline.columns)
    mask = scene.inside(1)
    before = scene.rows.loc[mask, names].astype(object)
    for at, name in enumerate(names):
        scene.put(name, mask, before[names[at - 1]].to_list())


def _swapped(scene: Scene) -> None:
    """Exchange two neighbours among the number columns."""
    names = scene.data.numbers
    at = int(scene.rng.integers(len(names) - 1))
    mask, pair = scene.inside(1), (names[at], names[at + 1])
    scene.columns = pair
    before = scene.rows.loc[mask, list(pair)].astype(object)
    scene.put(pair[0], mask, before[pair[1]].to_list())
    scene.put(pair[1], mask, before[pair[0]].to_list())


def _frozen(days: float, *, everything: bool = False) -> Injection:
    def inject(scene: Scene) -> None:
        names = list(scene.data.pipeline.columns) if everything else [scene.number()]
        mask = scene.inside(days)
        for name in names:
            given = scene.rows.loc[mask, name].dropna()
            scene.put(name, mask, given.iloc[0])
        scene.spoil(mask)

    return inject


def _copied(scene: Scene) -> None:
    """Deliver the features of the day before once more, under today."""
    mask, before = scene.inside(1), scene.inside(1, after=-1)
    now, past = np.flatnonzero(mask), np.flatnonzero(before)
    count = min(len(now), len(past))
    names = [*scene.data.pipeline.columns, scene.data.pipeline.target]
    for name in names:
        values = scene.rows[name].astype(object)
        values.iloc[now[:count]] = values.iloc[past[:count]].to_list()
        scene.rows[name] = values
    few = np.zeros(len(scene.rows), dtype=bool)
    few[now[:count]] = True
    scene.columns = (scene.data.pipeline.time,)
    scene.spoil(few)


def _twice(scene: Scene) -> None:
    """Deliver a day twice, the second time under other ids."""
    column = scene.data.pipeline.id
    assert column is not None
    again = scene.rows[scene.inside(1)].copy()
    again[column] = [f"9{i:08d}" for i in range(len(again))]
    again[ROW] = -2 - np.arange(len(again))
    scene.rows[column] = scene.rows[column].astype(object)
    scene.rows = pd.concat([scene.rows, again], ignore_index=True)
    scene.columns = (scene.data.pipeline.time,)
    scene.spoiled |= set(again[ROW])
    scene.touched |= scene.spoiled


def _missing(first: float, days: float) -> Injection:
    def inject(scene: Scene) -> None:
        gone = scene.inside(days, after=first)
        since = scene.start + pd.Timedelta(days=first)
        scene.gap = since, since + pd.Timedelta(days=days)
        scene.columns = (scene.data.pipeline.time,)
        scene.rows = scene.rows[~gone]

    return inject


def _clock(hours: float, days: float = 1) -> Injection:
    def inject(scene: Scene) -> None:
        name, mask = scene.data.pipeline.time, scene.inside(days)
        before = scene.times()[mask]
        moved = before + pd.Timedelta(hours=hours)
        column = scene.rows[name].astype(object)
        column[mask] = moved.dt.strftime("%Y-%m-%d %H:%M:%S").to_list()
        scene.rows[name] = column
        scene.columns, scene.left = (name,), (before.min(), before.max())
        scene.spoil(mask)

    return inject


def _words(change: Callable[[list[str]], dict[str, str]]) -> Injection:
    def inject(scene: Scene) -> None:
        name, mask = str(scene.rng.choice(scene.data.words)), scene.inside(1)
        scene.columns = (name,)
        values = scene.rows[name].astype(object)
        counts = values.dropna().value_counts()
        mapping = change([str(value) for value in counts.index])
        scene.put(name, mask, values[mask].map(lambda v: mapping.get(v, v)).to_list())

    return inject


def _other_case(words: list[str]) -> dict[str, str]:
    return {word: word.swapcase() for word in words}


def _renumbered(words: list[str]) -> dict[str, str]:
    return {word: str(at) for at, word in enumerate(sorted(words))}


def _permuted(words: list[str]) -> dict[str, str]:
    """Turn the values over: the commonest takes the name of the rarest."""
    return dict(zip(words, reversed(words), strict=True))


def _codes(change: Callable[[float], float], days: float) -> Injection:
    def inject(scene: Scene) -> None:
        name, mask = scene.data.codes[0], scene.inside(days)
        scene.columns = (name,)
        codes = parse_numbers(scene.rows.loc[mask, name]).values
        scene.put(name, mask, [str(int(change(code))) for code in codes])

    return inject


def _flipped(days: float) -> Injection:
    def inject(scene: Scene) -> None:
        name, mask = scene.target(), scene.inside(days)
        labels = parse_numbers(scene.rows[name]).values
        if scene.data.pipeline.task == "regression":
            turned = labels.max() + labels.min() - labels
        else:
            turned = 1 - labels
        scene.put(name, mask, [None if np.isnan(v) else str(int(v)) for v in turned[mask]])

    return inject


def _constant(days: float) -> Injection:
    def inject(scene: Scene) -> None:
        name, mask = scene.target(), scene.inside(days)
        given = mask & parse_numbers(scene.rows[name]).values.notna().to_numpy()
        scene.put(name, given, str(scene.rows.loc[given, name].iloc[0]))
        scene.spoil(given)

    return inject


def _stopped(scene: Scene) -> None:
    scene.put(scene.target(), scene.inside(99), None)


def _label_unit(scene: Scene) -> None:
    name, mask = scene.target(), scene.inside(1)
    scene.put(name, mask, list(parse_numbers(scene.rows.loc[mask, name]).values * 100))


def _burst(count: int) -> Injection:
    def inject(scene: Scene) -> None:
        """Let many rows that differ claim the id of one."""
        inside = np.flatnonzero(scene.inside(1))
        claimed = scene.rows.iloc[[int(inside[len(inside) // 2])]]
        others = scene.rng.choice(inside, count, replace=True)
        copies = pd.concat([claimed] * count, ignore_index=True)
        for name in scene.data.numbers:
            values = scene.rows[name].iloc[others].to_numpy()
            copies[name] = values
        copies[ROW] = -2 - np.arange(count)
        scene.rows = pd.concat([scene.rows, copies], ignore_index=True)
        scene.columns = (scene.data.pipeline.id or scene.data.pipeline.time,)
        scene.spoiled |= {*copies[ROW], *claimed[ROW]}
        scene.touched |= scene.spoiled

    return inject


def _absent(renamed: str = "") -> Injection:
    def inject(scene: Scene) -> None:
        name, mask = scene.number(), scene.inside(1)
        part = scene.rows[mask]
        spoiled = (
            part.rename(columns={name: f"{name}{renamed}"}) if renamed else part.drop(columns=name)
        )
        scene.parts = [spoiled, scene.rows[~mask]]
        scene.spoil(mask)

    return inject


def _worded(scene: Scene) -> None:
    """Write numbers with their unit."""
    name, mask = scene.number(), scene.inside(1)
    scene.put(
        name,
        mask,
        [None if pd.isna(v) else f"{v} units" for v in scene.rows.loc[mask, name]],
    )


_TEXT = ("bikeshare", "flights")
_WITH_ID = ("elec2", "flights")
CASES = (
    Case("nulls", "+20 points, a day", _nulls(0.2)),
    Case("nulls", "+50 points, a day", _nulls(0.5)),
    Case("nulls", "all, a day", _nulls(1.0), also=("column_missing",)),
    Case("column_missing", "null from then on", _gone_null, days=3),
    Case("column_missing", "not in the part of a day", _absent()),
    Case("column_renamed", "a day", _absent("_new")),
    Case("type_changed", "numbers with a unit, a day", _worded),
    Case("unit_changed", "x100, a day", _scaled(100)),
    Case("unit_changed", "/1000, a day", _scaled(0.001)),
    Case("unit_changed", "C to F, a day", _scaled(1.8, 32, "celsius"), on=("bikeshare",)),
    Case(
        "unit_changed", "F to C, a day", _scaled(1 / 1.8, -32 / 1.8, "fahrenheit"), on=("flights",)
    ),
    Case("unit_changed", "x1.609, a day", _scaled(1.609344, 0, "speed"), on=_TEXT),
    Case("columns_shifted", "all one place, a day", _one_place),
    Case("columns_shifted", "two swapped, a day", _swapped),
    Case("frozen", "one column, 24 h", _frozen(1)),
    Case("frozen", "one column, 72 h", _frozen(3), days=3),
    Case("frozen", "all columns, 24 h", _frozen(1, everything=True)),
    Case("duplicated", "yesterday's rows again", _copied),
    Case("duplicated", "a day twice, other ids", _twice, on=_WITH_ID),
    Case("missing_period", "a day", _missing(0, 1)),
    Case("missing_period", "12 h, 9 to 21 UTC", _missing(9 / 24, 0.5)),
    Case("clock_jump", "+1 h, a day", _clock(1)),
    Case("clock_jump", "+5 h, a day", _clock(5)),
    Case("clock_jump", "-12 h, a day", _clock(-12)),
    Case("clock_jump", "+1 h from then on", _clock(1, 99), days=3),
    Case("encoding_changed", "other case, a day", _words(_other_case), on=_TEXT),
    Case("encoding_changed", "renumbered, a day", _words(_renumbered), on=_TEXT),
    Case("encoding_changed", "permuted, a day", _words(_permuted), on=("flights",)),
    Case("encoding_changed", "day codes + 1, a day", _codes(lambda c: c + 1, 1)),
    Case(
        "encoding_changed",
        "day codes permuted, 3 days",
        _codes(lambda c: (c * 3 + 2) % 8, 3),
        days=3,
    ),
    Case("labels_broken", "flipped, a day", _flipped(1)),
    Case("labels_broken", "flipped, 3 days", _flipped(3), days=3),
    Case("labels_broken", "constant, 3 days", _constant(3), days=3),
    Case("labels_broken", "stop", _stopped, days=3),
    Case("labels_broken", "x100, a day", _label_unit, on=("bikeshare",)),
    Case("id_burst", "50 rows, one id", _burst(50)),
    Case("id_burst", "500 rows, one id", _burst(500)),
)
