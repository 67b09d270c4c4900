"""A sum is the same to the last digit whatever else was added up beside it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.history.exact import BITS, Limbs

numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(numbers, max_size=20))
def test_limbs_hold_every_number_exactly(values) -> None:
    split = Limbs.of(np.array(values, dtype=np.float64))
    for place, value in enumerate(values):
        limbs = split.limbs[:, place].tolist()
        parts = [n * Fraction(2) ** (BITS * p) for n, p in zip(limbs, split.places, strict=True)]
        assert sum(parts) == Fraction(value)
        assert all(abs(limb) < 2**BITS for limb in limbs)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
def test_a_total_is_the_exact_one_but_for_its_last_digits(values) -> None:
    split = Limbs.of(np.array(values))
    total = split.joined(split.limbs.sum(axis=1, keepdims=True))[0]
    exact = float(sum(Fraction(value) for value in values))
    assert total == pytest.approx(exact, rel=1e-12, abs=1e-300)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9), numbers)
def test_numbers_beside_a_sum_do_not_change_its_last_digit(values, other) -> None:
    alone = Limbs.of(np.array(values))
    beside = Limbs.of(np.array([*values, other]))
    mine = alone.joined(alone.limbs.sum(axis=1, keepdims=True))
    same = beside.joined(beside.limbs[:, :-1].sum(axis=1, keepdims=True))
    assert mine.tobytes() == same.tobytes()
