import pandas as pd
import pytest

from monitoring.spending import share_of_use, use_of

DAYS = pd.Series(pd.date_range("2026-05-01", periods=10, tz="UTC"))


def judged(first, last, gain=0.1):
    times = {"rows_from": first, "rows_until": last}
    return {"gain": gain} | {key: f"{day}T00:00:00+00:00" for key, day in times.items()}


def test_however_many_uses_there_are_they_never_spend_more_than_the_level():
    assert 0.999 < sum(share_of_use(use) for use in range(1, 1001)) < 1


def test_each_use_may_spend_less_than_the_one_before():
    shares = [share_of_use(use) for use in range(1, 20)]

    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(0.9)


def test_uses_are_counted_from_one():
    with pytest.raises(ValueError, match="counted from 1"):
        share_of_use(0)


def test_only_earlier_gates_that_judged_most_of_these_rows_count_as_uses():
    earlier = [
        judged("2026-04-20", "2026-04-30"),  # older rows
        judged("2026-04-20", "2026-05-03"),  # three of these ten days
        judged("2026-04-20", "2026-05-07"),  # seven of them
        judged("2026-05-04", "2026-05-20"),  # seven of them
        judged("2026-05-01", "2026-05-10", gain=None),  # too few rows: no loss was looked at
        {},  # a decision without a gate
    ]

    assert use_of(DAYS, earlier) == 3
    assert use_of(DAYS, []) == 1
    assert use_of(DAYS[:0], earlier) == 1
