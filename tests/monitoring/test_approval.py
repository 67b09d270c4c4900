import pytest

from monitoring.approval import approve


def ask(outcome="promoted", mode="auto", approvers=(), person=None):
    return approve(outcome, mode=mode, approvers=approvers, person=person)


def test_a_pipeline_in_auto_without_approvers_promotes_by_itself():
    assert ask().granted


@pytest.mark.parametrize("outcome", ["refused", "wait"])
@pytest.mark.parametrize("mode", ["auto", "propose"])
def test_what_the_gate_did_not_promote_nobody_can_approve(outcome, mode):
    found = ask(outcome, mode, person="ada")

    assert not found.granted
    assert found.reason == f"the gate said {outcome}: there is nothing to approve"


def test_a_pipeline_that_watches_changes_nothing_whoever_approves():
    assert not ask(mode="watch", approvers=["ada"], person="ada").granted


def test_propose_waits_for_any_person_who_has_a_name():
    waits = ask(mode="propose")

    assert (waits.granted, waits.waits_for) == (False, ())
    assert waits.reason == "waits for the approval of a person (mode: propose)"
    assert not ask(mode="propose", person="").granted
    assert ask(mode="propose", person="eve").reason == "approved by eve"


@pytest.mark.parametrize("mode", ["auto", "propose"])
def test_listed_approvers_are_waited_for_in_every_mode(mode):
    waits = ask(mode=mode, approvers=["ada", "bob"])

    assert (waits.granted, waits.waits_for) == (False, ("ada", "bob"))
    assert waits.reason == "waits for the approval of ada or bob"
    assert ask(mode=mode, approvers=["ada", "bob"], person="bob").granted


def test_a_person_who_is_not_listed_cannot_approve():
    found = ask(mode="propose", approvers=["ada"], person="eve")

    assert not found.granted
    assert found.reason == "eve is no approver; waits for the approval of ada"
