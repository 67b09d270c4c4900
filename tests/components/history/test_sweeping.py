"""The sweep answers every case as counting one by one does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.history.sweeping import newest_standing, sums_below

changes = st.lists(st.tuples(st.integers(0, 12), st.integers(-9, 9)), max_size=40)
queries = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 14)), min_size=1, max_size=12)


@given(changes, queries)
def test_sums_are_those_of_the_first_changes_below_a_bound(said, asked) -> None:
    ranks = np.array([rank for rank, _ in said], dtype=np.int64)
    weights = np.array([[weight for _, weight in said]], dtype=np.int64).reshape(1, len(said))
    first = np.array([min(number, len(said)) for number, _ in asked])
    below = np.array([bound for _, bound in asked])
    expected = [
        sum(weight for rank, weight in said[:number] if rank < bound)
        for number, bound in zip(first.tolist(), below.tolist(), strict=True)
    ]
    assert sums_below(ranks, weights, first, below)[0].tolist() == expected


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)), queries, st.integers(0, 12))
def test_the_newest_is_the_highest_that_became_known_and_was_not_superseded(
    order, ended, asked, after
) -> None:
    said = [(rank, 1) for rank in order] + [(rank, -1) for rank in sorted(ended)]
    ranks, signs = (np.array(part, dtype=np.int64) for part in zip(*said, strict=True))
    first = np.array([min(number, len(said)) for number, _ in asked])
    below = np.array([max(bound, after) for _, bound in asked])
    expected = []
    for number, bound in zip(first.tolist(), below.tolist(), strict=True):
        standing = set()
        for rank, sign in said[:number]:
            (standing.add if sign == 1 else standing.discard)(rank)
        expected.append(max((rank for rank in standing if after <= rank < bound), default=-1))
    found = newest_standing(ranks, signs, first, np.full(len(first), after), below)
    assert found.tolist() == expected
