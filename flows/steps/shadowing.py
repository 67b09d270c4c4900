"""A challenger in shadow: it answers beside the champion until labels say which is better.

train --no rows are held out--> challenger waits (ledger) --score--> predictions, channel shadow
                                                          --monitor--> both sides, with labels
promoted, refused <-- evidence at whatever moment one looks <--┘   └──not enough yet--> waits

Whatever goes wrong on this side leaves the champion's answers, and its place, alone.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from components.answers import Answers
from components.errors import DriftwheelError
from components.faults import without_faulty
from components.maturity import fair_age_of
from components.metrics import row_losses
from components.pipelines import Pipeline
from components.records import EVENT_TIME, LABEL, PREDICTIONS, RECORD_ID, to_frame
from components.splits import Split, known_by
from flows.steps.concluding import follow
from flows.steps.diagnosing import standing
from flows.steps.evaluating import beside_of
from flows.steps.footprints import compare_opened
from flows.steps.leasing import Clock
from flows.steps.maturing import label_versions
from flows.steps.proposing import decision_of, is_stale, rule
from flows.steps.reading_back import read_back
from flows.steps.rivals import NAIVE, Rival, open_package
from flows.steps.scoring import SHADOW, score_beside
from flows.steps.snapshots import predictions_labelled, records_known
from flows.steps.training import Prepared, gate
from monitoring.limits import Pair
from monitoring.maturity import first_known
from monitoring.sequential import judge_so_far

if TYPE_CHECKING:
    from components.stores.ledger import Awaits, Challenger, What
    from flows.steps.home import Home
    from flows.steps.snapshots import Snapshot
    from monitoring.gate import GateDecision

MONITOR = "monitor"
"""Who decides on a challenger in shadow, where the decision names somebody."""

_OF_CHALLENGER = f"channel = '{SHADOW}' and model_version = $version and known_time <= $as_of"


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a run did for the challenger in shadow.

    Attributes
    ----------
    version : str
    rows : int
        Records that it answered in this run; or rows with labels that it was judged on.
    what : str
        ``wait`` while it goes on, else how it ended; empty where nothing was judged.
    said : str
        In words; why nothing could be done, where something went wrong.

    """

    version: str
    rows: int = 0
    what: str = ""
    said: str = ""


def nothing_held_out(prepared: Prepared, snapshot: "Snapshot") -> Prepared:
    """Let a challenger learn from everything known: rows that come later will judge it."""
    rows = known_by(snapshot.rows, snapshot.as_of)
    return replace(prepared, split=Split(train=rows, holdout=rows[:0], cut=snapshot.as_of))


def stands_in_shadow(prepared: Prepared, pipeline: Pipeline, rival: Rival) -> "GateDecision":
    """Say that a challenger waits for labels, before anything can be compared."""
    beside = f"version {rival.version}" if rival.model else "the naive baseline"
    answers = "would answer" if pipeline.mode == "watch" else "answers"
    decision = gate(None, prepared, pipeline, rival)
    words = (
        f"{answers} in shadow beside {beside} until labels come: judged from "
        f"{pipeline.holdout.least_rows} labelled rows on"
    )
    return replace(decision, outcome="wait", rival=beside, reason=words)


def in_shadow(home: "Home", name: str) -> "Challenger | None":
    """Read the challenger that answers in shadow; None where there is none, or none any more."""
    waiting = home.ledger.waiting(name)
    if waiting is None or waiting.awaits != "labels" or is_stale(home, waiting):
        return None
    return waiting


def answer_beside(
    home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp, flow_run_id: str = ""
) -> Shadow | None:
    """Let the challenger in shadow answer; None where there is none. It never raises for it."""
    challenger = in_shadow(home, pipeline.name)
    if challenger is None:
        return None
    try:
        done = score_beside(home, pipeline, challenger, as_of=as_of, flow_run_id=flow_run_id)
    # The champion has answered: what a challenger does wrong must not fail that run.
    except Exception as problem:  # noqa: BLE001 - said above; the next run tries again
        return Shadow(challenger.version, said=f"did not answer in shadow: {_words(problem)}")
    return Shadow(challenger.version, done.rows)


def judge_beside(
    home: "Home",
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    clock: Clock,
    flow_run_id: str = "",
) -> Shadow | None:
    """Judge the challenger in shadow on what has its labels by now, and end its wait if it can.

    Returns
    -------
    Shadow or None
        None where nobody is in shadow.

    """
    challenger = home.ledger.waiting(pipeline.name)
    if challenger is None or challenger.awaits != "labels":
        return None
    try:
        return _judge(home, pipeline, challenger, as_of=as_of, clock=clock, run=flow_run_id)
    except DriftwheelError as problem:
        # What monitoring is for is done; nothing was decided, and the next run judges again.
        return Shadow(challenger.version, said=f"could not be judged: {_words(problem)}")


def _judge(
    home: "Home",
    pipeline: Pipeline,
    challenger: "Challenger",
    *,
    as_of: pd.Timestamp,
    clock: Clock,
    run: str,
) -> Shadow:
    if is_stale(home, challenger):
        words = f"the champion changed while version {challenger.version} was in shadow beside it"
        return _end(home, challenger, "superseded", words, {}, as_of=as_of, clock=clock, run=run)
    decision = compare_so_far(home, pipeline, challenger, as_of=as_of)
    if decision.outcome == "wait":
        return Shadow(challenger.version, decision.rows, "wait", decision.reason)
    ruling = rule(decision, pipeline, challenger.version)
    return _end(
        home,
        challenger,
        ruling.what,
        ruling.why,
        decision.numbers,
        as_of=as_of,
        clock=clock,
        run=run,
        then_awaits=ruling.awaits,
    )


def compare_so_far(
    home: "Home", pipeline: Pipeline, challenger: "Challenger", *, as_of: pd.Timestamp
) -> "GateDecision":
    """Compare both sides on the records that both have answered, and whose labels are due.

    Rows too young to have had a fair chance of a label are left for a later look: which of
    them have one already is no accident.
    """
    champion = home.ledger.champion(pipeline.name)
    due = _due(home, pipeline, as_of=as_of)
    rows, theirs, ours = _answered_by_both(
        home, pipeline, challenger, champion.version if champion else NAIVE, due, as_of=as_of
    )
    metric, quantile = pipeline.resolved_metric, pipeline.quantile
    lost = [
        row_losses(pipeline.resolved_task, metric, rows[LABEL], answers, quantile=quantile)
        for answers in (theirs, ours)
    ]
    judge = partial(
        judge_so_far,
        rows[EVENT_TIME],
        *lost,
        gate=pipeline.gate,
        rival=f"version {champion.version}" if champion else "the naive baseline",
        least_rows=pipeline.holdout.least_rows,
        complete_until=due,
    )
    decision = judge()
    if decision.outcome != "promoted":
        return decision
    # Who wins is held against the limits as well; until then nobody asks for them.
    known = _with_columns(home, pipeline, rows, as_of=as_of)
    beside = beside_of(
        known,
        _without_history(pipeline),
        theirs=(theirs, lost[0]),
        ours=(ours, lost[1]),
        in_charge=champion is not None,
    )
    latency, size = _footprints(home, pipeline, challenger)
    return judge(beside=replace(beside, latency=latency, size=size))


def _with_columns(
    home: "Home", pipeline: Pipeline, rows: pd.DataFrame, *, as_of: pd.Timestamp
) -> pd.DataFrame:
    """Add to answered rows what their records say: slices and groups are cut by it."""
    records = records_known(home.lake, pipeline, as_of=as_of, since=rows[EVENT_TIME].min())
    said = [*pipeline.features, *([pipeline.entity] if pipeline.entity else [])]
    there = records.set_index(RECORD_ID)[list(dict.fromkeys(said))]
    return rows[[RECORD_ID, EVENT_TIME, LABEL]].join(there, on=RECORD_ID)


def _without_history(pipeline: Pipeline) -> Pipeline:
    """Leave out what is made of earlier rows: slices are cut by what a record itself says."""
    return pipeline.model_copy(update={"history": ()})


def _footprints(home: "Home", pipeline: Pipeline, challenger: "Challenger") -> tuple[Pair, Pair]:
    champion = home.ledger.champion(pipeline.name)
    opened = partial(open_package, home, pipeline)
    before = None if champion is None else opened(digest=champion.digest, uri=champion.package_uri)
    after = opened(digest=challenger.digest, uri=challenger.package_uri)
    return compare_opened(before, after)


def _due(home: "Home", pipeline: Pipeline, *, as_of: pd.Timestamp) -> pd.Timestamp:
    """Give the event time before which the labels that come have come."""
    labels = first_known(label_versions(home, pipeline, as_of=as_of))
    age = fair_age_of(labels, pipeline, as_of=as_of)
    return as_of - max(pd.Timedelta(age), pd.Timedelta(pipeline.label_delay or 0))


def _answered_by_both(
    home: "Home",
    pipeline: Pipeline,
    challenger: "Challenger",
    champion: str,
    due: pd.Timestamp,
    *,
    as_of: pd.Timestamp,
) -> tuple[pd.DataFrame, Answers, Answers]:
    """Join the answers of both sides on the record, with its truth; rows of faults are left out."""
    params = {"version": challenger.version, "as_of": as_of}
    ours = to_frame(home.lake.read(pipeline.name, PREDICTIONS, where=_OF_CHALLENGER, params=params))
    since = ours[EVENT_TIME].min() if len(ours) else due
    made = predictions_labelled(home.lake, pipeline, as_of=as_of, since=since, until=due)
    made = made[(made["model_version"] == champion) & made[LABEL].notna()]
    made = without_faulty(made, standing(home, pipeline, as_of=as_of))
    made = made[made[RECORD_ID].isin(ours[RECORD_ID])].drop_duplicates(RECORD_ID)
    theirs, their_answers = read_back(home, pipeline, made)
    mine = ours.set_index(RECORD_ID).loc[theirs[RECORD_ID]].reset_index()
    mine, our_answers = read_back(home, pipeline, mine)
    place = pd.Index(mine[RECORD_ID]).get_indexer(theirs[RECORD_ID])
    return theirs.reset_index(drop=True), their_answers, _taken(our_answers, place)


def _taken(answers: Answers, place: np.ndarray) -> Answers:
    """Give answers in another order."""
    odds = answers.probabilities
    return Answers(answers.values[place], None if odds is None else odds[place], answers.classes)


def _end(
    home: "Home",
    challenger: "Challenger",
    what: "What",
    why: str,
    numbers: dict[str, object],
    *,
    as_of: pd.Timestamp,
    clock: Clock,
    run: str,
    then_awaits: "Awaits | None" = None,
) -> Shadow:
    from components.stores.ledger import Outcome

    serves = what in ("promoted", "wait")
    outcome = Outcome(
        pipeline=challenger.pipeline,
        what=what,
        who=MONITOR,
        why=why,
        as_of=as_of,
        flow_run_id=run,
        tested_version=challenger.tested_version,
        served_version=challenger.version if serves else None,
        first=challenger.expected_epoch == 0,
        numbers=numbers,
        mlflow_run_id=decision_of(home, challenger).mlflow_run_id,
    )
    decision = home.ledger.settle(challenger, outcome, then_awaits=then_awaits, now=clock())
    told: list[str] = []
    if decision.what == "promoted":
        follow(home, challenger.pipeline, told=told.append)
    rows = numbers.get("rows", 0)
    return Shadow(
        challenger.version,
        rows if isinstance(rows, int) else 0,
        decision.what,
        "; ".join([decision.why, *told]),
    )


def _words(problem: Exception) -> str:
    return str(problem) if isinstance(problem, DriftwheelError) else repr(problem)
