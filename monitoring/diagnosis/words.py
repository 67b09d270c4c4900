"""Numbers, times and shares as the evidence writes them."""

import numpy as np
import pandas as pd


def number_in_words(value: object) -> str:
    """Write a value of a column: a number in at most six digits, text in quotes."""
    if isinstance(value, (float, int, np.floating, np.integer)):
        return f"{float(value) + 0.0:.6g}"  # minus zero is zero
    text = str(value)
    return repr(text if len(text) <= 40 else f"{text[:40]}…")  # noqa: PLR2004 - fits a line


def moment_in_words(micros: int) -> str:
    """Write a time without what is zero in it."""
    moment = pd.Timestamp(micros, unit="us")
    return f"{moment:%Y-%m-%d}" if moment == moment.normalize() else f"{moment:%Y-%m-%d %H:%M}"


def stretch_in_words(since: int, until: int) -> str:
    """Write a stretch of time, both ends in it."""
    return f"{moment_in_words(since)} to {moment_in_words(until)}"


def share_in_words(share: float) -> str:
    """Write a share of rows: whole percents, more digits only below one."""
    return f"{share:.0%}" if share >= 0.01 or share == 0 else f"{share:.2%}"  # noqa: PLR2004
