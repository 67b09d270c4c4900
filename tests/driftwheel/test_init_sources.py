"""`init` and every kind of source: one look, one file, and it runs."""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from deltalake import write_deltalake

from flows.settings import load_settings

SECRET = "s3cr3t-pa55"  # noqa: S105 - planted, to look for it


def into_sqlite(file: Path, rows: pd.DataFrame) -> str:
    with closing(sqlite3.connect(file)) as database:
        rows.assign(at=rows["at"].astype(str)).to_sql("rides", database, index=False)
    return f"sqlite:///{file}"


def test_a_folder_of_gzipped_csv_is_one_table_and_what_is_no_data_is_named(
    init: Any, home: Path, rides: Any, train_from: Any
) -> None:
    folder = home / "in"
    folder.mkdir()
    for number in range(3):
        part = rides().iloc[number * 400 : (number + 1) * 400]
        with gzip.open(folder / f"{number}.csv.gz", "wt", encoding="utf-8") as file:
            part.to_csv(file, index=False)
    (folder / "model.pkl").write_bytes(b"\x80\x05\0")
    (folder / "_SUCCESS").touch()
    said = init("rides", folder)
    assert said.json["rows"] == 1200
    assert said.left_out("ride") == "only numbers the rows"
    assert said.json["features"] == ["hour", "heat", "sky"]
    assert said.noticed("not read").endswith("neither CSV nor Parquet: model.pkl")
    decision = train_from(said)
    assert decision.what == "promoted", decision.why


def test_a_delta_table_is_read_as_it_is(
    init: Any, home: Path, rides: Any, ingest_from: Any
) -> None:
    rows = rides(40)
    rows["at"] = rows["at"].dt.tz_localize("UTC").dt.as_unit("us")
    write_deltalake(str(home / "table"), rows, partition_by=["sky"])
    said = init("rides", home / "table")
    assert set(said.json["features"]) == {"hour", "heat", "sky"}
    assert not any("no zone" in line for line in said.json["assumed"])
    assert ingest_from(said).records == 320


def test_sqlite_with_a_query_is_named_and_not_written_out(
    init: Any, home: Path, tmp_path: Path, rides: Any, text_of: Any, written: Any, ingest_from: Any
) -> None:
    address = into_sqlite(tmp_path / "shop.db", rides(40))
    query = "select at, heat, sky, count\nfrom rides\nwhere ride > 1000 -- all: but one"
    said = init("my-rides", address, "--query", query, "--sink", f"sqlite:///{tmp_path}/new.db")
    assert said.json["rows"] == 319
    text = text_of("my-rides")
    assert "url: ${MY_RIDES_URL}" in text
    assert "shop.db" not in text
    assert written("my-rides").source.query == query
    assert "shop.db" in (home / "driftwheel.toml").read_text(encoding="utf-8")
    assert not (tmp_path / "new.db").exists(), "made with the first predictions"
    assert ingest_from(said).records == 319


def fill(shop: Any, rows: pd.DataFrame) -> None:
    shop.execute(
        "create table rides (ride bigint primary key, at timestamptz, heat float, sky text, "
        "changed timestamptz)"
    )
    shop.execute("create table truth (ride_id bigint, counted_at timestamptz, count float)")
    at = rows["at"].dt.tz_localize("UTC")
    with shop.cursor() as cursor:
        cursor.executemany(
            "insert into rides values (%s, %s, %s, %s, %s)",
            [
                (int(ride), when, heat, sky, when + pd.Timedelta(hours=30))
                for ride, when, heat, sky in zip(
                    rows["ride"], at, rows["heat"], rows["sky"], strict=True
                )
            ],
        )
        cursor.executemany(
            "insert into truth values (%s, %s, %s)",
            [
                (int(ride), when + pd.Timedelta(hours=5), float(count))
                for ride, when, count in zip(rows["ride"], at, rows["count"], strict=True)
                if ride % 30
            ],
        )


def test_postgresql_with_labels_in_another_table_and_no_password_written(
    init: Any,
    home: Path,
    rides: Any,
    postgres: Any,
    postgres_url: str,
    written: Any,
    train_from: Any,
) -> None:
    fill(postgres, rides())
    address = postgres_url.replace("postgres@", f"postgres:{SECRET}@")
    said = init(
        "shop", address, "--table", "rides", "--id", "ride", "--updated", "changed",
        "--labels", address, "--labels-query", "select * from truth", "--labels-id", "ride_id",
        "--labels-time", "counted_at", "--sink", f"{address}#answers", label_delay=None,
    )  # fmt: skip
    assert said.json["task"] == "regression"
    assert "95 % after 5 hours" in said.noticed("label delay")
    assert "40 rows" in said.noticed("have no label")
    for file in home.rglob("*"):
        assert not file.is_file() or SECRET not in file.read_text(encoding="utf-8")
    assert SECRET not in said.out + said.err
    assert "export SHOP_URL='postgresql://postgres:…@127.0.0.1:5432/" in said.words
    pipeline = written("shop")
    assert (pipeline.sink.url, pipeline.sink.table) == ("${SHOP_URL}", "answers")
    assert load_settings(home).urls["SHOP_URL"] == postgres_url
    # How long a row may still be on its way is written nowhere: none that is late is given up.
    assert (pipeline.source.lateness, pipeline.labels.lateness) == (None, None)
    decision = train_from(said)
    assert decision.what == "promoted", decision.why


def test_a_function_of_ones_own_is_a_source(
    init: Any, home: Path, rides: Any, written: Any
) -> None:
    (home / "code").mkdir()
    rows = rides(40)
    rows.assign(done=rows["at"] + pd.Timedelta(days=3)).to_csv(
        home / "code" / "rides.csv", index=False
    )
    (home / "code" / "mine.py").write_text(
        "import pandas as pd\nfrom pathlib import Path\n\n"
        "def batches(since):\n"
        "    yield pd.read_csv(Path(__file__).with_name('rides.csv'))\n",
        encoding="utf-8",
    )
    init("rides", "mine:batches", label_delay=None, label_time="done")
    assert written("rides").source.python == "mine:batches"


def test_rows_changed_in_place_without_a_word_are_all_read_again(
    init: Any, rides: Any, tmp_path: Path
) -> None:
    said = init("base", into_sqlite(tmp_path / "shop.db", rides(40)), "--table", "rides")
    assert any("reads all that is asked for" in line for line in said.json["assumed"])


@pytest.mark.parametrize("password", ["a#b", "a@b", "a/b", "a?b", "a b"])
@pytest.mark.parametrize("option", ["--data", "--sink"])
def test_where_a_password_ends_is_never_guessed(
    password: str, option: str, init: Any, home: Path, rides_file: Any
) -> None:
    address = f"postgresql://me:{SECRET}{password}@127.0.0.1:1/shop"
    if option == "--data":
        said = init("shop", address, "--table", "rides")
    else:
        said = init("shop", rides_file(), "--sink", f"{address}#answers")
    assert said.code == 2
    assert "%40" in said.words
    assert SECRET not in said.out + said.err
    assert not (home / "driftwheel.toml").exists()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"postgresql://me:{SECRET}@127.0.0.1:1/none", "does not answer"),
        (f"postgresql:/me:{SECRET}@127.0.0.1/none", "needs an address"),
        (f"mysql://me:{SECRET}@127.0.0.1/none", "export the rows to Parquet"),
        (f"postgresql://me:{SECRET}@[::1/none", "HOST:PORT"),
    ],
)
def test_a_wrong_address_is_told_without_its_password(address: str, words: str, init: Any) -> None:
    said = init("shop", address, "--table", "rides")
    assert said.code in {1, 2}
    assert words in said.words
    assert SECRET not in said.out + said.err


def test_a_database_given_as_a_file_is_told_how_to_give_it(
    init: Any, rides: Any, tmp_path: Path
) -> None:
    into_sqlite(tmp_path / "shop.db", rides(40))
    said = init("shop", tmp_path / "shop.db")
    assert (said.code, f"give it as sqlite:///{tmp_path / 'shop.db'}" in said.words) == (2, True)


def test_a_login_that_is_no_address_is_not_shown(init: Any) -> None:
    said = init("shop", f"postgres:{SECRET}@127.0.0.1/shop")
    assert (said.code, "neither a file nor an address" in said.words) == (2, True)
    assert SECRET not in said.words
