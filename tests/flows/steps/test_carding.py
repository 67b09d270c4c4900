"""The model card of a training: made of ledger and registry, the same bytes each time."""

import json
import shutil
from collections import OrderedDict

import pytest

from components.errors import StoreError, StoreUnreachableError
from flows.steps import carding
from flows.steps.carding import CARD, card_decisions, keep_card, make_card
from flows.steps.reconciling import find_lost
from flows.steps.training_record import EVALUATION


@pytest.fixture
def carded(retrained, monkeypatch):
    """A home whose second model took charge, with artifacts of its own to write to."""
    # MLflow remembers for the life of a process where a run's files are; these are copies.
    remembered = "mlflow.tracking._tracking_service.utils._artifact_repos_cache"
    monkeypatch.setattr(remembered, OrderedDict())
    registry = retrained.home.registry
    shutil.copytree(registry.moved_from(), registry.artifacts, dirs_exist_ok=True)
    registry.mend_paths()
    return retrained


def kept(care, version: str) -> str | None:
    """Read the card that MLflow keeps."""
    return make_card(care.home, care.name, version).kept


def test_the_card_of_a_training_is_rebuilt_byte_for_byte(carded) -> None:
    for version in ("2", "4"):
        made = make_card(carded.home, carded.name, version)
        assert made.kept == made.text
        assert f"# bikes, version {version}" in made.text
        assert not keep_card(carded.home, made)


def test_a_version_and_its_tested_twin_share_a_card(carded) -> None:
    assert make_card(carded.home, carded.name, "3") == make_card(carded.home, carded.name, "4")


def test_versions_and_run_say_in_a_line_what_was_decided(carded) -> None:
    made = make_card(carded.home, carded.name, "4")
    registry = carded.home.registry
    assert [registry.version(carded.name, each).description for each in ("3", "4")] == (
        [made.short] * 2
    )
    tags = registry.run_tags(made.run_id)
    assert tags["driftwheel.decision"] == "promoted"
    assert tags["driftwheel.pipeline"] == carded.name
    assert tags["mlflow.note.content"] == made.short


def test_what_a_dead_process_left_out_is_made_up_for_by_reconcile(carded) -> None:
    made = make_card(carded.home, carded.name, "4")
    carded.home.registry.keep_text(made.run_id, "half a card", CARD)
    before = carded.ledger.decisions(carded.name)[-2]
    carded.ledger.set_mark(carded.name, "card", str(before.id))
    find_lost(carded.home, carded.name, clock=carded.clock)
    assert kept(carded, "4") == made.text
    assert card_decisions(carded.home, carded.name) == 0


def test_a_home_of_before_there_were_cards_begins_with_its_newest_decision(
    carded, monkeypatch
) -> None:
    monkeypatch.setattr(carding, "_MARK", "another mark")
    asked = []
    monkeypatch.setattr(carding, "make_card", lambda _, __, version: asked.append(version))
    monkeypatch.setattr(carding, "keep_card", lambda *_: True)
    assert card_decisions(carded.home, carded.name) == 1
    assert asked == ["4"]


def test_a_registry_that_does_not_answer_changes_no_decision(carded, monkeypatch) -> None:
    carded.ledger.set_mark(carded.name, "card", "0")

    def away(*_: object) -> None:
        raise StoreUnreachableError("MLflow does not answer")

    monkeypatch.setattr(carded.home.registry, "run_text", away)
    said: list[str] = []
    assert card_decisions(carded.home, carded.name, told=said.append) == 0
    assert said == ["decided; the model card waits for the next reconcile: MLflow does not answer"]
    assert carded.ledger.mark(carded.name, "card") == "0"


def test_an_evaluation_that_was_tampered_with_is_said_so(carded) -> None:
    made = make_card(carded.home, carded.name, "4")
    for broken in ("{", json.dumps({"rows": 1})):
        carded.home.registry.keep_text(made.run_id, broken, EVALUATION)
        with pytest.raises(
            StoreError, match=r"evaluation\.json of run .* is not as it was written"
        ):
            make_card(carded.home, carded.name, "4")


def test_a_version_that_no_training_made_has_no_card(carded) -> None:
    carded.home.registry.tag_version(carded.name, "1", {"driftwheel.request": "rr-of-others"})
    with pytest.raises(StoreError, match="the ledger knows no training that made it"):
        make_card(carded.home, carded.name, "1")


def test_a_rollback_is_on_the_cards_of_both_versions(carded, day) -> None:
    before = make_card(carded.home, carded.name, "2").text
    carded.ledger.roll_back(
        carded.name,
        who="Bo",
        why="riders complain",
        as_of=day(101),
        now=carded.clock(),
        expected_epoch=2,
    )
    back, gone = (make_card(carded.home, carded.name, version) for version in ("2", "4"))
    assert back.kept == before
    assert "- **put back in charge** as of 2024-04-11" in back.text
    assert "Version 2 took charge in epoch 3" in back.text
    assert "- **rolled back to version 2** as of 2024-04-11 00:00 UTC, by Bo" in gone.text
    assert card_decisions(carded.home, carded.name) == 2
    assert (kept(carded, "2"), kept(carded, "4")) == (back.text, gone.text)
