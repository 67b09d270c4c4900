"""How long labels take: the share of them that is known by age, and when a row had its chance.

The age of a label is the time from the event to the moment it was known. Three estimators, for
three views of the same wait:

* All records are seen, labelled or not: a record without a label has waited until now and may
  wait on (censored on the right). The product-limit estimate is the share of *all* records,
  and its end lies below 1 where some labels never come (a cancelled flight).
* Only labelled rows are seen, as a training sees them: a label slower than its row is old is
  missing altogether (truncated on the right). The same product taken from the slow end is the
  share of the labels *that come*; a plain count would call them too fast.

A label known before its event (a wrong clock) counts as age 0. Both estimators look only at
what was known by `as_of`.

References
----------
Kaplan, Meier. Nonparametric estimation from incomplete observations. Journal of the American
Statistical Association 53 (1958): censored on the right.

Lagakos, Barraj, De Gruttola. Nonparametric analysis of truncated survival data, with
application to AIDS. Biometrika 75 (1988): truncated on the right, in reversed time.

Ayer, Brunk, Ewing, Reid, Silverman. An empirical distribution function for sampling with
incomplete information. Annals of Mathematical Statistics 26 (1955): current status.

Schell, Singh. The reduced monotonic regression method. Journal of the American Statistical
Association 92 (1997): steps that chance could have made are no steps.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from components.pipelines.spec import Pipeline
from components.records import EVENT_TIME, KNOWN_TIME

Numbers = npt.NDArray[np.float64]
Micros = npt.NDArray[np.int64]

FAIR_SHARE = 0.99
"""A row has had a fair chance of a label once so many of the labels that ever come have come.

What is missing is then at most one row in a hundred of the youngest that count, and fewer of
the older: no share among them can be off by more than a hundredth. Waiting for the very last
label costs far more: the slowest 1 % of the flights take from 8 hours to 33.
"""

LEAST_REACHED = 0.05
"""An age that fewer of the rows have reached is not judged: one odd label would decide it."""

LEAST_LABELS = 10
"""With fewer labels than this no wait is measured, and no row is held back."""

LOAD_SHARE, LOAD_SPAN = 0.5, timedelta(days=7)
"""More than half of the labels known on one day, of events more than a week apart, were loaded
together: their ages say when the table was filled. The wait is measured on later events."""

LEAST_STEP = 3.0
"""A step of the current status counts from so many standard errors on."""

_NONE = np.empty(0)
_ENDLESS = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class MaturityCurve:
    """The share of labels that is known by age: a step function that never falls.

    Attributes
    ----------
    ages : ndarray of shape (n_ages,), int64
        Ages at which the share rises, in microseconds, ascending.
    shares : ndarray of shape (n_ages,)
        The share known at that age, from then on; 0 before the first.
    rows, labelled : int
        Rows that the curve was measured on, and how many of them have a label.

    """

    ages: Micros
    shares: Numbers
    rows: int
    labelled: int

    @property
    def plateau(self) -> float:
        """The share that ever comes, as far as can be seen; 0 for an empty curve."""
        return float(self.shares[-1]) if len(self.shares) else 0.0

    def share_at(self, age: timedelta) -> float:
        """Give the share known at an age."""
        return float(self.shares_at(np.array([_micros(age)]))[0])

    def shares_at(self, ages: Micros) -> Numbers:
        """Give the share known at each of many ages, in microseconds."""
        place = np.searchsorted(self.ages, ages, side="right")
        return np.asarray(np.concatenate([[0.0], self.shares])[place])

    def age_of(self, share: float) -> pd.Timedelta | None:
        """Give the age by which a share of the labels that ever come has come.

        None for an empty curve.
        """
        if not len(self.ages):
            return None
        # A product of many factors ends an ulp off the number it stands for.
        place = int(np.searchsorted(self.shares, share * self.plateau - 1e-12, side="left"))
        return pd.Timedelta(int(self.ages[min(place, len(self.ages) - 1)]), unit="us")


def maturity_curve(events: pd.Series, known: pd.Series, *, as_of: pd.Timestamp) -> MaturityCurve:
    """Measure the share of all records whose label is known by age.

    Parameters
    ----------
    events : Series of shape (n_records,), datetime64[us, UTC]
        Event time of every record known by `as_of`, labelled or not; rows without one and
        events still to come are left out.
    known : Series of shape (n_records,), datetime64[us, UTC]
        When the label of each was first known; NaT where it has none. A label known after
        `as_of` counts as none.
    as_of : Timestamp
        Until when a record without a label has waited.

    Examples
    --------
    >>> days = pd.Series(pd.date_range("2026-01-01", periods=100, tz="UTC"))
    >>> known = (days + pd.Timedelta("2D")).where(days.index % 4 > 0)
    >>> curve = maturity_curve(days, known, as_of=days[99])
    >>> curve.share_at(pd.Timedelta("1D")), round(curve.share_at(pd.Timedelta("2D")), 3)
    (0.0, 0.745)

    """
    event, waited, came = _observed(events, known, as_of)
    event, waited, came = _after_a_load(event, waited, came)
    ages = np.sort(np.where(came, waited, _ENDLESS))
    age, count = np.unique(ages[ages < _ENDLESS], return_counts=True)
    until = np.sort(waited)
    at_risk = len(until) - np.searchsorted(until, age, side="left")
    old = np.sort(np.maximum(_micros_of(as_of) - event, 0))
    seen = _reached(age, old)
    kept = 1 - count[seen] / at_risk[seen]
    shares = np.asarray(1 - np.cumprod(kept), dtype=np.float64)
    return MaturityCurve(age[seen], shares, len(event), int(came.sum()))


def labelled_curve(events: pd.Series, known: pd.Series, *, as_of: pd.Timestamp) -> MaturityCurve:
    """Measure, from labelled rows alone, the share known by age of the labels that come.

    Parameters
    ----------
    events, known : Series of shape (n_rows,), datetime64[us, UTC]
        Event time of labelled rows, and when the label was known; rows known after `as_of`
        are left out.
    as_of : Timestamp
        A label slower than this could not be seen yet, which the estimate allows for.

    """
    event, waited, came = _observed(events, known, as_of)
    event, waited, _ = _after_a_load(event[came], waited[came], came[came])
    old = np.sort(np.maximum(_micros_of(as_of) - event, waited))
    ages = np.sort(waited)
    age, count = np.unique(ages, return_counts=True)
    seen = _reached(age, old)
    age, count = age[seen], count[seen]
    # At risk, in reversed time: known by that age, and old enough to be known at that age.
    at_risk = np.searchsorted(ages, age, side="right") - np.searchsorted(old, age, side="left")
    slower = np.cumprod((1 - count / at_risk)[::-1])[::-1]
    return MaturityCurve(age, np.append(slower[1:], 1.0)[: len(age)], len(event), len(event))


def status_curve(events: pd.Series, labelled: pd.Series, *, as_of: pd.Timestamp) -> MaturityCurve:
    """Measure the share of all records with a label by age, where no label says when it came.

    Parameters
    ----------
    events : Series of shape (n_records,), datetime64[us, UTC]
        Event time of every record known by `as_of`; events still to come are left out.
    labelled : Series of shape (n_records,), bool
        Whether each has a label at `as_of`.
    as_of : Timestamp

    Examples
    --------
    >>> days = pd.Series(pd.date_range("2026-01-01", periods=100, tz="UTC"))
    >>> there = pd.Series(days.index < 97)  # the newest three have none
    >>> curve = status_curve(days, there, as_of=days[99])
    >>> curve.share_at(pd.Timedelta("2D")), curve.share_at(pd.Timedelta("3D"))
    (0.0, 1.0)

    """
    from scipy.optimize import isotonic_regression

    there = (events <= as_of).to_numpy(dtype=bool)
    has = labelled[there].to_numpy(dtype=bool)
    if not has.any():
        return MaturityCurve(_NONE.astype(np.int64), _NONE, int(there.sum()), 0)
    age, place = np.unique(_micros_of(as_of) - _micros_in(events[there]), return_inverse=True)
    rows = np.bincount(place)
    found = isotonic_regression(np.bincount(place, weights=has) / rows, weights=rows)
    starts = np.asarray(found.blocks[:-1])
    ages, shares = _true_steps(age[starts], found.x[starts], np.add.reduceat(rows, starts))
    return MaturityCurve(ages, shares, len(has), int(has.sum()))


def _true_steps(age: Micros, share: Numbers, rows: Micros) -> tuple[Micros, Numbers]:
    """Join steps that chance could have made, from the oldest on; a step to 0 is none."""
    ages, shares, counts = [int(age[-1])], [float(share[-1])], [int(rows[-1])]
    for younger, part, count in zip(age[-2::-1], share[-2::-1], rows[-2::-1], strict=True):
        both = (shares[-1] * counts[-1] + part * count) / (counts[-1] + count)
        error = np.sqrt(both * (1 - both) * (1 / counts[-1] + 1 / count))
        if shares[-1] - part <= LEAST_STEP * error:
            ages[-1], shares[-1], counts[-1] = int(younger), float(both), counts[-1] + int(count)
        else:
            ages.append(int(younger))
            shares.append(float(part))
            counts.append(int(count))
    kept = [at for at in range(len(ages) - 1, -1, -1) if shares[at] > 0]
    return np.array([ages[at] for at in kept], dtype=np.int64), np.array(
        [shares[at] for at in kept]
    )


def fair_age(curve: MaturityCurve, pipeline: Pipeline) -> pd.Timedelta:
    """Give the age after which a row has had a fair chance of a label.

    As the pipeline says (`mature_after`), else :data:`FAIR_SHARE` of the labels that ever
    come, and never less than a stated `label_delay`: that says when a label may come at the
    earliest, not that it is there. Where there are too few labels to tell, the stated delay,
    or 0.
    """
    if pipeline.mature_after is not None:
        return pd.Timedelta(pipeline.mature_after)
    stated = pd.Timedelta(pipeline.label_delay or 0)
    if curve.labelled < LEAST_LABELS:
        return stated
    return max(stated, curve.age_of(FAIR_SHARE) or stated)


def fair_age_of(rows: pd.DataFrame, pipeline: Pipeline, *, as_of: pd.Timestamp) -> pd.Timedelta:
    """Give the fair age as a training knows it: from the labels of its rows known by then.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)
        Labelled rows with `event_time` and `known_time` (of the label). Not modified.

    """
    if pipeline.mature_after is not None or as_stated(rows, pipeline, as_of=as_of):
        return fair_age(_empty(), pipeline)
    return fair_age(labelled_curve(rows[EVENT_TIME], rows[KNOWN_TIME], as_of=as_of), pipeline)


def as_stated(rows: pd.DataFrame, pipeline: Pipeline, *, as_of: pd.Timestamp) -> bool:
    """Say whether a delay is stated, and no label known by then says that it took longer.

    Parameters
    ----------
    rows : DataFrame of shape (n_labelled, n_columns)
        As for :func:`fair_age_of`.

    """
    if pipeline.label_delay is None:
        return False
    known = rows[KNOWN_TIME]
    late = known - rows[EVENT_TIME] > pd.Timedelta(pipeline.label_delay)
    return not bool((late & (known <= as_of)).any())


def describe(curve: MaturityCurve) -> str:
    """Say a curve in one line.

    >>> days = pd.Series(pd.date_range("2026-01-01", periods=100, tz="UTC"))
    >>> describe(maturity_curve(days, days + pd.Timedelta("90min"), as_of=days[99]))
    '50 % by 1.5h, 95 % by 1.5h, 99 % by 1.5h of the labels that come; all come'
    """
    ages = [(share, curve.age_of(share)) for share in (0.5, 0.95, 0.99)]
    by = ", ".join(
        f"{percent(share)} by {short_age(age)}" for share, age in ages if age is not None
    )
    if not by:
        return f"no label is known of {curve.rows} records"
    never = 1 - curve.plateau
    rest = "all come" if never < 5e-4 else f"{percent(never, 1)} never"  # noqa: PLR2004 - 0.0 %
    return f"{by} of the labels that come; {rest}"


def percent(share: float, digits: int = 0) -> str:
    """Write a share.

    >>> percent(0.985), percent(0.985, 1)
    ('98 %', '98.5 %')
    """
    return f"{100 * share:.{digits}f} %"


def short_age(age: timedelta) -> str:
    """Write an age with one decimal: in days from two of them on, below that in hours.

    >>> short_age(timedelta(minutes=168)), short_age(timedelta(days=3)), short_age(timedelta(0))
    ('2.8h', '3d', '0s')
    """
    seconds = age.total_seconds()
    for unit, size, least in (("d", 86_400, 172_800), ("h", 3_600, 3_600), ("min", 60, 60)):
        if seconds >= least:
            return f"{round(seconds / size, 1):g}{unit}"
    return f"{round(seconds):d}s"


def in_micros(ages: pd.Series) -> Micros:
    """Give ages as a curve counts them: in microseconds."""
    return np.asarray(pd.TimedeltaIndex(ages).as_unit("us").asi8)


def _observed(
    events: pd.Series, known: pd.Series, as_of: pd.Timestamp
) -> tuple[Micros, Micros, npt.NDArray[np.bool_]]:
    """Give event time, time waited until the label or until `as_of`, and whether it came."""
    there = ((events <= as_of) | (known <= as_of)).to_numpy(dtype=bool) & events.notna().to_numpy()
    event, label = _micros_in(events[there]), known[there]
    came = (label <= as_of).to_numpy(dtype=bool)
    until = np.where(came, _micros_in(label), _micros_of(as_of))
    return event, np.maximum(until - event, 0), came


def _after_a_load(
    event: Micros, waited: Micros, came: npt.NDArray[np.bool_]
) -> tuple[Micros, Micros, npt.NDArray[np.bool_]]:
    """Leave out what came before a load of many labels at once, and the load itself."""
    if not came.any():
        return event, waited, came
    day = (event[came] + waited[came]) // _micros(timedelta(days=1))
    days, rows = np.unique(day, return_counts=True)
    largest = int(rows.argmax())
    loaded = event[came][day == days[largest]]
    wide = int(loaded.max() - loaded.min()) > _micros(LOAD_SPAN)
    if rows[largest] <= LOAD_SHARE * len(day) or not wide:
        return event, waited, came
    later = event > loaded.max()
    return event[later], waited[later], came[later]


def _reached(ages: Micros, old: Micros) -> npt.NDArray[np.bool_]:
    """Mark the ages that enough rows have reached; `old` is how old each is, ascending."""
    reached = len(old) - np.searchsorted(old, ages, side="left")
    return np.asarray(reached >= max(1, LEAST_REACHED * len(old)))


def _empty() -> MaturityCurve:
    return MaturityCurve(_NONE.astype(np.int64), _NONE, 0, 0)


def _micros_in(times: pd.Series) -> Micros:
    return np.asarray(pd.DatetimeIndex(times).as_unit("us").asi8)


def _micros_of(moment: pd.Timestamp) -> int:
    return int(_micros_in(pd.Series([moment]))[0])


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
