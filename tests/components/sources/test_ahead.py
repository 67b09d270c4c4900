"""The next batch is read while this one is worked on, and nobody notices otherwise."""

import threading
from collections.abc import Iterator

import pytest

from components.sources.ahead import ahead


def test_items_come_in_order_and_each_once() -> None:
    assert list(ahead(number for number in range(100))) == list(range(100))
    assert list(ahead(number for number in range(0))) == []


def test_one_item_is_read_ahead_and_no_third() -> None:
    read: list[int] = []
    second = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(5):
            read.append(number)
            if number == 1:
                second.set()
            yield number

    coming = ahead(numbers())
    assert next(coming) == 0
    assert second.wait(60), "the second is read before anybody asks for it"
    assert read == [0, 1], "the third waits until the second is taken"
    assert list(coming) == [1, 2, 3, 4]


def test_a_problem_comes_after_the_items_before_it_and_with_its_own_type() -> None:
    def breaking() -> Iterator[int]:
        yield 0
        yield 1
        raise LookupError("cut off")

    coming = ahead(breaking())
    assert [next(coming), next(coming)] == [0, 1]
    with pytest.raises(LookupError, match="cut off"):
        next(coming)


@pytest.mark.parametrize("stop", ["closed", "raised", "interrupted"])
def test_who_stops_early_closes_what_is_read(stop: str) -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    before = threading.active_count()
    coming = ahead(endless())
    next(coming)
    if stop == "closed":
        coming.close()
    else:
        problem = KeyboardInterrupt if stop == "interrupted" else ValueError
        with pytest.raises(problem):
            coming.throw(problem())
    assert closed.is_set()
    assert threading.active_count() == before
