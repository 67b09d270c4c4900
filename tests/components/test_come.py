"""What had not come and came is no fault any more."""

import pandas as pd
import pytest

from components.come import LABELS_CAME, ROWS_CAME, come_at
from components.faults import LABELS_DUE, Fault
from components.known_faults import AUTO, KnownFault, ended, fold

START = pd.Timestamp("2024-01-01", tz="UTC").as_unit("us")


def day(number: float) -> pd.Timestamp:
    return START + pd.Timedelta(days=number)


def rows(*days: float) -> pd.DataFrame:
    named = [f"r{number}" for number in days]
    times = pd.DatetimeIndex([day(number) for number in days])
    return pd.DataFrame({"record_id": named, "event_time": times})


def gap(since: float, until: float) -> Fault:
    return Fault(day(since), day(until), "missing_period", "at", "no row", 0)


def unlabelled(since: float, until: float) -> Fault:
    said = f"0% of 2 {LABELS_DUE} 2024-01-05 came"
    return Fault(day(since), day(until), "labels_broken", "y", said, 2)


def known(*found: Fault, at: float = 5) -> tuple[KnownFault, ...]:
    return fold((), found, as_of=day(at), count=lambda _: 1)


def came(found: Fault, there: pd.DataFrame, labelled=(), still=()) -> list[str]:
    listed = come_at(known(found), day(6), still, rows=there, labelled=labelled)
    return [why for _, why in listed]


def test_a_missing_period_ends_with_its_rows() -> None:
    assert came(gap(3, 5), rows(1, 2)) == []
    assert came(gap(3, 5), rows(1, 2, 3.5)) == [ROWS_CAME]


def test_what_the_look_still_misses_is_open() -> None:
    assert came(gap(3, 5), rows(3.2), still=[gap(3.2, 6)]) == []


@pytest.mark.parametrize(("labelled", "why"), [({"r2"}, []), ({"r2", "r3"}, [LABELS_CAME])])
def test_labels_have_come_when_half_of_them_are_there(labelled, why) -> None:
    assert came(unlabelled(3, 5), rows(2, 3, 4), labelled) == why


def test_labels_that_are_wrong_do_not_come() -> None:
    reversed_ = Fault(day(3), day(5), "labels_broken", "y", "the opposite", 2)
    assert came(reversed_, rows(3, 4), {"r3", "r4"}) == []


def test_rows_of_a_missing_period_are_good() -> None:
    assert not gap(3, 5).concerns(rows(3, 4)).any()
    assert gap(3, 5).covers(rows(2, 3, 4)).tolist() == [False, True, True]


def test_labels_that_came_and_are_reversed_are_another_fault() -> None:
    first = known(unlabelled(3, 5))
    over = tuple(ended(o, "reingested", who=AUTO, why=LABELS_CAME, as_of=day(6)) for o in first)
    wrong = Fault(day(3), day(5), "labels_broken", "y", "the opposite", 2)

    after = fold(over, [wrong], as_of=day(7), count=lambda _: 2)

    assert [one.state for one in after] == ["reingested", "open"]


def test_a_gap_after_one_that_was_filled_is_another_fault() -> None:
    over = tuple(
        ended(o, "reingested", who=AUTO, why=ROWS_CAME, as_of=day(6)) for o in known(gap(3, 5))
    )

    after = fold(over, [gap(4.5, 8)], as_of=day(8), count=lambda _: 0)

    assert [(one.state, one.fault.since) for one in after] == [
        ("reingested", day(3)),
        ("open", day(4.5)),
    ]
