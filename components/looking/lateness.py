"""How long after it was known a row may still arrive: a bound to write into a pipeline file."""

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from components.looking.targets import Delay
from components.looking.times import span_in_words

# A source is written at least daily; beyond a year, reading it whole is the honest answer.
_PLAIN = tuple(timedelta(days=days) for days in (1, 2, 3, 7, 14, 28, 56, 91, 182, 364))


@dataclass(frozen=True, slots=True)
class Lateness:
    """A proposed lateness, and how it was found."""

    span: timedelta
    found: str


def propose_lateness(wrote: Delay, what: str) -> Lateness | None:
    """Round the wait of nearly all rows up to a plain span.

    When a row arrived is written nowhere. What is written is how long after its event it was
    last touched, and what carries it to the source hardly takes longer than that.

    Parameters
    ----------
    wrote : Delay
        From the event to the moment at which the row was known.
    what : str
        The rows, for people.

    Returns
    -------
    Lateness or None
        None where nothing was measured, or where it takes more than a year.

    Examples
    --------
    >>> from components.looking.targets import measure_delay
    >>> day = pd.Series(pd.date_range("2026-01-01", periods=9, tz="UTC"))
    >>> propose_lateness(measure_delay(day, day + pd.Timedelta("30h")), "rows").found
    '99.9 % of the rows were known within 30 hours of their event'

    """
    if not wrote.measured:
        return None
    nearly = max(wrote.nearly, pd.Timedelta(0))
    span = next((plain for plain in _PLAIN if plain >= nearly), None)
    if span is None:
        return None
    return Lateness(
        span,
        f"99.9 % of the {what} were known within {span_in_words(nearly)} of their event",
    )
