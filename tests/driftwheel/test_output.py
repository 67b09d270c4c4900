"""What a person reads fits 80 columns, leads with what matters, and never mixes with JSON."""

import io
from typing import Any

import pytest
from rich.console import Console

from driftwheel.comparing import print_backtest
from driftwheel.output import aligned, hang, in_words, wrapped
from driftwheel.reading import print_history, print_status

WHY = (
    "its loss is 22.4 % lower than that of the naive baseline (season) (21.26 against 27.41) on "
    "309 rows in 14 blocks; at level 0.05 the gain is above 4.5 %, the margin is 2.0 %"
)


def paper(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False)


def lines_of(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def policy(score: float, **more: Any) -> dict[str, Any]:
    given = {
        "score": score,
        "score_ci": [score - 6, score + 6],
        "rows_scored": 15287,
        "retrainings": 21,
        "promotions": 21,
        "refusals": 0,
        "waits": 0,
        "false_alarms": 0,
        "data_faults": 7,
        "first_promotion": "2011-04-02T00:00:00+00:00",
        "rows_by_naive": 0,
        "train_seconds": 1.49,
        "timeline": [],
    }
    return {**given, **more}


def document(policies: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "pipeline": "rides",
        "metric": "mae",
        "lower_is_better": True,
        "from": "2011-04-02T00:00:00+00:00",
        "to": "2012-12-31T23:00:00+00:00",
        "rows_scored": 15287,
        "policies": policies,
        "recommended": "periodic:28d",
        "recommended_because": "its mae is the best, 41.07 against 42.88 of drift, the next",
    }


TWO = document({"never": policy(109.1), "periodic:28d": policy(41.07)})


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_backtest_fits_the_terminal_one_line_a_policy(width: int) -> None:
    shown = paper(width)
    print_backtest(shown, TWO)
    lines = lines_of(shown)
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]
    (weekly,) = [line for line in lines if line.startswith("periodic:28d  ")]
    assert weekly.split() == ["periodic:28d", "41.07", "35.07", "…", "47.07", "21", "21", "0", "0",
                              "1.5"]  # fmt: skip
    assert lines.index(weekly) < [line[:5] for line in lines].index("never"), "the best is first"


def test_a_long_name_of_a_policy_stands_above_its_numbers() -> None:
    shown = paper()
    print_backtest(shown, document({"company.policies.of_my_own:WhenItRains": policy(41.07)}))
    lines = lines_of(shown)
    assert max(map(len, lines)) <= 80
    assert "company.policies.of_my_own:WhenItRains" in lines


def test_a_backtest_says_its_recommendation_and_why() -> None:
    shown = paper()
    print_backtest(shown, TWO)
    said = " ".join(" ".join(lines_of(shown)).split())
    assert "2011-04-02 to 2012-12-31 23:00" in said, "no midnight is written, an hour is"
    assert "Recommended: periodic:28d; its mae is the best, 41.07 against 42.88 of drift" in said
    assert "7 data faults were found on the way and set aside" in said


def test_a_backtest_says_when_no_model_was_in_charge() -> None:
    waited = {"at": "2011-04-02T00:00:00+00:00", "event": "wait", "reason": "too few", "score": 1}
    late = policy(
        60.0, rows_by_naive=336, first_promotion="2011-04-16T00:00:00+00:00", timeline=[waited]
    )
    never = policy(70.0, rows_by_naive=15287, first_promotion=None)
    shown = paper()
    print_backtest(shown, document({"drift": late, "never": never}))
    said = " ".join(" ".join(lines_of(shown)).split())
    assert (
        "drift: no model was in charge from 2011-04-02 to 2011-04-16; the naive baseline "
        "answered 336 of 15287 rows"
    ) in said
    assert "drift: the first training, 2011-04-02: wait: too few" in said
    assert "never: no model was in charge from 2011-04-02 to 2012-12-31 23:00, the end: no" in said


# --- status and history --------------------------------------------------------------------------


def standing(**more: Any) -> dict[str, Any]:
    given = {
        "pipeline": "rides",
        "champion": "2",
        "since": "2011-04-02T00:00:00+00:00",
        "promoted_by": "ada",
        "metric": "mae",
        "window_start": "2011-05-14T00:00:00+00:00",
        "window": "2011-05-21T00:00:00+00:00",
        "live_error": 80.66,
        "naive_error": 40.38,
        "answered_by": "2",
        "live_error_why": None,
        "drift_window": "2011-05-21T00:00:00+00:00",
        "drift": 0.44,
        "pending": [],
        "last_decision": {"at": "2011-04-02T00:00:00+00:00", "what": "promoted", "why": WHY},
        "waiting": None,
        "moved_by_hand": [],
        "data_faults": [],
        "shipped": False,
        "in_use": True,
    }
    return {**given, **more}


def status_of(**more: Any) -> str:
    shown = paper()
    print_status(shown, [standing(**more)])
    lines = lines_of(shown)
    assert max(map(len, lines)) <= 80
    return " ".join(" ".join(lines).split())


def test_status_says_who_answered_and_beside_whom() -> None:
    said = status_of()
    assert said.startswith("rides version 2 since 2011-04-02, by ada live error 80.66 mae over the")
    assert "7d to 2011-05-21, by version 2 naive error 40.38 mae on the same rows" in said


def test_status_says_why_there_is_no_live_error() -> None:
    said = status_of(live_error=None, live_error_why="nothing was scored yet; `driftwheel score`")
    assert "live error unknown: nothing was scored yet" in said
    assert "naive error" not in said, "one number too many is none the wiser"


def test_status_shows_one_error_where_the_naive_baseline_answered() -> None:
    said = status_of(champion="naive", since=None, answered_by="naive", drift=None)
    assert said.startswith("rides no model is in charge, the naive baseline answers")
    assert "the naive baseline's own" in said
    assert "naive error" not in said
    assert "drifted unknown: no model is in charge" in said


def test_status_names_the_commands_that_apply() -> None:
    fault = {
        "key": "df-1",
        "fault": "frozen",
        "column": "heat",
        "since": "2011-03-10T00:00:00+00:00",
        "rows": 22,
        "evidence": "0 in 22 rows in a row",
    }
    waiting = [{"request_id": "rr-1", "cause": "drift", "state": "open"}]
    said = status_of(data_faults=[fault], pending=waiting)
    assert "rr-1 (drift) waits for a worker; `driftwheel reconcile rides` carries it out" in said
    assert "df-1 frozen in heat since 2011-03-10, 22 rows set aside: 0 in 22 rows" in said
    assert "`driftwheel resolve rides KEY --accept|--discard|--reingest --reason …`" in said


def test_status_shows_a_shipped_example_in_one_line() -> None:
    assert status_of(shipped=True, in_use=False) == "rides shipped as an example, not in use here"


def told(**more: Any) -> dict[str, Any]:
    given = {
        "at": "2011-04-02T06:00:00+00:00",
        "pipeline": "rides",
        "what": "promoted",
        "who": "ada",
        "why": WHY,
        "request_id": "rr-76c5f43627bc",
        "flow_run_id": "",
        "by_reconcile": False,
        "tested_version": "1",
        "served_version": "2",
        "first": True,
    }
    return {**given, **more}


def test_history_is_a_headline_and_the_reason_below_it() -> None:
    shown = paper()
    print_history(shown, [told(), told(what="hold", who="policy", why="all is well")], every=False)
    lines = lines_of(shown)
    assert lines[0] == (
        "2011-04-02 06:00  rides  promoted  version 2  the first  by ada  rr-76c5f43627bc"
    )
    assert all(line.startswith("    ") for line in lines[1:])
    assert max(map(len, lines)) <= 80
    assert not any(line.lstrip().startswith("%") for line in lines), "4.5 and its % stay together"
    assert "all is well" not in " ".join(lines)


def test_history_lists_what_a_person_held_and_with_all_the_policys_word_too() -> None:
    rows = [told(what="hold", why="set back"), told(what="hold", who="policy", why="all is well")]
    shown = paper()
    print_history(shown, rows, every=False)
    assert "set back" in " ".join(lines_of(shown))
    shown = paper()
    print_history(shown, rows, every=True)
    assert "all is well" in " ".join(lines_of(shown))


# --- the pieces ----------------------------------------------------------------------------------


def test_words_hang_below_their_head_and_no_brackets_are_eaten() -> None:
    shown = paper(50)
    hang(shown, "price  ", "it is [bold] of a column called [red], " + "word " * 12, style="bold")
    first, *more = lines_of(shown)
    assert first.startswith("price  it is [bold] of a column")
    assert more
    assert all(line.startswith("       ") for line in more)


def test_a_time_is_written_without_its_midnight() -> None:
    assert in_words("2011-03-10T00:00:00+00:00") == "2011-03-10"
    assert in_words("2011-03-10T13:30:00+00:00") == "2011-03-10 13:30"


def test_rows_stand_below_each_other() -> None:
    assert aligned(["a", "n"], [["x", "10"], ["long", "9"]]) == ["a      n", "x     10", "long   9"]
    assert wrapped("", 40) == [""]
