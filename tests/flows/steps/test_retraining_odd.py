"""Whatever rows, estimators and stores do: the champion stays, and the request says why."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.errors import (
    DriftwheelError,
    PackageError,
    StoreUnreachableError,
    TamperedPackageError,
    TrainingError,
)
from flows.steps import retraining
from flows.steps.rivals import open_rival

RAISES = "raise ZeroDivisionError('by zero')"
OUT_OF_MEMORY = "raise MemoryError"
ESTIMATOR = """
import numpy as np

class Mine:
    def fit(self, frame, target):
        {fit}

    def predict(self, frame):
        return np.full(len(frame), np.nan)
"""


@pytest.fixture
def later(trained, day):
    """Give a home with a champion, and forty days that it has not seen."""
    trained.ingest(day(100))
    return trained


@pytest.fixture
def learn_from(monkeypatch):
    """Let a training find other rows than there are."""

    def arrange(change) -> None:
        real = retraining.take_snapshot

        def taken(*given: Any, **more: Any) -> Any:
            snapshot = real(*given, **more)
            return replace(snapshot, rows=change(snapshot.rows))

        monkeypatch.setattr(retraining, "take_snapshot", taken)

    return arrange


def closed(care: Any, what: str) -> str:
    """See that the request was closed so, with the champion as it was; gives the reason."""
    decision = care.ledger.decisions("bikes")[-1]
    assert decision.what == what, decision.why
    assert care.ledger.find(decision.request_id).state == "closed"
    assert care.ledger.pending("bikes") == []
    assert care.ledger.champion("bikes").version == "2"
    assert care.home.registry.aliases("bikes")["champion"] == "2"
    return decision.why


def trust(care: Any, content: str) -> None:
    """Let a class of the user's own be the only candidate."""
    code = care.home.root / "code"
    code.mkdir()
    (code / "own.py").write_text(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    named = {"mine": {"file": "own.py", "name": "Mine", "sha256": digest}}
    care.change(trusted=named, candidates=("mine",))


# --- rows ----------------------------------------------------------------------------------------


def test_a_constant_target_is_nothing_to_predict(later, day, learn_from) -> None:
    learn_from(lambda rows: rows.assign(label=100.0))
    with pytest.raises(TrainingError):
        later.train(day(100))
    assert "count is 100.0 in all 105 rows that linear" in closed(later, "failed")


def test_features_that_never_vary_are_said_so(later, day, learn_from) -> None:
    learn_from(lambda rows: rows.assign(heat=1.0, weather="clear"))
    later.change(search="always")
    with pytest.raises(DriftwheelError):
        later.train(day(100))
    assert "no feature is left to learn from (heat: constant" in closed(later, "failed")


def test_fewer_rows_than_folds_wait_in_words(later, day, learn_from) -> None:
    learn_from(lambda rows: rows.tail(50))
    later.change(candidates=("linear", "lightgbm"))
    later.train(day(100))
    assert "needs at least 10 labelled rows to learn from, 3 were known" in closed(later, "wait")


def test_one_class_only_is_said_so(fresh, world, day) -> None:
    rows = world(60).dropna()
    rows["count"] = "yes"
    fresh.write(rows)
    fresh.change(task="binary")
    fresh.ingest(day(60))
    with pytest.raises(DriftwheelError):
        fresh.train(day(60))
    decision = fresh.ledger.decisions("bikes")[-1]
    assert decision.what == "failed"
    assert "need exactly 2 classes to learn a binary task, got 1 in 105 rows: yes" in decision.why
    assert fresh.ledger.find(decision.request_id).state == "closed"
    assert fresh.ledger.champion("bikes") is None


# --- estimators ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (RAISES, "by zero"),
        (OUT_OF_MEMORY, "out of memory"),
        ("pass", "answered 105 of 105 training rows with NaN or infinity"),
    ],
    ids=["raises", "out of memory", "answers NaN"],
)
def test_an_estimator_that_goes_wrong_is_named_with_the_cause(later, day, fit, words) -> None:
    trust(later, ESTIMATOR.format(fit=fit))
    with pytest.raises(DriftwheelError):
        later.train(day(100))
    assert words in closed(later, "failed")


# --- packages ------------------------------------------------------------------------------------


def spoil(model: Path, how: str) -> None:
    content = bytearray(model.read_bytes())
    if how == "truncated":
        del content[-20:]
    else:
        content[len(content) // 2] ^= 1
    model.write_bytes(bytes(content))


@pytest.mark.parametrize("how", ["tampered", "truncated"])
def test_a_champion_whose_package_is_not_whole_is_not_compared_with(later, day, how) -> None:
    champion = later.ledger.champion("bikes")
    open_rival(later.home, later.pipeline)
    spoil(later.home.packages / champion.digest / "model.onnx", how)
    with pytest.raises(TamperedPackageError):
        later.train(day(100))
    assert "is not the file that was packaged" in closed(later, "failed")


@pytest.mark.parametrize("how", ["tampered", "truncated"])
def test_a_package_that_comes_back_otherwise_is_not_registered(
    later, day, monkeypatch, how
) -> None:
    real = later.home.registry.fetch

    def fetch(uri: str, to: Path) -> Any:
        folder = real(uri, to)
        if to.name == "fetched":
            spoil(next(folder.glob("model.*")), how)
        return folder

    monkeypatch.setattr(later.home.registry, "fetch", fetch)
    with pytest.raises(PackageError):
        later.train(day(100))
    assert "neither ONNX nor the fallback format" in closed(later, "failed")
    assert [one.number for one in later.home.registry.versions("bikes")] == ["1", "2"]


# --- the registry --------------------------------------------------------------------------------


def test_a_registry_away_after_the_promotion_leaves_only_the_aliases_behind(
    later, day, monkeypatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StoreUnreachableError("MLflow does not answer")

    told: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(later.home.registry, "point", fail)
        assert later.train(day(100), told=told.append).what == "promoted"
    assert later.ledger.champion("bikes").version == "4"
    assert any("aliases lag behind until the next reconcile" in line for line in told)
    assert later.home.registry.aliases("bikes")["champion"] == "2"
