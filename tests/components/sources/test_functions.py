"""A function of the user's own is a source; what goes wrong in it is told with its place."""

import sys

import pandas as pd
import pytest

from components.errors import SourceError
from components.sources import deliver, head, open_feed, read_source

SHOP = """
import pandas as pd
import pyarrow as pa
import prices

def rows(since):
    for day in (1, 2, 3):
        at = pd.Timestamp(f"2011-01-0{day}", tz="UTC")
        if since is None or at > since:
            yield pd.DataFrame({"at": [at], "price": [prices.of(day)], "count": [day]})

def arrow(since):
    table = pa.table({"at": ["2011-01-01"], "price": [1.5], "count": [1]})
    yield table
    yield from table.to_batches()

def late(since):
    import prices as again
    yield {"price": again.of(1)}

def nothing(since):
    return []

def dies(since):
    yield from rows(since)
    raise ValueError(f"no more: {prices.ADDRESS}")

def leaves(since):
    raise SystemExit(3)

def no_rows(since):
    return 7

def changes(since):
    yield pd.DataFrame({"at": ["2011-01-01"], "price": [1.0], "count": [1]})
    yield pd.DataFrame({"at": ["2011-01-01"], "cost": [1.0], "count": [1]})

def odd(since):
    frame = pd.DataFrame({"price": [1, "x"], "count": [2**70, None], 7: [{1}, "\\ud800"]})
    yield frame.set_index(pd.Index(["2011-01-01", "2011-01-02"], name="at"))

value = 7
"""
PRICES = "ADDRESS = 'postgresql://me:s3cr3t@db/shop'\ndef of(day):\n    return day * 1.5\n"


@pytest.fixture
def over(tmp_path, pipeline_over):
    code = tmp_path / "code"
    code.mkdir()
    (code / "shop.py").write_text(SHOP)
    (code / "prices.py").write_text(PRICES)

    def making(function: str = "rows", module: str = "shop", **changes):
        address = "postgresql://me:s3cr3t@db/shop"
        source = {"python": f"{module}:{function}"}
        return pipeline_over(source, places={"SHOP": address}, **changes)

    return making


def test_a_function_gives_batches_and_is_told_what_was_taken(over):
    pipeline = over(label_delay=None, label_time="at")
    assert list(read_source(pipeline)["price"]) == [1.5, 3.0, 4.5]
    feed = open_feed(pipeline.source, pipeline)
    (part,) = feed.parts(since=pd.Timestamp("2011-01-02", tz="UTC"))
    assert part.columns == ("at", "price", "count")
    for _ in range(2):  # it can be read again
        assert [row for batch in part.batches() for row in batch["count"].to_pylist()] == [3]
    assert list(feed.parts(since=pd.Timestamp("2012-01-01", tz="UTC"))) == []


def test_a_function_is_asked_again_for_rows_whose_label_may_have_come(over):
    def days_since(pipeline) -> list[int]:
        feed = open_feed(pipeline.source, pipeline)
        (part,) = feed.parts(since=pd.Timestamp("2011-01-02", tz="UTC"))
        return [day for batch in part.batches() for day in batch["count"].to_pylist()]

    assert days_since(over(label_delay="1d")) == [2, 3]
    assert days_since(over(label_delay=None, label_time="at")) == [3]


def test_a_function_delivers_like_any_source(over):
    pipeline = over(task="regression", columns={"price": "number"})
    delivery = deliver(pipeline, as_of=pd.Timestamp("2011-01-03", tz="UTC"))
    assert (len(delivery.records), len(delivery.labels)) == (3, 2)
    assert len(head(pipeline.source, pipeline, 2)) == 2


def test_arrow_tables_and_batches_are_as_good(over):
    assert len(read_source(over("arrow"))) == 2


def test_frames_of_mixed_types_and_indexes_come_through(over):
    frame = read_source(over("odd"))
    assert list(frame["at"]) == ["2011-01-01", "2011-01-02"]
    assert list(frame["price"]) == ["1", "x"]
    assert frame["count"][0] == str(2**70)
    assert frame["count"].isna()[1]
    assert frame.columns.to_list() == ["at", "price", "count", "7"]


def test_the_users_modules_stay_among_themselves(over, tmp_path):
    before = list(sys.path)
    read_source(over())
    assert sys.path == before
    assert "prices" not in sys.modules
    (tmp_path / "code" / "prices.py").write_text(PRICES.replace("1.5", "1000.25"))
    assert read_source(over())["price"][0] == 1000.25


def test_a_module_may_lie_in_a_package(over, tmp_path):
    package = tmp_path / "code" / "feeds"
    package.mkdir()
    (package / "daily.py").write_text(SHOP)
    assert len(read_source(over(module="feeds.daily"))) == 3


@pytest.mark.parametrize(
    ("module", "function", "said"),
    [
        ("shop", "gone", r"shop\.py has no function 'gone'"),
        ("shop", "value", r"shop\.py has no function 'value'"),
        ("gone", "rows", r"gone\.py does not exist; put the module into .*code"),
        ("shop", "no_rows", "must yield pandas DataFrames.*Got int"),
        ("shop", "late", "must yield pandas DataFrames.*Got dict as batch 1"),
        ("shop", "leaves", r"failed before its first batch: SystemExit: 3 \(.*shop\.py, line \d+"),
        ("shop", "changes", "the same columns in every batch.*batch 2 has at, cost, count"),
        ("shop", "nothing", "is empty: it has no rows"),
        ("json", "loads", r"json\.py does not exist"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(over, module, function, said):
    with pytest.raises(SourceError, match=said):
        read_source(over(function, module))


def test_a_function_that_dies_half_way_is_told_with_its_place_and_no_password(over):
    with pytest.raises(SourceError, match=r"shop:dies failed on its way to batch 4") as raised:
        read_source(over("dies"))
    said = str(raised.value)
    line = SHOP.splitlines().index('    raise ValueError(f"no more: {prices.ADDRESS}")') + 1
    assert (
        f"ValueError: no more: ${{SHOP}} ({over().file.parents[1]}/code/shop.py, line {line})"
        in said
    )
    assert "s3cr3t" not in said
    assert raised.value.__suppress_context__


def test_a_module_that_is_no_python_is_told_with_its_line(over, tmp_path):
    (tmp_path / "code" / "broken.py").write_text("def rows(since)\n    pass\n")
    with pytest.raises(SourceError, match=r"SyntaxError: .*broken\.py, line 1"):
        read_source(over(module="broken"))
