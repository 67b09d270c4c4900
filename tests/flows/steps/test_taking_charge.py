"""A person rolls back, or promotes by hand; a package that is not whole takes no charge."""

from pathlib import Path
from typing import Any

import pytest

from components.errors import InvalidInputError, StoreError, TamperedPackageError
from flows.steps.rivals import open_package, open_rival
from flows.steps.taking_charge import epoch_to_end, promote_by_hand, roll_back


@pytest.fixture
def by_hand(day):
    """Give what a person says with a decision."""
    return lambda care: {"who": "Ada", "why": "a hunch", "as_of": day(101), "clock": care.clock}


def test_a_rollback_puts_the_previous_version_back(retrained, by_hand) -> None:
    decision = roll_back(retrained.home, retrained.pipeline, **by_hand(retrained), epoch=2)
    assert (decision.what, decision.served_version) == ("rolled_back", "2")
    assert (decision.who, decision.why) == ("Ada", "a hunch")
    assert open_rival(retrained.home, retrained.pipeline).version == "2"
    assert retrained.home.registry.aliases("bikes") == {"champion": "2", "challenger": "3"}


def test_rolling_the_same_epoch_back_twice_changes_nothing(retrained, by_hand) -> None:
    first = roll_back(retrained.home, retrained.pipeline, **by_hand(retrained), epoch=2)
    again = roll_back(retrained.home, retrained.pipeline, **by_hand(retrained), epoch=2)
    assert again == first
    assert [p.version for p in retrained.ledger.promotions("bikes")] == ["2", "4", "2"]


def test_a_rollback_that_names_no_epoch_is_done_once(retrained, by_hand) -> None:
    for _ in range(2):
        ended = epoch_to_end(retrained.home, "bikes")
        roll_back(retrained.home, retrained.pipeline, **by_hand(retrained), epoch=ended)
    assert [p.version for p in retrained.ledger.promotions("bikes")] == ["2", "4", "2"]


def test_without_a_previous_version_there_is_nothing_to_return_to(trained, by_hand) -> None:
    with pytest.raises(StoreError):
        roll_back(trained.home, trained.pipeline, **by_hand(trained), epoch=1)
    assert trained.ledger.champion("bikes").version == "2"


def test_before_the_first_promotion_there_is_nothing_to_roll_back(care, by_hand) -> None:
    with pytest.raises(StoreError, match="no champion yet"):
        roll_back(care.home, care.pipeline, **by_hand(care), epoch=0)


def test_a_version_is_promoted_by_hand(retrained, by_hand) -> None:
    decision = promote_by_hand(
        retrained.home, retrained.pipeline, version="3", **by_hand(retrained)
    )
    assert (decision.what, decision.served_version, decision.first) == ("promoted", "3", False)
    assert retrained.ledger.champion("bikes").version == "3"
    assert retrained.home.registry.aliases("bikes") == {
        "champion": "3",
        "challenger": "3",
        "previous": "4",
    }


def test_promoting_the_champion_again_changes_nothing(retrained, by_hand) -> None:
    for _ in range(2):
        promote_by_hand(retrained.home, retrained.pipeline, version="4", **by_hand(retrained))
    assert len(retrained.ledger.promotions("bikes")) == 2
    assert len(retrained.ledger.decisions()) == 2


def test_a_version_that_does_not_exist_is_answered_with_those_that_do(trained, by_hand) -> None:
    with pytest.raises(InvalidInputError, match=r"no version '7' .*Known: 1, 2"):
        promote_by_hand(trained.home, trained.pipeline, version="7", **by_hand(trained))


def test_before_any_training_no_version_is_known(care, by_hand) -> None:
    with pytest.raises(InvalidInputError, match="Known: none yet"):
        promote_by_hand(care.home, care.pipeline, version="1", **by_hand(care))


def tamper(folder: Path) -> None:
    model = folder / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(bytes(content))


@pytest.fixture
def tampered_fetch(monkeypatch):
    """Let whatever is downloaded arrive with one bit turned over."""

    def arrange(care) -> None:
        real = care.home.registry.fetch

        def fetch(uri: str, to: Path) -> Any:
            folder = real(uri, to)
            tamper(folder)
            return folder

        monkeypatch.setattr(care.home.registry, "fetch", fetch)

    return arrange


def test_a_package_tampered_with_in_the_registry_is_refused(
    retrained, by_hand, tampered_fetch
) -> None:
    tampered_fetch(retrained)
    kept = set(retrained.home.packages.iterdir())
    with pytest.raises(TamperedPackageError):
        promote_by_hand(retrained.home, retrained.pipeline, version="1", **by_hand(retrained))
    assert retrained.ledger.champion("bikes").version == "4"
    assert set(retrained.home.packages.iterdir()) == kept, "it was not kept either"


def test_a_package_tampered_with_where_it_is_kept_is_refused(retrained, by_hand) -> None:
    previous = retrained.ledger.previous("bikes")
    open_package(
        retrained.home, retrained.pipeline, digest=previous.digest, uri=previous.package_uri
    )
    tamper(retrained.home.packages / previous.digest)
    with pytest.raises(TamperedPackageError):
        roll_back(retrained.home, retrained.pipeline, **by_hand(retrained), epoch=2)
    assert retrained.ledger.champion("bikes").version == "4"
    assert len(retrained.ledger.decisions()) == 2


def test_a_package_is_fetched_once_then_kept(trained, monkeypatch) -> None:
    champion = trained.ledger.champion("bikes")
    open_package(trained.home, trained.pipeline, digest=champion.digest, uri=champion.package_uri)

    def fetch(*_: Any) -> Any:
        raise AssertionError("it was kept")

    monkeypatch.setattr(trained.home.registry, "fetch", fetch)
    opened = open_package(
        trained.home, trained.pipeline, digest=champion.digest, uri=champion.package_uri
    )
    assert opened.manifest.digest == champion.digest
