"""`init`: anybody's tables under care, and mistakes answered in words."""

import gzip
import json
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from deltalake import write_deltalake

from components.pipelines import Pipeline, read_pipeline
from components.sources import deliver, resolve
from components.stores.registry import Registry
from driftwheel.app import run
from driftwheel.backtesting import backtest
from flows.opening import open_home
from flows.settings import load_settings, silence_telemetry
from flows.steps import everyday, ingesting

SERVER = "postgresql://postgres@127.0.0.1:5432"
SECRET = "s3cr3t-pa55"  # noqa: S105 - planted, to look for it


@dataclass
class Said:
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def words(self) -> str:
        assert "Traceback" not in self.err
        return " ".join(self.err.split())

    def left_out(self, column: str) -> str:
        """Give the reason for which a column was left out; empty where it was not."""
        return next((x["reason"] for x in self.json["left_out"] if x["column"] == column), "")

    def noticed(self, word: str) -> str:
        return next((line for line in self.json["noticed"] if word in line), "")


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    kept = dict(os.environ)
    for name in [name for name in kept if name.startswith(("DRIFTWHEEL_H", "PREFECT_", "SHOP"))]:
        del os.environ[name]
    silence_telemetry()
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture
def init(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run `init` in an empty home, with --json unless told otherwise."""

    def command(name: str, data: str | Path, *words: str | Path, json: bool = True) -> Said:
        capsys.readouterr()
        told = ["--home", home, "init", name, "--data", data, *words, *(["--json"] * json)]
        code = run([str(word) for word in told])
        return Said(code, *capsys.readouterr())

    return command


@pytest.fixture
def written(home: Path) -> Callable[[str], Pipeline]:
    """Read a pipeline that was written, as every command does."""
    return lambda name: read_pipeline(
        home / "pipelines" / f"{name}.yaml", load_settings(home).place
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an MLflow database whose migrations are done, once: they take seconds."""
    root = tmp_path_factory.mktemp("template") / "mlruns"
    root.mkdir()
    uri = f"sqlite:///{root / 'mlflow.db'}"
    Registry(uri, owner="nobody", artifacts=root / "unused").moved_from()
    return root


@pytest.fixture
def train_from(home: Path, runs: Path) -> Callable[[str], Any]:
    """Ingest and train as the flows do, without a server, at the moment that `init` names."""

    def trained(said: Said, moment: str = "") -> Any:
        shutil.copytree(runs, home / "mlruns")
        opened = open_home(load_settings(home))
        command = said.json["next"][2].split()
        assert command[-4:-1] == ["train", said.json["pipeline"], "--as-of"]
        end = pd.Timestamp(moment or command[-1], tz="UTC").as_unit("us")
        pipeline = opened.pipeline(said.json["pipeline"])
        assert len(deliver(pipeline, as_of=end).records)
        done = ingesting.ingest(opened.lake, resolve(pipeline), as_of=end)
        assert done.records > 0
        assert done.labels > 0
        decision = everyday.train(
            opened,
            pipeline,
            as_of=end,
            clock=lambda: datetime(2030, 1, 1, tzinfo=UTC),
            holder="here",
            who="Ada",
        )
        opened.ledger.close()
        return decision

    return trained


def text_of(home: Path, name: str) -> str:
    return (home / "pipelines" / f"{name}.yaml").read_text(encoding="utf-8")


def rides(days: int = 150, seed: int = 3) -> pd.DataFrame:
    """Make a table such as people have: hourly rides with weather and a type of day."""
    chance = np.random.default_rng(seed)
    at = pd.date_range("2024-01-01", periods=days * 8, freq="3h")
    heat = chance.normal(15, 6, len(at)).round(2)
    sky = chance.choice(["clear", "rain", "snow"], len(at), p=[0.7, 0.25, 0.05])
    count = (60 + 3 * heat + 25 * (at.hour.to_numpy() // 12) - 20 * (sky == "rain")).round()
    count = count + chance.normal(0, 4, len(at)).round()
    return pd.DataFrame(
        {"at": at, "ride": np.arange(len(at)) + 1000, "hour": at.hour, "heat": heat, "sky": sky}
    ).assign(count=count)


def trained_well(decision: Any) -> bool:
    """Show what was decided where it is not a promotion."""
    assert decision.what == "promoted", (decision.what, decision.why)
    return True


# --- data sets of the world ----------------------------------------------------------------------


def test_bikeshare_runs_as_written_and_its_parts_are_left_out(
    init: Any, home: Path, clone: Path, train_from: Any
) -> None:
    shutil.copy(clone / "pipelines" / "data" / "bikeshare.csv.gz", home / "rides.csv.gz")
    said = init(
        "bikes", home / "rides.csv.gz", "--time", "timestamp", "--target", "count",
        "--label-delay", "1d", "--exclude", "season",
    )  # fmt: skip
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
    text = text_of(home, "bikes")
    assert "path: ../rides.csv.gz" in text
    assert "hour: {kind: number, min: 0, max: 23, nulls: false}" in text
    pipeline = open_home(load_settings(home)).pipeline("bikes")
    pipeline = pipeline.model_copy(update={"windows": pipeline.windows[:1]})
    end = pd.Timestamp("2011-05-20", tz="UTC")
    result = backtest(resolve(pipeline), ["never"], end=end)
    assert result.document["from"].startswith("2011-04-02")
    assert result.document["policies"]["never"]["score"] < 65
    assert trained_well(train_from(said, "2012-09-01"))


def test_elec2_gets_an_id_where_a_day_stands_twice(
    init: Any, home: Path, tmp_path: Path, datasets: Path, train_from: Any
) -> None:
    file = tmp_path / "elec2.csv"
    rows = pd.read_csv(datasets / "elec2" / "elec2.csv.gz", dtype=str).iloc[8_000:24_000]
    rows.to_csv(file, index=False)
    said = init(
        "power", file, "--time", "timestamp", "--target", "up", "--label-delay", "30min",
        "--exclude", "nswprice",
    )  # fmt: skip
    assert said.json["task"] == "binary"
    assert "nswprice" not in said.json["features"]
    assert any("--id seq" in line for line in said.json["assumed"])
    assert "1997-05-04" in said.noticed("have the time of another")
    assert "9424 rows" in said.noticed("vicprice: stands still")
    assert "right in 8" in said.noticed("repeating the last known label")
    assert f"path: {file.resolve()}" in text_of(home, "power")
    assert train_from(said).what in {"promoted", "refused", "wait"}


def test_flights_are_learnt_without_their_delay_and_with_their_wait(
    init: Any, home: Path, datasets: Path, train_from: Any
) -> None:
    rows = pd.read_parquet(datasets / "flights" / "flights.parquet").head(40_000)
    rows.to_parquet(home / "flights.parquet")
    said = init(
        "flights", home / "flights.parquet", "--time", "event_time", "--target", "late",
        "--id", "flight_id", "--label-time", "label_time",
    )  # fmt: skip
    assert "determines the target" in said.left_out("arr_delay_min")
    assert "half of the labels are known after 2.9 hours" in said.noticed("label delay")
    assert "no label" in said.noticed("no label")
    assert train_from(said).what in {"promoted", "refused", "wait"}


# --- every kind of source ------------------------------------------------------------------------


def test_a_folder_of_gzipped_csv_is_one_table(init: Any, home: Path, train_from: Any) -> None:
    folder = home / "in"
    folder.mkdir()
    for number in range(3):
        part = rides().iloc[number * 400 : (number + 1) * 400]
        with gzip.open(folder / f"{number}.csv.gz", "wt", encoding="utf-8") as file:
            part.to_csv(file, index=False)
    said = init("rides", folder, "--time", "at", "--target", "count", "--label-delay", "1h")
    assert said.json["rows"] == 1200
    assert said.left_out("ride") == "only numbers the rows"
    assert said.json["features"] == ["hour", "heat", "sky"]
    assert trained_well(train_from(said))


def test_a_delta_table_is_read_as_it_is(init: Any, home: Path, train_from: Any) -> None:
    rows = rides()
    rows["at"] = rows["at"].dt.tz_localize("UTC").dt.as_unit("us")
    write_deltalake(str(home / "table"), rows, partition_by=["sky"])
    said = init("rides", home / "table", "--time", "at", "--target", "count", "--label-delay", "1h")
    assert set(said.json["features"]) == {"hour", "heat", "sky"}
    assert not any("no zone" in line for line in said.json["assumed"])
    assert trained_well(train_from(said))


def test_sqlite_with_a_query_is_named_and_not_written_out(
    init: Any, home: Path, tmp_path: Path, written: Any, train_from: Any
) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        rides().assign(at=lambda r: r["at"].astype(str)).to_sql("rides", database, index=False)
    query = "select at, heat, sky, count\nfrom rides\nwhere ride > 1000 -- all: but one"
    said = init(
        "my-rides", f"sqlite:///{tmp_path / 'shop.db'}", "--query", query, "--time", "at",
        "--target", "count", "--label-delay", "1h",
    )  # fmt: skip
    assert said.json["rows"] == 1199
    text = text_of(home, "my-rides")
    assert "url: ${MY_RIDES_URL}" in text
    assert "shop.db" not in text
    assert written("my-rides").source.query == query
    assert "shop.db" in (home / "driftwheel.toml").read_text(encoding="utf-8")
    assert trained_well(train_from(said))


@pytest.fixture
def database() -> Iterator[str]:
    psycopg = pytest.importorskip("psycopg", reason="PostgreSQL: psycopg is not installed")
    name = f"driftwheel_test_{uuid.uuid4().hex[:12]}"
    try:
        server = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=2)
    except psycopg.OperationalError as problem:
        pytest.skip(f"PostgreSQL: no server at {SERVER} ({str(problem).splitlines()[0]})")
    with server:
        server.execute(f"create database {name}")
        try:
            yield name
        finally:
            server.execute(f"drop database {name} with (force)")


def fill(database: str) -> None:
    import psycopg

    rows = rides()
    with psycopg.connect(f"{SERVER}/{database}") as shop:
        shop.execute(
            "create table rides (ride bigint primary key, at timestamptz, heat float, sky text)"
        )
        shop.execute("create table truth (ride_id bigint, counted_at timestamptz, count float)")
        with shop.cursor() as cursor:
            cursor.executemany(
                "insert into rides values (%s, %s, %s, %s)",
                [(int(r.ride), r.at.tz_localize("UTC"), r.heat, r.sky) for r in rows.itertuples()],
            )
            cursor.executemany(
                "insert into truth values (%s, %s, %s)",
                [
                    (int(r.ride), r.at.tz_localize("UTC") + pd.Timedelta(hours=5), r.count_)
                    for r in rows[rows.index % 30 > 0]
                    .rename(columns={"count": "count_"})
                    .itertuples()
                ],
            )


def test_postgresql_with_labels_in_another_table_and_no_password_written(
    init: Any, home: Path, database: str, written: Any, train_from: Any
) -> None:
    fill(database)
    address = f"postgresql://postgres:{SECRET}@127.0.0.1:5432/{database}"
    said = init(
        "shop", address, "--table", "rides", "--time", "at", "--target", "count", "--id", "ride",
        "--labels", address, "--labels-query", "select * from truth", "--labels-id", "ride_id",
        "--labels-time", "counted_at", "--sink", f"{address}#answers",
    )  # fmt: skip
    assert said.json["task"] == "regression"
    assert "95 % after 5 hours" in said.noticed("label delay")
    assert "40 rows" in said.noticed("have no label")
    for file in home.rglob("*"):
        assert not file.is_file() or SECRET not in file.read_text(encoding="utf-8")
    assert SECRET not in said.out + said.err
    assert "export SHOP_URL='postgresql://postgres:…@127.0.0.1:5432/" in said.words
    assert (written("shop").sink.url, written("shop").sink.table) == ("${SHOP_URL}", "answers")
    assert load_settings(home).urls["SHOP_URL"] == f"{SERVER}/{database}"
    assert trained_well(train_from(said))


def test_a_function_of_ones_own_is_a_source(init: Any, home: Path, written: Any) -> None:
    (home / "code").mkdir()
    rides().to_csv(home / "code" / "rides.csv", index=False)
    (home / "code" / "mine.py").write_text(
        "import pandas as pd\nfrom pathlib import Path\n\n"
        "def batches(since):\n"
        "    yield pd.read_csv(Path(__file__).with_name('rides.csv'))\n",
        encoding="utf-8",
    )
    init("rides", "mine:batches", "--time", "at", "--target", "count", "--label-delay", "1h")
    assert written("rides").source.python == "mine:batches"


# --- what is written ------------------------------------------------------------------------------


def test_names_of_any_kind_survive_the_file(init: Any, home: Path, written: Any) -> None:
    names = [
        "a: b",
        "yes",
        "007",
        'it\'s "so"',
        "ünïcode ☃ 😀",
        "two\nlines",
        "- dash",
        "# no",
        " x",
    ]
    rows = rides(40)
    for place, name in enumerate(names):
        rows[name] = np.random.default_rng(place).normal(size=len(rows))
    rows.to_parquet(home / "odd.parquet")
    said = init("odd", home / "odd.parquet", "--time", "at", "--target", "count",
                "--label-delay", "1h", "--exclude", "yes")  # fmt: skip
    assert set(names) - {"yes"} <= set(said.json["features"])
    assert set(said.json["features"]) == set(written("odd").columns)
    assert written("odd").exclude[:1] == ("yes",)
    assert len(deliver(written("odd"), as_of=pd.Timestamp("2030-01-01", tz="UTC")).records) == 320


def test_the_file_says_everything_and_a_person_reads_it(init: Any, home: Path) -> None:
    rides().to_csv(home / "rides.csv", index=False)
    said = init("rides", home / "rides.csv", "--time", "at", "--target", "count", "--label-delay",
                "1h", json=False)  # fmt: skip
    assert said.code == 0
    for title in ("Assumed", "Left out", "Next", "Written"):
        assert title in said.out
    assert "backtest rides" in said.out
    text = text_of(home, "rides")
    for word in ("source", "holdout", "gate", "monitor", "policy", "schedule", "naive", "windows"):
        assert f"\n{word}:" in text
    assert all(len(line) < 240 for line in text.splitlines())
    assert yaml.safe_load(text)["label_delay"] == "1h"


def test_an_existing_toml_is_kept_as_it_is(init: Any, home: Path, tmp_path: Path) -> None:
    config = home / "driftwheel.toml"
    config.write_text(
        '# mine\nenvironment = "dev"\n\n[urls]  # places\nOTHER = "sqlite:////tmp/o.db"\n',
        encoding="utf-8",
    )
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        rides().assign(at=lambda r: r["at"].astype(str)).to_sql("rides", database, index=False)
    words = ("--table", "rides", "--time", "at", "--target", "count", "--label-delay", "1h")
    assert init("one", f"sqlite:///{tmp_path / 'a.db'}", *words).code == 0
    kept = config.read_text(encoding="utf-8")
    assert kept.startswith('# mine\nenvironment = "dev"\n\n[urls]  # places\nOTHER = ')
    assert set(load_settings(home).urls) == {"OTHER", "ONE_URL"}
    assert init("two", "${ONE_URL}", *words).code == 0
    assert config.read_text(encoding="utf-8") == kept
    shutil.copy(tmp_path / "a.db", tmp_path / "b.db")
    again = init("one", f"sqlite:///{tmp_path / 'b.db'}", *words, "--force")
    assert again.code == 0
    assert load_settings(home).urls["ONE_URL"].endswith("b.db")


def test_labels_in_place_may_be_missing_and_rows_may_be_updated(
    init: Any, home: Path, written: Any
) -> None:
    rows = rides()
    rows["changed"] = rows["at"] + pd.Timedelta(hours=30)
    rows.loc[1100:, "count"] = np.nan
    rows.to_csv(home / "rides.csv", index=False)
    said = init("rides", home / "rides.csv", "--time", "at", "--target", "count", "--updated",
                "changed", "--label-time", "changed")  # fmt: skip
    assert "100 rows (8.3%) have no label" in said.noticed("have no label")
    assert written("rides").updated == "changed"


# --- what is noticed ------------------------------------------------------------------------------


def test_columns_that_cannot_be_learnt_from_are_left_out_with_the_reason(
    init: Any, home: Path
) -> None:
    rows = rides(60)
    rows["nothing"] = None
    rows["same"] = "x"
    rows["note"] = [f"the rider number {n} said that all went well today" for n in rows["ride"]]
    rows["bill"] = [f"B{n}" for n in rows["ride"]]
    rows["paid_at"] = rows["at"] + pd.Timedelta(hours=9)
    rows["doubled"] = rows["count"] ** 3
    rows["label"] = rows["heat"]
    rows["Heat"] = rows["heat"]
    rows.to_csv(home / "rides.csv", index=False)
    said = init("rides", home / "rides.csv", "--time", "at", "--target", "count", "--label-delay",
                "1h")  # fmt: skip
    assert said.json["features"] == ["hour", "heat", "sky"]
    assert said.left_out("nothing") == "holds no value"
    assert said.left_out("same") == "is always 'x'"
    assert said.left_out("note") == "is free text"
    assert said.left_out("bill").startswith("names things")
    assert "later than at" in said.left_out("paid_at")
    assert "alone determines the target" in said.left_out("doubled")
    assert "name of a key" in said.left_out("label")
    assert "in case only" in said.left_out("Heat")


def test_a_column_can_be_kept_though_it_tells_the_target(init: Any, home: Path) -> None:
    rows = rides(60).assign(close=lambda r: r["count"] * 2)
    rows.to_csv(home / "rides.csv", index=False)
    words = ("--time", "at", "--target", "count", "--label-delay", "1h")
    assert "close" not in init("one", home / "rides.csv", *words).json["features"]
    assert "close" in init("two", home / "rides.csv", *words, "--keep", "close").json["features"]


# --- mistakes -------------------------------------------------------------------------------------


def test_without_a_labels_time_the_ways_are_said_and_the_column_is_named(
    init: Any, home: Path
) -> None:
    rides().assign(done=lambda r: r["at"] + pd.Timedelta(hours=2)).to_csv(
        home / "rides.csv", index=False
    )
    said = init("rides", home / "rides.csv", "--time", "at", "--target", "count")
    assert said.code == 2
    for way in ("--label-delay", "--label-time", "--labels", "see the future"):
        assert way in said.words
    assert "--label-time done" in said.words
    assert not (home / "pipelines").exists()


def mistaken(home: Path, **changes: Any) -> Path:
    """Write the rides with some columns changed."""
    file = home / "rides.csv"
    rides(40).assign(**changes).to_csv(file, index=False)
    return file


USUAL = {"--time": "at", "--target": "count", "--label-delay": "1h"}


@pytest.mark.parametrize(
    ("name", "changes", "words", "said"),
    [
        ("rides", {}, {"--time": "att"}, ["no column 'att'", "did you mean at?"]),
        ("rides", {}, {"--target": "counts"}, ["did you mean count?"]),
        ("rides", {}, {"--exclude": "skies"}, ["no column 'skies'"]),
        ("Rides", {}, {}, ["must begin with a lower-case letter"]),
        ("rides", {}, {"--label-delay": "soon"}, ["--label-delay", "such as 30min"]),
        ("rides", {}, {"--label-time": "at"}, ["give one of"]),
        ("rides", {}, {"--labels-id": "ride"}, ["beside --labels only"]),
        ("rides", {}, {"--query": "select 1"}, ["needs an address"]),
        ("rides", {}, {"--time": "sky"}, ["no readable time", "ISO"]),
        ("rides", {}, {"--task": "binary"}, ["takes", "two"]),
        ("rides", {}, {"--target": "sky", "--task": "regression"}, ["must hold numbers"]),
        ("rides", {"count": 7}, {}, ["is always '7'"]),
        ("rides", {"count": None}, {}, ["is empty in every row"]),
        ("rides", {"at": "2024-01-01"}, {}, ["in every row"]),
        ("rides", {}, {"--sink": "mysql://x/y"}, ["mysql://"]),
        ("rides", {}, {"--sink": "${NOWHERE}"}, ["${NOWHERE}", "export NOWHERE="]),
    ],
)
def test_a_mistake_is_answered_in_words(
    name: str, changes: Any, words: dict[str, str], said: list[str], init: Any, home: Path
) -> None:
    file = mistaken(home, **changes)
    given = [part for pair in {**USUAL, **words}.items() for part in pair]
    answer = init(name, file, *given)
    assert answer.code == 2, answer
    for part in said:
        assert part in answer.words
    assert not (home / "pipelines" / f"{name}.yaml").exists()


def test_times_that_count_seconds_or_begin_with_the_day_are_told_apart(
    init: Any, home: Path
) -> None:
    seconds = (rides(40)["at"] - pd.Timestamp("1970-01-01")) // pd.Timedelta("1ms")
    usual = [part for pair in USUAL.items() for part in pair]
    said = init("rides", mistaken(home, at=seconds), *usual)
    assert said.code == 0
    assert "counts milliseconds since 1970" in said.out
    days = rides(40)["at"].dt.strftime("%d.%m.%Y %H:%M")
    said = init("trips", mistaken(home, at=days), *usual)
    assert said.code == 2
    assert "whether day or month comes first" in said.words


def test_a_missing_file_an_empty_one_and_a_single_row_are_said(init: Any, home: Path) -> None:
    usual = [part for pair in USUAL.items() for part in pair]
    mistaken(home)
    gone = init("rides", home / "ride.csv", *usual)
    assert (gone.code, "did you mean rides.csv?" in gone.words) == (2, True)
    (home / "none.csv").write_text("at,heat,count\n", encoding="utf-8")
    empty = init("rides", home / "none.csv", *usual)
    assert (empty.code, "empty" in empty.words) == (2, True)
    (home / "one.csv").write_text("at,heat,count\n2024-01-01,3,4\n", encoding="utf-8")
    one = init("rides", home / "one.csv", *usual)
    assert (one.code, "one row" in one.words) == (2, True)


def test_a_file_that_stands_is_written_over_only_when_told_to(init: Any, home: Path) -> None:
    file = mistaken(home)
    usual = [part for pair in USUAL.items() for part in pair]
    assert init("rides", file, *usual).code == 0
    (home / "pipelines" / "rides.yaml").write_text("mine", encoding="utf-8")
    again = init("rides", file, *usual)
    assert (again.code, "--force" in again.words) == (2, True)
    assert text_of(home, "rides") == "mine"
    assert init("rides", file, *usual, "--force").code == 0
    assert "mine" not in text_of(home, "rides")


def test_labels_that_name_no_row_are_not_taken(init: Any, home: Path) -> None:
    file = mistaken(home)
    truth = pd.DataFrame({"ride": ["x1", "x2"], "on": ["2024-01-02", "2024-01-03"]})
    truth.assign(count=[1, 2]).to_csv(home / "truth.csv", index=False)
    said = init("rides", file, "--time", "at", "--target", "count", "--id", "ride", "--labels",
                home / "truth.csv", "--labels-id", "ride", "--labels-time", "on")  # fmt: skip
    assert said.code == 2
    assert "names a row" in said.words
    assert "x1" in said.words
    assert "1000" in said.words


def test_rows_that_nothing_names_need_an_entity_and_it_is_proposed(init: Any, home: Path) -> None:
    rows = pd.concat([rides(40).drop(columns="ride").assign(dock=d, heat=float(k))
                      for k, d in enumerate(("north", "south", "west"))])  # fmt: skip
    rows["heat"] += np.random.default_rng(1).normal(size=len(rows)).round(1)
    rows["sky"] = "clear"
    rows.to_csv(home / "docks.csv", index=False)
    usual = [part for pair in USUAL.items() for part in pair]
    said = init("docks", home / "docks.csv", *usual)
    assert said.code == 2
    assert "--entity dock" in said.words
    assert init("docks", home / "docks.csv", *usual, "--entity", "dock").code == 0


def test_a_wrong_address_is_told_without_its_password(init: Any) -> None:
    said = init("shop", f"postgresql://me:{SECRET}@127.0.0.1:1/none", "--table", "rides",
                "--time", "at", "--target", "count", "--label-delay", "1h")  # fmt: skip
    assert said.code in {1, 2}
    assert SECRET not in said.out + said.err
