"""What `init` writes: a file that reads as it was meant, and that a person reads too."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from components.sources import deliver
from flows.settings import load_settings


def test_names_of_any_kind_survive_the_file(
    init: Any, home: Path, rides: Any, written: Any
) -> None:
    names = ["a: b", "yes", "007", 'it\'s "so"', "ünïcode ☃ 😀", "two\nlines", "- dash", "# no",
             " x", "select", "{x}", "null", "a;b,c"]  # fmt: skip
    rows = rides(40)
    for place, name in enumerate(names):
        rows[name] = np.random.default_rng(place).normal(size=len(rows))
    rows.to_parquet(home / "odd.parquet")
    said = init("odd", home / "odd.parquet", "--exclude", "yes")
    assert set(names) - {"yes"} <= set(said.json["features"])
    assert set(said.json["features"]) == set(written("odd").columns)
    assert written("odd").exclude[:1] == ("yes",)
    assert len(deliver(written("odd"), as_of=pd.Timestamp("2030-01-01", tz="UTC")).records) == 320


def test_the_file_says_everything_and_a_person_reads_it(
    init: Any, rides_file: Any, text_of: Any
) -> None:
    said = init("rides", rides_file(), json=False)
    assert said.code == 0
    for title in ("Assumed", "Left out", "Next", "Written"):
        assert title in said.out
    assert "backtest rides" in said.out
    text = text_of("rides")
    for word in ("source", "holdout", "gate", "monitor", "policy", "schedule", "naive", "windows"):
        assert f"\n{word}:" in text
    assert all(len(line) < 240 for line in text.splitlines())
    assert yaml.safe_load(text)["label_delay"] == "1h"


def test_an_existing_toml_is_kept_as_it_is(
    init: Any, home: Path, rides: Any, tmp_path: Path
) -> None:
    config = home / "driftwheel.toml"
    config.write_text(
        '# mine\nenvironment = "dev"\n\n[urls]  # places\nOTHER = "sqlite:////tmp/o.db"\n',
        encoding="utf-8",
    )
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        rides(40).assign(at=lambda r: r["at"].astype(str)).to_sql("rides", database, index=False)
    assert init("one", f"sqlite:///{tmp_path / 'a.db'}", "--table", "rides").code == 0
    kept = config.read_text(encoding="utf-8")
    assert kept.startswith('# mine\nenvironment = "dev"\n\n[urls]  # places\nOTHER = ')
    assert set(load_settings(home).urls) == {"OTHER", "ONE_URL"}
    assert init("two", "${ONE_URL}", "--table", "rides").code == 0
    assert config.read_text(encoding="utf-8") == kept
    shutil.copy(tmp_path / "a.db", tmp_path / "b.db")
    again = init("one", f"sqlite:///{tmp_path / 'b.db'}", "--table", "rides", "--force")
    assert again.code == 0
    assert load_settings(home).urls["ONE_URL"].endswith("b.db")


def test_a_file_that_stands_is_written_over_only_when_told_to(
    init: Any, home: Path, rides_file: Any, text_of: Any
) -> None:
    (home / "pipelines").mkdir()
    (home / "pipelines" / "rides.yaml").write_text("mine", encoding="utf-8")
    again = init("rides", rides_file())
    assert (again.code, "--force" in again.words) == (2, True)
    assert text_of("rides") == "mine"
    assert init("rides", rides_file(), "--force").code == 0
    assert "mine" not in text_of("rides")


def test_the_next_command_takes_every_row_whenever_the_last_one_came(
    init: Any, rides: Any, rides_file: Any, ingest_from: Any
) -> None:
    chance = np.random.default_rng(0)
    at = rides(40)["at"] + pd.to_timedelta(chance.integers(0, 9_000, 320), unit="s")
    said = init("rides", rides_file(at=at))
    assert said.json["next"][1].endswith(f"--as-of {at.max().ceil('min'):%Y-%m-%dT%H:%M:%S}")
    assert ingest_from(said).records == 320


def test_the_next_command_takes_the_last_day_of_a_steady_rhythm(init: Any, rides_file: Any) -> None:
    said = init("rides", rides_file())
    assert said.json["next"][1].endswith("ingest rides --as-of 2024-02-10")


def test_training_is_named_for_the_moment_at_which_labels_stop(
    init: Any, rides: Any, rides_file: Any
) -> None:
    count = rides(40)["count"].where(lambda c: c.index < 250)
    said = init("rides", rides_file(count=count))
    assert "none of the 70 rows after 2024-02-01 03:00 has a label" in said.noticed("none of")
    assert said.json["next"][1].endswith("ingest rides --as-of 2024-02-10")
    assert said.json["next"][2].endswith("train rides --as-of 2024-02-01T04:00:00")
