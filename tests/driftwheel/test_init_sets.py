"""`init` on data sets of the world: what their descriptions warn of is found, and they train."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.sources import resolve
from driftwheel.backtesting import backtest
from flows.opening import open_home
from flows.settings import load_settings

pytestmark = pytest.mark.slow


def test_bikeshare_runs_as_written_and_its_parts_are_left_out(
    init: Any, home: Path, clone: Path, text_of: Any, train_from: Any
) -> None:
    shutil.copy(clone / "pipelines" / "data" / "bikeshare.csv.gz", home / "rides.csv.gz")
    said = init("bikes", home / "rides.csv.gz", "--exclude", "season", time="timestamp",
                label_delay="1d")  # fmt: skip
    assert said.json["task"] == "regression"
    assert "casual + registered" in said.left_out("casual")
    assert said.left_out("registered") == said.left_out("casual")
    assert said.left_out("season") == "--exclude"
    assert said.json["features"] == [
        "hour", "day_of_week", "holiday", "workingday", "weather", "temp_c", "feels_like_c",
        "humidity_pct", "windspeed_kmh",
    ]  # fmt: skip
    assert "165 moments without a row" in said.noticed("gaps")
    assert "2012-10-29" in said.noticed("gaps")
    assert "weather 7" in said.noticed("missing values")
    text = text_of("bikes")
    assert "path: ../rides.csv.gz" in text
    assert "hour: {kind: number, min: 0, max: 23, nulls: false}" in text
    pipeline = open_home(load_settings(home)).pipeline("bikes")
    pipeline = pipeline.model_copy(update={"windows": pipeline.windows[:1]})
    end = pd.Timestamp("2011-05-20", tz="UTC")
    result = backtest(resolve(pipeline), ["never"], end=end)
    assert result.document["from"].startswith("2011-04-02")
    assert result.document["policies"]["never"]["score"] < 65
    decision = train_from(said, "2011-07-01")
    assert decision.what == "promoted", decision.why


def test_elec2_gets_an_id_where_a_day_stands_twice(
    init: Any, tmp_path: Path, datasets: Path, text_of: Any, train_from: Any
) -> None:
    file = tmp_path / "elec2.csv"
    rows = pd.read_csv(datasets / "elec2" / "elec2.csv.gz", dtype=str).iloc[8_000:24_000]
    rows.to_csv(file, index=False)
    said = init("power", file, "--exclude", "nswprice", time="timestamp", target="up",
                label_delay="30min")  # fmt: skip
    assert said.json["task"] == "binary"
    assert "nswprice" not in said.json["features"]
    assert any("--id seq" in line for line in said.json["assumed"])
    assert "1997-05-04" in said.noticed("have the time of another")
    assert "9424 rows" in said.noticed("vicprice: stands still")
    assert "right in 8" in said.noticed("repeating the last known label")
    assert f"path: {file.resolve()}" in text_of("power")
    assert train_from(said, "1997-03-01").what in {"promoted", "refused", "wait"}


def test_flights_are_learnt_without_their_delay_and_with_their_wait(
    init: Any, home: Path, datasets: Path, train_from: Any
) -> None:
    rows = pd.read_parquet(datasets / "flights" / "flights.parquet").head(30_000)
    rows.to_parquet(home / "flights.parquet")
    said = init("flights", home / "flights.parquet", "--id", "flight_id", time="event_time",
                target="late", label_delay=None, label_time="label_time")  # fmt: skip
    assert "determines the target" in said.left_out("arr_delay_min")
    assert "half of the labels are known after 2.9 hours" in said.noticed("label delay")
    assert "no label" in said.noticed("no label")
    assert train_from(said).what in {"promoted", "refused", "wait"}
