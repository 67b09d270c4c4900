"""Columns that hold the answer are found; those that merely go along with it are not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.looking.leaks import find_leaks

ROWS = 2_000


def times(rows: int = ROWS) -> pd.Series:
    return pd.Series(pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC"))


def noise(seed: int = 0, rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=rows)


def blamed(columns: dict[str, object], target: object, task: str = "regression") -> list[set[str]]:
    frame = pd.DataFrame(columns)
    truth = pd.Series(target, index=frame.index)
    return [set(x.columns) for x in find_leaks(frame, truth, times(len(frame)), task=task).certain]


@pytest.mark.parametrize(
    "made",
    [lambda y: 3 * y - 7, lambda y: -y, lambda y: y**3, np.exp, lambda y: np.round(y, 4)],
    ids=["straight", "opposite", "cubed", "exponential", "rounded"],
)
def test_a_column_made_of_the_target_is_found(made) -> None:
    target = noise()
    assert blamed({"x": made(target), "other": noise(1)}, target) == [{"x"}]


def test_a_relation_that_turns_back_is_found() -> None:
    x = np.random.default_rng(2).uniform(-3, 3, ROWS)
    assert blamed({"x": x, "other": noise(1)}, x**2) == [{"x"}]


def test_parts_of_a_sum_and_of_a_difference_are_found() -> None:
    a, b, c = noise(1), noise(2), noise(3)
    assert blamed({"a": a, "b": b, "c": c}, a + b) == [{"a", "b"}]
    assert blamed({"a": a, "b": b, "c": c}, b - a) == [{"a", "b"}]
    assert blamed({"a": a, "b": b, "c": c}, 2 * a - 5 * c + 1) == [{"a", "c"}]


def test_a_small_part_of_an_exact_sum_is_found_too() -> None:
    big, small = 100 * noise(1), noise(2)
    assert blamed({"big": big + noise(5), "small": small}, big + noise(5) + small) in (
        [{"big", "small"}],
        [{"big"}],
    )


def test_classes_told_by_a_number_a_sum_a_category_or_a_gap_are_found() -> None:
    x, other = noise(1), noise(2)
    late = np.where(x > 0.3, "1", "0")
    assert blamed({"x": x, "other": other}, late, "binary") == [{"x"}]
    both = np.where(x + other > 0, "1", "0")
    assert blamed({"x": x, "other": other, "third": noise(4)}, both, "binary") == [{"x", "other"}]
    words = pd.Series(np.where(x > 0.3, "paid", "open"), dtype="str")
    assert blamed({"state": words, "other": other}, late, "binary") == [{"state"}]
    gone = pd.Series(np.where(x > 0.3, other, np.nan))
    assert blamed({"why": gone}, late, "binary") == [{"why"}]


def test_three_classes_told_by_a_code_are_found() -> None:
    kind = np.random.default_rng(3).integers(0, 3, ROWS)
    target = np.array(["a", "b", "c"])[kind]
    codes = pd.Series(np.array(["x7", "x8", "x9"])[kind], dtype="str")
    assert blamed({"code": codes, "other": noise(1)}, target, "multiclass") == [{"code"}]


def test_a_strong_column_is_suspicious_and_stays() -> None:
    target = noise()
    frame = pd.DataFrame({"near": target + 0.1 * noise(1), "other": noise(2)})
    found = find_leaks(frame, pd.Series(target), times(), task="regression")
    assert found.certain == ()
    assert [x.columns for x in found.suspicious] == [("near",)]
    assert 0.98 < found.suspicious[0].strength < 0.999


def test_a_column_that_grows_with_time_knows_nothing_of_a_target_that_wanders() -> None:
    target = np.cumsum(noise())
    assert blamed({"days": np.arange(ROWS) / 24.0}, target) == []


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(["regression", "binary"]), st.integers(30, 400))
def test_chance_is_never_blamed(seed: int, task: str, rows: int) -> None:
    chance = np.random.default_rng(seed)
    columns = {f"x{i}": chance.normal(size=rows) for i in range(6)}
    columns["word"] = pd.Series(chance.choice(list("abcdef"), rows), dtype="str")
    target = chance.normal(size=rows)
    truth = target if task == "regression" else np.where(target > 0.5, "1", "0")
    assert blamed(columns, truth, task) == []


def test_few_labels_judge_nothing() -> None:
    frame = pd.DataFrame({"x": noise(rows=20)})
    assert not find_leaks(frame, frame["x"], times(20), task="regression").judged


def test_four_hundred_columns_are_paired_in_seconds() -> None:
    chance = np.random.default_rng(4)
    wide = pd.DataFrame(chance.normal(size=(500, 400)), columns=[f"x{i}" for i in range(400)])
    target = wide["x17"] + wide["x303"]
    found = find_leaks(wide, target, times(500), task="regression").certain
    assert [set(x.columns) for x in found] == [{"x17", "x303"}]
    assert str(found[0]) == "x17 + x303 determines the target (R² 1)"
