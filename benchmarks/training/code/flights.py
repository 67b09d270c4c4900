"""Departures from New York, each as it is known one hour before it is scheduled."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

CLONE = Path(__file__).resolve().parents[3]
DATASETS = Path(os.environ.get("DRIFTWHEEL_DATASETS", CLONE.parent / "shared" / "data"))
AHEAD = timedelta(hours=1)


def rows(_since: datetime | None) -> pd.DataFrame:
    """Give all rows; their features use nothing later than ``predicted_at``.

    A flight that was cancelled or diverted never gets a label.
    """
    given = pd.read_parquet(DATASETS / "flights" / "flights.parquet")
    given["predicted_at"] = given["event_time"] - AHEAD
    given["route"] = given["origin"].astype(str) + "-" + given["dest"].astype(str)
    given["service"] = given["carrier"].astype(str) + given["flight"].astype(str)
    given["hour"] = (given["dep_minute_of_day"] // 60).astype(str)
    return given.drop(columns=["event_time", "arr_delay_min", "flight"])
