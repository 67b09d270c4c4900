"""Challengers that wait, for a person's approval or for labels, and how their wait ended."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, update

from components.errors import InvalidInputError
from components.stores.ledger import decisions
from components.stores.ledger.connecting import Database
from components.stores.ledger.rows import as_row, choose, every, one
from components.stores.ledger.tables import challengers
from components.stores.ledger.values import (
    Awaits,
    Challenger,
    Decision,
    NewChallenger,
    NewPromotion,
    Outcome,
)


class ChallengerBook:
    """The part of the ledger that remembers who waits; :class:`Ledger` has these methods."""

    _database: Database

    def challengers(self, pipeline: str) -> list[Challenger]:
        """Read every challenger that ever had to wait, newest last."""
        query = choose(challengers, Challenger).where(challengers.c.pipeline == pipeline)
        with self._database.reading() as connection:
            return every(connection, query.order_by(challengers.c.decision_id), Challenger)

    def waiting(self, pipeline: str) -> Challenger | None:
        """Read the challenger that waits; a pipeline has one at most."""
        with self._database.reading() as connection:
            return _waiting(connection, pipeline)

    def settle(
        self,
        challenger: Challenger,
        outcome: Outcome,
        *,
        then_awaits: Awaits | None = None,
        now: datetime,
    ) -> Decision:
        """End the wait of a challenger by a decision, and promote it where that was decided.

        Where the champion is no longer the one that it stands against, nobody is promoted and
        the decision says ``superseded``. Settling again gives the decision that was written.

        Parameters
        ----------
        outcome : Outcome
            Without a request: it is the challenger's.
        then_awaits : str, optional
            With ``wait``: what it waits for next.

        """
        if (outcome.what == "wait") != (then_awaits is not None):
            raise InvalidInputError(
                "a challenger goes on waiting exactly where the decision is 'wait'. "
                f"Got what={outcome.what!r} and then_awaits={then_awaits!r}"
            )
        with self._database.writing() as connection:
            found = _of_decision(connection, challenger.decision_id)
            if found.settled_by is not None:
                return decisions.by_id(connection, found.settled_by)
            promotion = _promotion(found, outcome) if outcome.what == "promoted" else None
            decision = decisions.decide(connection, outcome, promotion=promotion, now=now)
            decision = _settled(connection, found, decision)
            if then_awaits is not None:
                _insert(connection, replace(_as_new(found), awaits=then_awaits), decision)
            return decision


def write(connection: Connection, decision: Decision, new: NewChallenger, now: datetime) -> None:
    """Let a challenger wait from a decision on; one that waited before is superseded."""
    if decision.what != "wait" or decision.request_id is None:
        raise InvalidInputError(
            "a challenger waits by a decision 'wait' on a request. "
            f"Got what={decision.what!r}, request_id={decision.request_id!r}"
        )
    written = choose(challengers, Challenger).where(challengers.c.decision_id == decision.id)
    if one(connection, written, Challenger) is not None:
        return
    before = _waiting(connection, decision.pipeline)
    if before is not None:
        outcome = Outcome(
            pipeline=decision.pipeline,
            what="superseded",
            who=decision.who,
            why=f"version {before.version} waited for {before.awaits}; version {new.version} of "
            f"{decision.request_id} waits in its place",
            as_of=decision.as_of,
            tested_version=before.tested_version,
        )
        ended = decisions.decide(connection, outcome, promotion=None, now=now)
        _settled(connection, before, ended)
    _insert(connection, new, decision)


def _promotion(challenger: Challenger, outcome: Outcome) -> NewPromotion:
    return NewPromotion(
        version=challenger.version,
        tested_version=challenger.tested_version,
        digest=challenger.digest,
        package_uri=challenger.package_uri,
        expected_epoch=challenger.expected_epoch,
        who=outcome.who,
    )


def _settled(connection: Connection, challenger: Challenger, decision: Decision) -> Decision:
    here = challengers.c.decision_id == challenger.decision_id
    connection.execute(update(challengers).where(here).values(settled_by=decision.id))
    return decisions.by_id(connection, decision.id)  # it names the request now


def _as_new(challenger: Challenger) -> NewChallenger:
    return NewChallenger(
        awaits=challenger.awaits,
        version=challenger.version,
        tested_version=challenger.tested_version,
        digest=challenger.digest,
        package_uri=challenger.package_uri,
        expected_epoch=challenger.expected_epoch,
    )


def _insert(connection: Connection, new: NewChallenger, decision: Decision) -> None:
    about = {
        "decision_id": decision.id,
        "pipeline": decision.pipeline,
        "request_id": decision.request_id,
        "as_of": decision.as_of,
        "settled_by": None,
    }
    connection.execute(challengers.insert(), {**as_row(new), **about})


def _waiting(connection: Connection, pipeline: str) -> Challenger | None:
    query = choose(challengers, Challenger).where(
        challengers.c.pipeline == pipeline, challengers.c.settled_by.is_(None)
    )
    return one(connection, query, Challenger)


def _of_decision(connection: Connection, decision_id: int) -> Challenger:
    query = choose(challengers, Challenger).where(challengers.c.decision_id == decision_id)
    return Challenger(**connection.execute(query).mappings().one())
