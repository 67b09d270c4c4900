"""A request is seen through to one decision; whatever goes wrong, the champion stays."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.errors import (
    InvalidInputError,
    LeaseLostError,
    PackageError,
    StoreError,
    StoreUnreachableError,
    TrainingError,
)
from flows.steps import packaging, retraining, training
from flows.steps.packaging import Packaged
from flows.steps.taking_charge import promote_by_hand


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("nobody should have got here")


def failing(problem: BaseException) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise problem

    return fail


# --- the three outcomes --------------------------------------------------------------------------


def test_a_first_model_that_beats_the_naive_baseline_takes_charge(trained, day) -> None:
    decision = trained.ledger.decisions()[-1]
    assert (decision.what, decision.first, decision.who) == ("promoted", True, "Ada")
    assert (decision.tested_version, decision.served_version) == ("1", "2")
    assert "naive baseline" in decision.numbers["rival"]
    assert decision.numbers["gain_low"] > decision.numbers["margin"]
    champion = trained.ledger.champion("bikes")
    assert (champion.version, champion.epoch, champion.as_of) == ("2", 1, day(60))
    assert trained.home.registry.aliases("bikes") == {"champion": "2", "challenger": "1"}


def test_a_second_model_leaves_the_first_as_previous(retrained) -> None:
    first, second = retrained.ledger.promotions("bikes")
    assert (first.version, second.version, second.previous_version) == ("2", "4", "2")
    assert not retrained.ledger.decisions()[-1].first
    assert retrained.home.registry.aliases("bikes") == {
        "champion": "4",
        "challenger": "3",
        "previous": "2",
    }


def test_a_first_model_that_does_not_beat_the_baseline_is_refused(fresh, world, day) -> None:
    rows = world(60)
    rows["count"] = pd.Series([float(n % 56) for n in range(len(rows))], dtype=object)
    fresh.write(rows)
    fresh.ingest(day(60))
    decision = fresh.train(day(60))
    assert (decision.what, decision.served_version, decision.first) == ("refused", None, True)
    assert fresh.ledger.champion("bikes") is None
    assert fresh.home.registry.aliases("bikes") == {"challenger": "1"}


def test_too_few_new_rows_are_a_wait_and_nothing_is_fitted(trained, day, monkeypatch) -> None:
    monkeypatch.setattr(training, "fit_twin", never)
    trained.ingest(day(63))
    decision = trained.train(day(63))
    assert decision.what == "wait"
    assert "needs at least 40 labelled rows" in decision.why
    assert decision.tested_version is None
    assert trained.ledger.champion("bikes").version == "2"
    assert trained.home.registry.aliases("bikes") == {"champion": "2", "challenger": "1"}


def test_a_refit_unlike_its_tested_twin_does_not_take_charge(care, day, monkeypatch) -> None:
    monkeypatch.setattr(training, "AGREEMENT", 0.0)
    decision = care.train(day(60))
    assert decision.what == "refused"
    assert "differs from its tested twin" in decision.why
    assert care.ledger.champion("bikes") is None


# --- what is left behind -------------------------------------------------------------------------


def test_the_run_in_mlflow_carries_data_seed_request_and_gate(trained, day) -> None:
    decision = trained.ledger.decisions()[-1]
    run = trained.mlflow_run(decision.mlflow_run_id)
    lake = trained.home.lake
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "3"
    assert run.data.params["as_of"] == day(60).isoformat()
    tags = run.data.tags
    assert tags["driftwheel.request"] == decision.request_id
    assert tags["driftwheel.cause"] == "manual"
    assert tags["driftwheel.delta.records"] == str(lake.version("bikes", "records"))
    assert tags["driftwheel.delta.labels"] == str(lake.version("bikes", "labels"))
    assert tags["driftwheel.gate"] == "promoted"
    assert tags["driftwheel.gate_reason"] == decision.why
    assert (tags["driftwheel.tested_version"], tags["driftwheel.served_version"]) == ("1", "2")
    assert run.data.metrics["gate_gain"] == pytest.approx(decision.numbers["gain"])
    assert run.data.metrics["holdout_mae"] < run.data.metrics["holdout_mae_naive"]
    assert run.inputs.dataset_inputs[0].dataset.name.startswith("bikes records@")


def kept_files(care: Any, decision: Any) -> dict[str, Path]:
    run = care.mlflow_run(decision.mlflow_run_id)
    root = Path(run.info.artifact_uri)
    return {str(file.relative_to(root)): file for file in root.rglob("*") if file.is_file()}


def test_the_run_keeps_the_pipeline_file_word_for_word(trained) -> None:
    files = kept_files(trained, trained.ledger.decisions()[-1])
    assert files["bikes.yaml"].read_bytes() == trained.pipeline.file.read_bytes()


def test_the_run_of_a_retraining_keeps_evidentlys_page(retrained) -> None:
    first, second = (kept_files(retrained, one) for one in retrained.ledger.decisions())
    assert "evidently/drift.html" in second
    assert not any(name.startswith("evidently") for name in first), "nothing to compare with yet"


def test_a_version_says_what_it_was_made_for(trained) -> None:
    decision = trained.ledger.decisions()[-1]
    tested, served = trained.home.registry.versions("bikes")
    assert tested.tags["driftwheel.made_for"] == f"{decision.request_id}:tested"
    assert served.tags["driftwheel.made_for"] == f"{decision.request_id}:served"
    assert served.digest == trained.ledger.champion("bikes").digest
    assert served.run_id == decision.mlflow_run_id


# --- once, and by one ----------------------------------------------------------------------------


def test_a_closed_request_is_a_no_op(trained) -> None:
    decision = trained.ledger.decisions()[-1]
    assert trained.carry(decision.request_id) is None
    assert trained.ledger.decisions() == [decision]


def test_training_the_same_moment_again_gives_the_same_decision(trained, day) -> None:
    decision = trained.ledger.decisions()[-1]
    assert trained.train(day(60)) == decision
    assert len(trained.ledger.requests()) == 1


def test_a_request_in_live_hands_is_left_alone(trained, day, monkeypatch) -> None:
    monkeypatch.setattr(training, "fit_twin", never)
    request = trained.ask(day(100))
    trained.ledger.claim(
        request.id, holder="another", now=trained.clock(), ttl=timedelta(minutes=1)
    )
    assert trained.carry(request.id) is None


def test_a_request_nobody_wrote_is_said_so(trained) -> None:
    with pytest.raises(InvalidInputError, match=r"no retraining request 'rr-nowhere'.*history"):
        trained.carry("rr-nowhere")


def test_the_requests_own_moment_is_what_is_known(trained, day, monkeypatch) -> None:
    seen: list[pd.Timestamp] = []

    def look(_lake: Any, _pipeline: Any, *, as_of: pd.Timestamp, **_: Any) -> Any:
        seen.append(as_of)
        raise StoreError("enough seen")

    monkeypatch.setattr(retraining, "take_snapshot", look)
    trained.ingest(day(100))
    request = trained.ask(day(100))
    with pytest.raises(StoreError, match="enough seen"):
        trained.carry(request.id)
    assert seen == [day(100)]


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (TrainingError("linear had no luck"), "linear had no luck"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError('by zero')"),
    ],
    ids=["foreseen", "not foreseen"],
)
def test_a_fit_that_fails_closes_the_request_and_the_champion_stays(
    trained, day, monkeypatch, problem: Exception, words: str
) -> None:
    monkeypatch.setattr(training, "fit_twin", failing(problem))
    before = trained.home.registry.aliases("bikes")
    trained.ingest(day(100))
    with pytest.raises(type(problem)):
        trained.train(day(100))
    decision = trained.ledger.decisions()[-1]
    assert (decision.what, decision.first) == ("failed", False)
    assert decision.why == f"training failed, the champion stays: {words}"
    assert trained.ledger.find(decision.request_id).state == "closed"
    assert trained.ledger.champion("bikes").version == "2"
    assert trained.home.registry.aliases("bikes") == before
    experiment = trained.home.registry.experiment_id("bikes")
    runs = trained.home.registry._client.search_runs([experiment])
    assert runs[0].info.status == "FAILED"


def test_without_tables_the_request_fails_in_words(fresh, day) -> None:
    with pytest.raises(StoreError):
        fresh.train(day(60))
    assert fresh.ledger.decisions()[-1].what == "failed"


def test_a_worker_that_lost_its_lease_changes_nothing(trained, day, monkeypatch) -> None:
    trained.ingest(day(63))
    request = trained.ask(day(63))
    real = training.preprocess

    def slow(*given: Any) -> Any:
        trained.clock.pass_by(timedelta(minutes=2))
        taken = {"holder": "another", "now": trained.clock(), "ttl": timedelta(minutes=1)}
        assert trained.ledger.claim(request.id, **taken)
        return real(*given)

    monkeypatch.setattr(training, "preprocess", slow)
    with pytest.raises(LeaseLostError, match="has passed to another"):
        trained.carry(request.id)
    assert len(trained.ledger.decisions()) == 1
    assert trained.ledger.lease("bikes").holder == "another"
    assert trained.ledger.find(request.id).state == "leased"


class Failing:
    """A registry whose `method` fails from the `visit`-th call on."""

    def __init__(self, registry: Any, method: str, visit: int) -> None:
        self._registry, self._method, self._left = registry, method, visit

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._left -= 1
            if self._left <= 0:
                return failing(StoreUnreachableError("MLflow does not answer"))
        return getattr(self._registry, name)


@pytest.mark.parametrize(
    ("method", "visit"),
    [("settle_left_behind", 1), ("fetch", 1), ("register", 1), ("register", 2)],
    ids=["at once", "while packaging", "while registering", "while registering the refit"],
)
def test_a_registry_that_fails_on_the_way_leaves_the_champion(
    trained, day, method: str, visit: int
) -> None:
    trained.ingest(day(100))
    registry = trained.home.registry
    trained.home.__dict__["registry"] = Failing(registry, method, visit)
    with pytest.raises(StoreUnreachableError):
        trained.train(day(100))
    decision = trained.ledger.decisions()[-1]
    assert decision.what == "failed"
    assert "MLflow does not answer" in decision.why
    assert trained.ledger.champion("bikes").version == "2"
    assert registry.aliases("bikes")["champion"] == "2"
    assert trained.ledger.pending("bikes") == []


def test_an_interrupted_worker_gives_the_request_back_and_the_next_finds_its_versions(
    care, day, monkeypatch
) -> None:
    request = care.ask(day(60))
    with monkeypatch.context() as patched:
        patched.setattr(retraining, "record_gate", failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            care.carry(request.id)
    assert [v.number for v in care.home.registry.versions("bikes")] == ["1", "2"]
    assert care.ledger.find(request.id).state == "open"
    assert care.ledger.decisions() == []
    decision = care.carry(request.id, holder="another")
    assert (decision.tested_version, decision.served_version) == ("1", "2")
    assert [v.number for v in care.home.registry.versions("bikes")] == ["1", "2"]


def test_one_request_never_gives_two_models(trained) -> None:
    decision = trained.ledger.decisions()[-1]
    manifest = type("Manifest", (), {"digest": "f" * 64, "format": "onnx"})()
    other = Packaged("models:/m-0", manifest, None)  # type: ignore[arg-type]
    with pytest.raises(PackageError, match="with other bytes; the same request must give"):
        packaging.register(
            trained.home.registry,
            None,  # type: ignore[arg-type]
            other,
            trained.pipeline,
            request_id=decision.request_id,
            role="tested",
            description="",
        )


def test_a_ledger_that_breaks_while_failing_does_not_hide_the_problem(
    trained, day, monkeypatch
) -> None:
    trained.ingest(day(100))
    monkeypatch.setattr(training, "fit_twin", failing(TrainingError("linear had no luck")))
    monkeypatch.setattr(
        type(trained.ledger), "conclude", failing(LeaseLostError("has passed to another"))
    )
    with pytest.raises(TrainingError) as caught:
        trained.train(day(100))
    assert "the request was left open: has passed to another" in caught.value.__notes__


def test_a_request_carried_out_by_reconcile_is_marked(trained, day) -> None:
    trained.ingest(day(63))
    request = trained.ask(day(63))
    decision = trained.carry(request.id, by_reconcile=True, who="reconcile", flow_run_id="f-1")
    assert decision.by_reconcile
    assert (decision.who, decision.flow_run_id) == ("reconcile", "f-1")


def test_a_challenger_judged_against_another_champion_is_superseded(
    trained, day, monkeypatch
) -> None:
    real = retraining.record_gate

    def meddle(*given: Any) -> None:
        real(*given)
        promote_by_hand(
            trained.home,
            trained.pipeline,
            version="1",
            who="Eve",
            why="a hunch",
            as_of=day(100),
            clock=trained.clock,
        )

    monkeypatch.setattr(retraining, "record_gate", meddle)
    trained.ingest(day(100))
    decision = trained.train(day(100))
    assert (decision.what, decision.served_version) == ("superseded", None)
    assert "judged against epoch 1, found epoch 2 (version 1, Eve)" in decision.why
    assert trained.ledger.champion("bikes").version == "1"
    assert trained.home.registry.aliases("bikes")["champion"] == "1"


def test_a_moment_whose_training_failed_may_be_trained_again(trained, day, monkeypatch) -> None:
    trained.ingest(day(100))
    with monkeypatch.context() as patched:
        patched.setattr(retraining, "record_gate", failing(TrainingError("no luck")))
        with pytest.raises(TrainingError):
            trained.train(day(100))
    assert trained.train(day(100)).what == "promoted"
    assert trained.train(day(100)).what == "promoted"
    assert [d.what for d in trained.ledger.decisions("bikes")] == ["promoted", "failed", "promoted"]


def test_rows_that_come_late_leave_a_request_as_it_was_begun(
    trained, world, day, monkeypatch
) -> None:
    trained.ingest(day(100))
    request = trained.ask(day(100))
    with monkeypatch.context() as patched:
        patched.setattr(retraining, "record_gate", failing(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            trained.carry(request.id)
    rows = world()
    late = rows.iloc[[90 * 8 + 3]].assign(at=f"{day(90.55):%Y-%m-%dT%H:%M:%S}", heat=99.0)
    trained.write(pd.concat([rows, late], ignore_index=True))
    trained.ingest(day(100))
    assert trained.carry(request.id).what == "promoted"
