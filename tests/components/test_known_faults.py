"""What was known of a fault when: folded in look by look, asked for at any moment."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from components.errors import InvalidInputError
from components.faults import Fault, write_marks
from components.known_faults import (
    AUTO,
    KnownFault,
    blocking,
    choose_open,
    ended,
    faults_at,
    fold,
    over_at,
    stayed_at,
    without_records,
)
from components.written_faults import read_faults, write_faults

START = pd.Timestamp("2024-01-01", tz="UTC").as_unit("us")
WEEK = timedelta(days=7)


def day(number: float) -> pd.Timestamp:
    return START + pd.Timedelta(days=number)


def fault(since: float, until: float, name: str = "frozen", column: str = "heat", **more) -> Fault:
    rows = more.pop("rows", int((until - since) * 24))
    evidence = more.pop("evidence", "0 in all rows")
    return Fault(day(since), day(until), name, column, evidence, rows, **more)


def hours(one: Fault) -> int:
    """Count the rows of a feed of one row an hour."""
    return int((one.until - one.since) / pd.Timedelta("1h"))


def looks(*seen: tuple[float, list[Fault]], known: tuple[KnownFault, ...] = ()):
    for moment, found in seen:
        known = fold(known, found, as_of=day(moment), count=hours)
    return known


def test_the_same_fault_seen_twice_is_one() -> None:
    once = looks((5, [fault(3, 4)]))
    assert looks((5, [fault(3, 4)]), (6, [fault(3, 4)])) == once
    assert [one.fault for one in once] == [fault(3, 4)]
    assert (once[0].found_as_of, once[0].state) == (day(5), "open")


def test_a_fault_that_goes_on_grows_and_keeps_its_key() -> None:
    (one,) = looks((4, [fault(3, 4)]), (5, [fault(4, 5)]), (6, [fault(3, 6)]))
    assert (one.key, one.found_as_of) == (fault(3, 4).key, day(4))
    assert (one.fault.since, one.fault.until, one.fault.rows) == (day(3), day(6), 72)


def test_what_was_known_of_a_growing_fault_can_be_asked_for_any_moment() -> None:
    (one,) = looks((4, [fault(3, 4)]), (6, [fault(3, 6)]))
    assert one.at(day(3.9)) is None
    assert one.at(day(5)) == fault(3, 4)
    assert one.at(day(6)) == fault(3, 6)


def test_another_column_or_a_gap_between_is_another_fault() -> None:
    known = looks((9, [fault(3, 4), fault(3, 4, column="rain"), fault(6, 7), fault(3, 4, "nulls")]))
    assert len(known) == 4
    assert len({one.key for one in known}) == 4


def test_a_part_that_was_known_is_not_found_again() -> None:
    known = looks((9, [fault(3, 5)]), (10, [fault(2, 4)]))
    assert [(o.fault.since, o.fault.until) for o in known] == [
        (day(3), day(5)),
        (day(2), day(3)),
    ]


def test_the_past_looked_at_again_knows_it_earlier() -> None:
    (one,) = looks((9, [fault(3, 5)]), (4, [fault(3, 4)]))
    assert (one.found_as_of, one.at(day(4)), one.fault) == (day(4), fault(3, 4), fault(3, 5))


def end(one: KnownFault, how: str, moment: float, who: str = "Ada") -> KnownFault:
    return ended(one, how, who=who, why="because", as_of=day(moment))  # type: ignore[arg-type]


def test_an_accepted_fault_grows_in_silence() -> None:
    (one,) = looks((4, [fault(3, 4)]))
    (one,) = looks((6, [fault(4, 6)]), known=(end(one, "accepted", 5),))
    assert (one.state, one.fault.until) == ("accepted", day(6))
    assert faults_at([one], day(6), window=WEEK) == faults_at([], day(6), window=WEEK)


def test_an_accepted_unit_goes_on_after_another_fault_broke_its_column() -> None:
    known = looks((5, [fault(3, 5, "unit_changed")]))
    known = tuple(ended(o, "accepted", who="Ada", why="new", as_of=day(5)) for o in known)
    broken = fault(4, 8, "unit_changed", ids=("a", "b"), evidence="100 times")
    later = fault(9, 10, "unit_changed", evidence="100 times again")

    known = looks((8, [broken]), (10, [later]), known=known)

    assert [(one.state, one.fault.since, one.fault.until) for one in known] == [
        ("accepted", day(3), day(10))
    ]


def test_beyond_a_discarded_fault_a_new_one_begins() -> None:
    (one,) = looks((4, [fault(3, 4)]))
    first, second = looks((6, [fault(3, 6)]), known=(end(one, "discarded", 5),))
    assert (first.state, first.fault.until) == ("discarded", day(4))
    assert (second.state, second.fault.since, second.fault.rows) == ("open", day(4), 48)


def test_the_same_evidence_does_not_reopen_what_was_mended_another_does() -> None:
    (one,) = looks((4, [fault(3, 4)]))
    mended = end(one, "reingested", 5)
    assert looks((6, [fault(3, 4)]), known=(mended,)) == (mended,)
    (again,) = looks((6, [fault(3, 4, evidence="1 in all rows")]), known=(mended,))
    assert again.state == "open"


def test_faults_of_single_records_grow_by_records() -> None:
    first = fault(3, 4, "id_burst", ids=("a", "b"), rows=2)
    more = fault(3, 4.5, "id_burst", ids=("a", "b", "c"), rows=3)
    (one,) = looks((4, [first]), (5, [first]), (6, [more]))
    assert (one.fault.ids, one.fault.rows) == (("a", "b", "c"), 3)
    assert looks((7, [first]), known=(one,)) == (one,)


def test_rows_return_only_when_they_are_accepted_or_mended() -> None:
    (one,) = looks((4, [fault(3, 4)]))
    for how, stays in [("discarded", True), ("accepted", False), ("reingested", False)]:
        known = [end(one, how, 6)]
        assert faults_at(known, day(5), window=WEEK).aside == (fault(3, 4),), "open then"
        assert bool(faults_at(known, day(6), window=WEEK).aside) is stays
        assert faults_at(known, day(6), window=WEEK).blocking == ()
        assert known[0].state_at(day(6)) == how


def test_a_fault_blocks_while_it_stands_in_the_newest_window() -> None:
    (one,) = looks((4, [fault(3, 4)]))
    said = [bool(faults_at([one], day(at), window=WEEK).blocking) for at in (3.9, 4, 10.9, 11)]
    assert said == [False, True, True, False]
    assert blocking([fault(3, 4)], day(3), window=WEEK) == (), "it has not begun"


def test_a_fault_is_news_at_the_moment_it_was_found_unless_a_person_ended_it() -> None:
    (one,) = looks((4, [fault(3, 4)]))
    assert faults_at([one], day(4), window=WEEK).found == (fault(3, 4),)
    assert faults_at([one], day(5), window=WEEK).found == ()
    assert faults_at([end(one, "discarded", 4)], day(4), window=WEEK).found == ()
    by_itself = [end(one, "discarded", 4, who=AUTO)]
    assert faults_at(by_itself, day(4), window=WEEK).found == (fault(3, 4),)


def test_the_feed_is_clean_after_two_windows() -> None:
    known = looks((4, [fault(3, 4), fault(3, 5, column="rain")]))
    assert over_at(known, day(17.9), window=WEEK) == []
    assert [one.fault.column for one in over_at(known, day(18), window=WEEK)] == ["heat"]
    assert len(over_at(known, day(19), window=WEEK)) == 2


def test_what_has_stood_for_a_whole_reference_is_told_from_what_is_over() -> None:
    known = looks((4, [fault(3, 4)]), (40, [fault(12, 40, column="rain")]))
    asked = {"window": WEEK, "reference": 4 * WEEK}

    assert [one.fault.column for one in stayed_at(known, day(40), **asked)] == ["rain"]
    assert stayed_at(known, day(47), **asked) == []
    assert stayed_at(known, day(40), window=WEEK, reference=5 * WEEK) == []


def test_nothing_ends_before_it_was_found() -> None:
    (one,) = looks((4, [fault(3, 4)]))
    assert end(one, "accepted", 2).ended_as_of == day(4)


@pytest.mark.parametrize("named", ["frozen", "frozen:heat", fault(3, 4).key])
def test_a_person_names_a_fault_in_three_ways(named: str) -> None:
    known = looks((4, [fault(3, 4), fault(3, 4, "nulls")]))
    assert choose_open(known, "bikes", named).fault.fault == "frozen"


def test_a_name_that_fits_two_faults_or_none_lists_what_is_open() -> None:
    known = looks((9, [fault(3, 4), fault(6, 7)]))
    with pytest.raises(InvalidInputError, match=r"(?s)2 open data faults are.*df-.*df-"):
        choose_open(known, "bikes", "frozen")
    with pytest.raises(InvalidInputError, match=r"(?s)no open data fault.*'nulls' in bikes.*df-"):
        choose_open(known, "bikes", "nulls")
    with pytest.raises(InvalidInputError, match="nothing is open"):
        choose_open([end(one, "accepted", 9) for one in known], "bikes", "frozen")


def test_faults_are_written_and_read_as_text() -> None:
    some_faults = (fault(3, 4), fault(3.5, 4, "id_burst", ids=("é", "b"), rows=2))
    assert read_faults(write_faults(some_faults)) == some_faults


stretches = some.lists(
    some.tuples(some.integers(0, 20), some.integers(1, 6), some.sampled_from(["heat", "rain"])),
    max_size=6,
)


@given(some.lists(stretches, min_size=1, max_size=5))
def test_however_it_is_looked_at_every_faulty_hour_is_known_once(seen) -> None:
    """Looks of any parts in any order know the union of them, without an overlap."""
    known: tuple[KnownFault, ...] = ()
    truth: set[tuple[str, int]] = set()
    for number, found in enumerate(seen):
        faults = [fault(since, since + width, column=column) for since, width, column in found]
        known = fold(known, faults, as_of=day(100 + number), count=hours)
        truth |= {(c, since + n) for since, width, c in found for n in range(width)}
    by_column: dict[str, list[Fault]] = {}
    for one in known:
        by_column.setdefault(one.fault.column, []).append(one.fault)
        assert one.fault.rows == hours(one.fault)
        assert one.key == replace(one.seen[0].fault).key
    for faults in by_column.values():
        ordered = sorted(faults)
        assert all(a.until <= b.since for a, b in pairwise(ordered))
    covered = {
        (column, int((one.since - START).days) + n)
        for column, faults in by_column.items()
        for one in faults
        for n in range((one.until - one.since).days)
    }
    assert covered == truth


# --- many records --------------------------------------------------------------------------------


def many(since: float, until: float, ids: range) -> Fault:
    marks = write_marks(str(number) for number in ids)
    return fault(since, until, "nulls", rows=len(ids), marks=marks)


def test_of_many_records_only_those_that_are_marked_are_spoiled() -> None:
    rows = pd.DataFrame({"record_id": [str(number) for number in range(60_000)]})
    rows["event_time"] = day(3.5)
    one = many(3, 4, range(0, 60_000, 2))
    assert one.concerns(rows).nonzero()[0].tolist() == list(range(0, 60_000, 2))
    assert len(one.marks) < 7 * 30_000
    assert read_faults(write_faults([one])) == (one,)


def test_a_fault_of_many_records_grows_by_those_that_are_new() -> None:
    (one,) = looks((4, [many(3, 4, range(5000))]), (5, [many(3, 5, range(3000, 9000))]))
    assert (one.fault.rows, one.fault.until) == (9000, day(5))
    assert one.fault.names(map(str, range(9001))).sum() == 9000
    assert one.at(day(4)).rows == 5000


def test_erased_records_leave_no_mark() -> None:
    one = without_records(many(3, 4, range(5000)), {"7", "x"})
    assert one.names(["6", "7", "8", "erased"]).tolist() == [True, False, True, True]
    assert without_records(one, {"x"}) == one
