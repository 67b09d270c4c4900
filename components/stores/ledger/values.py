"""What the ledger remembers, as values. Every time is UTC-aware."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

State = Literal["open", "leased", "closed"]
Action = Literal["retrain", "hold", "data_fault", "alert"]
Awaits = Literal["approval", "labels"]
What = Literal[
    "promoted", "refused", "wait", "hold", "failed", "superseded", "data_fault", "rolled_back"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A retraining that was asked for, and how far it has come.

    Attributes
    ----------
    id : str
        ``rr-`` and twelve hexadecimal digits, made from ledger, pipeline and key.
    key : str
        Names the cause; one key, one request, for ever.
    cause : str
        ``drift``, ``degradation``, ``max_age``, ``periodic`` or ``manual``.
    as_of : datetime
        The moment whose knowledge led to it, and which the training uses.
    champion_version : str or None
        Who was in charge when it was written.
    evidence : dict
        The measurements behind it; what is not a finite number there reads None.
    event_id, event_sent_at
        The event that told the orchestrator; None as long as none was surely sent.
    flow_run_id, by_reconcile
        Who took it up last, and whether after its event was lost.
    outcome : str or None
        What its decision said, once it is closed.
    written_at : datetime
        By the writer's clock.

    """

    id: str
    pipeline: str
    key: str
    cause: str
    reason: str
    as_of: datetime
    champion_version: str | None
    evidence: dict[str, Any]
    state: State
    event_id: str | None
    event_sent_at: datetime | None
    flow_run_id: str
    by_reconcile: bool
    outcome: What | None
    written_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A further cause that joined a request already under way."""

    pipeline: str
    key: str
    request_id: str
    cause: str
    reason: str
    as_of: datetime
    merged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to carry out a request, until `expires_at` or the next heartbeat.

    `token` is the fence: it grows by one with every claim of the pipeline, and only the
    newest may conclude.
    """

    request_id: str
    pipeline: str
    token: int
    holder: str
    expires_at: datetime
    flow_run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was decided, by whom and why, on the evidence of which numbers.

    Attributes
    ----------
    as_of : datetime
        The moment whose knowledge was used.
    request_id, event_id, flow_run_id, by_reconcile
        How it came about; None or empty where a person or a schedule decided directly. What
        ends the wait of a challenger names the request that it was trained for.
    tested_version, served_version : str or None
        Whom the gate judged, and who took charge (or would have).
    first : bool
        No champion had been there before.
    numbers : mapping
        The gate's own numbers; what is not finite reads None afterwards.

    """

    pipeline: str
    what: What
    who: str
    why: str
    as_of: datetime
    request_id: str | None = None
    event_id: str | None = None
    flow_run_id: str = ""
    by_reconcile: bool = False
    tested_version: str | None = None
    served_version: str | None = None
    first: bool = False
    numbers: Mapping[str, Any] = field(default_factory=dict)
    mlflow_run_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Outcome):
    """An outcome as it was written; `id` grows with every decision of the ledger."""

    id: int
    recorded_at: datetime

    @property
    def at(self) -> datetime:
        """The moment whose knowledge was used: `as_of`."""
        return self.as_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPromotion:
    """A model that is to take charge, if the champion is still the one it was judged against.

    `expected_epoch` is that champion's epoch; 0 where there was none.
    """

    version: str
    digest: str
    package_uri: str
    expected_epoch: int
    who: str
    tested_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChallenger:
    """A registered version that cannot take charge yet.

    Attributes
    ----------
    awaits : str
        ``approval``: the gate has promoted it, a person has to say yes. ``labels``: it answers
        in shadow until there are enough to judge it.
    version, tested_version, digest, package_uri
        As of a promotion.
    expected_epoch : int
        The champion that it stands against; 0 where there was none.

    """

    awaits: Awaits
    version: str
    digest: str
    package_uri: str
    expected_epoch: int
    tested_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenger(NewChallenger):
    """A challenger as it was written.

    Attributes
    ----------
    decision_id : int
        The decision ``wait`` that it came with.
    as_of : datetime
        The moment whose knowledge it was trained with.
    settled_by : int or None
        The decision that ended its wait; None while it waits.

    """

    decision_id: int
    pipeline: str
    request_id: str
    as_of: datetime
    settled_by: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Who is in charge since when; the newest epoch of a pipeline is its champion.

    Attributes
    ----------
    epoch : int
        Counts from 1, without gaps, one promotion each.
    previous_version, previous_epoch
        What a rollback returns to; None where there is nothing to return to.
    rolled_back_epoch : int or None
        The epoch that this one put an end to, where it is a rollback.
    at : datetime
        When it was written, by the writer's clock.
    as_of : datetime
        The moment whose knowledge was used.

    """

    pipeline: str
    epoch: int
    version: str
    previous_version: str | None
    previous_epoch: int | None
    rolled_back_epoch: int | None
    tested_version: str | None
    digest: str
    package_uri: str
    decision_id: int
    at: datetime
    who: str
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenVerdict:
    """What a policy said about the window that ends at `window_end`."""

    pipeline: str
    window_end: datetime
    policy: str
    action: Action
    reason: str
    cause: str | None
    request_id: str | None
    as_of: datetime
    written_at: datetime
