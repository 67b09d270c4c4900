"""What the source still has and we must not is not taken in: erased people, rows past retain."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from components.ingests import INGESTS, ingest_schema, taken_from
from components.pipelines import Pipeline
from components.records import to_frame
from components.stores.lake import Lake
from flows.steps import ingesting
from flows.steps.erased import Erasure, hide, remember
from flows.steps.ingesting import ingest
from flows.steps.snapshots import records_known


def utc(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def pipeline(folder: Path, **fields: Any) -> Pipeline:
    given = {
        "name": "shop",
        "source": {"path": "orders.csv"},
        "time": "at",
        "target": "units",
        "task": "regression",
        "label_delay": "1h",
        "id": "order",
        "entity": "person",
        "columns": {"price": "number", "wait": "number"},
        "file": folder / "shop.yaml",
    }
    return Pipeline.model_validate({**given, **fields})


def write(folder: Path, rows: pd.DataFrame) -> None:
    rows.to_csv(folder / "orders.csv", index=False)


def orders(days: int) -> pd.DataFrame:
    at = pd.date_range("2024-01-01", periods=days, freq="D")
    number = [f"o{i}" for i in range(days)]
    who = [f"p{i % 3}" for i in range(days)]
    return pd.DataFrame({"order": number, "person": who, "at": at, "price": 1.5, "units": 2.0})


def held(lake: Lake, table: str = "records") -> list[str]:
    return sorted(to_frame(lake.read("shop", table))["record_id"])


def erasure(**names: tuple[str, ...]) -> Erasure:
    hidden = {key: tuple(hide(one, "salt") for one in values) for key, values in names.items()}
    return Erasure(
        id="er-0123456789ab",
        at=datetime(2024, 3, 1, tzinfo=UTC).isoformat(),
        who="Ada",
        reason="asked for it",
        salt="salt",
        **{"ids": (), "entities": (), **hidden},
    )


def test_a_column_that_was_empty_and_is_filled_later_was_not_known_before(
    lake: Lake, tmp_path: Path
) -> None:
    rows = orders(4).assign(wait=None)
    write(tmp_path, rows)
    shop = pipeline(tmp_path)
    ingest(lake, shop, as_of=utc("2024-01-05"))
    write(tmp_path, rows.assign(wait=7.0))
    ingest(lake, shop, as_of=utc("2024-03-01"))
    assert records_known(lake, shop, as_of=utc("2024-02-01"))["wait"].isna().all()
    assert records_known(lake, shop, as_of=utc("2024-03-01"))["wait"].eq(7).all()


def test_a_column_that_the_source_has_lost_corrects_nothing(lake: Lake, tmp_path: Path) -> None:
    rows = orders(6).assign(wait=7.0)
    write(tmp_path, rows.head(4))
    shop = pipeline(tmp_path)
    ingest(lake, shop, as_of=utc("2024-01-05"))
    write(tmp_path, rows.drop(columns="wait"))
    done = ingest(lake, shop, as_of=utc("2024-01-07"))
    assert (done.records, done.quarantined, done.absent) == (2, 0, ("wait",))
    known = records_known(lake, shop, as_of=utc("2024-01-07"))
    assert known["wait"].isna().tolist() == [False] * 4 + [True] * 2


def test_a_column_that_is_new_in_the_pipeline_file_fills_the_past(
    lake: Lake, tmp_path: Path
) -> None:
    write(tmp_path, orders(4).assign(wait=7.0))
    ingest(lake, pipeline(tmp_path, columns={"price": "number"}), as_of=utc("2024-01-05"))
    shop = pipeline(tmp_path)
    ingest(lake, shop, as_of=utc("2024-03-01"))
    assert records_known(lake, shop, as_of=utc("2024-02-01"))["wait"].eq(7).all()


def test_what_is_past_retain_is_not_taken_in_with_the_file_that_still_holds_it(
    lake: Lake, tmp_path: Path
) -> None:
    shop = pipeline(tmp_path, retain="30d")
    write(tmp_path, orders(60).assign(wait=1.0))
    ingest(lake, shop, as_of=utc("2024-02-29T12:00"))
    assert len(held(lake)) == len(held(lake, "labels")) == 30
    write(tmp_path, orders(61).assign(wait=1.0))
    done = ingest(lake, shop, as_of=utc("2024-03-02"))
    assert (done.records, done.late) == (1, 0)


@pytest.mark.parametrize("names", [{"ids": ("o1",)}, {"entities": ("p1",)}])
def test_an_erased_person_does_not_come_back_with_the_next_ingest(
    lake: Lake, tmp_path: Path, names: dict[str, tuple[str, ...]]
) -> None:
    rows = orders(3).assign(wait=["1", "much", "1"])
    write(tmp_path, rows)
    shop = pipeline(tmp_path)
    remember(lake, "shop", erasure(**names))
    ingest(lake, shop, as_of=utc("2024-03-01"))
    assert held(lake) == held(lake, "labels") == ["o0", "o2"]
    assert held(lake, "quarantine") == []
    write(tmp_path, rows.assign(wait="1"))
    ingest(lake, shop, as_of=utc("2024-03-02"))
    assert held(lake) == held(lake, "labels") == ["o0", "o2"]


def test_a_person_who_is_erased_while_the_source_is_read_does_not_come_in(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, orders(3).assign(wait=["1", "1", "much"]))
    arrive = ingesting.arrive

    def slowly(*given: Any, **more: Any) -> Any:
        delivered = arrive(*given, **more)
        remember(lake, "shop", erasure(ids=("o1", "o2")))
        return delivered

    monkeypatch.setattr(ingesting, "arrive", slowly)
    ingest(lake, pipeline(tmp_path), as_of=utc("2024-03-01"))
    assert held(lake) == held(lake, "labels") == ["o0"]
    assert held(lake, "quarantine") == []


def test_a_lake_from_before_columns_were_noted_is_taken_on(lake: Lake, tmp_path: Path) -> None:
    write(tmp_path, orders(3).assign(wait=1.0))
    older = pa.schema([field for field in ingest_schema() if field.name != "columns"])
    lake.create("shop", INGESTS, older)
    ingest(lake, pipeline(tmp_path), as_of=utc("2024-03-01"))
    assert taken_from(lake.read("shop", INGESTS))[0].columns == ("price", "wait", "person")
