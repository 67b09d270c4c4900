"""Retraining requests: one cause, one request, and one request in flight a pipeline."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, or_, select, update

from components.errors import StoreError
from components.stores.ledger.rows import as_row, choose, every, one
from components.stores.ledger.tables import identity, leases, merges, requests
from components.stores.ledger.values import Merge, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a retraining is asked for; the arguments of :meth:`Ledger.request` as a value."""

    pipeline: str
    cause: str
    reason: str
    key: str
    as_of: datetime
    champion: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def write(connection: Connection, cause: Cause, now: datetime) -> tuple[Request, bool]:
    """Write a request, or find the one that stands for this cause already."""
    known = _by_key(connection, cause.pipeline, cause.key)
    if known is not None:
        return known, False
    in_flight = _in_flight(connection, cause.pipeline)
    if in_flight is not None:
        _merge(connection, cause, in_flight.id, now)
        return in_flight, False
    return _insert(connection, cause, now), True


def _by_key(connection: Connection, pipeline: str, key: str) -> Request | None:
    own = choose(requests, Request).where(requests.c.pipeline == pipeline, requests.c.key == key)
    merged = (
        choose(requests, Request)
        .join(merges, merges.c.request_id == requests.c.id)
        .where(merges.c.pipeline == pipeline, merges.c.key == key)
    )
    return one(connection, own, Request) or one(connection, merged, Request)


def _in_flight(connection: Connection, pipeline: str) -> Request | None:
    of_pipeline = requests.c.pipeline == pipeline
    query = choose(requests, Request).where(of_pipeline, requests.c.state != "closed")
    return one(connection, query, Request)


def _merge(connection: Connection, cause: Cause, request_id: str, now: datetime) -> None:
    merge = Merge(
        pipeline=cause.pipeline,
        key=cause.key,
        request_id=request_id,
        cause=cause.cause,
        reason=cause.reason,
        as_of=cause.as_of,
        merged_at=now,
    )
    connection.execute(merges.insert(), as_row(merge))


def _insert(connection: Connection, cause: Cause, now: datetime) -> Request:
    request_id = _name(connection, cause)
    row = Request(
        id=request_id,
        pipeline=cause.pipeline,
        key=cause.key,
        cause=cause.cause,
        reason=cause.reason,
        as_of=cause.as_of,
        champion_version=cause.champion,
        evidence=dict(cause.evidence),
        state="open",
        event_id=None,
        event_sent_at=None,
        flow_run_id="",
        by_reconcile=False,
        outcome=None,
        written_at=now,
        closed_at=None,
    )
    connection.execute(requests.insert(), as_row(row))
    return get(connection, request_id)  # as stored: times in UTC, evidence as JSON holds it


def _name(connection: Connection, cause: Cause) -> str:
    """Make the id from what makes the request unique, so that writing it again repeats it."""
    ledger_id = connection.execute(select(identity.c.id)).scalar_one()
    told = f"{ledger_id}\n{cause.pipeline}\n{cause.key}"
    return "rr-" + hashlib.sha256(told.encode()).hexdigest()[:12]


def find(connection: Connection, request_id: str) -> Request | None:
    """Read one request."""
    return one(connection, choose(requests, Request).where(requests.c.id == request_id), Request)


def get(connection: Connection, request_id: str) -> Request:
    """Read one request that must be there."""
    found = find(connection, request_id)
    if found is None:
        raise StoreError(
            f"no request {request_id!r} in this ledger; `driftwheel status` names those pending"
        )
    return found


def everything(connection: Connection, pipeline: str | None) -> list[Request]:
    """Read all requests, oldest first."""
    query = choose(requests, Request).order_by(requests.c.written_at, requests.c.id)
    if pipeline is not None:
        query = query.where(requests.c.pipeline == pipeline)
    return every(connection, query, Request)


def pending(connection: Connection, pipeline: str | None, now: datetime | None) -> list[Request]:
    """Read the requests that somebody could take up now, oldest first."""
    query = choose(requests, Request).order_by(requests.c.written_at, requests.c.id)
    query = query.where(requests.c.state != "closed")
    if pipeline is not None:
        query = query.where(requests.c.pipeline == pipeline)
    if now is not None:
        of_lease = and_(leases.c.request_id == requests.c.id, leases.c.holder.is_not(None))
        query = query.outerjoin(leases, of_lease).where(
            or_(leases.c.holder.is_(None), leases.c.expires_at <= now)
        )
    return every(connection, query, Request)


def merged_into(connection: Connection, request_id: str) -> list[Merge]:
    """Read the causes that joined a request, oldest first."""
    query = choose(merges, Merge).where(merges.c.request_id == request_id)
    return every(connection, query.order_by(merges.c.merged_at, merges.c.key), Merge)


def change(connection: Connection, request_id: str, **values: Any) -> None:
    """Set columns of one request."""
    connection.execute(update(requests).where(requests.c.id == request_id).values(**values))
