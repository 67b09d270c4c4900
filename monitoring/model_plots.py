"""Pictures of one model: what its evaluation found, for MLflow and the model card.

Each function writes one PNG and gives its path; the same numbers give the same bytes. Without
anything to draw the picture says so.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.answers import Answers
from components.evaluation.calibration import Reliability
from components.evaluation.importance import Importance
from components.evaluation.learning_curve import LearningCurve
from components.evaluation.measures import inside
from components.evaluation.slices import SliceLoss
from components.intervals import Interval

BLUE, ORANGE, GREY = "#1f6fb2", "#d1661c", "#8a8a8a"
"""Told apart also by those who do not see red and green."""

_MOST_BARS, _MOST_POINTS, _LONGEST = 20, 2_000, 58


def draw_reliability(found: Reliability, to: Path, *, title: str) -> Path:
    """Draw how often what was said came, bin by bin, above how many rows each bin holds."""

    def put(figure: Any) -> None:
        upper, lower = figure.subplots(2, sharex=True, height_ratios=[4, 1])
        upper.plot([0, 1], [0, 1], linestyle="--", color=GREY, label="as said")
        reach = np.abs([found.came - found.low, found.high - found.came])
        upper.errorbar(
            found.said,
            found.came,
            yerr=reach,
            color=BLUE,
            marker="o",
            markersize=4,
            capsize=2,
            label="what came, with 95 %",
        )
        upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that came true")
        upper.set_title(f"{title}\nexpected calibration error {found.error:.3f}", fontsize=10)
        upper.legend(fontsize=8, loc="upper left")
        lower.vlines(found.said, 0, found.rows, color=BLUE, linewidth=4)
        lower.set(ylim=(0, None), xlabel="probability said", ylabel="rows")

    return _draw(put if len(found.rows) else None, to, title, size=(6, 6.5))


def draw_learning_curve(curve: LearningCurve, to: Path, *, title: str, loss: str) -> Path:
    """Draw the loss on rows learnt from and on later rows, by how many were learnt from."""
    done = [step for step in curve.steps if step.train_loss is not None]

    def put(figure: Any) -> None:
        axes = figure.add_subplot()
        rows = [step.rows for step in done]
        later = [np.nan if step.later_loss is None else step.later_loss for step in done]
        axes.plot(rows, later, marker="o", color=BLUE, label="later rows")
        train = [step.train_loss for step in done]
        axes.plot(rows, train, marker="s", linestyle="--", color=ORANGE, label="rows learnt from")
        axes.set_xscale("log", base=2)
        axes.set_xticks(rows, [f"{count:,}" for count in rows])
        axes.minorticks_off()
        axes.set(xlabel="newest rows learnt from", ylabel=loss)
        axes.set_ylim(bottom=0)
        axes.set_title(f"{title}\n{_wrapped(str(curve))}", fontsize=9)
        axes.legend(fontsize=8)

    return _draw(put if done else None, to, title, size=(7.5, 4.8))


def draw_importance(found: Sequence[Importance], to: Path, *, title: str, loss: str) -> Path:
    """Draw what shuffling each column costs, the dearest on top."""
    shown = list(found[:_MOST_BARS])[::-1]

    def put(figure: Any) -> None:
        axes = figure.add_subplot()
        places = range(len(shown))
        rises = np.array([one.rise for one in shown])
        reach = np.abs([[one.rise - one.low, one.high - one.rise] for one in shown]).T
        axes.barh(places, rises, xerr=reach, color=BLUE, ecolor="black", capsize=2, height=0.7)
        axes.set_yticks(places, [_short(one.column) for one in shown], fontsize=8)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_xlabel(f"rise of {loss} once the column is shuffled (95 % over shuffles)")
        left_out = len(found) - len(shown)
        more = f"\n{left_out} less important columns are not shown" if left_out else ""
        axes.set_title(f"{title}{more}", fontsize=10)

    return _draw(put if shown else None, to, title, size=(7.5, 1.4 + 0.28 * max(len(shown), 4)))


def draw_error_over_time(
    parts: Sequence[tuple[pd.Timestamp, Interval]],
    to: Path,
    *,
    title: str,
    loss: str,
    cut: pd.Timestamp | None = None,
) -> Path:
    """Draw the mean loss of each stretch of time with its interval.

    Parameters
    ----------
    parts : sequence of (Timestamp, Interval)
        Middle of each stretch (event time) and its mean loss, oldest first; infinite bounds are
        not drawn.
    to, title, loss
    cut : Timestamp, optional
        Where the rows end that the model was fitted on; drawn as a line.

    """

    def put(figure: Any) -> None:
        axes = figure.add_subplot()
        times = [moment.to_pydatetime() for moment, _ in parts]
        low, high = (
            [bound if np.isfinite(bound) else np.nan for bound in bounds]
            for bounds in zip(*((one.low, one.high) for _, one in parts), strict=True)
        )
        if np.isfinite(low).any():
            axes.fill_between(
                times, low, high, color=BLUE, alpha=0.2, linewidth=0, label="interval"
            )
        axes.plot(times, [one.mean for _, one in parts], color=BLUE, marker=".", label=loss)
        if cut is not None:
            axes.axvline(cut.to_pydatetime(), linestyle="--", color=GREY, label="fitted until")
        axes.set_ylim(bottom=0)
        axes.set_ylabel(loss)
        axes.set_title(title, fontsize=10)
        axes.tick_params(axis="x", labelrotation=20, labelsize=8)
        axes.legend(fontsize=8)

    return _draw(put if parts else None, to, title, size=(9, 4))


def draw_slices(
    found: Sequence[SliceLoss], overall: Interval, to: Path, *, title: str, loss: str
) -> Path:
    """Draw the loss of each slice with its interval beside that of all rows (a forest plot)."""
    shown = list(found[:_MOST_BARS])[::-1]

    def put(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.axvline(overall.mean, linestyle="--", color=GREY, label="all rows")
        for sure, color, label in ((False, BLUE, "slice"), (True, ORANGE, "surely worse")):
            mine = [(place, one) for place, one in enumerate(shown) if (one.chance <= 0.05) == sure]  # noqa: PLR2004
            if mine:
                means = [one.loss.mean for _, one in mine]
                axes.errorbar(
                    means,
                    [place for place, _ in mine],
                    xerr=np.array([_reach(one.loss) for _, one in mine]).T,
                    linestyle="none",
                    marker="o",
                    color=color,
                    capsize=2,
                    label=label,
                )
        words = [f"{_short(one.name)}  ({one.rows:,} rows)" for one in shown]
        axes.set_yticks(range(len(shown)), words, fontsize=8)
        axes.set_ylim(-0.7, len(shown) - 0.3)
        axes.set_xlabel(f"{loss} (each bound wrong 1 time in 40; worse: Holm's p up to 0.05)")
        axes.set_title(title, fontsize=10)
        axes.legend(fontsize=8)

    return _draw(put if shown else None, to, title, size=(9, 1.6 + 0.32 * max(len(shown), 4)))


def draw_intervals(
    truth: pd.Series, answers: Answers, to: Path, *, title: str, coverage: float
) -> Path:
    """Draw how far truths lie from predicted numbers, within the reach of their intervals.

    Parameters
    ----------
    truth : Series of shape (n_rows,)
    answers : Answers of shape (n_rows,)
        Numbers with intervals; rows without a finite one are left out.
    to, title
    coverage : float
        The share that was asked for.

    """
    bounds = answers.intervals
    usable = np.zeros(0, bool) if bounds is None else np.asarray(np.isfinite(bounds).all(axis=1))

    def put(figure: Any) -> None:
        kept = answers.take(usable)
        within = inside(truth[usable], kept)
        values = kept.values.astype(float)
        missed = truth[usable].to_numpy(dtype=float) - values
        axes = figure.add_subplot()
        # Every nth of the rows in order of prediction stands for its neighbours.
        order = np.argsort(values, kind="stable")
        some = order[np.linspace(0, len(order) - 1, min(len(order), _MOST_POINTS)).astype(int)]
        assert kept.intervals is not None  # noqa: S101 - told to mypy; usable has rows
        low, high = kept.intervals[order].T - values[order]
        axes.fill_between(values[order], low, high, color=BLUE, alpha=0.2, linewidth=0, step="mid")
        for mark, color, label in ((within, BLUE, "inside"), (~within, ORANGE, "outside")):
            mine = some[mark[some]]
            axes.plot(
                values[mine], missed[mine], ".", color=color, markersize=3, alpha=0.6, label=label
            )
        axes.axhline(0, color="black", linewidth=0.8)
        said = f"{100 * within.mean():.1f} % of {len(within):,} truths lie inside"
        axes.set_title(f"{title}\n{said}, {100 * coverage:g} % were asked for", fontsize=10)
        axes.set(xlabel="predicted", ylabel="truth less predicted")
        axes.legend(fontsize=8, markerscale=3)

    return _draw(put if usable.any() else None, to, title, size=(7.5, 4.8))


def _draw(
    put: Callable[[Any], None] | None, to: Path, title: str, *, size: tuple[float, float]
) -> Path:
    """Write one figure; None draws nothing but the words that there is nothing."""
    # Heavy, and wanted by few who import monitoring; Figure alone needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size if put else (6, 2), layout="constrained")
    FigureCanvasAgg(figure)
    if put is None:
        figure.suptitle(title, fontsize=10)
        figure.text(0.5, 0.45, "nothing to draw", ha="center", color=GREY)
    else:
        put(figure)
    to.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(to, format="png", dpi=120, metadata={"Software": None})
    return to


def _reach(found: Interval) -> tuple[float, float]:
    """Give the arms of an interval; none where it is sure of nothing."""
    arms = found.mean - found.low, found.high - found.mean
    return arms if np.isfinite(arms).all() else (0.0, 0.0)


def _short(words: str) -> str:
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


def _wrapped(words: str) -> str:
    return words.replace("; ", "\n")
