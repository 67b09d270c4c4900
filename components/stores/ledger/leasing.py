"""Who may carry out a request: one lease a pipeline, fenced by a growing token."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from components.errors import LeaseLostError
from components.stores.ledger.requests import change, get
from components.stores.ledger.rows import as_row, choose, one
from components.stores.ledger.tables import leases, requests
from components.stores.ledger.values import Lease


def claim(
    connection: Connection,
    request_id: str,
    *,
    holder: str,
    now: datetime,
    ttl: timedelta,
    flow_run_id: str,
    by_reconcile: bool,
) -> Lease | None:
    """Take the lease, unless the request is closed or another's lease still runs."""
    request = get(connection, request_id)
    last = _newest(connection, request.pipeline)
    taken = last is not None and last.holder not in (None, holder) and last.expires_at > now
    if request.state == "closed" or taken:
        return None
    lease = Lease(
        request_id=request_id,
        pipeline=request.pipeline,
        token=last.token + 1 if last else 1,
        holder=holder,
        expires_at=now + ttl,
        flow_run_id=flow_run_id,
    )
    row = {**as_row(lease), "ttl_seconds": ttl.total_seconds()}
    if last is None:
        connection.execute(leases.insert(), row)
    else:
        connection.execute(update(leases).where(leases.c.pipeline == lease.pipeline).values(**row))
    change(
        connection, request_id, state="leased", flow_run_id=flow_run_id, by_reconcile=by_reconcile
    )
    return lease


def held(connection: Connection, pipeline: str) -> Lease | None:
    """Read the lease of a pipeline, run out or not; None when nobody holds it."""
    last = _newest(connection, pipeline)
    return last if last is not None and last.holder is not None else None


def _newest(connection: Connection, pipeline: str) -> Lease | None:
    return one(connection, choose(leases, Lease).where(leases.c.pipeline == pipeline), Lease)


def check_fence(connection: Connection, lease: Lease) -> None:
    """Let only the newest holder pass.

    A lease that ran out but was taken by nobody still counts: its work is not lost.

    Raises
    ------
    LeaseLostError
        If it was taken over or given back.

    """
    last = _newest(connection, lease.pipeline)
    if last is not None and last.token == lease.token and last.holder is not None:
        return
    raise LeaseLostError(
        f"the lease of {lease.request_id} (token {lease.token}, held by {lease.holder}) "
        f"{_what_became_of_it(last, lease)}; nothing was written, and this work must stop"
    )


def _what_became_of_it(last: Lease | None, lease: Lease) -> str:
    if last is None:
        return "is not in this ledger"
    if last.token == lease.token:
        return "was given back, or its request is closed"
    return f"has passed to {last.holder or 'somebody'} (token {last.token})"


def renew(connection: Connection, lease: Lease, now: datetime) -> Lease:
    """Let the lease run its full time again from `now`."""
    check_fence(connection, lease)
    seconds = select(leases.c.ttl_seconds).where(leases.c.pipeline == lease.pipeline)
    ttl = timedelta(seconds=connection.execute(seconds).scalar_one())
    _set(connection, lease, expires_at=now + ttl)
    renewed = held(connection, lease.pipeline)
    return renewed or lease


def give_back(connection: Connection, lease: Lease) -> None:
    """Free the pipeline and open the request again; a lost lease is left to its taker."""
    last = held(connection, lease.pipeline)
    if last is None or last.token != lease.token:
        return
    end(connection, lease)
    in_hand = (requests.c.id == lease.request_id) & (requests.c.state == "leased")
    connection.execute(update(requests).where(in_hand).values(state="open"))


def end(connection: Connection, lease: Lease) -> None:
    """Leave the lease without a holder; its token stays, so that the next is larger."""
    _set(connection, lease, holder=None)


def _set(connection: Connection, lease: Lease, **values: object) -> None:
    ours = (leases.c.pipeline == lease.pipeline) & (leases.c.token == lease.token)
    connection.execute(update(leases).where(ours).values(**values))
