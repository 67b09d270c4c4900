"""Prequential quality: every row predicted once, by what was in charge, then learnt from.

The product replays its calendars as ``backtest`` does: recipes searched before the first
training, data faults looked for, labels late as they really are. Rivals see the same rows.
"""

import time
from datetime import timedelta

import pandas as pd

from benchmarks.training import rivals
from benchmarks.training.sets import DataSet
from components.answers import Answers
from components.metrics import metric_value
from components.pipelines import Pipeline
from components.pipelines.durations import write_duration
from components.records import LABEL
from driftwheel.backtesting import backtest, read_past, stretch_of
from driftwheel.recommending import in_order
from flows.steps.replay_score import score_with_interval

WEEKLY = timedelta(days=7)


def measure(data: DataSet, *, full: bool) -> dict[str, float | str]:
    """Replay calendars and the rivals on one set.

    ``calendar`` and ``gated`` fit what the product found before its first training; ``house`` is
    the same calendar with nothing searched: LightGBM, settings of the house, every feature.

    Returns
    -------
    dict
        Flat: ``SET_CONTENDER_METRIC``; rows scored, and those that the published figures are
        of; fits; seconds of processor time.

    """
    name, every = data.name, WEEKLY if full else data.every
    calendar = f"periodic:{write_duration(every)}"
    found: dict[str, float | str] = {
        f"{name}_every_days": every.days,
        f"{name}_goal_{data.metrics[0]}": data.goal,
        f"{name}_rows_published": data.rows,
    }
    found |= _of_product(data, data.pipeline, {"calendar": calendar, "gated": f"{calendar}+gate"})
    found |= _of_product(data, _unsearched(data.pipeline), {"house": calendar})
    found |= _of_rivals(data, every)
    for rival, figure in data.published.items():
        found[f"{name}_published_{rival}_{data.metrics[0]}"] = figure
    return found


def _unsearched(pipeline: Pipeline) -> Pipeline:
    search = pipeline.search.model_copy(update={"trials": 1})
    return pipeline.model_copy(update={"candidates": ("lightgbm",), "search": search})


def _of_product(
    data: DataSet, pipeline: Pipeline, policies: dict[str, str]
) -> dict[str, float | str]:
    """Replay policies, each under the name it is told by."""
    began = time.process_time()
    done = backtest(pipeline, tuple(policies.values()))
    first = f"{data.name}_{next(iter(policies))}"
    found: dict[str, float | str] = {f"{first}_recipe": str(done.document["recipe"])}
    for label, replayed in zip(policies, done.replayed, strict=True):
        rows, answers = in_order(replayed)
        said, name = done.document["policies"][replayed.contender.text], f"{data.name}_{label}"
        found |= _scores(name, data, rows, answers)
        found |= _interval(f"{name}_{data.metrics[0]}", data, rows, answers)
        found |= {
            f"{name}_rows": len(rows),
            f"{name}_fits": replayed.fits,
            f"{name}_promotions": replayed.promotions,
            f"{name}_rows_by_naive": said["rows_by_naive"],
            f"{name}_data_faults": replayed.data_faults,
        }
    return {**found, f"{first}_cpu_s": time.process_time() - began}


def _of_rivals(data: DataSet, every: timedelta) -> dict[str, float]:
    pipeline = data.pipeline
    past = read_past(pipeline)
    start = stretch_of(past, pipeline, start=None, end=None).start
    began = time.process_time()
    rows, answers = rivals.scikit(past, pipeline, start, every)
    found = {f"{data.name}_scikit_cpu_s": time.process_time() - began}
    found |= _scores(f"{data.name}_scikit", data, rows, answers)
    found[f"{data.name}_scikit_rows"] = len(rows)
    for kind, (asked, given) in rivals.persistence(past, pipeline, start).items():
        found |= _scores(f"{data.name}_{kind}", data, asked, given)
    return found


def _scores(prefix: str, data: DataSet, rows: pd.DataFrame, answers: Answers) -> dict[str, float]:
    truth = rows[LABEL].reset_index(drop=True)
    return {f"{prefix}_{metric}": metric_value(metric, truth, answers) for metric in data.metrics}


def _interval(prefix: str, data: DataSet, rows: pd.DataFrame, answers: Answers) -> dict[str, float]:
    """Bound the metric of the goal, as ``backtest`` bounds the one that the pipeline names."""
    asked = data.pipeline.model_copy(update={"metric": data.metrics[0]})
    _, (low, high) = score_with_interval(rows, answers, asked)
    return {f"{prefix}_low": low, f"{prefix}_high": high}
