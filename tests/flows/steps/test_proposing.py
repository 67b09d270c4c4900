"""What the gate allows is carried out, only written down, or waits for a named person."""

from types import SimpleNamespace
from typing import Any

import pytest

from components.errors import InvalidInputError, TamperedPackageError
from driftwheel.reading import _standing, _waits
from flows.steps.alerting import alerts_of, tell
from flows.steps.proposing import proposal, rule
from flows.steps.taking_charge import promote_by_hand, roll_back


def said_by_gate(outcome: str = "promoted") -> Any:
    return SimpleNamespace(outcome=outcome, reason="4.0 % lower")


def asked(mode: str = "auto", approvers: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(name="bikes", mode=mode, approvers=approvers)


@pytest.fixture
def by_hand(day):
    """Give a promotion of version 4 by some person."""

    def promoting(care, who: str = "Ada", version: str = "4") -> Any:
        return promote_by_hand(
            care.home,
            care.pipeline,
            version=version,
            who=who,
            why="looks right",
            as_of=day(101),
            clock=care.clock,
        )

    return promoting


# --- what is written -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "approvers", "what", "awaits"),
    [
        ("auto", (), "promoted", None),
        ("auto", ("Ada",), "wait", "approval"),
        ("propose", (), "wait", "approval"),
        ("propose", ("Ada",), "wait", "approval"),
        ("watch", (), "hold", None),
        ("watch", ("Ada",), "hold", None),
    ],
)
def test_what_the_gate_allows_is_ruled_by_mode_and_approvers(mode, approvers, what, awaits) -> None:
    ruling = rule(said_by_gate(), asked(mode, approvers), "4")
    assert (ruling.what, ruling.awaits) == (what, awaits)
    assert "4.0 % lower" in ruling.why


@pytest.mark.parametrize("mode", ["auto", "propose", "watch"])
@pytest.mark.parametrize("outcome", ["refused", "wait"])
def test_what_the_gate_does_not_allow_waits_for_nobody(mode, outcome) -> None:
    ruling = rule(said_by_gate(outcome), asked(mode, ("Ada",)), None)
    assert (ruling.what, ruling.why, ruling.awaits) == (outcome, "4.0 % lower", None)


def test_a_proposal_says_who_must_approve_and_by_which_command() -> None:
    why = rule(said_by_gate(), asked("propose", ("Ada", "Bob")), "4").why
    assert "version 4 waits for the approval of Ada or Bob" in why
    assert "`driftwheel promote bikes --version 4 --reason …`" in why


# --- proposed ------------------------------------------------------------------------------------


def test_a_proposal_leaves_the_champion_and_waits_packaged(proposed) -> None:
    decision = proposed.ledger.decisions()[-1]
    assert (decision.what, decision.tested_version, decision.served_version) == ("wait", "3", "4")
    assert decision.numbers["gain_low"] > decision.numbers["margin"]
    assert proposed.ledger.champion("bikes").version == "2"
    assert proposed.home.registry.aliases("bikes") == {"champion": "2", "challenger": "3"}
    waiting = proposal(proposed.home, "bikes")
    assert (waiting.version, waiting.expected_epoch) == ("4", 1)
    registered = {one.number: one.digest for one in proposed.home.registry.versions("bikes")}
    assert waiting.digest == registered["4"]


def test_an_approver_puts_the_proposed_version_in_charge(proposed, by_hand) -> None:
    waited = proposed.ledger.decisions()[-1]
    decision = by_hand(proposed)
    assert (decision.what, decision.who, decision.why) == ("promoted", "Ada", "looks right")
    assert (decision.tested_version, decision.served_version) == ("3", "4")
    assert decision.request_id == waited.request_id, "the story of one request"
    assert decision.mlflow_run_id == waited.mlflow_run_id
    champion = proposed.ledger.champion("bikes")
    assert (champion.version, champion.epoch, champion.who) == ("4", 2, "Ada")
    assert proposed.home.registry.aliases("bikes") == {
        "champion": "4",
        "challenger": "3",
        "previous": "2",
    }
    assert proposal(proposed.home, "bikes") is None


def test_approving_twice_changes_nothing(proposed, by_hand) -> None:
    first = by_hand(proposed)
    assert by_hand(proposed) == first
    assert len(proposed.ledger.promotions("bikes")) == 2


@pytest.mark.parametrize("version", ["4", "1"], ids=["the proposed one", "any other"])
def test_who_is_no_approver_promotes_nobody(proposed, by_hand, version) -> None:
    before = proposed.ledger.decisions()
    with pytest.raises(InvalidInputError, match=r"Eve is no approver; waits for .* Ada or Bob"):
        by_hand(proposed, who="Eve", version=version)
    assert proposed.ledger.decisions() == before
    assert proposed.ledger.champion("bikes").version == "2"
    assert proposal(proposed.home, "bikes") is not None


def test_a_proposal_against_a_champion_that_is_gone_is_refused_until_it_is_said_again(
    proposed, by_hand
) -> None:
    assert by_hand(proposed, version="1").what == "promoted"
    decision = by_hand(proposed)
    assert decision.what == "superseded"
    assert "judged against epoch 1, found epoch 2 (version 1, Ada)" in decision.why
    assert proposed.ledger.champion("bikes").version == "1"
    again = by_hand(proposed)
    assert (again.what, again.request_id) == ("promoted", None)
    assert proposed.ledger.champion("bikes").version == "4"


def test_what_was_approved_can_be_rolled_back(proposed, by_hand, day) -> None:
    by_hand(proposed)
    said = {"who": "Eve", "why": "it rains", "as_of": day(102), "clock": proposed.clock}
    roll_back(proposed.home, proposed.pipeline, **said, epoch=2)
    assert proposed.ledger.champion("bikes").version == "2"


def test_a_proposed_package_that_was_tampered_with_is_not_approved(
    proposed, by_hand, monkeypatch
) -> None:
    real = proposed.home.registry.fetch

    def fetch(uri, to):
        folder = real(uri, to)
        model = folder / "model.onnx"
        model.write_bytes(model.read_bytes()[:-8])
        return folder

    monkeypatch.setattr(proposed.home.registry, "fetch", fetch)
    with pytest.raises(TamperedPackageError):
        by_hand(proposed)
    assert proposed.ledger.champion("bikes").version == "2"
    assert proposal(proposed.home, "bikes") is not None


def test_people_are_told_of_a_proposal_once(proposed, by_hand) -> None:
    (entry,) = alerts_of(proposed.home, "bikes")
    assert entry.state == "logged", "by the training; there is no channel"
    assert tell(proposed.home, proposed.pipeline, clock=proposed.clock).lines == ()
    assert entry.alert.title == "bikes: version 4 waits for approval"
    assert "waits for the approval of Ada or Bob" in entry.alert.text
    assert "driftwheel promote bikes --version 4 --reason …" in entry.alert.text
    by_hand(proposed)
    assert tell(proposed.home, proposed.pipeline, clock=proposed.clock).lines == ()
    assert len(alerts_of(proposed.home, "bikes")) == 1


def test_status_shows_what_waits_for_whom_and_whether_it_is_stale(proposed, by_hand) -> None:
    row = _standing(proposed.home, proposed.pipeline).row
    waiting = row["waiting"]
    assert (waiting["version"], waiting["awaits"], waiting["stale"]) == ("4", "approval", False)
    ((name, words),) = _waits(row)
    assert name == "proposed"
    assert "waits for Ada or Bob: `driftwheel promote bikes --version 4" in words
    by_hand(proposed, version="1")
    assert _standing(proposed.home, proposed.pipeline).row["waiting"]["stale"]
    by_hand(proposed)
    assert _standing(proposed.home, proposed.pipeline).row["waiting"] is None


# --- watched -------------------------------------------------------------------------------------


def test_who_only_watches_writes_what_would_have_been_done_and_touches_nothing(
    trained, by_hand, day
) -> None:
    trained.ingest(day(100))
    trained.change(mode="watch")
    before = trained.home.registry.aliases("bikes")
    decision = trained.train(day(100))
    assert (decision.what, decision.tested_version, decision.served_version) == ("hold", None, None)
    assert decision.why.startswith("would have been promoted: ")
    assert decision.numbers["gain_low"] > decision.numbers["margin"]
    assert trained.ledger.champion("bikes").version == "2"
    assert trained.home.registry.aliases("bikes") == before
    assert [one.number for one in trained.home.registry.versions("bikes")] == ["1", "2"]
    with pytest.raises(InvalidInputError, match="only watches"):
        by_hand(trained, version="1")
