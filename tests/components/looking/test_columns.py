"""What a column holds is told from its values, and only then from its name."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from components.looking.bounds import bounds_of
from components.looking.columns import Seen, look_at_column, look_at_entity
from components.looking.surveying import Roles, survey

ROWS = 1_200


def seen(values: object, name: str = "x") -> Seen:
    """Look at one column beside a time."""
    times = pd.date_range("2024-01-01", periods=len(values), freq="h").astype(str)  # type: ignore[arg-type]
    batch = pa.RecordBatch.from_pydict({"at": times.tolist(), name: pa.array(values)})
    return look_at_column(name, survey([batch], Roles("at")))


def entity(values: object) -> Seen:
    """Look at a column of whom records are about."""
    batch = pa.RecordBatch.from_pydict({"at": ["2024-01-01"] * len(values), "who": values})  # type: ignore[arg-type]
    return look_at_entity("who", survey([batch], Roles("at", entity="who")))


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([str(x) for x in range(5)] * 40, "number"),
        ([True, False] * 100, "number"),
        (["true", "false"] * 100, "category"),
        (["a", "b", None] * 100, "category"),
        ([1.5, None] * 100, "number"),
        (["1", "2", "n/a"] * 100, "number"),
    ],
)
def test_kinds_are_those_that_the_loop_reads(values: list[object], kind: str) -> None:
    assert seen(values).kind == kind


def test_a_number_with_a_few_words_in_it_is_one_and_the_words_are_named() -> None:
    found = seen([str(x) for x in chance().normal(size=ROWS)] + ["broken"] * 3)
    assert found.kind == "number"
    assert "'broken'" in found.noticed[0]


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("x", [None] * 10, "no value"),
        ("x", ["7"] * 100, "always 7"),
        ("x", [f"n{i}" for i in range(100)], "names things"),
        ("x", [f"{i} said that it was fine and well, again" for i in range(100)], "free text"),
        ("x", ["2024-01-01", "2024-01-02"] * 50, "is a time"),
        ("seen_at", list(range(1_700_000_000, 1_700_000_100)), "is a time (seconds"),
        ("date", [20240100 + d for d in range(1, 29)] * 4, "is a date written as a number"),
        ("x", list(range(1000)), "only numbers the rows"),
        ("customer_id", [int(x) for x in 1000 * chance().integers(0, 400, 900)], "--entity"),
    ],
)
def test_what_no_model_can_use_is_left_out_with_the_reason(
    name: str, values: list[object], reason: str
) -> None:
    found = seen(values, name)
    assert found.kind is None
    assert reason in found.reason


def test_a_small_number_that_names_things_is_a_category() -> None:
    found = seen([int(x) for x in chance().integers(0, 20, ROWS)], "store_id")
    assert found.kind == "category"
    assert "name things" in found.noticed[0]


@pytest.mark.parametrize("name", ["customer", "zip", "supplier", "order_key"])
def test_whole_numbers_that_are_names_by_their_name_are_never_bounded(name: str) -> None:
    few = seen([int(x) for x in chance().integers(0, 20, ROWS)], name)
    many = seen([int(x) for x in chance().integers(0, 700, ROWS)], name)
    assert (few.kind, many.kind) == ("category", None)
    assert "is an id by its name" in many.reason


@pytest.mark.parametrize("name", ["customers", "customer_age", "member"])
def test_counts_measures_and_flags_of_things_are_numbers(name: str) -> None:
    most = 2 if name == "member" else 90
    assert seen([int(x) for x in chance().integers(0, most, ROWS)], name).kind == "number"


def test_an_entity_is_a_category_where_few_come_again_and_never_a_number() -> None:
    found = entity([int(x) for x in chance().integers(0, 40, ROWS)])
    assert found.kind == "category"
    assert found.bounds.high is None


@pytest.mark.parametrize("most", [400, 100_000])
@pytest.mark.parametrize("word", [int, "c{}".format])
def test_an_entity_of_many_is_left_out_with_the_reason(most: int, word) -> None:
    found = entity([word(x) for x in chance().integers(0, most, 5 * ROWS)])
    assert found.kind is None
    assert "new ones to come" in found.reason


def test_many_categories_are_noticed() -> None:
    found = seen([f"v{x}" for x in chance().integers(0, 300, ROWS)])
    assert found.kind == "category"
    assert "different values" in found.noticed[0]


def test_only_many_rows_without_a_gap_make_a_rule_of_it() -> None:
    values = [str(x) for x in chance().normal(size=ROWS)]
    assert not seen(values).may_be_null
    assert seen(values[:900]).may_be_null
    assert seen([*values, None]).may_be_null


@pytest.mark.parametrize(
    ("name", "low", "high", "bounds"),
    [
        ("hour", 0, 23, (0, 23)),
        ("humidity_pct", 12, 98, (0, 100)),
        ("month", 1, 12, (1, 12)),
        ("day_of_week", 0, 6, (0, 6)),
        ("day_of_week", 1, 7, (1, 7)),
        ("lat", 47, 49, (-90, 90)),
        ("is_open", 0, 1, (0, 1)),
    ],
)
def test_bounds_by_nature(name: str, low: int, high: int, bounds: tuple[int, int]) -> None:
    values = pd.Series(np.resize(np.arange(low, high + 1), 500), dtype=float)
    found = bounds_of(name, values)
    assert (found.low, found.high) == bounds


@pytest.mark.parametrize("name", ["temp_c", "price", "x", "net_flow", "count", "load_pct"])
def test_a_world_that_doubles_and_a_winter_stay_within_bounds(name: str) -> None:
    values = pd.Series(chance().uniform(5, 40, 1000))
    found = bounds_of(name, values)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= (0 if name in {"count", "load_pct"} else -40)
    assert found.high >= 100


def test_a_count_is_never_below_zero_and_a_temperature_may_be() -> None:
    values = pd.Series(chance().integers(0, 50, 1000), dtype=float)
    assert bounds_of("count", values).low == 0
    assert bounds_of("temp_c", values).low < 0  # type: ignore[operator]


def test_a_word_for_missing_among_numbers_is_noticed() -> None:
    values = pd.Series([*chance().uniform(5, 40, 1000), *[-999.0] * 5])
    assert "-999" in bounds_of("x", values).odd
    assert bounds_of("x", values[:1000]).odd == ""


def test_few_rows_bound_nothing() -> None:
    assert bounds_of("hour", pd.Series([1.0, 2.0])).high is None
