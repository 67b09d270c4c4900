"""What a training waits for: rows to judge on, or rows to learn from; how many are lacking."""

from dataclasses import replace

import pandas as pd

from components.pipelines import Pipeline
from components.recipes import LEAST_ROWS
from flows.steps import training
from flows.steps.rivals import Rival
from monitoring.gate import GateDecision


def must_wait(prepared: training.Prepared, pipeline: Pipeline, rival: Rival) -> GateDecision | None:
    """Say that nothing can be fitted or judged yet, and how many rows are still needed.

    Returns
    -------
    GateDecision or None
        A ``wait``; None when there is enough to learn from and to judge on.

    """
    split = prepared.split
    held, learnt, least = len(split.holdout), len(split.train), pipeline.holdout.least_rows
    cut = f"{pd.Timestamp(split.cut):%Y-%m-%d}"
    judged_now = pipeline.gate.mode == "holdout"
    if judged_now and held < least:
        decision = training.gate(None, prepared, pipeline, rival)
        unseen = f" that version {rival.version} has not learnt from" if rival.model else ""
        words = f"{decision.reason} of events from {cut} on{unseen}; {least - held} more are needed"
        return replace(decision, reason=words)
    if learnt < LEAST_ROWS:
        decision = training.gate(None, prepared, pipeline, rival)
        kept = f"the {held} newer ones are kept to judge on (holdout of {pipeline.file.name})"
        words = (
            f"needs at least {LEAST_ROWS} labelled rows to learn from, {learnt} were known by "
            f"{cut}{f'; {kept}' if judged_now else ''}"
        )
        return replace(decision, outcome="wait", reason=words)
    return None
