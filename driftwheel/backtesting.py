"""`backtest`: policies side by side on history, without the orchestrator or the lake."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.errors import NotEnoughHistoryError
from components.pipelines import HIGHER_IS_BETTER, Pipeline
from components.records import EVENT_TIME, KNOWN_TIME, LABEL
from components.sources import deliver
from driftwheel.recommending import Judged, in_order, recommend
from flows.steps.contenders import Contender, read_contender
from flows.steps.past import Past
from flows.steps.replay import Replayed, Stretch, faults_of, first_recipe, replay
from flows.steps.replay_score import score_with_interval
from flows.steps.rivals import NAIVE
from flows.steps.snapshots import first_training

DEFAULT_POLICIES = ("never", "periodic:28d", "default")
FAR_FUTURE = pd.Timestamp("2200-01-01", tz="UTC")


@dataclass(frozen=True, slots=True)
class Backtest:
    """The result: the document of `--json`, and what the plot needs."""

    document: dict[str, Any]
    replayed: tuple[Replayed, ...]


def backtest(
    pipeline: Pipeline,
    policies: Sequence[str | Contender] = (),
    *,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
    told: Callable[[str, float], None] = lambda _what, _share: None,
) -> Backtest:
    """Replay history under each policy.

    The source is read itself: no earlier `ingest` is needed, the lake is untouched.

    Parameters
    ----------
    policies : sequence of str or Contender
        As written on the command line, or understood already; default: never, every 28
        days, the pipeline's own.
    start, end : Timestamp, optional
        The first training, and the last event; default: as the pipeline states, and all.
    told : callable
        Hears what is being done, and the share of it that is done.

    Raises
    ------
    InvalidInputError
        If a policy is not understood.
    NotEnoughHistoryError
        If nothing happens after the first training.

    """
    contenders = [
        one if isinstance(one, Contender) else read_contender(one, pipeline)
        for one in policies or DEFAULT_POLICIES
    ]
    told("reading the source", 0.0)
    past = read_past(pipeline)
    stretch = stretch_of(past, pipeline, start=start, end=end)
    told("searching a recipe", 0.0)
    # Every policy sees the same data faults: they are looked for once.
    faults = faults_of(past, pipeline, stretch)
    recipe = first_recipe(past, pipeline, stretch, faults=faults)
    done = [
        replay(
            past,
            pipeline,
            contender,
            stretch,
            recipe=recipe,
            faults=faults,
            told=_share_told(told, contender, stretch, (place, len(contenders))),
        )
        for place, contender in enumerate(contenders)
    ]
    return Backtest(_document(pipeline, stretch, done, str(recipe)), tuple(done))


def read_past(pipeline: Pipeline) -> Past:
    """Read every version of every record and label, with the time at which it was known."""
    delivery = deliver(pipeline, as_of=FAR_FUTURE)
    return Past.of(delivery.records, delivery.labels, pipeline, delivery.quarantine)


def stretch_of(
    past: Past,
    pipeline: Pipeline,
    *,
    start: pd.Timestamp | None,
    end: pd.Timestamp | None,
) -> Stretch:
    """Say which part of history is replayed: up to when the last record became known."""
    rows = past.scored
    anchor = pd.Timestamp(rows[EVENT_TIME].min()).floor("D")
    newest = pd.Timestamp(rows[KNOWN_TIME].max())
    begin = start if start is not None else first_training(pipeline, anchor)
    last = min(end, newest) if end is not None else newest
    known = rows.loc[rows[LABEL].notna(), KNOWN_TIME]
    if not ((known > begin) & (known <= last)).any():
        raise NotEnoughHistoryError(
            f"{pipeline.name}: nothing whose label ever came happens between the first training, "
            f"{begin.date()}, and the end, {last.date()}; the source holds events from "
            f"{anchor.date()} to {rows[EVENT_TIME].max().date()}. Give an earlier --from, or set "
            f"first_train in {pipeline.file.name}"
        )
    return Stretch(anchor, begin, last)


def _share_told(
    told: Callable[[str, float], None],
    contender: Contender,
    stretch: Stretch,
    turn: tuple[int, int],
) -> Callable[[pd.Timestamp], None]:
    """Let one policy tell how far all of them have come; `turn` is its place, and their number."""
    whole, (place, count) = stretch.end - stretch.start, turn

    def heard(moment: pd.Timestamp) -> None:
        share = (moment - stretch.start) / whole
        told(f"{contender.text}: {moment.date()}", (place + share) / count)

    return heard


def _document(
    pipeline: Pipeline, stretch: Stretch, done: Sequence[Replayed], recipe: str
) -> dict[str, Any]:
    judged = [_judged(one, pipeline) for one in done]
    recommended, because = recommend(judged, pipeline)
    return {
        "pipeline": pipeline.name,
        "metric": pipeline.resolved_metric,
        "lower_is_better": pipeline.resolved_metric not in HIGHER_IS_BETTER,
        "from": stretch.start.isoformat(),
        "to": stretch.end.isoformat(),
        "rows_scored": max(len(one.rows) for one in judged),
        "recipe": recipe,
        "gate_mode": "holdout",  # no past has traffic that a challenger could shadow
        "policies": {
            one.contender.text: _row(one, found) for one, found in zip(done, judged, strict=True)
        },
        "recommended": recommended,
        "recommended_because": because,
    }


def _judged(done: Replayed, pipeline: Pipeline) -> Judged:
    rows, answers = in_order(done)
    score, bounds = score_with_interval(rows, answers, pipeline)
    return Judged(done.contender.text, rows, answers, score, bounds, done.fits)


def _row(done: Replayed, judged: Judged) -> dict[str, Any]:
    charged = [one.at for one in done.timeline if one.event == "promoted"]
    return {
        "score": judged.score,
        "score_ci": list(judged.bounds),
        "rows_scored": len(judged.rows),
        "retrainings": done.fits,
        "promotions": done.promotions,
        "refusals": done.refusals,
        "waits": done.waits,
        "false_alarms": done.false_alarms,
        "data_faults": done.data_faults,
        "first_promotion": charged[0].isoformat() if charged else None,
        "rows_by_naive": int((judged.rows["version"] == NAIVE).sum()),
        "train_seconds": round(done.train_seconds, 3),
        "timeline": [
            {"at": one.at.isoformat(), "score": one.score, "event": one.event, "reason": one.reason}
            for one in done.timeline
        ],
    }


def draw(result: Backtest, to: Path) -> Path:
    """Draw error over time for each policy, retrainings marked; a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for one in result.replayed:
        series = _by_fortnight(one)
        (line,) = axes.plot(series.index, series.to_numpy(), label=one.contender.text, lw=1.6)
        marked = [e.at for e in one.timeline if e.event == "promoted"]
        if marked:
            at, colour = pd.DatetimeIndex(marked), line.get_color()
            heights = np.interp(at.astype("int64"), series.index.astype("int64"), series.to_numpy())
            axes.plot(at, heights, "v", ms=5, color=colour, alpha=0.8)
    document = result.document
    axes.set_ylabel(f"{document['metric']}, per 14 days")
    axes.set_title(
        f"{document['pipeline']}: {document['metric']} over time "
        f"({'lower' if document['lower_is_better'] else 'higher'} is better; "
        "triangles: a new model took charge)"
    )
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False)
    to.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(to, dpi=130)
    return to


def _by_fortnight(done: Replayed) -> pd.Series:
    """Average the scores of a timeline over 14 days, so that policies can be compared."""
    scores = pd.Series(
        [one.score for one in done.timeline],
        index=pd.DatetimeIndex([one.at for one in done.timeline]),
    )
    return scores.resample("14D").mean().dropna()
