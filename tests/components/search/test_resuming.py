"""A search that was killed goes on where it was; one of other rows starts anew."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from components import recipes
from components.pipelines import Window
from components.recipes import Recipe
from components.search import search_recipe

KILLED = """
import sys, pickle
from pathlib import Path
from components.failpoints import arm
from components.search import search_recipe

rows, spec, now = pickle.loads(Path(sys.argv[1]).read_bytes())
arm({"between-trials": 4})
search_recipe(rows, spec, as_of=now, storage=Path(sys.argv[2]))
"""


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the families of all fits made in this process."""
    made, real = [], recipes.fit

    def fit(*given, family, **more):
        made.append(family)
        return real(*given, family=family, **more)

    monkeypatch.setattr(recipes, "fit", fit)
    return made


def test_a_killed_search_goes_on_to_the_same_end(rows, pipeline, now, tmp_path, fits):
    import pickle

    spec = pipeline(windows=["all", "last 20d"], search={"trials": 8})
    whole = search_recipe(rows, spec, as_of=now)
    made = len(fits)
    given, journal = tmp_path / "given", tmp_path / "search" / "journal"
    given.write_bytes(pickle.dumps((rows, spec, now)))
    command = [sys.executable, "-c", KILLED, str(given), str(journal)]
    killed = subprocess.run(command, check=False, cwd=Path(recipes.__file__).parents[1])
    assert killed.returncode == -9
    fits.clear()
    resumed = search_recipe(rows, spec, as_of=now, storage=journal)
    assert resumed.best == whole.best
    assert [(t.recipe, t.losses) for t in resumed.trials] == [
        (t.recipe, t.losses) for t in whole.trials
    ]
    assert 0 < len(fits) < made


def test_a_finished_search_is_not_made_again(rows, pipeline, now, tmp_path, fits):
    spec = pipeline(windows=["all", "last 20d"], search={"trials": 6})
    first = search_recipe(rows, spec, as_of=now, storage=tmp_path / "journal")
    fits.clear()
    again = search_recipe(rows, spec, as_of=now, storage=tmp_path / "journal")
    assert again.best == first.best
    # One fit shows which features help; no recipe is judged again.
    assert len(fits) <= 1


def test_other_rows_start_a_new_study_with_the_best_of_the_last_one(
    rows, pipeline, now, tmp_path, fits
):
    spec = pipeline(windows=["last 20d"], search={"trials": 8})
    first = search_recipe(rows, spec, as_of=now, storage=tmp_path / "journal")
    best = min((one for one in first.trials if not one.problem), key=lambda one: one.loss).recipe
    assert best.params
    fits.clear()
    earlier = now - timedelta(days=2)
    second = search_recipe(rows, spec, as_of=earlier, storage=tmp_path / "journal")
    assert second.trials[1].recipe == Recipe("linear", Window(last=timedelta(days=20)), best.params)
    assert fits


def test_a_fit_that_failed_is_tried_again(rows, pipeline, now, tmp_path, monkeypatch):
    from components.errors import TrainingError

    spec = pipeline(candidates=["linear", "forest"])
    real = recipes.fit

    def fail(*given, family, **more):
        if family == "forest":
            raise TrainingError("no memory today")
        return real(*given, family=family, **more)

    monkeypatch.setattr(recipes, "fit", fail)
    search_recipe(rows, spec, as_of=now, storage=tmp_path / "journal")
    monkeypatch.setattr(recipes, "fit", real)
    again = search_recipe(rows, spec, as_of=now, storage=tmp_path / "journal")
    assert [trial.problem for trial in again.trials[:2]] == ["", ""]
