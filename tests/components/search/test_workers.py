"""Fits in processes of their own: what one of them does to itself harms no other."""

import os
import signal
import time

import pytest

from components.pipelines import Window
from components.recipes import Recipe
from components.search import judging, search_recipe, workers
from components.search.folds import temporal_folds
from components.search.workers import Workers

LINEAR = Recipe("linear", Window())
STRONG = Recipe("linear", Window(), (("strength", 100.0),))


def _always():
    return True


class Doomed:
    """Sent to a worker in the place of a recipe; kills it as the system does out of memory."""

    def __reduce__(self):
        return os.kill, (Self(), signal.SIGKILL)


class Self:
    """Unpickled, the id of the process that unpickles it."""

    def __reduce__(self):
        return os.getpid, ()


class Endless:
    """Sent to a worker in the place of a recipe; it never comes to an end."""

    def __reduce__(self):
        return time.sleep, (3600,)


@pytest.fixture(scope="module")
def folds(rows, pipeline, now):
    return temporal_folds(rows, pipeline(), as_of=now)


def test_workers_find_what_a_fit_here_finds(folds, pipeline):
    jobs = [(LINEAR, 0), (STRONG, 0), (LINEAR, 1)]
    here = judging.Here(folds, pipeline()).judge(jobs, may_start=_always)
    with Workers(folds, pipeline(), count=2, limit=600) as several:
        found = several.judge(jobs, may_start=_always)
    assert [outcome.loss for outcome in found] == [outcome.loss for outcome in here]


def test_a_worker_killed_for_its_memory_loses_one_fit_with_the_cause(folds, pipeline):
    with Workers(folds, pipeline(), count=1, limit=600) as alone:
        killed, good = alone.judge([(Doomed(), 0), (LINEAR, 0)], may_start=_always)
    assert killed.loss == float("inf")
    assert "killed by the system, most likely because memory ran out" in killed.problem
    assert good.problem == ""


def test_a_fit_that_takes_too_long_is_ended_and_recorded(folds, pipeline):
    with Workers(folds, pipeline(), count=1, limit=0.5) as hasty:
        (ended,) = hasty.judge([(Endless(), 0)], may_start=_always)
    assert "took longer than 0 s and was ended" in ended.problem


def test_memory_that_runs_out_in_python_is_a_cause_in_words(folds, pipeline, monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(judging, "fit_recipe", exhausted)
    found = judging.tried(LINEAR, folds[0], pipeline())
    assert found.problem.startswith("out of memory")


def test_no_worker_outlives_a_search(folds, pipeline):
    with Workers(folds, pipeline(), count=2, limit=600) as several:
        several.judge([(LINEAR, 0), (STRONG, 0)], may_start=_always)
    assert workers.multiprocessing.active_children() == []


def test_what_may_not_start_is_left_undone(folds, pipeline):
    with Workers(folds, pipeline(), count=1, limit=600) as idle:
        assert idle.judge([(LINEAR, 0)], may_start=lambda: False) == [None]


def test_one_process_or_two_find_the_same_recipe(rows, pipeline, now):
    spec = {"windows": ["all", "last 20d"]}
    one = search_recipe(rows, pipeline(**spec, search={"trials": 6}), as_of=now)
    two = pipeline(**spec, search={"trials": 6, "processes": 2, "budget": "10min"})
    found = search_recipe(rows, two, as_of=now)
    assert found.best == one.best
    assert [trial.losses for trial in found.trials] == [trial.losses for trial in one.trials]
