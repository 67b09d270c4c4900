"""A fresh ledger a test, on SQLite and on PostgreSQL, and real processes to share it."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components import failpoints
from components.stores.ledger import Lease, Ledger, NewPromotion, Outcome, Request, open_ledger

AS_OF = datetime(2012, 3, 1, tzinfo=UTC)
PROCESSES = multiprocessing.get_context("fork")  # no import to pay: sixteen start in a moment


@pytest.fixture
def now():
    return datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def as_of():
    return AS_OF


@pytest.fixture
def ttl():
    return timedelta(seconds=60)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        yield request.getfixturevalue("postgres_url")


@pytest.fixture
def ledger(url) -> Iterator[Ledger]:
    with closing(open_ledger(url)) as opened:
        yield opened


@pytest.fixture
def ask(ledger, now, as_of) -> Callable[..., tuple[Request, bool]]:
    """Ask for a retraining; every argument has a default but the key."""

    def asking(key: str, *, to: Ledger = ledger, **given: Any) -> tuple[Request, bool]:
        usual = {"pipeline": "bikeshare", "cause": "drift", "reason": "3 of 9 columns drifted"}
        return to.request(**{**usual, "as_of": as_of, "now": now, **given}, key=key)

    return asking


@pytest.fixture
def claim(ledger, now, ttl) -> Callable[..., Lease | None]:
    def claiming(request_id: str, holder: str = "worker-1", **given: Any) -> Lease | None:
        return ledger.claim(request_id, holder=holder, **{"now": now, "ttl": ttl, **given})

    return claiming


@pytest.fixture
def outcome(as_of) -> Callable[..., Outcome]:
    def making(what: str, **given: Any) -> Outcome:
        usual = {"pipeline": "bikeshare", "who": "automation", "why": "gain 4 %, margin 1 %"}
        return Outcome(what=what, **{**usual, "as_of": as_of, **given})

    return making


@pytest.fixture
def new() -> Callable[..., NewPromotion]:
    def making(version: str, *, expected_epoch: int, **given: Any) -> NewPromotion:
        usual = {"digest": f"sha256:{version}", "package_uri": f"models:/{version}", "who": "gate"}
        return NewPromotion(version=version, expected_epoch=expected_epoch, **{**usual, **given})

    return making


@pytest.fixture
def promote(ledger, now, outcome, new):
    """Promote by hand, over whoever is in charge."""

    def promoting(version: str, **given: Any):
        champion = ledger.champion("bikeshare")
        expected = given.pop("expected_epoch", champion.epoch if champion else 0)
        said = outcome("promoted", served_version=version, **given)
        return ledger.promote(said, promotion=new(version, expected_epoch=expected), now=now)

    return promoting


@pytest.fixture
def at_once() -> Callable[[int, Callable[[int], Any]], list[Any]]:
    """Run `work(number)` in that many processes at the same moment; collect what they return.

    What a process raises comes back as its `repr`.
    """

    def running(count: int, work: Callable[[int], Any]) -> list[Any]:
        gate, answers = PROCESSES.Barrier(count), PROCESSES.SimpleQueue()

        def child(number: int) -> None:
            gate.wait()
            try:
                answers.put(work(number))
            except Exception as problem:  # noqa: BLE001 - it comes back as an answer
                answers.put(repr(problem))

        children = [PROCESSES.Process(target=child, args=(number,)) for number in range(count)]
        for process in children:
            process.start()
        found = [answers.get() for _ in children]
        for process in children:
            process.join()
        return found

    return running


@pytest.fixture
def killed_at() -> Callable[[str, Callable[[], Any]], None]:
    """Run `work` in a process that is killed at a failpoint."""

    def killing(point: str, work: Callable[[], Any]) -> None:
        def child() -> None:
            failpoints.arm({point: 1})
            work()

        process = PROCESSES.Process(target=child)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"{point} was never reached"

    return killing
