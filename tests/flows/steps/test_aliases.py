"""MLflow's aliases follow the ledger; what a person moved is reported, never overwritten."""

import pytest

from components.stores.ledger import Outcome
from flows.steps.aliases import MovedAlias, copy_aliases, moved_by_hand
from flows.steps.reconciling import find_lost
from flows.steps.taking_charge import roll_back


@pytest.fixture
def registry(retrained):
    return retrained.home.registry


def rolled_back_in_the_ledger(retrained, day) -> None:
    """Change the champion as a worker does that is killed before it moves an alias."""
    retrained.ledger.roll_back(
        "bikes", who="Ada", why="a hunch", as_of=day(101), now=retrained.clock(), expected_epoch=2
    )


def test_nothing_was_moved_where_nobody_moved_anything(retrained) -> None:
    assert moved_by_hand(retrained.home, "bikes") == []


def test_an_alias_moved_by_hand_is_reported_and_left_alone(retrained, registry) -> None:
    registry.point("bikes", champion="1")
    expected = [MovedAlias("champion", "1", "4")]
    assert moved_by_hand(retrained.home, "bikes") == expected
    assert copy_aliases(retrained.home, "bikes") == expected
    assert registry.aliases("bikes")["champion"] == "1"
    assert "moved by hand to version 1 (the ledger says 4)" in str(expected[0])


def test_moving_it_back_to_the_version_before_is_seen_too(retrained, registry) -> None:
    registry.point("bikes", champion="2")
    assert moved_by_hand(retrained.home, "bikes") == [MovedAlias("champion", "2", "4")]


def test_an_alias_taken_away_by_hand_is_reported(retrained, registry) -> None:
    registry.point("bikes", previous=None)
    assert moved_by_hand(retrained.home, "bikes") == [MovedAlias("previous", None, "2")]


def test_the_others_still_follow(retrained, registry, day) -> None:
    registry.point("bikes", challenger="1")
    roll_back(
        retrained.home,
        retrained.pipeline,
        who="Ada",
        why="a hunch",
        as_of=day(101),
        clock=retrained.clock,
        epoch=2,
    )
    assert registry.aliases("bikes") == {"champion": "2", "challenger": "1"}


def test_a_person_settles_it(retrained, registry) -> None:
    registry.point("bikes", champion="1", challenger="2")
    assert copy_aliases(retrained.home, "bikes", by_hand=True) == []
    assert registry.aliases("bikes") == {"champion": "4", "challenger": "3", "previous": "2"}
    assert moved_by_hand(retrained.home, "bikes") == []


def test_moving_it_to_where_it_belongs_settles_it_too(retrained, registry) -> None:
    registry.point("bikes", champion="1")
    registry.point("bikes", champion="4")
    assert moved_by_hand(retrained.home, "bikes") == []


def test_aliases_left_behind_by_a_killed_worker_are_mended(retrained, registry, day) -> None:
    rolled_back_in_the_ledger(retrained, day)
    assert registry.aliases("bikes")["champion"] == "4"
    lost = find_lost(retrained.home, "bikes", clock=retrained.clock)
    assert lost.moved == ()
    assert registry.aliases("bikes") == {"champion": "2", "challenger": "3"}


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_worker_killed_among_the_aliases_moved_nothing_by_hand(
    retrained, registry, day, monkeypatch, moved: int
) -> None:
    rolled_back_in_the_ledger(retrained, day)
    real = registry.point

    def killed(pipeline: str, **wanted: str | None) -> None:
        real(pipeline, **dict(list(wanted.items())[:moved]))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(registry, "point", killed)
        with pytest.raises(KeyboardInterrupt):
            copy_aliases(retrained.home, "bikes")
    assert moved_by_hand(retrained.home, "bikes") == []
    assert copy_aliases(retrained.home, "bikes") == []
    assert registry.aliases("bikes") == {"champion": "2", "challenger": "3"}


def test_the_challenger_is_the_newest_tested_version(retrained, registry, day) -> None:
    outcome = Outcome(
        pipeline="bikes", what="refused", who="Ada", why="x", as_of=day(101), tested_version="1"
    )
    retrained.ledger.record(outcome, now=retrained.clock())
    copy_aliases(retrained.home, "bikes")
    assert registry.aliases("bikes") == {"champion": "4", "challenger": "1", "previous": "2"}
