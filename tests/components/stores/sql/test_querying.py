"""Queries are streamed from one state of a database, typed, and told in words when they fail."""

import sqlite3
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from components.errors import DriftwheelError, SourceError, StoreUnreachableError
from components.stores.sql import Asked, Since, columns_of, read_query
from components.stores.sql.names import quote_table, split_table

ORDERS = Asked("${SHOP} (orders)", table="orders")
KINDS = """
CREATE TABLE kinds AS SELECT
    7::int2 AS small, 9007199254740993::int8 AS large, 1.5::float4 AS single, 2.5::float8 AS double,
    12345678901234567890.123456789::numeric AS exact, true AS flag, 'Zürich'::text AS town,
    'JFK'::varchar(3) AS airport, timestamp '2011-01-01 05:00:00.000001' AS naive,
    timestamptz '2011-01-01 05:00:00+02' AS zoned, date '2011-01-01' AS day,
    '5b0b4d3c-1111-2222-3333-444455556666'::uuid AS named, '{"a": [1, null]}'::jsonb AS odds
"""


def rows_of(url: str, asked: Asked, **given: object) -> list[dict]:
    return [row for batch in read_query(url, asked, **given) for row in batch.to_pylist()]


def said_by(url: str, asked: Asked) -> DriftwheelError:
    with pytest.raises(DriftwheelError) as raised:
        rows_of(url, asked)
    return raised.value


def test_every_type_of_postgresql_arrives_without_loss(postgres_url, postgres):
    postgres.execute(KINDS)
    (batch,) = read_query(postgres_url, Asked("kinds", table="kinds"))
    row = batch.to_pylist()[0]
    assert row["large"] == 9_007_199_254_740_993
    assert (row["small"], row["single"], row["double"], row["flag"]) == (7, 1.5, 2.5, True)
    assert row["exact"] == "12345678901234567890.123456789"
    assert (row["town"], row["airport"]) == ("Zürich", "JFK")
    assert row["naive"] == datetime(2011, 1, 1, 5, 0, 0, 1)  # noqa: DTZ001 - naive is the claim
    assert row["zoned"] == datetime(2011, 1, 1, 3, tzinfo=UTC)
    assert row["day"] == datetime(2011, 1, 1)  # noqa: DTZ001 - as above
    assert row["named"] == "5b0b4d3c-1111-2222-3333-444455556666"
    assert row["odds"] == '{"a": [1, null]}'


def test_nulls_keep_the_type_of_their_column(postgres_url, postgres):
    postgres.execute(KINDS)
    postgres.execute("INSERT INTO kinds (town) VALUES (NULL)")
    (batch,) = read_query(postgres_url, Asked("kinds", table="kinds"))
    empty = batch.to_pylist()[1]
    assert set(empty.values()) == {None}
    assert batch.schema.field("zoned").type == pa.timestamp("us", "UTC")


def test_a_time_that_is_none_arrives_as_text_for_the_checks_to_see(postgres_url, postgres):
    query = "SELECT timestamptz 'infinity' AS at UNION ALL SELECT '2011-01-01 05:00+00' ORDER BY 1"
    assert rows_of(postgres_url, Asked("times", query=query)) == [
        {"at": "2011-01-01 05:00:00+00"},
        {"at": "infinity"},
    ]


def test_sqlite_gives_each_value_as_it_stands(sqlite_url):
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as shop:
        shop.execute("CREATE TABLE orders (id, at, odd, empty)")
        shop.execute("INSERT INTO orders VALUES (1, '2011-01-01', 'x', NULL), (2, NULL, 7, NULL)")
    shop.close()
    assert rows_of(sqlite_url, ORDERS) == [
        {"id": 1, "at": "2011-01-01", "odd": "x", "empty": None},
        {"id": 2, "at": None, "odd": "7", "empty": None},
    ]


def test_a_query_may_hold_percent_signs_colons_a_semicolon_and_a_comment(url, run):
    run("CREATE TABLE orders (id integer, note text)", "INSERT INTO orders VALUES (1, '5% :off')")
    asked = Asked("q", query="SELECT * FROM orders WHERE note LIKE '5% :o%' -- the cheap ones\n;")
    assert rows_of(url, asked, columns=["note"]) == [{"note": "5% :off"}]


def test_a_query_may_begin_with_a_common_table(url, run):
    run("CREATE TABLE orders (id integer)", "INSERT INTO orders VALUES (1)")
    assert rows_of(url, Asked("q", query="WITH a AS (SELECT * FROM orders) SELECT * FROM a")) == [
        {"id": 1}
    ]


def test_columns_are_named_without_reading(url, run):
    run('CREATE TABLE orders (id integer, "Odd ""name" text)')
    assert columns_of(url, ORDERS) == ("id", 'Odd "name')


def test_of_columns_of_one_name_none_is_guessed_at(postgres_url):
    asked = Asked("q", query="SELECT 1 AS a, 2 AS a, 3 AS b")
    assert columns_of(postgres_url, asked) == ("a", "a", "b")
    assert rows_of(postgres_url, asked) == [{"b": 3}]


def test_nothing_can_be_written_by_a_query(url, run):
    run("CREATE TABLE orders (id integer)", "INSERT INTO orders VALUES (1)")
    for query in ("DELETE FROM orders RETURNING id", "SELECT 1); DELETE FROM orders; --"):
        with pytest.raises(SourceError):
            rows_of(url, Asked("q", query=query))
    assert run("SELECT count(*) FROM orders") == [(1,)]


def test_a_table_in_a_schema_is_found(postgres_url, postgres):
    postgres.execute("CREATE SCHEMA shop")
    postgres.execute("CREATE TABLE shop.orders AS SELECT 1 AS id")
    assert rows_of(postgres_url, Asked("t", table="shop.orders")) == [{"id": 1}]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("orders", (None, "orders")),
        ("shop.orders", ("shop", "orders")),
        ('"odd.name"', (None, "odd.name")),
        ('shop."odd "" name"', ("shop", 'odd " name')),
        ('"broken', (None, '"broken')),
    ],
)
def test_names_of_tables_are_split_and_quoted(name, parts):
    assert split_table(name) == parts
    assert quote_table(name).count('"') % 2 == 0


# --- reading what is new ------------------------------------------------------------------------


def test_only_newer_rows_come_where_every_column_is_a_time(postgres_url, postgres):
    postgres.execute(
        "CREATE TABLE orders AS SELECT i AS id,"
        " timestamp '2011-01-01' + i * interval '1 day' AS at,"
        " timestamptz '2011-01-01 00:00+00' + i * interval '1 day' AS changed, i::text AS name"
        " FROM generate_series(0, 9) i"
    )
    postgres.execute("INSERT INTO orders VALUES (99, NULL, timestamptz '2001-01-01 00:00+00', '')")
    eighth = pd.Timestamp("2011-01-08 02:00", tz="Europe/Berlin")
    at, changed = Since("at", eighth), Since("changed", eighth - pd.Timedelta(days=1))

    def ids(*since: Since) -> list[int]:
        return [row["id"] for row in rows_of(postgres_url, ORDERS, columns=["id"], since=since)]

    assert ids(at) == [8, 9, 99]  # one without a time may be anything
    assert ids(at, changed) == [7, 8, 9, 99]
    assert len(ids(at, Since("name", eighth))) == 11  # no time: nothing can be left out
    assert len(ids(at, Since("gone", eighth))) == 11


def test_what_is_read_is_one_state(postgres_url, postgres):
    postgres.execute("CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, 30000) i")
    batches = read_query(postgres_url, ORDERS)
    first = next(batches)
    postgres.execute("DELETE FROM orders")
    assert first.num_rows + sum(batch.num_rows for batch in batches) == 30_000


# --- in words -----------------------------------------------------------------------------------


def test_a_connection_that_drops_half_way_says_how_far_it_came(postgres_url, postgres):
    postgres.execute(
        "CREATE TABLE orders AS SELECT i AS id, repeat('x', 200) AS pad"
        " FROM generate_series(1, 60000) i"
    )
    batches = read_query(postgres_url, ORDERS)
    assert next(batches).num_rows == 10_000
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'driftwheel' AND datname = current_database()"
    )
    with pytest.raises(StoreUnreachableError, match=r"after [1-6]0,000 rows; nothing of this"):
        list(batches)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked("the shop", table="nowhere"), "has no such table"),
        (Asked("the shop", query="SELECT gone FROM orders"), "has no such column"),
        (Asked("the shop", query="SELCT 1"), "cannot make sense of the query"),
        (Asked("the shop", query=""), "cannot make sense of the query"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(url, run, asked, said):
    run("CREATE TABLE orders (id integer)")
    problem = said_by(url, asked)
    assert isinstance(problem, SourceError)
    assert str(problem).startswith("the shop at ")
    assert said in str(problem)


def test_a_column_that_is_not_there_is_named(url, run):
    run("CREATE TABLE orders (id integer)")
    with pytest.raises(SourceError, match="has no column 'at'; it has id"):
        rows_of(url, ORDERS, columns=["id", "at"])


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://postgres:s3cr3t%40@127.0.0.1:1/shop",
        "postgresql://nobody:s3cr3t%40@127.0.0.1:5432/postgres",
        "postgresql://postgres:s3cr3t%40@127.0.0.1:5432/driftwheel_nowhere",
        "postgresql://postgres@127.0.0.1:1/shop?password=s3cr3t%40",
        "postgresql://postgres:s3cr3t%40@127.0.0.1:port/shop",
        "mysql://root:s3cr3t%40@127.0.0.1/shop",
        "sqlite:///:memory:",
        "sqlite:////nowhere/shop.db",
        "s3cr3t@",
    ],
)
def test_a_database_that_cannot_be_reached_is_told_without_its_password(server, address):
    problem = said_by(address, ORDERS)
    assert isinstance(problem, StoreUnreachableError)
    assert str(problem).startswith("${SHOP} (orders)")
    assert "s3cr3t" not in f"{problem!r} {problem.__cause__!r}"


def test_asking_makes_no_database_of_a_missing_file(tmp_path):
    file = tmp_path / "gone.db"
    with pytest.raises(StoreUnreachableError, match="does not exist"):
        rows_of(f"sqlite:///{file}", ORDERS)
    assert not file.exists()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    file = tmp_path / "shop.db"
    file.write_text("no database at all, " * 100)
    with pytest.raises(StoreUnreachableError, match="is no SQLite database"):
        rows_of(f"sqlite:///{file}", ORDERS)
