"""Decisions: written once, with the promotion that they bring in the same transaction."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from components.errors import InvalidInputError
from components.stores.ledger import leasing, promotions, requests
from components.stores.ledger.rows import as_row, every, one
from components.stores.ledger.tables import challengers, decisions
from components.stores.ledger.tables import requests as request_table
from components.stores.ledger.values import Decision, Lease, NewPromotion, Outcome


def conclude(
    connection: Connection,
    lease: Lease,
    outcome: Outcome,
    *,
    promotion: NewPromotion | None,
    now: datetime,
) -> Decision:
    """Close the request of a lease with its decision, and promote where that was decided."""
    request = requests.get(connection, lease.request_id)
    done = of_request(connection, request.id)
    if done is not None and _closed_by(connection, lease):
        return done
    leasing.check_fence(connection, lease)
    named = replace(outcome, request_id=request.id, event_id=outcome.event_id or request.event_id)
    decision = decide(connection, named, promotion=promotion, now=now)
    leasing.end(connection, lease)
    requests.change(
        connection,
        request.id,
        state="closed",
        outcome=decision.what,
        closed_at=now,
        closed_token=lease.token,
    )
    return decision


def decide(
    connection: Connection, outcome: Outcome, *, promotion: NewPromotion | None, now: datetime
) -> Decision:
    """Write a decision; a promotion that comes too late makes it `superseded`."""
    _check(outcome, promotion)
    if promotion is None:
        return _write(connection, outcome, now)
    champion = promotions.champion(connection, outcome.pipeline)
    if (champion.epoch if champion else 0) != promotion.expected_epoch:
        late = promotions.too_late(outcome, promotion, champion)
        return _write(connection, late, now)
    decision = _write(connection, outcome, now)
    promotions.append(connection, promotions.successor(decision, promotion, champion))
    return decision


def _check(outcome: Outcome, promotion: NewPromotion | None) -> None:
    if (outcome.what == "promoted") != (promotion is not None):
        raise InvalidInputError(
            "a decision is 'promoted' exactly when it brings a promotion. "
            f"Got what={outcome.what!r} and promotion={promotion!r}"
        )


def record(connection: Connection, outcome: Outcome, now: datetime) -> Decision:
    """Write a decision that no request led to; the same one again changes nothing."""
    if outcome.request_id is not None:
        raise InvalidInputError(
            f"the decision on {outcome.request_id} has to be concluded under its lease, "
            "not recorded"
        )
    query = _read().where(
        decisions.c.pipeline == outcome.pipeline,
        decisions.c.what == outcome.what,
        decisions.c.why == outcome.why,
        decisions.c.as_of == outcome.as_of,
        decisions.c.request_id.is_(None),
    )
    return one(connection, query, Decision) or decide(connection, outcome, promotion=None, now=now)


def _write(connection: Connection, outcome: Outcome, now: datetime) -> Decision:
    row = {**as_row(outcome), "recorded_at": now}
    done = connection.execute(decisions.insert().returning(decisions.c.id), row)
    return by_id(connection, done.scalar_one())


def by_id(connection: Connection, decision_id: int) -> Decision:
    """Read one decision that is there."""
    query = _read().where(decisions.c.id == decision_id)
    return Decision(**connection.execute(query).mappings().one())


def of_request(connection: Connection, request_id: str) -> Decision | None:
    """Read the decision that closed a request."""
    query = _read().where(decisions.c.request_id == request_id)
    return one(connection, query, Decision)


def _closed_by(connection: Connection, lease: Lease) -> bool:
    token = select(request_table.c.closed_token).where(request_table.c.id == lease.request_id)
    return connection.execute(token).scalar() == lease.token


def _read() -> Select[Any]:
    """Select decisions; what ended the wait of a challenger names the challenger's request.

    Its own column stays empty: there, a request has one decision, the one that closed it.
    """
    own = [decisions.c[field.name] for field in fields(Decision) if field.name != "request_id"]
    request = func.coalesce(decisions.c.request_id, challengers.c.request_id).label("request_id")
    settled = challengers.c.settled_by == decisions.c.id
    return select(*own, request).select_from(decisions.outerjoin(challengers, settled))


def everything(connection: Connection, pipeline: str | None) -> list[Decision]:
    """Read all decisions, newest last."""
    query = _read().order_by(decisions.c.id)
    if pipeline is not None:
        query = query.where(decisions.c.pipeline == pipeline)
    return every(connection, query, Decision)
