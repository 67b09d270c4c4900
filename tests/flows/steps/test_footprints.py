"""Two packages are timed in turn on their own rows, and weighed."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from components.stores.ledger import Promotion
from flows.steps import footprints
from flows.steps.footprints import bytes_of, compare_footprints, row_latency
from flows.steps.rivals import Rival, open_rival


class Side:
    """Whoever answers, and writes down when."""

    def __init__(self, name: str, asked: list[tuple[str, int, int]], rows: int = 3) -> None:
        self._name, self._asked = name, asked
        self._rows = pd.DataFrame({"row": range(rows)}, dtype=object)

    def golden(self) -> Any:
        return SimpleNamespace(rows=self._rows)

    def predict(self, frame: pd.DataFrame) -> None:
        self._asked.append((self._name, len(frame), frame["row"].iloc[0]))


class Watch:
    """A stop watch that shows what it is told to."""

    def __init__(self, *shown: float) -> None:
        self._shown = list(shown)

    def perf_counter(self) -> float:
        return self._shown.pop(0)


def test_both_sides_answer_one_row_at_a_time_and_in_turn(monkeypatch) -> None:
    monkeypatch.setattr(footprints, "ROUNDS", 4)
    asked: list[tuple[str, int, int]] = []
    row_latency(Side("champion", asked), Side("challenger", asked))  # type: ignore[arg-type]
    names, widths, rows = zip(*asked[2:], strict=True)
    assert names == ("champion", "challenger") * 4
    assert set(widths) == {1}
    assert rows == (0, 0, 1, 1, 2, 2, 0, 0)


def test_the_median_of_each_side_counts(monkeypatch) -> None:
    monkeypatch.setattr(footprints, "ROUNDS", 3)
    # begun; then, round by round, before and after the champion, before and after the challenger
    monkeypatch.setattr(footprints, "time", Watch(0, 0, 1, 1, 3, 3, 4, 4, 6, 6, 16, 16, 18))
    asked: list[tuple[str, int, int]] = []
    pair = row_latency(Side("champion", asked), Side("challenger", asked))  # type: ignore[arg-type]
    assert pair == (1, 2)


def test_slow_rows_end_the_rounds_early(monkeypatch) -> None:
    monkeypatch.setattr(footprints, "_LEAST_ROUNDS", 2)
    asked: list[tuple[str, int, int]] = []
    monkeypatch.setattr(footprints, "time", Watch(0, 0, 1, 1, 2, 2, 3, 3))
    row_latency(None, Side("challenger", asked))  # type: ignore[arg-type]
    assert len(asked) == 1 + 3


def packaged(promotion: Promotion) -> Any:
    manifest = SimpleNamespace(digest=promotion.digest)
    return SimpleNamespace(uri=promotion.package_uri, manifest=manifest)


def test_a_package_is_compared_with_the_champions(retrained) -> None:
    rival = open_rival(retrained.home, retrained.pipeline)
    challenger = packaged(retrained.ledger.promotions("bikes")[0])
    latency, size = compare_footprints(retrained.home, retrained.pipeline, rival, challenger)
    assert min(latency) > 0
    assert size.champion == bytes_of(rival.model)  # type: ignore[arg-type]
    assert size.challenger > 1_000


def test_the_naive_baseline_has_no_footprint(trained) -> None:
    challenger = packaged(trained.ledger.champion("bikes"))
    latency, size = compare_footprints(trained.home, trained.pipeline, Rival(), challenger)
    assert (latency.champion, size.champion) == (None, None)
    assert latency.challenger > 0


@pytest.mark.parametrize("name", ["latency of one row", "size of the package"])
def test_the_gate_is_given_them(retrained, name: str) -> None:
    limits = {one["name"]: one for one in retrained.ledger.decisions()[-1].numbers["limits"]}
    assert limits[name]["champion"] > 0
    assert limits[name]["challenger"] > 0
