"""The development sets as pipelines, what others reached on the same rows, and the goals."""

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from components.pipelines import Pipeline
from components.pipelines.reading import read_pipeline

HERE = Path(__file__).parent
CLONE = HERE.parents[1]
DATASETS = Path(os.environ.get("DRIFTWHEEL_DATASETS", CLONE.parent / "shared" / "data"))


@dataclass(frozen=True)
class DataSet:
    """One development set.

    Attributes
    ----------
    rows : int
        Rows that the published baselines were scored on: all labelled ones after the first
        training window.
    metrics : tuple of str
        The first is that of the goal.
    every : timedelta
        Between two trainings, unless all is asked for: then a week.
    published : dict of str to float
        By others' names: what was measured once on the same rows with the same label times, and
        is only compared with here. ``scikit`` is the best of scikit-learn's histogram boosting
        refitted by calendar, over windows and periods, without history features;
        ``scikit_history`` the same with lagged labels and prices; ``persistence`` the better of
        the last label and that of a season ago; ``arf`` is River's adaptive random forest.
    """

    name: str
    file: str
    rows: int
    metrics: tuple[str, ...]
    goal: float
    published: dict[str, float]
    every: timedelta = timedelta(days=7)

    @property
    def pipeline(self) -> Pipeline:
        """Read the pipeline file of the benchmark."""
        return read_pipeline(HERE / "pipelines" / f"{self.name}.yaml")

    @property
    def there(self) -> bool:
        """Whether the data are."""
        return (DATASETS / self.name / self.file).exists()


SETS = {
    one.name: one
    for one in (
        DataSet(
            name="bikeshare",
            file="bikeshare.csv.gz",
            rows=15_312,
            metrics=("mae", "rmse"),
            goal=33.0,
            published={
                "scikit": 35.80,
                "scikit_history": 37.61,
                "persistence": 55.31,
                "arf": 74.55,
            },
        ),
        DataSet(
            name="elec2",
            file="elec2.csv.gz",
            rows=40_944,
            metrics=("accuracy", "roc_auc", "log_loss"),
            goal=0.895,
            published={
                "scikit": 0.747,
                "scikit_history": 0.893,
                "persistence": 0.855,
                "arf": 0.810,
                "arf_history": 0.873,
            },
        ),
        DataSet(
            name="flights",
            file="flights.parquet",
            rows=301_078,
            metrics=("roc_auc", "accuracy", "log_loss"),
            goal=0.76,
            published={"scikit": 0.741, "arf": 0.655},
            every=timedelta(days=28),
        ),
    )
}
