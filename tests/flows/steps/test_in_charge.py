"""Who was in charge when is read from the promotions in one place."""

from dataclasses import dataclass

import pandas as pd
import pytest

from flows.steps.in_charge import in_charge_at, reigns, version_before, versions_for

START = pd.Timestamp("2026-01-01", tz="UTC")


def day(number: float) -> pd.Timestamp:
    return START + pd.Timedelta(days=number)


@dataclass(frozen=True)
class Promoted:
    version: str
    as_of: pd.Timestamp


TWO = [Promoted("2", day(10)), Promoted("4", day(20))]
RUN_AGAIN = [*TWO, Promoted("6", day(15))]


@pytest.mark.parametrize(
    ("at", "version"), [(9.9, None), (10, "2"), (19.9, "2"), (20, "4"), (30, "4")]
)
def test_a_promotion_counts_from_its_own_moment_on(at: float, version: str | None) -> None:
    found = in_charge_at(TWO, day(at))
    assert (found.version if found else None) == version


@pytest.mark.parametrize(("at", "version"), [(10, "naive"), (10.1, "2"), (20, "2"), (21, "4")])
def test_a_training_challenges_who_was_there_before_its_moment(at: float, version: str) -> None:
    assert version_before(TWO, day(at)) == version


def test_a_later_promotion_of_an_earlier_moment_replaces_what_began_after_it() -> None:
    assert [one.version for one in reigns(RUN_AGAIN, by=day(30))] == ["2", "6"]
    assert [one.version for one in reigns(RUN_AGAIN, by=day(12))] == ["2"]
    assert in_charge_at(RUN_AGAIN, day(25)) == RUN_AGAIN[2]


def versions(promotions: list[Promoted], known: list[float], labelled: list[float]) -> list[str]:
    moments, labels = (
        pd.Series(pd.DatetimeIndex([day(n) for n in given]).as_unit("us"))
        for given in (known, labelled)
    )
    return versions_for(promotions, moments, labels, as_of=day(40)).tolist()  # type: ignore[arg-type]


def test_each_record_is_answered_by_who_was_there_when_it_was_known() -> None:
    assert versions(TWO, [5, 10, 11, 20, 21], [6, 11, 12, 21, 22]) == ["naive", "2", "2", "2", "4"]
    assert versions([], [5], [6]) == ["naive"]


def test_a_record_that_waited_for_its_label_at_the_first_promotion_gets_its_model() -> None:
    assert versions(TWO, [9, 9], [9.5, 10.5]) == ["naive", "2"]
