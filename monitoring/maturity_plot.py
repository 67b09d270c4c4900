"""A picture of how soon labels are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.maturity import FAIR_SHARE, MaturityCurve, describe, short_age

_MOST_STEPS = 2_000


def draw_maturity(curve: MaturityCurve, to: Path) -> Path:
    """Draw a maturity curve as a PNG: the share of labels known by age.

    The age is drawn until a tenth beyond the fair one; what comes later than that is told by
    the title.

    Parameters
    ----------
    curve : MaturityCurve
        One without any label is drawn as an empty page that says so.
    to : Path
        The file to write; its folder must exist.

    Returns
    -------
    Path
        The file.

    """
    # Heavy, and wanted by few who import monitoring; Figure alone needs no display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    put_curve(figure.add_subplot(), curve)
    figure.savefig(to, format="png", dpi=120)
    return to


def put_curve(axes: Any, curve: MaturityCurve) -> None:
    """Draw a maturity curve into axes of matplotlib; see :func:`draw_maturity`."""
    axes.set_title(describe(curve), fontsize=10)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share of records with a known label")
    fair = curve.age_of(FAIR_SHARE)
    if fair is not None:
        size, unit = _unit(fair)
        # A step function of a million ages is a picture of two thousand.
        taken = np.unique(np.linspace(0, len(curve.ages) - 1, _MOST_STEPS).astype(int))
        ages = curve.ages[taken] / (pd.Timedelta(size) / pd.Timedelta(microseconds=1))
        # What is known at the last age is known from then on.
        end = 2 * max(float(ages[-1]), 1e-3)
        axes.step([0, *ages, end], [0, *curve.shares[taken], curve.plateau], where="post")
        axes.axhline(curve.plateau, linestyle=":", color="grey")
        axes.axvline(fair / pd.Timedelta(size), linestyle="--", color="grey")
        axes.annotate(f"fair: {short_age(fair)}", (fair / pd.Timedelta(size), 0.05))
        axes.set_xlim(0, max(1.1 * (fair / pd.Timedelta(size)), 1e-3))
        axes.set_xlabel(f"age in {unit}")


def _unit(age: pd.Timedelta) -> tuple[str, str]:
    for size, unit in (("2D", "days"), ("2h", "hours"), ("2min", "minutes")):
        if age >= pd.Timedelta(size):
            return f"1{size[1:]}", unit
    return "1s", "seconds"
