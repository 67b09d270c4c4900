"""Markdown that others' words cannot break."""

import pytest

from monitoring.markdown import between, moment, number, percent, table, words


def test_words_of_others_mean_nothing_to_markdown() -> None:
    said = words("a|b\n<img src=x> *c* `d` [e](f)")
    assert said == r"a\|b &lt;img src=x&gt; \*c\* 'd' \[e\](f)"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "-"),
        (0.0, "0"),
        (41.03821, "41.04"),
        (1234, "1,234"),
        (123456.7, "123,457"),
        (-0.00001234, "-1.234e-05"),
    ],
)
def test_a_number_has_four_digits_that_count(value, written) -> None:
    assert number(value) == written


def test_what_is_not_known_is_left_open() -> None:
    assert (percent(None), percent(0.0123)) == ("-", "1.2 %")
    assert (between(None, None), between(1.0, None)) == ("-", "1 to -")
    assert moment("2024-03-01T12:30:59+00:00") == "2024-03-01 12:30"


def test_a_table_is_aligned_and_nothing_without_rows() -> None:
    assert table(["a"], []) == []
    lines = table(["name", ""], [["x", "longer"]])
    assert lines == ["| name |        |", "| ---- | ------ |", "| x    | longer |"]
