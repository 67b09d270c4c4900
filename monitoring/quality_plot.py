"""A picture of quality over time, above the curve that says how soon it can be known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.maturity import MaturityCurve
from monitoring.maturity_plot import put_curve
from monitoring.quality import WindowQuality


def draw_quality(
    windows: Sequence[WindowQuality],
    curve: MaturityCurve | None,
    to: Path,
    *,
    metric: str,
    title: str,
) -> Path:
    """Draw the score of each window with its interval, the naive baseline, and the waits.

    Parameters
    ----------
    windows : sequence of WindowQuality
        Oldest first; those without a number leave a gap.
    curve : MaturityCurve or None
        None leaves the lower picture out.
    to : Path
        The file to write, as PNG; its folder is made. The same numbers give the same bytes.
    metric, title : str

    Returns
    -------
    Path
        The file.

    """
    # Heavy, and wanted by few who import monitoring; Figure alone needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5 if curve is None else 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    parts = figure.subplots(1 if curve is None else 2, squeeze=False)[:, 0]
    _put_scores(parts[0], windows, metric, title)
    if curve is not None:
        put_curve(parts[1], curve)
    to.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(to, format="png", dpi=120, metadata={"Software": None})
    return to


def _put_scores(axes: Any, windows: Sequence[WindowQuality], metric: str, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_ylabel(metric)
    axes.set_xlabel("end of the window")
    ends = [one.window.end.to_pydatetime() for one in windows]
    nothing = float("nan")
    scores = [nothing if one.score is None else one.score for one in windows]
    naive = [nothing if one.naive is None else one.naive for one in windows]
    low, high = ([(one.interval or (nothing, nothing))[end] for one in windows] for end in (0, 1))
    axes.fill_between(ends, low, high, alpha=0.2, linewidth=0)
    axes.plot(ends, scores, marker=".", label="live, with its 95 % interval")
    axes.plot(ends, naive, linestyle="--", color="grey", label="naive baseline")
    corrected = [one for one in windows if one.seen.state == "corrected" and one.score is not None]
    if corrected:
        axes.plot(
            [one.window.end.to_pydatetime() for one in corrected],
            [one.score for one in corrected],
            linestyle="none",
            marker="o",
            fillstyle="none",
            color="black",
            label="corrected for labels to come",
        )
    if windows:
        axes.legend(fontsize=8)
        axes.tick_params(axis="x", labelrotation=20, labelsize=8)
