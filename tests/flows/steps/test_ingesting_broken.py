"""A source that breaks off half-way leaves the tables alone, and is taken whole next time."""

import gzip
import threading
from pathlib import Path

import pandas as pd
import pytest

from components.errors import DriftwheelError, SourceError, StoreError, StoreUnreachableError
from components.pipelines import Pipeline
from components.sources import files
from components.stores.lake import Lake, Stage
from flows.steps import arriving
from flows.steps.arriving import RecordChecks
from flows.steps.ingesting import ingest

AS_OF = pd.Timestamp("2024-06-01", tz="UTC")
TABLES = ("records", "labels", "quarantine", "ingests")
HEADER = "id,at,price,count\n"

DYING = """
import pandas as pd
def rows(since):
    for number in range(4):
        if number == 3 and {dies}:
            raise OSError("the feed was cut")
        at = pd.date_range("2024-01-01", periods=10, freq="h") + pd.Timedelta(number, "D")
        ids = [f"{{number}}-{{row}}" for row in range(10)]
        yield pd.DataFrame({{"id": ids, "at": at, "price": ["x", *[1] * 9], "count": 1}})
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def pipeline_of(folder: Path, source: dict, **changes: object) -> Pipeline:
    given = {
        "name": "shop",
        "source": source,
        "time": "at",
        "id": "id",
        "target": "count",
        "task": "regression",
        "label_delay": "1d",
        "columns": {"price": "number"},
        "file": folder / "pipelines" / "shop.yaml",
        **changes,
    }
    (folder / "pipelines").mkdir(exist_ok=True)
    return Pipeline.model_validate(given)


def state(lake: Lake) -> list[int | None]:
    return [lake.version("shop", t) if lake.exists("shop", t) else None for t in TABLES]


def test_a_function_that_dies_after_three_batches(tmp_path: Path, lake: Lake) -> None:
    code = tmp_path / "code" / "feed.py"
    code.parent.mkdir()
    code.write_text(DYING.format(dies=True))
    pipeline = pipeline_of(tmp_path, {"python": "feed:rows"})
    before = state(lake)
    with pytest.raises(SourceError, match=r"batch 4: OSError: the feed was cut \(.*feed\.py, line"):
        ingest(lake, pipeline, as_of=AS_OF)
    assert state(lake) == before
    code.write_text(DYING.format(dies=False))
    done = ingest(lake, pipeline, as_of=AS_OF)
    assert (done.records, done.labels, done.quarantined) == (36, 36, 4)


def test_a_database_whose_connection_drops_half_way(
    tmp_path: Path, lake: Lake, postgres, postgres_url, monkeypatch
) -> None:
    from components.stores.sql import querying

    postgres.execute(
        "CREATE TABLE orders AS SELECT i AS id, timestamptz '2024-01-01 00:00+00' AS at,"
        " 1.5::float AS price, 1.0::float AS count, repeat('x', 2000) AS filler"
        " FROM generate_series(1, 3000) i"
    )
    source = {"url": "${SHOP}", "query": "SELECT * FROM orders"}
    pipeline = pipeline_of(tmp_path, source, places={"SHOP": postgres_url})
    monkeypatch.setattr(querying, "_FETCH_ROWS", 500)
    batch_of, cut = querying._batch, []

    def cutting(rows, chosen):
        if len(cut) < 2:
            cut.append(len(rows))
            if len(cut) == 2:
                postgres.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                    " application_name = 'driftwheel' AND datname = current_database()"
                )
        return batch_of(rows, chosen)

    monkeypatch.setattr(querying, "_batch", cutting)
    before = state(lake)
    with pytest.raises(StoreUnreachableError, match=r"broke off after 1,000 rows; nothing of"):
        ingest(lake, pipeline, as_of=AS_OF)
    assert state(lake) == before
    assert ingest(lake, pipeline, as_of=AS_OF).records == 3000


@pytest.mark.parametrize("kind", ["cut gzip", "grows while it is read"])
def test_a_file_that_is_not_whole(tmp_path: Path, lake: Lake, kind: str, monkeypatch) -> None:
    lines = "".join(f"{row},2024-01-01,{row}.5,1\n" for row in range(5_000))
    file = tmp_path / "pipelines" / "shop.csv"
    pipeline = pipeline_of(tmp_path, {"path": "shop.csv"})
    file.write_text(HEADER + "a,2024-01-01,1,1\n")
    assert ingest(lake, pipeline, as_of=AS_OF).records == 1
    before = state(lake)
    whole = gzip.compress((HEADER + lines).encode(), mtime=0)
    if kind == "cut gzip":
        file.write_bytes(whole[: len(whole) // 2])
    else:
        file.write_text(HEADER + lines)
        read = files.read_rows

        def growing(*given):
            for number, batch in enumerate(read(*given)):
                if not number:
                    with file.open("a") as writer:
                        writer.write("9999,2024-01-01,1,1\n")
                yield batch

        monkeypatch.setattr(files, "read_rows", growing)
    with pytest.raises(DriftwheelError, match=r"shop\.csv"):
        ingest(lake, pipeline, as_of=AS_OF)
    assert state(lake) == before
    monkeypatch.undo()
    file.write_bytes(whole)
    assert ingest(lake, pipeline, as_of=AS_OF).records == 5_000


@pytest.mark.parametrize("who", ["the disk is full", "the checks fail", "somebody stops it"])
def test_what_breaks_while_one_batch_is_checked_and_one_put_aside(
    tmp_path: Path, lake: Lake, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f"{row},2024-01-01,{row}.5,1\n" for row in range(5_000))
    pipeline = pipeline_of(tmp_path, {"path": "shop.csv"})
    (tmp_path / "pipelines" / "shop.csv").write_text(HEADER + lines)
    monkeypatch.setattr(arriving, "_MOST_ROWS", 1_000)
    place, name = (Stage, "add") if who == "the disk is full" else (RecordChecks, "check")
    problem = {"the disk is full": StoreError, "the checks fail": ValueError}.get(
        who, KeyboardInterrupt
    )
    going, calls, threads = getattr(place, name), [], threading.active_count()

    def breaking(self, *given):
        calls.append(given)
        if len(calls) == 3:
            raise problem(who)
        return going(self, *given)

    monkeypatch.setattr(place, name, breaking)
    with pytest.raises(problem, match=who):
        ingest(lake, pipeline, as_of=AS_OF)
    assert state(lake) == [None] * len(TABLES)
    assert threading.active_count() == threads
    monkeypatch.undo()
    assert ingest(lake, pipeline, as_of=AS_OF).records == 5_000


def test_a_value_that_was_cut_at_the_end_of_a_file_is_corrected_once_it_is_whole(
    tmp_path: Path, lake: Lake
) -> None:
    pipeline = pipeline_of(tmp_path, {"path": "shop.csv"})
    file, whole = tmp_path / "pipelines" / "shop.csv", HEADER + "a,2024-01-01,1,17\n"
    file.write_text(whole[:-2])
    assert ingest(lake, pipeline, as_of=AS_OF).labels == 1
    file.write_text(whole)
    later = AS_OF + pd.Timedelta(1, unit="D")
    assert ingest(lake, pipeline, as_of=later).labels == 1
    labels = lake.read("shop", "labels").to_pandas().sort_values("known_time")
    assert list(labels["label"]) == [1.0, 17.0]
    assert list(labels["known_time"]) == [pd.Timestamp("2024-01-02", tz="UTC"), later]
