"""How long a feed, or its labels, stay silent as a rule: told by the looks before.

A row that arrives two days late is known at its event time where the source has no time of its
own for that; only the looks themselves tell that its newest row was then two days old.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

_KEPT = 400
_UNKNOWN = 7 * 86_400_000_000
"""While nobody knows how a feed delivers it may do so once a week."""
_SLACK = 2 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class Silence:
    """What was seen while one newest row stayed the newest; microseconds, since 1970 for `newest`.

    Attributes
    ----------
    newest : int
    first, longest : int
        How old it was when it was first seen to be the newest, and when that was last seen.

    """

    newest: int
    first: int
    longest: int


@dataclass(frozen=True, slots=True)
class Silences:
    """The silences of the rows and of the labels, oldest first."""

    rows: tuple[Silence, ...] = ()
    labels: tuple[Silence, ...] = ()

    def seen(self, rows: int | None, labels: int | None, *, taken: int) -> Self:
        """Add a look: its newest row and newest labelled event, and by when data was taken in."""
        return replace(
            self, rows=_added(self.rows, rows, taken), labels=_added(self.labels, labels, taken)
        )

    def as_plain(self) -> dict[str, list[list[int]]]:
        """Lay it out as JSON knows it."""
        both = {"rows": self.rows, "labels": self.labels}
        return {name: [[s.newest, s.first, s.longest] for s in of] for name, of in both.items()}

    @classmethod
    def from_plain(cls, given: dict[str, list[list[int]]]) -> Self:
        """Read what :meth:`as_plain` laid out."""
        return cls(*(tuple(Silence(*one) for one in given.get(n, [])) for n in ("rows", "labels")))


def _added(known: Sequence[Silence], newest: int | None, taken: int) -> tuple[Silence, ...]:
    if newest is None:
        return tuple(known)
    silent = max(taken - newest, 0)
    for place, one in enumerate(known):
        if one.newest == newest:
            longer = replace(one, longest=max(one.longest, silent))
            return (*known[:place], longer, *known[place + 1 :])
    added = (*known, Silence(newest, silent, silent))
    return tuple(sorted(added, key=lambda one: one.newest))[-_KEPT:]


def longest_usual(known: Iterable[Silence], newest: int) -> int | None:
    """Say how long a silence may last before it is unusual, in microseconds; None: nobody knows.

    It is the longest but one of those that ended, a quarter longer, so that one outage among many
    deliveries does not blind; the one that lasts, after `newest`, says nothing of itself.
    """
    given = tuple(known)
    past = sorted(one.longest for one in given if one.newest < newest)
    if past:
        usual = past[-2] if len(past) > 2 else past[-1]  # noqa: PLR2004 - two may be usual both
        return usual + min(usual // 4, _SLACK)
    first = [one.first for one in given if one.newest == newest]
    return first[0] + _UNKNOWN if first else None
