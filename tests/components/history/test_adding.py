"""Sums and newest values are those that counting one by one gives, however labels come in."""

import numpy as np
import pytest

from components.history import timeline as timelines
from components.history.adding import Sums
from components.history.timeline import Timeline
from components.history.versions import FOREVER

VERSIONS, ROWS, GROUPS = 60, 80, 3


def world(seed: int) -> tuple[Timeline, np.random.Generator]:
    """Draw versions with waits of every kind, some superseded, in three groups."""
    chance = np.random.default_rng(seed)
    group = np.sort(chance.integers(0, GROUPS, VERSIONS))
    event = chance.integers(0, 50, VERSIONS)
    wait = chance.choice([0, 3, chance.integers(1, 60)], VERSIONS)
    known = event + np.where(chance.random(VERSIONS) < 0.3, chance.integers(0, 40, VERSIONS), wait)
    until = np.where(
        chance.random(VERSIONS) < 0.3, known + chance.integers(1, 30, VERSIONS), FOREVER
    )
    order = np.lexsort((known, event, group))
    return Timeline(group, event[order], known[order], until[order], GROUPS), chance


def rows(timeline: Timeline, chance: np.random.Generator, over: int | None, back: int):
    group = chance.integers(0, GROUPS, ROWS)
    events = chance.integers(0, 90, ROWS)
    moments = events + chance.choice([-5, 0, 0, 2, 30], ROWS)
    since = None if over is None else events - over
    asked = timeline.asked(group, since, events - back, moments)
    lowest = np.full(ROWS, -1000) if since is None else since
    seen = (
        (timeline.group == group[:, None])
        & (timeline.event > lowest[:, None])
        & (timeline.event <= (events - back)[:, None])
        & (timeline.known <= moments[:, None])
        & (moments[:, None] < timeline.until)
    )
    return asked, seen


@pytest.fixture(params=["walked", "swept"])
def hard(request, monkeypatch) -> None:
    monkeypatch.setattr(timelines, "_A_WALK", 0 if request.param == "walked" else 10**15)
    monkeypatch.setattr(timelines, "STEPS", 1)


@pytest.mark.usefixtures("hard")
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(("over", "back"), [(None, 1), (7, 1), (20, 5), (None, 12), (4, 9)])
def test_every_row_gets_what_it_sees(seed, over, back) -> None:
    timeline, chance = world(seed)
    weights = chance.integers(-9, 9, (2, VERSIONS))
    distances = [back] if over is None else [back, over]
    asked, seen = rows(timeline, chance, over, back)
    ours = Sums(timeline, weights, distances).of(asked)
    np.testing.assert_array_equal(ours, weights @ seen.T)
    undivided = Sums(timeline, weights, [10**6]).of(asked)
    np.testing.assert_array_equal(undivided, weights @ seen.T)
    newest = np.where(seen.any(axis=1), VERSIONS - 1 - seen[:, ::-1].argmax(axis=1), -1)
    np.testing.assert_array_equal(timeline.newest(asked), newest)


def test_versions_that_were_all_superseded_late_are_taken_away_again() -> None:
    """All ends are in one part then, one a version: what is taken for plain must not add."""
    known = np.array([0, 5])
    timeline = Timeline(np.zeros(2, dtype=int), known, known, known + 20, 1)
    asked = timeline.asked(np.zeros(3, dtype=int), None, np.full(3, 40), np.array([6, 21, 30]))
    ours = Sums(timeline, np.array([[1, 1]]), [1]).of(asked)
    assert ours.tolist() == [[2, 1, 0]]
