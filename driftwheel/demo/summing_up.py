"""What the loop was worth: its error beside that of the first model, left alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.metrics import metric_value
from components.pipelines import Pipeline
from components.records import EVENT_TIME, LABEL, RECORD_ID
from flows.steps.reading_back import read_back
from flows.steps.rivals import naive_now, open_package
from flows.steps.snapshots import join_labels, labels_known, predictions_made, records_known

if TYPE_CHECKING:
    from components.stores.ledger import Decision
    from flows.steps.home import Home


@dataclass(frozen=True, slots=True)
class Worth:
    """Errors on the same rows, in the pipeline's metric; and what happened."""

    metric: str
    rows: int
    frozen: float
    loop: float
    naive: float
    decisions: "tuple[Decision, ...]"
    data_faults: int = 0

    def count(self, what: str) -> int:
        """Count the retrainings, after the first training, that came to `what`."""
        return sum(decision.what == what and not decision.first for decision in self.decisions)

    @property
    def retrainings(self) -> "tuple[Decision, ...]":
        """The retrainings after the first training, oldest first."""
        return tuple(d for d in self.decisions if d.request_id and not d.first)

    def as_dict(self) -> dict[str, Any]:
        """Lay it out for ``--json``."""
        return {
            "metric": self.metric,
            "rows": self.rows,
            "error_frozen": self.frozen,
            "error_loop": self.loop,
            "error_naive": self.naive,
            "retrainings": len(self.retrainings),
            "promotions": self.count("promoted"),
            "refusals": self.count("refused"),
            "waits": self.count("wait"),
            "failures": self.count("failed"),
            "data_faults": self.data_faults,
            "by_reconcile": sum(decision.by_reconcile for decision in self.retrainings),
        }


def sum_up(home: "Home", pipeline: Pipeline, *, start: pd.Timestamp, end: pd.Timestamp) -> Worth:
    """Score what was logged between two moments, and the first model on the same rows."""
    rows = join_labels(
        records_known(home.lake, pipeline, as_of=end, since=start),
        labels_known(home.lake, pipeline, as_of=end, since=start),
    )
    made = predictions_made(home.lake, pipeline, as_of=end, since=start, until=end)
    rows = rows[rows[RECORD_ID].isin(made[RECORD_ID])].reset_index(drop=True)
    made = made.set_index(RECORD_ID).loc[rows[RECORD_ID]].reset_index()
    labels = labels_known(home.lake, pipeline, as_of=end)
    metric, truth = pipeline.resolved_metric, rows[LABEL]
    said, answers = read_back(home, pipeline, made.assign(**{LABEL: truth}))
    first = home.ledger.promotions(pipeline.name)
    naive = frozen = naive_now(pipeline, rows[[EVENT_TIME]], labels, as_of=start)
    if first:
        package = open_package(home, pipeline, digest=first[0].digest, uri=first[0].package_uri)
        frozen = package.predict(rows[list(pipeline.inputs)])
    return Worth(
        metric=metric,
        rows=len(rows),
        frozen=metric_value(metric, truth, frozen, quantile=pipeline.quantile),
        loop=metric_value(metric, said[LABEL], answers, quantile=pipeline.quantile),
        naive=metric_value(metric, truth, naive, quantile=pipeline.quantile),
        decisions=tuple(d for d in home.ledger.decisions(pipeline.name) if start <= d.as_of <= end),
        data_faults=sum(one.found_as_of <= end for one in home.ledger.faults(pipeline.name)),
    )
