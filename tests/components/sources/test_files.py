"""Files and folders are read whole and right, or refused with the place and what to do."""

import gzip
import itertools
import os
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import SourceError
from components.sources import columns_of, frame_of, head, open_feed, read_source
from components.sources.parts import regroup

TEXT = "at,temp,count\n2011-01-01,1.5,007\n2011-01-02,,8\n"
ROWS = [("2011-01-01", "1.5", "007"), ("2011-01-02", None, "8")]


def read(pipeline) -> list[tuple]:
    """Read all rows, missing as None."""
    feed = open_feed(pipeline.source, pipeline)
    batches = itertools.chain.from_iterable(part.batches() for part in feed.parts())
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


@pytest.fixture
def over(tmp_path, pipeline_over):
    """Write content into a file and make a pipeline over it."""

    def making(content: bytes | str, name: str = "shop.csv", **changes):
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / "pipelines" / name).write_bytes(data)
        return pipeline_over({"path": name}, **changes)

    return making


def parquet_of(frame: pd.DataFrame, **given) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(frame), sink, **given)
    return sink.getvalue().to_pybytes()


FRAME = pd.DataFrame({"at": pd.date_range("2011-01-01", periods=5000), "temp": 1.5, "count": 7})

# --- whatever the file looks like ---------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        gzip.compress(TEXT.encode("utf-16"), mtime=0),
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.replace(",", "|"),
        TEXT.rstrip("\n"),
        "\n" + TEXT,
        '"at","temp","count"\n"2011-01-01","1.5","007"\n"2011-01-02","","8"\n',
    ],
)
def test_csv_is_read_as_it_was_meant(over, content):
    assert read(over(content)) == ROWS


def test_a_quoted_value_keeps_its_line_ends_and_separators(over):
    text = 'at,note,count\n2011-01-01,"a, ""b""\r\nc",1\n2011-01-02,"\n",2\n'
    found = read(over(text))
    assert [row[1] for row in found] == ['a, "b"\r\nc', "\n"]


def test_a_lonely_quote_within_a_value_is_a_value(over):
    assert read(over('at,temp,count\n2011-01-01,5" pipe,1\n'))[0][1] == '5" pipe'


def test_a_file_with_only_a_header_has_columns_and_no_rows(over):
    for content in ("at,temp,count\n", "at,temp,count"):
        pipeline = over(content)
        (part,) = open_feed(pipeline.source, pipeline).parts()
        assert part.columns == ("at", "temp", "count")
        assert list(part.batches()) == []


def test_columns_that_stand_twice_are_not_guessed_at(over):
    pipeline = over("at,temp,temp,count\n2011-01-01,1,2,3\n")
    (part,) = open_feed(pipeline.source, pipeline).parts()
    assert part.columns == ("at", "temp", "temp", "count")
    assert read(pipeline) == [("2011-01-01", "3")]
    with pytest.raises(SourceError, match=r"'temp' stands twice in .*shop\.csv; rename"):
        read(over("at,temp,temp,count\n2011-01-01,1,2,3\n", columns={"temp": "number"}))


def test_large_whole_numbers_with_gaps_do_not_become_floats():
    table = pa.table({"id": pa.array([2**60 + 1, None]), "x": pa.array([1.5, None])})
    frame = frame_of(table)
    assert frame["id"][0] == 2**60 + 1
    assert frame["x"].dtype == np.float64


def test_the_index_that_pandas_left_in_a_parquet_file_is_a_column(over):
    indexed = FRAME.head(3).set_index("at")
    assert [row[2].year for row in read(over(parquet_of(indexed)))] == [2011] * 3


def test_parquet_columns_with_dots_are_found_among_nested_ones(over):
    frame = pd.DataFrame({"at": ["2011-01-01"], "count": [1], "a.b": [2], "a": [{"b": 3}]})
    assert read(over(parquet_of(frame), columns={"a.b": "number"})) == [("2011-01-01", 1, 2)]


def test_batches_are_bounded_and_joined():
    small = [pa.RecordBatch.from_pydict({"x": [n]}) for n in range(250)]
    assert [b.num_rows for b in regroup(small, 100)] == [100, 100, 50]
    (large,) = pa.table({"x": range(250)}).to_batches()
    assert [b.num_rows for b in regroup([large], 100)] == [100, 100, 50]
    other = pa.RecordBatch.from_pydict({"x": ["text"]})
    assert [b.num_rows for b in regroup([small[0], other, small[1]], 100)] == [1, 1, 1]


def test_a_large_row_group_flows_in_little_memory(over):
    values = np.random.default_rng(0).normal(size=1_500_000)
    content = parquet_of(
        pd.DataFrame({f"x{n}": values + n for n in range(8)}), row_group_size=1_500_000
    )
    pipeline = over(content, time="x0", target="x1")
    del content
    (part,) = open_feed(pipeline.source, pipeline).parts()
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    for batch in part.batches():
        rows += batch.num_rows
        most = max(most, pa.total_allocated_bytes() - before)
    assert rows == 1_500_000
    assert most < 1_500_000 * 8 * 8 / 2


# --- damaged, half-written, foreign -------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("at,temp,count\n2011-01-01,1,2\n2011-01-02,1", "ends in the middle of row 3"),
        ('at,temp,count\n2011-01-01,1,"2', "ends within a quoted value"),
        ('at,temp,count\n2011-01-01,1,"2\n2011-01-02,1,3\n', "ends within a quoted value"),
        ("at,temp,count\n2011-01-01,1\n2011-01-02,1,3\n", r"Row #2: Expected 3 columns, got 2"),
        ("at,temp,count\n2011-01-01,1,2,3\n", r"Row #2: Expected 3 columns, got 4"),
        (
            "at,temp,count\n2011-01-01,Zürich,2\n".encode("latin-1"),
            r"line 2 holds a byte.*offset 26",
        ),
        ("at,tämp,count\n2011-01-01,1,2\n".encode("latin-1"), r"line 1 holds a byte.*offset 4"),
        (TEXT.encode("utf-16-le"), "byte 1 is NUL"),
        (TEXT.encode("utf-16")[:-1], "cannot be read as UTF-16"),
        (b"", "is empty: 0 bytes"),
        (b"\n\n\n", "cannot be read as CSV"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-1], "damaged or was not copied whole"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-8] + b"\0" * 8, "CRC check failed"),
        (gzip.compress(b"", mtime=0), "cannot be read as CSV"),
        (parquet_of(FRAME)[:-9], "damaged or was not copied whole"),
        (parquet_of(FRAME)[:2000], "damaged or was not copied whole"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(over, content, said):
    with pytest.raises(SourceError, match=said) as raised:
        read(over(content))
    assert "shop.csv" in str(raised.value)


def test_a_zip_whose_content_changed_is_refused(over, tmp_path):
    file = tmp_path / "bikes.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bikes.csv", TEXT)
    with pytest.raises(SourceError, match="damaged or was not copied whole"):
        read(over(file.read_bytes().replace(b"007", b"008")))


def test_an_encrypted_zip_is_refused(over, tmp_path):
    file = tmp_path / "bikes.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("bikes.csv", TEXT)
    content = bytearray(file.read_bytes())
    content[6] |= 1  # the flag in the entry, and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(SourceError, match="is encrypted, password required"):
        read(over(bytes(content)))


def test_a_pipe_is_no_source(tmp_path, pipeline_over):
    os.mkfifo(tmp_path / "pipelines" / "pipe")
    with pytest.raises(SourceError, match="is neither a file nor a folder"):
        read(pipeline_over({"path": "pipe"}))


def test_a_parquet_page_whose_bits_flipped_is_refused(over):
    content = bytearray(parquet_of(FRAME, write_page_checksum=True, compression="none"))
    content[600] ^= 0xFF
    with pytest.raises(SourceError, match=r"shop\.csv cannot be read"):
        read(over(bytes(content)))


def test_a_file_without_a_header_is_told_apart_from_one_of_other_columns(over):
    with pytest.raises(SourceError, match=r"has no header: its first line is 2011-01-01, 1\.5"):
        read_source(over("2011-01-01,1.5,7\n2011-01-02,2.5,8\n"))
    with pytest.raises(SourceError, match=r"'at'.*is not in"):
        read_source(over("moment,temp,count\n2011-01-01,1,2\n"))


def test_a_row_longer_than_can_be_held_is_refused(over):
    text = "at,temp,count\n2011-01-01," + "x" * (9 << 20) + ",2\n"
    with pytest.raises(SourceError, match="a row is longer than"):
        read(over(text))


@settings(max_examples=300, deadline=None)
@given(
    content=st.binary(max_size=200),
    start=st.sampled_from([b"", b"at,count\n", b"PAR1", b"PK\x03\x04", b"\x1f\x8b"]),
)
def test_any_bytes_are_read_or_refused_never_a_traceback(tmp_path_factory, content, start):
    from components.sources.files import file_part

    path = tmp_path_factory.mktemp("bytes") / "shop.csv"
    path.write_bytes(start + content)
    said = str(path)
    try:
        rows = sum(batch.num_rows for batch in file_part(path, path.name, ()).batches())
    except SourceError as problem:
        rows, said = 0, str(problem)
    assert str(path) in said
    assert rows <= content.count(b"\n") + content.count(b"\r") + 1


# --- files that do not hold still ---------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [TEXT.encode(), parquet_of(FRAME), gzip.compress(TEXT.encode(), mtime=0)]
)
@pytest.mark.parametrize("change", ["grows", "shrinks", "is replaced", "is touched", "is gone"])
def test_a_file_that_changes_while_it_is_read_is_refused(over, content, change):
    pipeline = over(content)
    (part,) = open_feed(pipeline.source, pipeline).parts()
    batches = part.batches()
    next(batches)
    path = pipeline.source_path
    if change == "grows":
        path.write_bytes(content + b"2011-01-03,1,9\n")
    elif change == "shrinks":
        path.write_bytes(content[:-5])
    elif change == "is replaced":
        other = path.with_suffix(".tmp")
        other.write_bytes(content)
        other.replace(path)
    elif change == "is touched":
        os.utime(path, ns=(1, 1))
    else:
        path.unlink()
    with pytest.raises(
        SourceError, match=r"changed while it was read|cannot be read: No such file"
    ):
        list(batches)


def test_a_digest_is_of_the_content_that_is_read(over):
    parts = []
    for name in ("one.csv", "two.csv"):
        pipeline = over(TEXT, name)
        parts += open_feed(pipeline.source, pipeline).parts()
    assert parts[0].digest == parts[1].digest
    pipeline.source_path.write_text(TEXT + "2011-01-03,1,9\n")
    with pytest.raises(SourceError, match="changed while it was read"):
        list(parts[1].batches())
    (changed,) = open_feed(pipeline.source, pipeline).parts()
    assert changed.digest != parts[0].digest


# --- folders ------------------------------------------------------------------------------------


def test_a_folder_is_read_by_name_whatever_its_files_hold(tmp_path, pipeline_over):
    folder = tmp_path / "pipelines" / "days"
    (folder / "2012").mkdir(parents=True)
    (folder / "b.csv").write_text("at,temp,count\n2011-01-02,2,8\n")
    (folder / "a.csv.gz").write_bytes(gzip.compress(b"at,count,wind\n2011-01-01,7,3\n"))
    (folder / "2012" / "c").write_bytes(parquet_of(FRAME.head(1)))
    for name in (".hidden.csv", "_SUCCESS", "d.csv.tmp", "d.part", "README.md", "empty.csv"):
        (folder / name).write_text("" if name == "empty.csv" else "rubbish")
    pipeline = pipeline_over({"path": "days"}, columns={"temp": "number", "wind": "number"})
    parts = list(open_feed(pipeline.source, pipeline).parts())
    assert [part.name for part in parts] == ["2012/c", "a.csv.gz", "b.csv"]
    assert len({part.digest for part in parts}) == 3
    assert columns_of(pipeline.source, pipeline) == ("at", "temp", "count", "wind")
    frame = read_source(pipeline)
    assert list(frame["count"].astype(str)) == ["7", "7", "8"]
    assert frame["wind"].isna().to_list() == [True, False, True]


def test_the_head_of_a_folder_opens_no_more_files_than_it_needs(tmp_path, pipeline_over):
    folder = tmp_path / "pipelines" / "days"
    folder.mkdir()
    (folder / "a.csv").write_text(TEXT)
    (folder / "b.csv").write_bytes(b"PAR1 broken")
    pipeline = pipeline_over({"path": "days"})
    assert len(head(pipeline.source, pipeline, 2)) == 2
    with pytest.raises(SourceError, match=r"b\.csv cannot be read"):
        head(pipeline.source, pipeline, 3)


def test_only_the_columns_that_are_needed_are_read(over):
    wide = FRAME.assign(**{f"x{n}": 1.0 for n in range(20)})
    pipeline = over(parquet_of(wide), columns={"temp": "number", "gone": "number"})
    (part,) = open_feed(pipeline.source, pipeline).parts()
    assert len(part.columns) == 23
    assert next(part.batches()).schema.names == ["at", "count", "temp"]
