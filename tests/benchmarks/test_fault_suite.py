"""The benchmark of data faults, on a handful of its cases: the same code, so that it cannot rot."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.faults import FAULTS

DAY = "2012-06-13"


@pytest.fixture(scope="module")
def suite(clone: Path):
    sys.path.insert(0, str(clone))  # `benchmarks` is a folder of scripts, not a package of ours
    try:
        from benchmarks.faults import injecting, learning, run, scoring, sets, telling
    finally:
        sys.path.pop(0)
    return SimpleNamespace(
        injecting=injecting, learning=learning, run=run, scoring=scoring, sets=sets, telling=telling
    )


def cases(suite, *named):
    return tuple(suite.injecting.case_named(fault, severity) for fault, severity in named)


@pytest.fixture(scope="module")
def detected(suite):
    some = cases(
        suite,
        ("nulls", "+20 points, a day"),
        ("frozen", "one column, 24 h"),
        ("missing_period", "a day"),
        ("clock_jump", "+5 h, a day"),
    )
    return suite.run.do(suite.run.Job("detection", "bikeshare", DAY, some, held_out=True))


@pytest.fixture(scope="module")
def replayed(suite):
    some = cases(suite, ("nulls", "+50 points, a day"), ("clock_jump", "+1 h from then on"))
    return suite.run.do(suite.run.Job("learning", "bikeshare", DAY, some))


def test_every_fault_that_has_a_name_is_injected_and_more_than_fourteen_cases_in_every_set(suite):
    assert {case.fault for case in suite.injecting.CASES} == set(FAULTS)
    for name in suite.sets.MAKERS:
        assert sum(name in case.on for case in suite.injecting.CASES) >= 14


def test_no_two_cases_have_the_same_name(suite):
    named = [(case.fault, case.severity) for case in suite.injecting.CASES]

    assert len(set(named)) == len(named)


def test_some_faults_are_found_by_name_column_and_rows_a_day_and_a_week_after(detected):
    assert [(one.case.fault, one.asked) for one in detected.outcomes if not one.whole] == []
    assert len(detected.outcomes) == 8


def test_a_fault_in_another_column_or_of_other_rows_does_not_count_as_whole(detected):
    one = detected.outcomes[0]

    assert one.whole
    assert not replace(one, placed=False).whole
    assert not replace(one, covered=0.8).whole
    assert not replace(one, spilled=0.03).whole


def test_a_fault_is_judged_in_the_column_that_was_spoiled(suite):
    stage = suite.scoring.Stage(suite.sets.bikeshare())
    (case,) = cases(suite, ("nulls", "+20 points, a day"))
    elsewhere = replace(case, inject=lambda scene: (case.inject(scene), name_another(scene)))

    outcome = stage.outcomes(elsewhere, DAY, held_out=True)[0]

    assert (outcome.found, outcome.placed, outcome.covered) == ("yes", False, 0.0)


def name_another(scene):
    scene.columns = ("hour",)


def test_around_a_fault_models_are_trained_without_its_rows_and_only_once_it_is_past(replayed):
    nulls, _ = replayed.replays

    said = [(moment.state, moment.fitted, moment.learnt) for moment in nulls.moments]

    assert said[0] == ("clean", True, 0)
    assert said[-3:] == [("clean", True, 0)] * 3
    assert [fitted for state, fitted, _ in said if state == "stands"] == [False, False]
    assert all(moment.due == 12 for moment in nulls.moments if moment.late)  # known, and kept out


def test_while_a_fault_lasts_nothing_is_trained(replayed):
    _, lasting = replayed.replays

    stands = [moment for moment in lasting.moments if moment.state == "stands"]

    assert len(stands) == 5
    assert all(moment.due and not moment.learnt for moment in stands)


def test_a_fault_that_nobody_looks_for_is_counted_as_learnt(suite):
    data = suite.sets.bikeshare()
    blind = data.pipeline.diagnosis.model_copy(update={"ignore": ["nulls"]})
    data = replace(data, pipeline=data.pipeline.model_copy(update={"diagnosis": blind}))

    found = suite.learning.replays(data, DAY, cases(suite, ("nulls", "+50 points, a day")))

    counts = suite.telling.learnt(found)
    assert counts["models_late_with_faulty_rows"] == counts["models_late"] == 5
    assert counts["faulty_rows_late_learnt"] == counts["faulty_rows_late_due"] == 5 * 12
    assert counts["moments_fault_stands_put_off"] == 0


def test_the_fit_is_itself_again_after_it_was_listened_to(suite, replayed):
    from flows.steps import training

    assert training.fit_on.__module__ == "flows.steps.training"


def test_what_came_of_a_job_travels_between_processes(detected, replayed):
    for done in (detected, replayed):
        assert pickle.loads(pickle.dumps(done)) == done  # noqa: S301 - our own, just written


def test_the_results_are_flat_numbers_and_the_table_lists_severities(
    suite, detected, replayed, capsys
):
    results = suite.telling.detection(detected.outcomes) | suite.telling.learnt(replayed.replays)

    assert results["detected_rows_held_out"] == results["detected_column_held_out"] == 1
    assert results["models_late_with_faulty_rows"] == 0
    assert all(isinstance(value, int | float) for value in results.values())
    assert "+20 points, a day" in capsys.readouterr().out


def test_by_default_every_case_goes_through_detection_on_six_days_and_through_learning_once(suite):
    jobs = list(suite.run.jobs([suite.sets.bikeshare()], suite.run.PARTS, full=False))

    cases = [case for case in suite.injecting.CASES if "bikeshare" in case.on]
    learning = [case for job in jobs if job.part == "learning" for case in job.cases]
    assert sorted(learning, key=str) == sorted(cases, key=str)
    assert [job.cases for job in jobs if job.part == "detection"] == [tuple(cases)] * 6
    assert [job.part for job in jobs].count("clean") == 1
