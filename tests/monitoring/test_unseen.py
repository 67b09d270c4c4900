import pandas as pd
import pytest

from components.errors import SeenRowsError
from monitoring.unseen import refuse_seen_rows


def rows(first, last):
    days = pd.date_range(f"2026-01-{first:02}", f"2026-01-{last:02}", tz="UTC")
    return pd.DataFrame({"record_id": [f"r{day.day}" for day in days], "event_time": days})


def day(number):
    return pd.Timestamp(f"2026-01-{number:02}", tz="UTC")


def test_rows_newer_than_the_champion_and_unknown_to_the_challenger_pass():
    refuse_seen_rows(rows(11, 20), champion_seen_until=day(10), challenger_rows=rows(1, 10))


def test_without_a_champion_only_the_challenger_is_asked():
    refuse_seen_rows(rows(11, 20), champion_seen_until=None, challenger_rows=rows(1, 10))


def test_the_row_of_the_very_moment_that_the_champion_has_seen_is_refused():
    with pytest.raises(SeenRowsError, match=r"2 of 10 rows that it has seen \(r11, r12\)"):
        refuse_seen_rows(rows(11, 20), champion_seen_until=day(12), challenger_rows=rows(1, 10))


def test_a_row_that_the_challenger_was_fitted_on_is_refused_whatever_its_time():
    with pytest.raises(SeenRowsError, match=r"challenger was not fitted on.*4 of 10 .*r13, …"):
        refuse_seen_rows(rows(11, 20), champion_seen_until=day(10), challenger_rows=rows(1, 14))
