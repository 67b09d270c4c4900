"""The three development sets as pipelines, the moments of injection, and the faults they hold."""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from components.pipelines import Pipeline
from components.pipelines.reading import read_pipeline
from components.sources import read_source

CLONE = Path(__file__).resolve().parents[2]
DATASETS = Path(os.environ.get("DRIFTWHEEL_DATASETS", CLONE.parent / "shared" / "data"))
_FLIGHTS = (
    "distance sched_block_min dep_minute_of_day day_of_week month origin_dep_delay_2h "
    "origin_departures_2h temp dewp humid wind_dir wind_speed wind_gust precip pressure visib "
    "plane_year plane_seats"
)


@dataclass(frozen=True)
class Known:
    """A stretch in which the data themselves are odd: not counted as clean."""

    since: str
    until: str
    reason: str


@dataclass(frozen=True)
class DataSet:
    """One development set.

    Attributes
    ----------
    numbers : tuple of str
        Columns of many values a day: what is nulled, frozen, swapped or rescaled is drawn here.
    words : tuple of str
        Categories of which several values occur every day.
    codes : tuple of str
        Numbers that are codes of the weekday.
    fahrenheit, celsius, speed : str
        The columns in these units; empty where there is none.
    moments : tuple of str
        Days of injection; the first, third, … were used to choose thresholds.
    known : tuple of Known
    days : int
        Days of injection taken by default: fewer where there are many rows.

    """

    name: str
    pipeline: Pipeline
    numbers: tuple[str, ...]
    words: tuple[str, ...]
    codes: tuple[str, ...]
    moments: tuple[str, ...]
    known: tuple[Known, ...]
    fahrenheit: str = ""
    celsius: str = ""
    speed: str = ""
    days: int = 6

    def raw(self) -> pd.DataFrame:
        """Read the whole set as its source gives it."""
        return read_source(self.pipeline)

    def odd(self, since: pd.Timestamp, until: pd.Timestamp) -> bool:
        """Say whether the data themselves are odd somewhere in a stretch."""
        stretches = (
            (pd.Timestamp(one.since, tz="UTC"), pd.Timestamp(one.until, tz="UTC"))
            for one in self.known
        )
        return any(since < end and until > begin for begin, end in stretches)


def _pipeline(name: str, given: dict[str, object]) -> Pipeline:
    return Pipeline.model_validate({"name": name, "file": CLONE / f"{name}.yaml", **given})


def bikeshare() -> DataSet:
    """Hourly rentals; ids are the hours."""
    return DataSet(
        name="bikeshare",
        pipeline=read_pipeline(CLONE / "pipelines" / "bikeshare.yaml"),
        numbers=("temp_c", "feels_like_c", "humidity_pct", "windspeed_kmh"),
        words=("weather",),
        codes=("day_of_week",),
        celsius="temp_c",
        speed="windspeed_kmh",
        moments=(
            "2011-04-13", "2011-06-22", "2011-10-19", "2012-02-08",
            "2012-04-25", "2012-06-13", "2012-08-29", "2012-11-28",
        ),
        known=(
            Known("2011-01-17", "2011-01-19", "snow: 12 hours absent"),
            Known("2011-01-26", "2011-01-28", "snow: 22 hours absent"),
            Known("2011-03-10", "2011-03-11", "humidity 0 all day"),
            Known("2011-08-27", "2011-08-29", "hurricane Irene: 13 hours absent"),
            Known("2011-09-06", "2011-09-08", "temp_c 17.38 in 26 hours in a row"),
            Known("2011-12-06", "2011-12-08", "humidity 100 in 27 hours in a row"),
            Known("2012-08-17", "2012-08-18", "feels_like_c 0 in all 24 hours of a summer day"),
            Known("2012-10-28", "2012-10-31", "hurricane Sandy: 36 hours absent"),
            Known("2012-12-29", "2012-12-30", "feels_like_c 0 in 24 hours in a row"),
        ),
    )  # fmt: skip


def elec2() -> DataSet:
    """Half-hourly market data, fair features and the published day code."""
    columns = ("day", "period", "nswdemand", "vicprice", "vicdemand", "transfer")
    return DataSet(
        name="elec2",
        pipeline=_pipeline(
            "elec2",
            {
                "source": {"path": str(DATASETS / "elec2" / "elec2.csv.gz")},
                "time": "timestamp", "id": "seq", "target": "up", "task": "binary",
                "label_delay": "30min", "columns": dict.fromkeys(columns, "number"),
            },
        ),
        numbers=("nswdemand", "vicprice", "vicdemand", "transfer"),
        words=(),
        codes=("day",),
        moments=(
            "1997-08-20", "1997-09-24", "1997-11-05", "1997-12-03",
            "1998-02-11", "1998-03-18", "1998-07-08", "1998-10-14",
        ),
        known=(
            Known("1997-05-04", "1997-06-30", "a day stands twice; day codes change meaning"),
        ),
    )  # fmt: skip


def flights() -> DataSet:
    """All departures from New York; labels have their own time."""
    words = ("carrier", "origin", "dest")
    return DataSet(
        name="flights",
        pipeline=_pipeline(
            "flights",
            {
                "source": {"path": str(DATASETS / "flights" / "flights.parquet")},
                "time": "event_time", "id": "flight_id", "target": "late", "task": "binary",
                "label_time": "label_time",
                "columns": {
                    **dict.fromkeys(words, "category"),
                    **dict.fromkeys(_FLIGHTS.split(), "number"),
                },
            },
        ),
        numbers=(
            "distance", "sched_block_min", "origin_dep_delay_2h", "origin_departures_2h", "temp",
            "dewp", "humid", "wind_speed", "pressure", "plane_year", "plane_seats",
        ),
        words=words,
        codes=("day_of_week",),
        fahrenheit="temp",
        speed="wind_speed",
        days=4,
        moments=(
            "2013-03-20", "2013-04-24", "2013-05-29", "2013-07-17",
            "2013-08-14", "2013-09-25", "2013-10-16", "2013-11-20",
        ),
        known=(
            Known("2013-02-08", "2013-02-11", "blizzard: airports closed for a day"),
            Known("2013-12-31", "2014-01-02", "the weather table ends a day early"),
        ),
    )  # fmt: skip


MAKERS = {"bikeshare": bikeshare, "elec2": elec2, "flights": flights}


def available() -> list[DataSet]:
    """List the sets whose file is there; says which is not."""
    found = []
    for make in MAKERS.values():
        one = make()
        if one.pipeline.source_path.exists():
            found.append(one)
        else:
            print(f"{one.name}: {one.pipeline.source_path} is absent, skipped")
    return found
