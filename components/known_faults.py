"""What was known of data faults when, and how each ended; the same live and in a replay.

A look at the data gives faults (:mod:`components.faults`). Here a look is folded into what
earlier looks found: the same fault is kept once, one that goes on grows, one that a person has
ended stays ended. Nothing is forgotten, so the knowledge of any moment can be asked for again.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, get_args

import numpy as np
import pandas as pd

from components.errors import InvalidInputError
from components.faults import Fault, Hashes, pack_marks, read_marks, write_marks

Ending = Literal["reingested", "accepted", "discarded"]
State = Literal["open", "reingested", "accepted", "discarded"]
ENDINGS: tuple[str, ...] = get_args(Ending)

AUTO = "auto"
"""Who found a fault, and who ended it where no person had to."""
CLEAN = "the feed has been clean for two windows"
STAYED = "it has stood for a whole reference: taken as the new normal"

_WAYS = frozenset({"unit_changed", "encoding_changed", "type_changed", "columns_shifted"})
"""Ways in which values are written: one that was accepted is the same a few days later."""
_A_WEEK = pd.Timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Sight:
    """A fault as it was seen at a moment."""

    as_of: pd.Timestamp
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFault:
    """A fault through time.

    Attributes
    ----------
    key : str
        Its name for ever: :attr:`Fault.key` of the first sight.
    seen : tuple of Sight
        How it grew, oldest first.
    state : str
        ``open``; ``reingested``, the source was read again and it is gone; ``accepted``, it is
        the new normal; ``discarded``, its rows stay out.
    ended_as_of : Timestamp or None
        Before that moment it was open.
    who, why : str
        Who ended it, and the reason.

    """

    key: str
    seen: tuple[Sight, ...]
    state: State = "open"
    ended_as_of: pd.Timestamp | None = None
    who: str = ""
    why: str = ""

    @property
    def fault(self) -> Fault:
        """The fault as it was seen last."""
        return self.seen[-1].fault

    @property
    def found_as_of(self) -> pd.Timestamp:
        """When it was first seen."""
        return self.seen[0].as_of

    def at(self, moment: pd.Timestamp) -> Fault | None:
        """Give the fault as it was known at a moment; None before it was found."""
        return next((s.fault for s in reversed(self.seen) if s.as_of <= moment), None)

    def state_at(self, moment: pd.Timestamp) -> State:
        """Say how it stood at a moment."""
        ended = self.ended_as_of is not None and self.ended_as_of <= moment
        return self.state if ended else "open"

    def sighted(self, sight: Sight) -> "KnownFault":
        """Add a sight; another of the same moment gives way to it."""
        others = [one for one in self.seen if one.as_of != sight.as_of]
        return replace(self, seen=tuple(sorted((*others, sight), key=lambda one: one.as_of)))


@dataclass(frozen=True, slots=True)
class Faults:
    """The data faults at a moment.

    Attributes
    ----------
    found : tuple of Fault
        First seen at this very moment.
    blocking : tuple of Fault
        Open, and in the newest window: nothing is trained.
    aside : tuple of Fault
        Open or discarded: their rows are not learnt from, not judged on, not called drift.

    """

    found: tuple[Fault, ...] = ()
    blocking: tuple[Fault, ...] = ()
    aside: tuple[Fault, ...] = ()


def faults_at(known: Iterable[KnownFault], moment: pd.Timestamp, *, window: timedelta) -> Faults:
    """Sum up what was known at a moment; `window` is the width of the newest window."""
    seen = [(one, fault) for one in known if (fault := one.at(moment)) is not None]
    aside = [(o, f) for o, f in seen if o.state_at(moment) in ("open", "discarded")]
    still = [fault for one, fault in aside if one.state_at(moment) == "open"]
    new = [(one, fault) for one, fault in aside if one.found_as_of == moment]
    return Faults(
        # What ended by itself in the same look was still news; what a person ended is not.
        found=tuple(sorted(f for o, f in new if o.state_at(moment) == "open" or o.who == AUTO)),
        blocking=blocking(still, moment, window=window),
        aside=tuple(sorted(fault for _, fault in aside)),
    )


def blocking(
    faults: Iterable[Fault], moment: pd.Timestamp, *, window: timedelta
) -> tuple[Fault, ...]:
    """Pick the faults that stand in the newest window, the one that ends at `moment`.

    >>> day = pd.Timestamp("2011-03-10", tz="UTC")
    >>> dead = Fault(day, day + pd.Timedelta("1D"), "frozen", "humidity", "0 in 22 rows", 22)
    >>> [len(blocking([dead], day + n * pd.Timedelta("1D"), window=timedelta(7))) for n in (7, 8)]
    [1, 0]
    """
    start = moment - window
    return tuple(sorted(f for f in faults if f.until > start and f.since < moment))


def over_at(
    known: Iterable[KnownFault], moment: pd.Timestamp, *, window: timedelta
) -> list[KnownFault]:
    """List the open faults of which the feed has been clean for two windows."""
    return [
        one
        for one in known
        if (fault := one.at(moment)) is not None
        and one.state_at(moment) == "open"
        and fault.until <= moment - 2 * window
    ]


def stayed_at(
    known: Iterable[KnownFault], moment: pd.Timestamp, *, window: timedelta, reference: timedelta
) -> list[KnownFault]:
    """List the open faults in the newest window that have stood for a whole reference.

    Where history is lived through nobody can accept them: they are what the feed is now.
    """
    return [
        one
        for one in known
        if (fault := one.at(moment)) is not None
        and one.state_at(moment) == "open"
        and fault.until > moment - window
        and fault.until - fault.since >= reference
    ]


def ended(one: KnownFault, how: Ending, *, who: str, why: str, as_of: pd.Timestamp) -> KnownFault:
    """End a fault at a moment; one that was found later, when it was found."""
    moment = max(as_of, one.found_as_of)
    return replace(one, state=how, ended_as_of=moment, who=who, why=why)


def in_words(fault: Fault) -> str:
    """Say what is wrong and where."""
    return f"{fault.fault} in {fault.column}: {fault.evidence}"


def aside_in_words(fault: str, rows: int) -> str:
    """Say how many rows a fault sets aside; a gap concerns none.

    >>> aside_in_words("frozen", 22), aside_in_words("missing_period", 0)
    ('22 rows set aside', 'no rows arrived; nothing to set aside')
    """
    if fault == "missing_period":
        return "no rows arrived; nothing to set aside"
    return f"{rows or 'no'} row{'' if rows == 1 else 's'} set aside"


def ended_in_words(fault: Fault, how: str, why: str) -> str:
    """Say how a fault ended."""
    return f"{how}: {why} ({fault.fault} in {fault.column} since {fault.since:%Y-%m-%d})"


def choose_open(known: Iterable[KnownFault], pipeline: str, named: str) -> KnownFault:
    """Find the one open fault that a person means; by key, name, or ``name:column``.

    Raises
    ------
    InvalidInputError
        If that names no open fault, or more than one; lists what is open.

    """
    still = [one for one in known if one.state == "open"]
    meant = [
        one
        for one in still
        if named in (one.key, one.fault.fault, f"{one.fault.fault}:{one.fault.column}")
    ]
    if len(meant) == 1:
        return meant[0]
    which = f"{len(meant)} open data faults are" if meant else "no open data fault is"
    among = meant or still
    listed = "".join(f"\n  {one.key}  {_shown(one)}" for one in among)
    what_next = f"name one by its key:{listed}" if among else "nothing is open"
    raise InvalidInputError(f"{which} called {named!r} in {pipeline}; {what_next}")


def _shown(one: KnownFault) -> str:
    fault = one.fault
    aside = aside_in_words(fault.fault, fault.rows)
    return f"{fault.fault}:{fault.column} since {fault.since:%Y-%m-%d %H:%M}, {aside}"


def fold(
    known: Iterable[KnownFault],
    found: Iterable[Fault],
    *,
    as_of: pd.Timestamp,
    count: Callable[[Fault], int],
) -> tuple[KnownFault, ...]:
    """Fold a look at the data into what was known.

    Parameters
    ----------
    known : iterable of KnownFault
    found : iterable of Fault
        What the look saw.
    as_of : Timestamp
        Its moment; earlier than a former look where the past is looked at again.
    count : callable
        Counts the rows that a fault spoils, where one grew or was seen in part.

    Returns
    -------
    tuple of KnownFault
        All that is known now. What was seen before is there once: a fault that is open or
        accepted grows with its stretch; beyond one that was discarded a new one begins; one
        that was to have been mended and is seen again with other evidence is open again.

    """
    kept = {one.key: one for one in known}
    for fault in sorted(found):
        _fold_one(kept, fault, as_of, count)
    return tuple(kept.values())


def _fold_one(
    kept: dict[str, KnownFault], fault: Fault, as_of: pd.Timestamp, count: Callable[[Fault], int]
) -> None:
    if _stays_accepted(kept, fault, as_of, count):
        return
    for one in _relatives(kept, fault, as_of):
        if _is_back(one, fault, as_of):
            kept[one.key] = replace(one, state="open", ended_as_of=None, who="", why="")
    related = [seen for one in _relatives(kept, fault, as_of) if (seen := one.at(as_of))]
    for piece in _pieces(fault, related):
        whole = piece == fault
        piece_rows = fault.rows if whole else count(piece)
        if piece_rows or not fault.rows:  # nothing of it is left otherwise
            _take_in(kept, replace(piece, rows=piece_rows), as_of, again=fault)


def _stays_accepted(
    kept: dict[str, KnownFault], fault: Fault, as_of: pd.Timestamp, count: Callable[[Fault], int]
) -> bool:
    """Let what was accepted go on, where another fault of its column broke it into pieces."""
    if fault.fault not in _WAYS:
        return False
    for one in kept.values():
        seen = one.at(as_of)
        if seen is None or one.state_at(as_of) != "accepted":
            continue
        same = (seen.fault, seen.column) == (fault.fault, fault.column)
        after = seen.since <= fault.since <= seen.until + _A_WEEK
        broken = seen.is_partial or fault.is_partial or fault.since > seen.until
        if not (same and after and broken):
            continue
        if fault.until > seen.until:
            rest = replace(fault, since=max(fault.since, seen.until))
            grown = replace(seen, until=fault.until, rows=seen.rows + count(rest), ids=(), marks="")
            kept[one.key] = one.sighted(Sight(as_of, grown))
        return True
    return False


def _relatives(kept: dict[str, KnownFault], fault: Fault, as_of: pd.Timestamp) -> list[KnownFault]:
    """List what is known of the same fault in the same column, overlapping or next to it.

    What had not come and came is over: that something is missing later is another fault.
    """
    return [
        one
        for one in kept.values()
        if (seen := one.at(as_of)) is not None
        and (seen.fault, seen.column, seen.waits) == (fault.fault, fault.column, fault.waits)
        and seen.since <= fault.until
        and fault.since <= seen.until
        and not (seen.waits and one.who == AUTO and one.state_at(as_of) == "reingested")
    ]


def _is_back(one: KnownFault, fault: Fault, as_of: pd.Timestamp) -> bool:
    seen = one.at(as_of)
    return (
        seen is not None
        and one.state_at(as_of) == "reingested"
        and one.ended_as_of != as_of
        and seen.since < fault.until
        and fault.since < seen.until
        and seen.evidence != fault.evidence
    )


def _pieces(fault: Fault, related: Sequence[Fault]) -> list[Fault]:
    """Cut out of a fault what is known already."""
    whole = [seen for seen in related if not seen.is_partial]
    if fault.is_partial:
        if any(seen.since <= fault.since and fault.until <= seen.until for seen in whole):
            return []
        return _records_left(fault, [seen for seen in related if seen.is_partial])
    left = [(fault.since, fault.until)]
    for seen in whole:
        left = [
            part
            for since, until in left
            for part in ((since, min(until, seen.since)), (max(since, seen.until), until))
            if part[0] < part[1]
        ]
    return [replace(fault, since=since, until=until) for since, until in left]


def _records_left(fault: Fault, related: Sequence[Fault]) -> list[Fault]:
    """Cut out of a fault of single records those that are known already."""
    if fault.ids:
        ids = fault.ids
        for seen in related:
            known = seen.names(ids)
            ids = tuple(record for record, out in zip(ids, known, strict=True) if not out)
        return [replace(fault, ids=ids)] if ids else []
    left = read_marks(fault.marks)
    for seen in related:
        left = np.setdiff1d(left, _marked(seen), assume_unique=True)
    return [replace(fault, marks=pack_marks(left))] if len(left) else []


def _marked(fault: Fault) -> Hashes:
    return read_marks(fault.marks or write_marks(fault.ids))


def _take_in(
    kept: dict[str, KnownFault], piece: Fault, as_of: pd.Timestamp, *, again: Fault
) -> None:
    """Let the fault that a piece goes on from grow, or keep the piece as a fault of its own."""
    for one in _relatives(kept, piece, as_of):
        seen = one.at(as_of)
        if seen is None or seen.is_partial != piece.is_partial or piece.since < seen.since:
            continue
        if not piece.is_partial and seen.until != piece.since:
            continue
        if one.state_at(as_of) in ("open", "accepted"):
            kept[one.key] = one.sighted(Sight(as_of, _grown(seen, piece, again)))
            return
    sight = Sight(as_of, piece)
    there = kept.get(piece.key)  # found before, but as of a later moment
    if there and piece.waits and there.state_at(as_of) == "reingested":
        there = replace(there, state="open", ended_as_of=None, who="", why="")
    kept[piece.key] = there.sighted(sight) if there else KnownFault(key=piece.key, seen=(sight,))


def _grown(seen: Fault, piece: Fault, again: Fault) -> Fault:
    until, also = max(seen.until, piece.until), tuple(dict.fromkeys((*seen.also, *piece.also)))
    if seen.marks or piece.marks:
        hashes = np.union1d(_marked(seen), _marked(piece))
        grown = replace(seen, until=until, ids=(), marks=pack_marks(hashes), also=also)
        grown = replace(grown, rows=len(hashes))
    else:
        ids = tuple(sorted({*seen.ids, *piece.ids}))
        grown = replace(seen, until=until, ids=ids, also=also)
        grown = replace(grown, rows=len(ids) or seen.rows + piece.rows)
    same = (again.since, again.until, again.marks) == (grown.since, grown.until, grown.marks)
    # All of it was seen again: its words count.
    return again if same and set(again.ids) == set(grown.ids) else grown


def without_records(fault: Fault, gone: Collection[str]) -> Fault:
    """Take erased records out of a fault: `erased` stands for them."""
    if fault.marks:
        left = np.setdiff1d(read_marks(fault.marks), read_marks(write_marks(gone)))
        whole = len(left) == len(read_marks(fault.marks))
        kept = np.union1d(left, read_marks(write_marks(["erased"])))
        return fault if whole else replace(fault, marks=pack_marks(kept))
    kept_ids = ("erased" if record in gone else record for record in fault.ids)
    return replace(fault, ids=tuple(dict.fromkeys(kept_ids)))
