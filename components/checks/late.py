"""Lines about rows that came later than their source is allowed to be."""

import pandas as pd

from components.checks.claims import as_source
from components.checks.labels import as_label_source
from components.checks.lines import quarantine_lines
from components.checks.rules import Broken, in_time
from components.pipelines import Labels, Pipeline
from components.pipelines.data import Source


def late_lines(rows: pd.DataFrame, pipeline: Pipeline, source: Source) -> pd.DataFrame:
    """Write down rows that came too late.

    Parameters
    ----------
    rows : DataFrame
        Parsed; of the records, or of the labels where `source` is their table.
    pipeline : Pipeline
    source : Source
        With a lateness.

    """
    if source.lateness is None:
        return quarantine_lines(rows, rows, [], pipeline)
    own = isinstance(source, Labels)
    raw = as_label_source(rows, pipeline) if own else as_source(rows, pipeline)
    column = source.time if isinstance(source, Labels) else pipeline.updated or pipeline.time
    everything = pd.Series(data=True, index=rows.index, dtype=bool).to_numpy()
    broken = [Broken(column, in_time(source.lateness), everything)]
    return quarantine_lines(raw, rows, broken, pipeline, source=source.shown)
