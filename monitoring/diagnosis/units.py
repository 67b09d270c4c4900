"""`unit_changed`: numbers that fit what was normal once they are read in another unit.

Three views say whether values fit: how their day lies among the days of the reference, whether
they fall on the very values that occurred before (rounded sensors have few), and whether they
keep their relation to the column that they usually follow. A unit is believed only where one view
rejects the values as they stand and takes them when converted back, and none rejects that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitoring.diagnosis.look import HIGH, LEAST_PERIODS, LOW, MIDDLE, Found, Look, middle_of
from monitoring.diagnosis.words import moment_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Unit:
    """A change of unit: what came is `scale` times what was meant, plus `offset`."""

    name: str
    scale: float
    offset: float = 0.0

    def back(self, values: "Floats") -> "Floats":
        """Give the values that were meant."""
        return (values - self.offset) / self.scale


UNITS = (
    Unit("100 times", 100.0),
    Unit("a hundredth of", 0.01),
    Unit("1000 times", 1000.0),
    Unit("a thousandth of", 0.001),
    Unit("10 times", 10.0),
    Unit("a tenth of", 0.1),
    Unit("60 times", 60.0),
    Unit("a sixtieth of", 1 / 60.0),
    Unit("°F instead of °C, from", 1.8, 32.0),
    Unit("°C instead of °F, from", 1 / 1.8, -32.0 / 1.8),
    Unit("kelvin instead of °C, 273.15 more than", 1.0, 273.15),
    Unit("°C instead of kelvin, 273.15 less than", 1.0, -273.15),
    Unit("miles for kilometres, 0.621 times", 1 / 1.609344),
    Unit("kilometres for miles, 1.609 times", 1.609344),
    Unit("m/s for km/h, 0.278 times", 1 / 3.6),
    Unit("km/h for m/s, 3.6 times", 3.6),
    Unit("millimetres for inches, 25.4 times", 25.4),
    Unit("inches for millimetres, 0.039 times", 1 / 25.4),
    Unit("pounds for kilograms, 2.205 times", 2.20462262),
    Unit("kilograms for pounds, 0.454 times", 1 / 2.20462262),
)
_LEAST_ROWS = 8
_FAR = 5.0
_NEAR = 3.0
_NEWER = 0.3
_FOLLOWS = 0.9
_LARGE = 10.0
_OBVIOUS = 50.0
_FEW_ATOMS = 12
_SOLID = 0.7
_SURELY = 3.0


@dataclass(frozen=True, slots=True)
class Fit:
    """How badly values fit by each view: 1 and more is rejected, up to 1/2 is taken."""

    level: float
    atoms: float
    partner: float
    outside: bool = False

    def rejects(self) -> bool:
        """Say whether any view rejects the values."""
        return max(self.level, self.atoms, self.partner) >= 1.0

    def cures(self, given: "Fit") -> bool:
        """Say whether what some view rejected in `given` is taken here by all."""
        mine = (self.level, self.atoms, self.partner)
        theirs = (given.level, given.atoms, given.partner)
        better = any(b >= 1.0 and a <= min(0.6, b / 2) for a, b in zip(mine, theirs, strict=True))
        return better and max(mine) < 1.0

    def without_level(self) -> "Fit":
        """Leave out where the day lies: a storm looks like knots for miles an hour."""
        return Fit(self.level if self.outside else 0.0, self.atoms, self.partner)

    def total(self) -> float:
        """Add up the views."""
        return self.level + self.atoms + self.partner


def find_units(look: Look, period: int, suspects: "Whole") -> list[Found]:
    """Find the columns of a period that came in another unit."""
    found = []
    for position in suspects:
        if look.columns[position].numbers is None:
            continue
        one = _unit_of(look, period, int(position))
        if one is not None:
            found.append(one)
    return found


def _unit_of(look: Look, period: int, position: int) -> Found | None:
    past = look.clean(period, position)
    span = look.span(period)
    numbers = look.columns[position].numbers
    if numbers is None or len(past) < LEAST_PERIODS:
        return None
    rows = span.start + np.flatnonzero(~np.isnan(numbers[span]))
    if len(rows) < _LEAST_ROWS or not np.any(numbers[rows]):
        return None
    measure = measure_of(look, period, position, past)
    every, rows = rows, measure.off(rows)
    given = measure.fit(numbers[rows], rows)
    if not given.rejects():
        return None
    fits = [(measure.fit(unit.back(numbers[rows]), rows, unit), unit) for unit in UNITS]
    strict = given.without_level()
    cured = [
        (fit.total(), unit.name, unit)
        for fit, unit in fits
        if fit.cures(given if max(unit.scale, 1 / unit.scale) >= _OBVIOUS else strict)
    ]
    if not cured:
        return None
    unit = min(cured)[2]
    plain = len(rows) == len(every) or max(unit.scale, 1 / unit.scale) >= _OBVIOUS
    surely = plain and (given.outside or given.level >= _SURELY)
    if len(past) < 3 * LEAST_PERIODS and not surely:
        return None  # how far values can go on a clean day is not seen in a few periods
    middle, meant = float(np.median(numbers[rows])), float(np.median(unit.back(numbers[rows])))
    evidence = (
        f"median {middle:.4g} in {len(rows)} rows from "
        f"{moment_in_words(int(look.rows.time[rows[0]]))}, where {measure.expected:.4g} was usual "
        f"in the {len(past)} periods before: {unit.name} what is meant, for it would be {meant:.4g}"
    )
    rows = measure.so_too(every, rows, unit)
    # Small values a hundredfold still look normal; that a feed changes its unit by turns is rare.
    between = np.count_nonzero((every >= rows[0]) & (every <= rows[-1]))
    solid = len(rows) >= _SOLID * int(between)
    return Found("unit_changed", look.names[position], evidence, rows, solid=solid)


def measure_of(look: Look, period: int, position: int, past: "Whole") -> "Measure":
    """Take the measure of a column of the period in hand, made once."""
    if position not in look.measures:
        look.measures[position] = Measure(look, period, position, past)
    return look.measures[position]


class Measure:
    """What was normal in a column before a period, by three views."""

    def __init__(self, look: Look, period: int, position: int, past: "Whole") -> None:
        self._look, self._position = look, position
        numbers = look.columns[position].numbers
        assert numbers is not None  # noqa: S101 - only numbers are asked for
        self._numbers = numbers
        self._recent = past[-28:]
        days = look.quantiles[self._recent, position]
        self._middle = middle_of(days)
        spread = 1.4826 * middle_of(np.abs(days - self._middle))
        inner = float(self._middle[HIGH] - self._middle[LOW])
        # A day's quantiles cannot be known better than a tenth of the usual day's width.
        self._spread = np.maximum(spread, max(0.1 * inner, 1e-12))
        self.expected = float(self._middle[MIDDLE])
        before = look.rows_of(past)
        before = before[~np.isnan(numbers[before])]
        self._before = before
        atoms = np.unique(numbers[before])
        self._atoms = atoms
        self._slack = 0.02 * float(np.median(np.diff(atoms))) if len(atoms) > 1 else 0.0
        self._usual_novel = _highest(look.novel[past, position])
        self._range = (float(atoms[0]), float(atoms[-1])) if len(atoms) else (0.0, 0.0)
        self._period = period
        self._partner: tuple[int, float, float, float] | None = None
        self._paired = False

    def off(self, rows: "Whole") -> "Whole":
        """Keep the rows outside of all that occurred, where they are some but not all."""
        low, high = self._range
        width = high - low
        values = self._numbers[rows]
        outside = (values < low - width) | (values > high + width)
        share = float(outside.mean())
        return rows[outside] if 0.2 <= share < 1.0 and outside.sum() >= _LEAST_ROWS else rows  # noqa: PLR2004

    def so_too(self, every: "Whole", rows: "Whole", unit: Unit) -> "Whole":
        """Add the rows that lie outside of all that occurred, however little, but not converted."""
        low, high = self._range
        slack = 0.25 * (high - low)
        values = self._numbers[every]
        meant = unit.back(values)
        outside = (values < low) | (values > high)
        fits = (meant >= low - slack) & (meant <= high + slack)
        return np.union1d(rows, every[outside & fits])

    def fit(
        self, values: "Floats", rows: "Whole", unit: Unit | None = None, *, alone: bool = False
    ) -> Fit:
        """Say how badly values fit; `unit` is what they were converted back from.

        `alone` leaves out the view beside another column.
        """
        low, high = self._range
        width = 0.25 * (high - low)
        outside = float(np.mean((values < low - width) | (values > high + width))) >= 1 / 2
        level = self._level(values, unit)
        against = 0.0 if alone else self._against(values, rows)
        return Fit(level, self._novel(values), against, outside)

    def _level(self, values: "Floats", unit: Unit | None) -> float:
        """Compare the day's quantiles with those of the days before, and its width as a ratio."""
        low, high = self._range
        if len(self._atoms) <= _FEW_ATOMS and values.min() >= low and values.max() <= high:
            return 0.0  # a flag or a code: every day may hold one value only
        near = high <= low or values.max() <= low + _LARGE * (high - low)
        if self._middle[HIGH] <= self._middle[LOW] and near:
            return 0.0  # mostly one value, as no rain: a wet day is no other unit
        mine = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95), method="lower")
        far = np.sort(np.abs(mine - self._middle) / self._spread)[2]  # the middle of five
        level = float(far) / _FAR
        width, usual = mine[HIGH] - mine[LOW], self._middle[HIGH] - self._middle[LOW]
        scale = np.abs(mine).max()
        usual_scale = np.abs(self._middle).max()
        if usual > 0 and usual_scale > 0 and scale > 0 and (unit is None or unit.scale != 1.0):
            # Values shrunk towards zero lie within the range, but are far too narrow there.
            narrow = np.log(max(usual_scale, 1e-300) / scale) / np.log(_LARGE)
            thin = np.log(usual / max(width, usual * 1e-6)) / np.log(_LARGE)
            level = max(level, float(min(narrow, thin)) * 1.5)
        return min(level, 50.0)

    def _novel(self, values: "Floats") -> float:
        """Count the values that never occurred, beyond what is usual in the column."""
        if len(self._atoms) < 2 or self._usual_novel > 1 - 2 * _NEWER:  # noqa: PLR2004
            return 0.0
        at = np.searchsorted(self._atoms, values)
        near = np.minimum(
            np.abs(values - self._atoms[np.maximum(at - 1, 0)]),
            np.abs(values - self._atoms[np.minimum(at, len(self._atoms) - 1)]),
        )
        allowed = np.maximum(self._slack, 1e-6 * np.abs(values))
        novel = float(np.mean(near > allowed))
        return max(novel - self._usual_novel, 0.0) / _NEWER

    def _against(self, values: "Floats", rows: "Whole") -> float:
        """Compare with what the partner column says that the values should be."""
        if not self._paired:
            self._paired = True
            self._partner = _partner(self._look, self._period, self._position, self._before)
        if self._partner is None:
            return 0.0
        other, slope, base, spread = self._partner
        beside = self._look.columns[other].numbers
        assert beside is not None  # noqa: S101 - partners are numbers
        residual = np.abs(values - (slope * beside[rows] + base))
        residual = residual[~np.isnan(residual)]
        if len(residual) < _LEAST_ROWS:
            return 0.0
        return min(float(np.median(residual)) / spread / _FAR, 50.0)


def _partner(
    look: Look, period: int, position: int, rows: "Whole"
) -> tuple[int, float, float, float] | None:
    """Find the column that this one follows most closely, and how: slope, base and spread."""
    best: tuple[float, tuple[int, float, float, float]] | None = None
    numbers = look.columns[position].numbers
    rows = rows[:: max(1, len(rows) // 2000)]
    if numbers is None or len(rows) < LEAST_PERIODS * _LEAST_ROWS:
        return None
    for other, x, y in _numbers_beside(look, period, position, rows):
        away_x, away_y = x - x.mean(), y - y.mean()
        together = float(away_x @ away_y)
        related = together**2 / float(away_x @ away_x) / float(away_y @ away_y)
        if related >= _FOLLOWS**2 and (best is None or related > best[0]):
            slope = together / float(away_x @ away_x)
            base = float(y.mean()) - slope * float(x.mean())
            residual = np.abs(y - slope * x - base)
            spread = max(1.4826 * float(np.median(residual)), 0.02 * float(np.ptp(y)), 1e-12)
            best = (related, (other, slope, base, spread))
    return None if best is None else best[1]


def _numbers_beside(
    look: Look, period: int, position: int, rows: "Whole"
) -> "Iterator[tuple[int, Floats, Floats]]":
    mine = look.columns[position].numbers
    for other, column in enumerate(look.columns[: min(100, look.target)]):
        if (
            other == position
            or column.numbers is None
            or mine is None
            or look.faulty[period, other]
        ):
            continue
        both = rows[~np.isnan(column.numbers[rows]) & ~np.isnan(mine[rows])]
        x, y = column.numbers[both], mine[both]
        if len(both) >= len(rows) // 2 > 0 and np.ptp(x) > 0 and np.ptp(y) > 0:
            yield other, x, y


def _highest(shares: "Floats") -> float:
    """Give the highest share but one; 0 where none is known."""
    given = np.sort(shares[~np.isnan(shares)])
    return float(given[-2]) if len(given) > 1 else 0.0
