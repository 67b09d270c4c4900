"""What `init` notices: how things are written, what is no feature, what a person should know."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest


def test_columns_that_cannot_be_learnt_from_are_left_out_with_the_reason(
    init: Any, rides: Any, home: Path
) -> None:
    rows = rides(60)
    rows["nothing"] = None
    rows["same"] = "x"
    rows["note"] = [f"the rider number {n} said that all went well today" for n in rows["ride"]]
    rows["bill"] = [f"B{n}" for n in rows["ride"]]
    rows["fee"] = [f"${1000 + n * 7919 % 977:,}.50" for n in rows["ride"]]
    rows["paid_at"] = rows["at"] + pd.Timedelta(hours=9)
    rows["day"] = rows["at"].dt.strftime("%d.%m.%Y")
    rows["doubled"] = rows["count"] ** 3
    rows["label"] = rows["heat"]
    rows["Heat"] = rows["heat"]
    rows.to_csv(home / "rides.csv", index=False)
    said = init("rides", home / "rides.csv")
    assert said.json["features"] == ["hour", "heat", "sky"]
    assert said.left_out("nothing") == "holds no value"
    assert said.left_out("same") == "is always 'x'"
    assert said.left_out("note") == "is free text"
    assert said.left_out("bill").startswith("names things")
    assert said.left_out("fee").startswith("is a number written with signs, such as '$1")
    assert "later than at" in said.left_out("paid_at")
    assert "is a time" in said.left_out("day")
    assert "alone determines the target" in said.left_out("doubled")
    assert "name of a key" in said.left_out("label")
    assert "in case only" in said.left_out("Heat")


def test_a_column_can_be_kept_though_it_tells_the_target(
    init: Any, rides: Any, rides_file: Any
) -> None:
    file = rides_file(close=rides(40)["count"] * 2)
    assert "close" not in init("one", file).json["features"]
    assert "close" in init("two", file, "--keep", "close").json["features"]


def test_labels_in_place_may_be_missing_and_rows_may_be_updated(
    init: Any, rides: Any, rides_file: Any, written: Any
) -> None:
    rows = rides(40)
    file = rides_file(
        changed=rows["at"] + pd.Timedelta(hours=30),
        count=rows["count"].where(rows.index < 300),
    )
    said = init("rides", file, "--updated", "changed", label_delay=None, label_time="changed")
    assert "20 rows (6.2%) have no label" in said.noticed("have no label")
    assert written("rides").updated == "changed"


def test_words_for_nothing_are_missing_numbers_and_set_no_row_aside(
    init: Any, rides: Any, home: Path, written: Any, ingest_from: Any
) -> None:
    rows = rides()
    rows["heat"] = np.where(rows.index % 5 == 0, "N/A", rows["heat"].astype(str))
    rows.to_csv(home / "rides.csv", index=False)
    said = init("rides", home / "rides.csv")
    assert "heat 20%" in said.noticed("missing values")
    assert written("rides").columns["heat"].nulls
    assert ingest_from(said).quarantined == 0


# --- how numbers and days are written -------------------------------------------------------------


def test_decimal_commas_and_days_first_are_read_as_they_are_meant(
    init: Any, rides: Any, home: Path, written: Any, ingest_from: Any
) -> None:
    rows = rides(40)
    rows["heat"] = [f"{value:,.2f}".translate(str.maketrans(",.", ".,")) for value in rows["heat"]]
    rows["toll"] = [f"{value:.3f}".replace(".", ",") for value in np.arange(len(rows)) % 7 / 8]
    rows["at"] = rows["at"].dt.strftime("%d.%m.%Y %H:%M")
    rows.to_csv(home / "rides.csv", sep=";", index=False)
    said = init("rides", home / "rides.csv")
    source = written("rides").source
    assert (source.decimal_comma, source.day_first) == (("heat", "toll"), ("at",))
    assert {"heat", "toll"} <= set(said.json["features"])
    assert any("decimal comma" in line for line in said.json["assumed"])
    assert (said.json["from"], said.json["to"]) == (
        "2024-01-01T00:00:00+00:00", "2024-02-09T21:00:00+00:00",
    )  # fmt: skip
    done = ingest_from(said)
    assert (done.records, done.quarantined) == (320, 0)


def test_months_first_with_half_days_are_read_too(
    init: Any, rides: Any, rides_file: Any, written: Any
) -> None:
    said = init("rides", rides_file(at=rides(40)["at"].dt.strftime("%m/%d/%Y %I:%M %p")))
    assert written("rides").source.month_first == ("at",)
    assert said.json["to"] == "2024-02-09T21:00:00+00:00"


def test_days_that_do_not_tell_which_number_is_the_day_have_to_be_told(
    init: Any, rides: Any, rides_file: Any, written: Any
) -> None:
    days = pd.date_range("2024-01-01", "2024-01-12", periods=320).strftime("%d/%m/%Y %H:%M")
    file = rides_file(at=days)
    said = init("rides", file)
    assert (said.code, "--dates day-first" in said.words) == (2, True)
    assert init("rides", file, "--dates", "day-first").code == 0
    assert written("rides").source.day_first == ("at",)
    wrong = rides_file(at=rides(40)["at"].dt.strftime("%m/%d/%Y %H:%M"))
    said = init("trips", wrong, "--dates", "day-first")
    assert (said.code, "month above 12" in said.words) == (2, True)


def test_times_that_count_thousandths_of_seconds_are_told(
    init: Any, rides: Any, rides_file: Any
) -> None:
    since = (rides(40)["at"] - pd.Timestamp("1970-01-01")) // pd.Timedelta("1ms")
    said = init("rides", rides_file(at=since))
    assert any("counts milliseconds since 1970" in line for line in said.json["assumed"])


# --- ids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [3, 300])
def test_ids_that_come_again_are_refused_or_counted(
    share: int, init: Any, rides: Any, rides_file: Any
) -> None:
    ride = rides(40)["ride"].where(lambda r: r.index % share != 1, 999)
    said = init("rides", rides_file(ride=ride), "--id", "ride")
    if share == 3:
        assert said.code == 2
        assert "106 repeat the id of an earlier one" in said.words
        assert "--updated COL" in said.words
    else:
        assert "1 rows have the id of an earlier row" in said.noticed("id of an earlier")
