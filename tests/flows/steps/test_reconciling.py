"""What events lost is found again, and nothing that is in good hands is touched."""

from datetime import timedelta
from typing import Any

import pytest

from flows.steps import everyday
from flows.steps.leasing import TERM, claim, kept_alive
from flows.steps.reconciling import GRACE, find_lost


def lost(care, **more: Any) -> list[str]:
    found = find_lost(care.home, "bikes", clock=care.clock, **more)
    return [request.id for request in found.requests]


def test_a_request_is_left_to_its_event_for_a_while(care, day) -> None:
    request = care.ask(day(60))
    assert lost(care) == []
    care.clock.pass_by(GRACE)
    assert lost(care) == [request.id]
    assert lost(care, grace=timedelta(hours=1)) == []


def test_a_request_in_live_hands_is_not_lost(care, day) -> None:
    request = care.ask(day(60))
    care.clock.pass_by(GRACE)
    claim(care.ledger, request.id, holder="another", clock=care.clock)
    assert lost(care) == []
    care.clock.pass_by(TERM)
    assert lost(care) == [request.id], "its holder gave no sign of life"


def test_a_closed_request_is_not_lost(trained) -> None:
    trained.clock.pass_by(GRACE)
    assert lost(trained) == []


def test_before_the_first_promotion_mlflow_is_not_opened(care) -> None:
    care.home.__dict__["registry"] = None
    assert lost(care) == []


def test_an_alias_moved_by_hand_is_told(trained) -> None:
    trained.home.registry.point("bikes", champion="1")
    found = find_lost(trained.home, "bikes", clock=trained.clock)
    assert [alias.name for alias in found.moved] == ["champion"]


@pytest.mark.parametrize("taken", [True, False], ids=["carried out", "taken by another"])
def test_what_was_lost_is_carried_out_and_told(care, day, taken: bool) -> None:
    request = care.ask(day(60))
    carried: list[str] = []

    def carry(request_id: str) -> Any:
        carried.append(request_id)
        return type("Decision", (), {"what": "wait"})() if taken else None

    done = everyday.reconcile(
        care.home, care.pipeline, clock=care.clock, grace=timedelta(0), carry=carry
    )
    assert carried == [request.id]
    assert done == {
        "pipeline": "bikes",
        "taken_up": [{"request_id": request.id, "what": "wait" if taken else "taken by another"}],
        "moved_by_hand": [],
        "alerts": {"sent": 0, "pending": 0, "lines": ()},
    }


def test_ten_causes_while_one_waits_are_one_request(care, day) -> None:
    ids = {care.ask(day(60 + number)).id for number in range(10)}
    assert len(ids) == 1
    assert len(care.ledger.merges(ids.pop())) == 9


def test_a_lease_that_is_lost_meanwhile_is_no_error_here(care, day) -> None:
    request = care.ask(day(60))
    lease = claim(care.ledger, request.id, holder="here", clock=care.clock)
    with kept_alive(care.ledger, lease, clock=care.clock):
        care.clock.pass_by(TERM * 2)
        assert claim(care.ledger, request.id, holder="another", clock=care.clock)
