"""Hold the right to carry out a request, and keep holding it while the work runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, UUID, uuid5

from components.errors import LeaseLostError, StoreError

if TYPE_CHECKING:
    from components.stores.ledger import Lease, Ledger

TERM = timedelta(seconds=60)
"""How long a lease lasts without a heartbeat; a dead worker's request is free after this."""

AUTOMATION = "automation"
"""Who carries a request out when its event started the work."""

Clock = Callable[[], datetime]


def event_id(ledger_id: str, request_id: str) -> UUID:
    """Name the event of a request: always the same, so that sent twice it counts once."""
    return uuid5(NAMESPACE_URL, f"driftwheel:{ledger_id}:{request_id}")


def claim(
    ledger: "Ledger",
    request_id: str,
    *,
    holder: str,
    clock: Clock,
    flow_run_id: str = "",
    by_reconcile: bool = False,
) -> "Lease | None":
    """Take the lease of a request; None when it is closed or in other hands."""
    return ledger.claim(
        request_id,
        holder=holder,
        now=clock(),
        ttl=TERM,
        flow_run_id=flow_run_id,
        by_reconcile=by_reconcile,
    )


@contextmanager
def kept_alive(ledger: "Ledger", lease: "Lease", *, clock: Clock) -> Iterator[None]:
    """Renew a lease from a thread of its own until the work is done.

    A lease that was lost is not an error here: the fencing token refuses the commit.
    """
    done = threading.Event()

    def beat() -> None:
        while not done.wait(TERM.total_seconds() / 4):
            try:
                ledger.heartbeat(lease, now=clock())
            except LeaseLostError:
                return
            except StoreError:
                continue  # the ledger may answer again before the lease runs out

    thread = threading.Thread(target=beat, name=f"lease-{lease.request_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
