"""A Delta table of the user's own is read at its newest version."""

import json

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from components.errors import SourceError
from components.sources import columns_of, open_feed, read_source


@pytest.fixture
def table(tmp_path, pipeline_over):
    folder = tmp_path / "pipelines" / "shop"
    rows = {"at": ["2011-01-01", "2011-01-02"], "temp": [1.5, None], "count": [1, 2]}
    write_deltalake(folder, pa.table({**rows, "town": ["a b", "c"]}), partition_by=["town"])
    return folder


def newest(pipeline) -> list[tuple]:
    frame = read_source(pipeline).sort_values("at")
    return list(frame[["at", "count"]].itertuples(index=False, name=None))


def test_rows_come_with_the_columns_that_stand_in_the_path(table, pipeline_over):
    pipeline = pipeline_over({"path": "shop"})
    assert columns_of(pipeline.source, pipeline) == ("at", "temp", "count", "town")
    frame = read_source(pipeline).sort_values("at")
    assert list(frame["town"]) == ["a b", "c"]
    narrow = pipeline_over({"path": "shop"}, time="town", columns={})
    assert set(read_source(narrow)["town"]) == {"a b", "c"}


def test_a_column_that_came_later_is_missing_before(table, pipeline_over):
    more = pa.table({"at": ["2011-01-03"], "town": ["c"], "count": [3], "wind": [2.5]})
    write_deltalake(table, more, mode="append", schema_mode="merge")
    frame = read_source(pipeline_over({"path": "shop"})).sort_values("at")
    assert frame["wind"].isna().to_list() == [True, True, False]


def test_deleted_and_rewritten_rows_are_gone(table, pipeline_over):
    DeltaTable(table).delete("count = 1")
    assert newest(pipeline_over({"path": "shop"})) == [("2011-01-02", 2)]


def test_data_files_are_told_apart_without_reading_them(table, pipeline_over):
    pipeline = pipeline_over({"path": "shop"})
    feed = open_feed(pipeline.source, pipeline)
    before = {part.digest for part in feed.parts()}
    more = pa.table({"at": ["2011-01-03"], "temp": [1.0], "count": [3], "town": ["c"]})
    write_deltalake(table, more, mode="append")
    after = {part.digest for part in feed.parts()}
    assert len(before) == 2
    assert before < after
    assert len(after) == 3


def test_a_table_that_hides_rows_in_other_files_is_refused(table, pipeline_over):
    log = table / "_delta_log"
    protocol = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["deletionVectors"],
    }
    (log / f"{1:020d}.json").write_text(json.dumps({"protocol": protocol}))
    with pytest.raises(SourceError, match="deletionVectors, which cannot be read here"):
        read_source(pipeline_over({"path": "shop"}))


def test_a_table_whose_log_is_broken_is_refused(table, pipeline_over):
    (table / "_delta_log" / f"{0:020d}.json").write_text("{broken")
    with pytest.raises(SourceError, match=r"the Delta table .*shop cannot be opened"):
        read_source(pipeline_over({"path": "shop"}))


def test_a_data_file_that_is_gone_is_named(table, pipeline_over):
    victim = next(table.glob("town=c/*.parquet"))
    victim.unlink()
    with pytest.raises(SourceError, match=victim.name):
        read_source(pipeline_over({"path": "shop"}))
