"""The ledger: what was asked for, who carries it out, what was decided, who is in charge.

::

    verdict --same transaction--> request --claim--> lease (token n) --conclude--> decision
                                     ^                                    |
             further causes merge ---+                  promotion (epoch m), compare-and-set

Every method is one transaction. Whoever is killed before its commit has changed nothing;
whoever is killed after it and calls again gets the same answer.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from components.failpoints import failpoint
from components.stores.ledger import (
    challengers,
    decisions,
    leasing,
    promotions,
    requests,
    verdicts,
)
from components.stores.ledger.challengers import ChallengerBook
from components.stores.ledger.connecting import Database, connect
from components.stores.ledger.faults import FaultBook
from components.stores.ledger.migrating import bring_up_to_date
from components.stores.ledger.tables import identity
from components.stores.ledger.values import (
    Action,
    Decision,
    Lease,
    Merge,
    NewChallenger,
    NewPromotion,
    Outcome,
    Promotion,
    Request,
    WrittenVerdict,
)


def open_ledger(url: str) -> "Ledger":
    """Open a ledger, making or migrating it where needed.

    Parameters
    ----------
    url : str
        ``sqlite:///FILE`` or ``postgresql://USER@HOST/DATABASE``.

    Raises
    ------
    StoreUnreachableError
        If it cannot be opened, or is newer than this code; says what to do.

    """
    database = connect(url)
    try:
        bring_up_to_date(database)
        return Ledger(database)
    except BaseException:
        database.engine.dispose()
        raise


class Ledger(FaultBook, ChallengerBook):
    """An open ledger, for any number of threads; made by :func:`open_ledger`.

    What it remembers of data faults is in :class:`~components.stores.ledger.faults.FaultBook`,
    of challengers that wait in :class:`~components.stores.ledger.challengers.ChallengerBook`.

    Every method may raise StoreUnreachableError: then the ledger says nothing, and whatever
    was in doubt has to be asked again.

    Attributes
    ----------
    ledger_id : str
        Made once with the ledger; marks in other systems what belongs to it.

    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.reading() as connection:
            self.ledger_id: str = connection.execute(select(identity.c.id)).scalar_one()

    def __repr__(self) -> str:
        return f"Ledger({self._database.shown!r})"

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._database.engine.dispose()

    # Requests

    def request(
        self,
        *,
        pipeline: str,
        cause: str,
        reason: str,
        key: str,
        as_of: datetime,
        champion: str | None = None,
        evidence: Mapping[str, Any] | None = None,
        now: datetime,
    ) -> tuple[Request, bool]:
        """Ask for a retraining.

        Parameters
        ----------
        key : str
            Names the cause. The same key gives the same request, open or closed; another
            key, while a request of the pipeline is not closed, merges into that one.
        now : datetime
            The writer's clock.

        Returns
        -------
        Request, bool
            The request that stands for this cause, and whether it was made by this call.

        """
        asked = requests.Cause(
            pipeline=pipeline,
            cause=cause,
            reason=reason,
            key=key,
            as_of=as_of,
            champion=champion,
            evidence=evidence or {},
        )
        with self._database.writing() as connection:
            return requests.write(connection, asked, now)

    def find(self, request_id: str) -> Request | None:
        """Read one request; None when this ledger has none of that id."""
        with self._database.reading() as connection:
            return requests.find(connection, request_id)

    def pending(self, pipeline: str | None = None, *, now: datetime | None = None) -> list[Request]:
        """Read the requests that wait to be taken up, oldest first.

        With `now`: those open, and those whose lease has run out by then. Without: all that
        are not closed, those in live hands too.
        """
        with self._database.reading() as connection:
            return requests.pending(connection, pipeline, now)

    def requests(self, pipeline: str | None = None) -> list[Request]:
        """Read all requests, oldest first."""
        with self._database.reading() as connection:
            return requests.everything(connection, pipeline)

    def merges(self, request_id: str) -> list[Merge]:
        """Read the further causes that joined a request, oldest first."""
        with self._database.reading() as connection:
            return requests.merged_into(connection, request_id)

    def mark_sent(self, request_id: str, *, event_id: str, now: datetime) -> None:
        """Note that the event of a request was surely sent; the newest one counts."""
        with self._database.writing() as connection:
            requests.get(connection, request_id)
            requests.change(connection, request_id, event_id=event_id, event_sent_at=now)

    # Leases

    def claim(
        self,
        request_id: str,
        *,
        holder: str,
        now: datetime,
        ttl: timedelta,
        flow_run_id: str = "",
        by_reconcile: bool = False,
    ) -> Lease | None:
        """Take the right to carry out a request.

        Parameters
        ----------
        holder : str
            Names one worker; the same name may claim again, and its older lease is lost.
        ttl : timedelta
            How long the lease lasts without a heartbeat.

        Returns
        -------
        Lease or None
            None when the request is closed, or the pipeline in another's live hands.

        Raises
        ------
        StoreError
            If there is no such request.

        """
        with self._database.writing() as connection:
            return leasing.claim(
                connection,
                request_id,
                holder=holder,
                now=now,
                ttl=ttl,
                flow_run_id=flow_run_id,
                by_reconcile=by_reconcile,
            )

    def lease(self, pipeline: str) -> Lease | None:
        """Read who holds a pipeline, run out or not; None when nobody does."""
        with self._database.reading() as connection:
            return leasing.held(connection, pipeline)

    def heartbeat(self, lease: Lease, *, now: datetime) -> Lease:
        """Let a lease run its full time again from `now`.

        Raises
        ------
        LeaseLostError
            If it was taken over, given back, or its request is closed.

        """
        with self._database.writing() as connection:
            return leasing.renew(connection, lease, now)

    def release(self, lease: Lease) -> None:
        """Give a lease back undone: its request is open again. A lost lease is left alone."""
        with self._database.writing() as connection:
            leasing.give_back(connection, lease)

    # Decisions

    def conclude(
        self,
        lease: Lease,
        outcome: Outcome,
        *,
        promotion: NewPromotion | None,
        challenger: NewChallenger | None = None,
        now: datetime,
    ) -> Decision:
        """Close a request with its decision, and promote where that was decided.

        With ``wait``, a `challenger` may wait on for what it lacks: see :meth:`settle`.

        Where the champion is no longer the one of `promotion.expected_epoch`, nobody is
        promoted and the decision says ``superseded``. Concluding again under the same
        lease returns the decision that was written.

        Raises
        ------
        LeaseLostError
            If the lease was taken over or given back; nothing was written.

        """
        with self._database.writing() as connection:
            decision = decisions.conclude(connection, lease, outcome, promotion=promotion, now=now)
            if challenger is not None:
                challengers.write(connection, decision, challenger, now)
            failpoint("after-gate-before-cas")
        failpoint("after-cas")
        return decision

    def record(self, outcome: Outcome, *, now: datetime) -> Decision:
        """Write a decision that no request led to; the same one again changes nothing."""
        with self._database.writing() as connection:
            return decisions.record(connection, outcome, now)

    def decisions(self, pipeline: str | None = None) -> list[Decision]:
        """Read all decisions, newest last."""
        with self._database.reading() as connection:
            return decisions.everything(connection, pipeline)

    def decision_on(self, request_id: str) -> Decision | None:
        """Read the decision that closed a request; None while it is not closed."""
        with self._database.reading() as connection:
            return decisions.of_request(connection, request_id)

    # Promotions

    def champion(self, pipeline: str) -> Promotion | None:
        """Read who is in charge: the newest epoch; None before the first promotion."""
        with self._database.reading() as connection:
            return promotions.champion(connection, pipeline)

    def previous(self, pipeline: str) -> Promotion | None:
        """Read what a rollback would return to."""
        with self._database.reading() as connection:
            return promotions.previous(connection, pipeline)

    def promotions(self, pipeline: str) -> list[Promotion]:
        """Read all epochs, newest last."""
        with self._database.reading() as connection:
            return promotions.everything(connection, pipeline)

    def promote(self, outcome: Outcome, *, promotion: NewPromotion, now: datetime) -> Decision:
        """Promote by hand, without a request; compare-and-set as in :meth:`conclude`.

        Promoting the version that is in charge already changes nothing.
        """
        with self._database.writing() as connection:
            found = promotions.champion(connection, outcome.pipeline)
            if found is not None and found.version == promotion.version:
                return decisions.by_id(connection, found.decision_id)
            return decisions.decide(connection, outcome, promotion=promotion, now=now)

    def roll_back(
        self,
        pipeline: str,
        *,
        who: str,
        why: str,
        as_of: datetime,
        now: datetime,
        expected_epoch: int,
        flow_run_id: str = "",
    ) -> Decision:
        """Put the previous champion back in charge, as a new epoch.

        Rolling back the same epoch twice changes nothing; rolling back the epoch that a
        rollback made goes further back.

        Raises
        ------
        StoreError
            If another epoch is in charge, or there is nothing to return to.

        """
        with self._database.writing() as connection:
            done = promotions.ended_by(connection, pipeline, expected_epoch)
            if done is not None:
                return decisions.by_id(connection, done.decision_id)
            ended, back_to = promotions.to_roll_back(connection, pipeline, expected_epoch)
            outcome = Outcome(
                pipeline=pipeline,
                what="rolled_back",
                who=who,
                why=why,
                as_of=as_of,
                flow_run_id=flow_run_id,
                served_version=back_to.version,
            )
            decision = decisions.decide(connection, outcome, promotion=None, now=now)
            promotions.append(connection, promotions.restored(decision, back_to, ended))
            return decision

    # Verdicts

    def write_verdict(
        self,
        pipeline: str,
        *,
        window_end: datetime | None,
        action: Action,
        reason: str,
        cause: str | None = None,
        policy: str,
        request_id: str | None = None,
        as_of: datetime,
        now: datetime,
    ) -> bool:
        """Write what a policy said; False when its word on that window stands already.

        A verdict on no complete window (`window_end` None) stands at its `as_of`. For
        ``retrain`` use :meth:`retrain_verdict`, which writes the request with it.
        """
        verdict = WrittenVerdict(
            pipeline=pipeline,
            window_end=window_end or as_of,
            policy=policy,
            action=action,
            reason=reason,
            cause=cause,
            request_id=request_id,
            as_of=as_of,
            written_at=now,
        )
        with self._database.writing() as connection:
            return verdicts.write(connection, verdict)

    def retrain_verdict(
        self,
        pipeline: str,
        *,
        window_end: datetime | None,
        reason: str,
        cause: str,
        policy: str,
        key: str,
        as_of: datetime,
        champion: str | None = None,
        evidence: Mapping[str, Any] | None = None,
        now: datetime,
    ) -> tuple[Request, bool]:
        """Write a verdict to retrain and its request: both, or neither.

        Returns
        -------
        Request, bool
            As :meth:`request`: the request that stands for `key`, and whether it is new.

        """
        failpoint("verdict-before-outbox")
        asked = requests.Cause(
            pipeline=pipeline,
            cause=cause,
            reason=reason,
            key=key,
            as_of=as_of,
            champion=champion,
            evidence=evidence or {},
        )
        with self._database.writing() as connection:
            request, created = requests.write(connection, asked, now)
            verdict = WrittenVerdict(
                pipeline=pipeline,
                window_end=window_end or as_of,
                policy=policy,
                action="retrain",
                reason=reason,
                cause=cause,
                request_id=request.id,
                as_of=as_of,
                written_at=now,
            )
            verdicts.write_retrain(connection, verdict)
        failpoint("after-outbox")
        return request, created

    def verdicts(self, pipeline: str) -> list[WrittenVerdict]:
        """Read all verdicts on a pipeline, newest window last."""
        with self._database.reading() as connection:
            return verdicts.everything(connection, pipeline)

    # Marks

    def set_mark(self, pipeline: str, name: str, value: str) -> None:
        """Keep a small fact by name, such as a watermark; over the one before."""
        with self._database.writing() as connection:
            verdicts.set_mark(connection, pipeline, name, value)

    def mark(self, pipeline: str, name: str) -> str | None:
        """Read a small fact by name."""
        with self._database.reading() as connection:
            return verdicts.mark(connection, pipeline, name)
