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
    words = "read as of 2024-02-20: 401 records, 16 of them corrected, 0 new labels"
    assert done.in_words() == words
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


# --- how often the source is read ----------------------------------------------------------------


@pytest.fixture
def readings(monkeypatch) -> list[str]:
    """Count the openings of a source."""
    from components.sources import open_feed

    opened: list[str] = []

    def opening(source: Any, pipeline: Any) -> Any:
        opened.append(source.shown)
        return open_feed(source, pipeline)

    monkeypatch.setattr("flows.steps.ingesting.open_feed", opening)
    monkeypatch.setattr("components.sources.delivering.open_feed", opening)
    return opened


def test_a_source_whose_rows_were_mended_in_place_is_read_once(
    fresh, day, world, say, readings
) -> None:
    halfway = broken(world(), range(47, 49))
    fresh.write(halfway)
    fresh.ingest(day(50))
    look(fresh, day(50))
    readings.clear()
    assert not say(read_again, "unit_changed").gone
    assert len(readings) == 1, "it is still there"
    halfway.loc[8 * 47, "heat"] /= 100
    fresh.write(halfway)
    assert not say(read_again, "unit_changed").gone
    fresh.write(world())
    readings.clear()
    assert say(read_again, "unit_changed").gone
    assert len(readings) == 1


def test_a_source_that_says_when_it_was_mended_is_read_a_second_time_as_of_then(
    fresh, day, world, say, readings
) -> None:
    rows = world().assign(changed=lambda f: f["at"])
    spoilt = broken(rows, range(47, 49))
    fresh.change(updated="changed")
    fresh.write(spoilt)
    fresh.ingest(day(50))
    look(fresh, day(50))
    wrong = slice(8 * 47, 8 * 49 - 1)
    rows.loc[wrong, "changed"] = day(53).strftime("%Y-%m-%dT%H:%M:%S")
    fresh.write(rows)
    readings.clear()

    done = say(read_again, "unit_changed")

    assert (done.gone, done.corrected) == (True, 16)
    assert done.known.ended_as_of == done.as_of == day(53)
    assert len(readings) == 2


def test_a_mended_column_is_heard_of_while_it_is_read(fresh, day, world, say, readings) -> None:
    rows = world().loc[: 8 * 50]
    fresh.write(rows.drop(columns="weather"))
    fresh.ingest(day(50))
    look(fresh, day(50))
    readings.clear()
    assert not say(read_again, "column_missing").gone, "the source says it still"
    fresh.write(rows)
    assert say(read_again, "column_missing").gone
    assert len(readings) == 2, "once each time"
