"""How a person ends a data fault: at a moment of the data, and only where that ends it."""

from typing import Any

import pandas as pd
import pytest

from components.errors import InvalidInputError
from flows.steps.diagnosing import faults_now, look_for_faults, standing
from flows.steps.resolving import accept, discard, read_again


@pytest.fixture
def say(fresh, day):
    def saying(end: Any, named: str, **more: Any) -> Any:
        said = {"who": "Ada", "why": "so it is", "as_of": None, "now": day(900), **more}
        return end(fresh.home, fresh.pipeline, named, clock=fresh.clock, **said)

    return saying


def look(care, moment: pd.Timestamp) -> Any:
    return look_for_faults(care.home, care.pipeline, as_of=moment, clock=care.clock)


def broken(rows: pd.DataFrame, days: range) -> pd.DataFrame:
    rows = rows.copy()
    rows.loc[8 * days.start : 8 * days.stop - 1, "heat"] *= 100
    return rows


def test_a_fault_that_was_mended_ends_at_the_moment_of_the_data(fresh, day, world, say) -> None:
    rows = world()
    fresh.write(broken(rows, range(47, 49)))
    fresh.ingest(day(50))
    (fault,) = look(fresh, day(50)).blocking
    fresh.write(rows)

    done = say(read_again, "unit_changed")

    assert done.gone
    assert done.known.ended_as_of == done.as_of == day(50), "not that of the command, day 900"
    assert (
        done.in_words() == f"read as of {day(50).isoformat()}: 401 records, 16 corrected, 0 labels"
    )
    assert faults_now(fresh.home, fresh.pipeline, as_of=day(50)).blocking == ()
    assert fresh.rows("records")["event_time"].max() <= day(50), "nothing later was taken in"
    assert look(fresh, day(50)).aside == ()
    assert fault.fault == "unit_changed"


def test_a_second_correction_as_of_the_same_moment_counts_too(fresh, day, world, say) -> None:
    rows = world()
    fresh.write(broken(rows, range(47, 49)))
    fresh.ingest(day(50))
    look(fresh, day(50))
    halfway = broken(rows, range(47, 49))
    halfway.loc[8 * 47, "heat"] /= 100
    fresh.write(halfway)
    assert not say(read_again, "unit_changed").gone
    fresh.write(rows)
    assert say(read_again, "unit_changed").gone


def test_a_corrected_file_ends_a_missing_column_though_its_old_line_stays(
    fresh, day, world, say
) -> None:
    rows = world()
    fresh.write(rows.loc[: 8 * 50].drop(columns="weather"))
    fresh.ingest(day(50))
    assert {f.fault for f in look(fresh, day(50)).aside} == {"column_missing"}
    mended = rows.loc[: 8 * 50].copy()
    mended.loc[::3, "weather"] = None  # nobody noted these
    fresh.write(mended)

    assert say(read_again, "column_missing").gone

    assert "column must be in the source" in set(fresh.rows("quarantine")["rule"])
    assert look(fresh, day(50)).aside == ()


def test_what_the_pipeline_file_calls_impossible_cannot_be_accepted_until_it_says_so(
    fresh, day, world, say
) -> None:
    rows = broken(world(), range(47, 49))
    fresh.change(columns={"heat": {"kind": "number", "max": 20}, "weather": "category"})
    fresh.write(rows)
    fresh.ingest(day(50))
    look(fresh, day(50))
    most = rows.loc[8 * 47 : 8 * 49 - 1, "heat"].max()

    with pytest.raises(InvalidInputError) as refused:
        say(accept, "unit_changed")

    assert "columns.heat.max" in str(refused.value)
    assert f"to {most:.6g} or more (it is 20)" in str(refused.value)
    assert standing(fresh.home, fresh.pipeline, as_of=day(50)), "it stands as before"

    fresh.change(columns={"heat": {"kind": "number", "max": 1000}, "weather": "category"})
    before = len(fresh.rows("records"))
    assert say(accept, "unit_changed").state == "accepted"
    assert len(fresh.rows("records")) > before, "its rows were read in"
    assert standing(fresh.home, fresh.pipeline, as_of=day(50)) == ()


def test_who_resolves_before_anybody_looked_is_answered_after_a_look(
    fresh, day, world, say
) -> None:
    with pytest.raises(InvalidInputError, match="driftwheel ingest bikes"):
        say(discard, "unit_changed")
    fresh.write(broken(world(), range(47, 49)))
    fresh.ingest(day(50))
    ended = say(discard, "unit_changed")
    assert (ended.state, ended.ended_as_of) == ("discarded", day(50))
