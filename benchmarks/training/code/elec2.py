"""Half-hours of the New South Wales market, each with the prices that were known before it."""

import os
from datetime import datetime
from pathlib import Path

import pandas as pd

CLONE = Path(__file__).resolve().parents[3]
DATASETS = Path(os.environ.get("DRIFTWHEEL_DATASETS", CLONE.parent / "shared" / "data"))
DAY = 48  # half-hours


def rows(_since: datetime | None) -> pd.DataFrame:
    """Give all rows; `nswprice` of a row decides its label, so only earlier ones are features.

    Columns added, each known when the half-hour begins: ``price_before``, the price of the
    half-hour before; ``price_day``, the mean of the 48 before, above which a price is UP;
    ``price_gap``, the first less the second; ``price_rise``, the change over the last half-hour
    that is over; ``price_yesterday`` and ``price_week_ago``; ``gap_yesterday``, the price of
    yesterday less ``price_day``; ``demand_rise``, the change of demand, which is a feature itself.
    The rows of a day that stands twice see what lies before them in time, not in the file.
    """
    given = pd.read_csv(DATASETS / "elec2" / "elec2.csv.gz", parse_dates=["timestamp"])
    market = given.drop_duplicates("timestamp").set_index("timestamp").sort_index()
    price = market["nswprice"]
    before, yesterday = price.shift(1), price.shift(DAY)
    day = before.rolling(DAY, min_periods=DAY).mean()
    made = pd.DataFrame(
        {
            "weekday": pd.DatetimeIndex(market.index).dayofweek,
            "price_before": before,
            "price_day": day,
            "price_gap": before - day,
            "price_rise": before.diff(),
            "price_yesterday": yesterday,
            "price_week_ago": price.shift(7 * DAY),
            "gap_yesterday": yesterday - day,
            "demand_rise": market["nswdemand"].diff(),
        },
        index=market.index,
    )
    return given.drop(columns=["nswprice", "day"]).merge(
        made, left_on="timestamp", right_index=True, validate="many_to_one"
    )
