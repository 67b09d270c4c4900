"""One step of simulated time after another, through real flows on a real server."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.errors import ServiceError
from components.pipelines import Pipeline
from flows.running import user, wall_clock
from flows.steps.diagnosing import ending_by_themselves
from flows.steps.snapshots import first_event, first_training
from flows.talking import run_flow

if TYPE_CHECKING:
    from components.stores.ledger import Decision
    from flows.steps.home import Home

STEP = timedelta(days=7)
"""One step of simulated time: a window of the monitor."""

EVENT_PATIENCE = 30.0
"""Seconds that a request is left to its event before `reconcile` takes it up."""

RETRAIN_PATIENCE = 300.0
"""Seconds for a retraining, from its request to its decision."""


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the timeline."""

    at: pd.Timestamp
    rows: int
    live_error: float | None
    naive_error: float | None
    drifted: tuple[str, ...]
    verdict: str
    why: str
    decision: "Decision | None" = None
    data_faults: tuple[str, ...] = ()


@dataclass(slots=True)
class Story:
    """The demo's loop: who it is about, where it keeps, whom it tells.

    Attributes
    ----------
    alive : callable
        Raises when a server of the demo has died.
    doing : callable
        Hears what is being done now.

    """

    home: "Home"
    pipeline: Pipeline
    steps: int
    alive: Callable[[], None]
    doing: Callable[[str], None]
    moments: list[pd.Timestamp] = field(default_factory=list)

    def tell(self) -> Iterator[Told]:
        """Move time forward, one line of the timeline a step.

        Every step may be done twice: a demo that was killed goes on where it was. Nobody is
        there to say what a data fault was: it ends by itself once the feed is clean.
        """
        with ending_by_themselves(self.home.ledger, self.pipeline.name):
            yield self._begin()
            for number in range(1, self.steps + 1):
                yield self._step(self.moments[0] + number * STEP)

    def _begin(self) -> Told:
        """Ingest what was known at the first training, and train."""
        self.doing("ingesting the first three months")
        start = self._first_training()
        self._flow("ingest", as_of=start)
        self.moments.append(start)
        self.doing("training the first model")
        self._flow("train", as_of=start, who=user())
        decided = [d for d in self.home.ledger.decisions(self.pipeline.name) if d.first]
        first = decided[0] if decided else None
        said = self._faults_at(start)
        return Told(start, 0, None, None, (), "train", "the first training", first, said)

    def _first_training(self) -> pd.Timestamp:
        """Find the first training: the file's own, else 91 days into the source."""
        from components.sources import deliver

        anchor = first_event(self.home.lake, self.pipeline) if self._ingested() else None
        if anchor is None:
            far = pd.Timestamp("2200-01-01", tz="UTC")
            records = deliver(self.pipeline, as_of=far).records
            anchor = pd.Timestamp(records["event_time"].min()).floor("D")
        return first_training(self.pipeline, anchor)

    def _ingested(self) -> bool:
        return self.home.lake.exists(self.pipeline.name, "records")

    def _step(self, moment: pd.Timestamp) -> Told:
        self.moments.append(moment)
        self.doing(f"{moment.date()}: ingest, score, monitor")
        self._flow("ingest", as_of=moment)
        scored = self._flow("score", as_of=moment)
        watched = self._flow("monitor", as_of=moment)
        if watched["request_id"]:
            self._await_decision(watched["request_id"], moment)
        verdict, why = self._verdict_at(moment) or (watched["verdict"], watched["reason"])
        found = {m["name"]: m for m in watched["measurements"] if m["column"] is None}
        drifted = tuple(
            m["column"]
            for m in watched["measurements"]
            if m["name"] == "drift" and m["status"] == "breach"
        )
        return Told(
            at=moment,
            rows=scored["rows"] or self._rows_at(moment),
            live_error=_value(found, "live_error"),
            naive_error=_value(found, "naive_error"),
            drifted=drifted,
            verdict=verdict,
            why=why,
            decision=self._decision_at(moment),
            data_faults=self._faults_at(moment),
        )

    def _verdict_at(self, moment: pd.Timestamp) -> tuple[str, str] | None:
        """Read the verdict as it was written: told again, the policy would judge anew."""
        written = self.home.ledger.verdicts(self.pipeline.name)
        found = [(v.action, v.reason) for v in written if v.as_of == moment]
        return found[-1] if found else None

    def _decision_at(self, moment: pd.Timestamp) -> "Decision | None":
        """Read the decision on the request of a moment."""
        made = self.home.ledger.decisions(self.pipeline.name)
        found = [d for d in made if d.as_of == moment and d.request_id and not d.first]
        return found[-1] if found else None

    def _faults_at(self, moment: pd.Timestamp) -> tuple[str, ...]:
        """Read what was found wrong with the data at a moment, and what has ended."""
        made = self.home.ledger.decisions(self.pipeline.name)
        found = (d for d in made if d.as_of == moment and d.what == "data_fault")
        return tuple(d.why for d in found if d.request_id is None)

    def _rows_at(self, moment: pd.Timestamp) -> int:
        """Count what was scored at a moment, for a step that is told again."""
        rows = self.home.lake.read(
            self.pipeline.name,
            "predictions",
            columns=["prediction_id"],
            where="known_time = $moment",
            params={"moment": moment},
        )
        return int(rows.num_rows)

    def _await_decision(self, request_id: str, moment: pd.Timestamp) -> None:
        """Wait for the automation to start `retrain`, and for its decision.

        Should the event be lost, or its worker have died, `reconcile` takes the request up,
        and the decision is marked.
        """
        self.doing(f"{moment.date()}: {request_id} was sent, waiting for Prefect to retrain")
        begun = time.monotonic()
        while self.home.ledger.decision_on(request_id) is None:
            self.alive()
            waited = time.monotonic() - begun
            waiting = self.home.ledger.pending(self.pipeline.name, now=wall_clock())
            if request_id not in {request.id for request in waiting}:
                self.doing(f"{moment.date()}: {request_id} is being carried out")
            elif waited > EVENT_PATIENCE:
                self.doing(f"{moment.date()}: {request_id} was lost, reconciling")
                self._flow("reconcile", as_of=moment, grace_seconds=0.0)
            if waited > RETRAIN_PATIENCE:
                raise ServiceError(
                    f"no decision on {request_id} after {waited:.0f} s; what the retraining said "
                    f"is in {self.home.root / 'prefect' / 'served.log'}, and "
                    f"`driftwheel reconcile {self.pipeline.name}` carries the request out"
                )
            time.sleep(0.1)  # between two looks at the ledger

    def _flow(self, name: str, *, as_of: pd.Timestamp, **more: Any) -> dict[str, Any]:
        self.alive()
        return run_flow(name, pipeline=self.pipeline.name, as_of=as_of.to_pydatetime(), **more)


def _value(found: dict[str, Any], name: str) -> float | None:
    return found[name]["value"] if name in found else None
