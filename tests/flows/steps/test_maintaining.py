"""Maintenance keeps tables short and quick, and never takes what a model needs."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from components.stores.lake import Lake
from flows.steps.maintaining import maintain, needed_versions
from flows.steps.rebuilding import rebuild
from flows.steps.scoring import score
from flows.steps.snapshots import first_event, take_snapshot


@pytest.fixture
def at_once(monkeypatch) -> None:
    """Let files go the moment that nothing needs them; without, a day later."""
    patient = Lake.vacuum

    def impatient(self, *given, **more):
        return patient(self, *given, **{**more, "older_than": timedelta(0)})

    monkeypatch.setattr(Lake, "vacuum", impatient)


def grow(care, day, *days: int) -> None:
    for number in days:
        care.ingest(day(number))


def test_small_files_are_merged_and_what_a_model_needs_stays(trained, day, at_once) -> None:
    before = rebuild(trained.home, "bikes", "2")
    grow(trained, day, 61, 62, 63)
    done = maintain(trained.home, trained.pipeline, as_of=day(63))
    assert done.merged["records"] == 4
    assert done.kept == {"records": [1], "labels": [1]}
    assert done.vacuumed["records"] == 3, "the file of the model's version stays"
    assert done.deleted == {}
    assert rebuild(trained.home, "bikes", "2").digest == before.digest


def test_a_training_under_way_keeps_its_versions_too(trained, day, at_once) -> None:
    grow(trained, day, 61, 62)
    request = trained.ask(day(62))
    pinned = {"records": 2, "labels": 2}
    trained.ledger.set_mark("bikes", f"snapshot:{request.id}", json.dumps(pinned))
    needed = needed_versions(trained.home, trained.pipeline)
    assert needed == {"records": {1, 2}, "labels": {1, 2}}
    maintain(trained.home, trained.pipeline, as_of=day(62))
    for table, version in pinned.items():
        assert trained.home.lake.read("bikes", table, version=version).num_rows > 400


def test_a_training_that_begins_meanwhile_loses_no_note(trained, day, at_once, monkeypatch) -> None:
    grow(trained, day, 61, 62)
    asked, lake = trained.ask(day(62)), trained.home.lake
    began: list[int] = []
    compact = Lake.compact

    def after_it_was_asked_what_is_needed(self, pipeline, table):
        if not began:  # as a training does: the mark, then the notes
            versions = {name: lake.version("bikes", name) for name in ("records", "labels")}
            trained.ledger.set_mark("bikes", f"snapshot:{asked.id}", json.dumps(versions))
            take_snapshot(lake, trained.pipeline, as_of=day(62), versions=versions)
            began.append(versions["records"])
        return compact(self, pipeline, table)

    monkeypatch.setattr(Lake, "compact", after_it_was_asked_what_is_needed)
    maintain(trained.home, trained.pipeline, as_of=day(62))
    assert began[0] in lake.kept("bikes", "records")
    files = lake.open("bikes", "records", version=began[0]).handle.file_uris()
    assert all(Path(uri.removeprefix("file://")).is_file() for uri in files)


def test_a_training_that_ends_meanwhile_is_still_needed(trained, day, monkeypatch) -> None:
    grow(trained, day, 61, 62)
    asked = trained.ask(day(62))
    registry = type(trained.home.registry)
    versions, ended = registry.versions, []

    def after_it_ended(self, pipeline):
        found = versions(self, pipeline)
        if not ended:
            ended.append(asked)
            trained.carry(asked.id)
        return found

    needed_before = needed_versions(trained.home, trained.pipeline)
    pinned = {name: trained.home.lake.version("bikes", name) for name in ("records", "labels")}
    trained.ledger.set_mark("bikes", f"snapshot:{asked.id}", json.dumps(pinned))
    monkeypatch.setattr(registry, "versions", after_it_ended)
    needed = needed_versions(trained.home, trained.pipeline)
    assert ended
    assert trained.ledger.pending("bikes") == []
    assert pinned["records"] not in needed_before["records"]
    assert pinned["records"] in needed["records"], "read as a request, before it became a model"


def test_what_is_too_old_goes_and_a_model_still_knows_it(trained, day, at_once) -> None:
    score(trained.home, trained.pipeline, as_of=day(60))
    before = rebuild(trained.home, "bikes", "2")
    trained.change(retain=timedelta(days=10))
    grow(trained, day, 62)
    done = maintain(trained.home, trained.pipeline, as_of=day(62))
    assert trained.rows("records")["event_time"].min() == day(52)
    assert trained.rows("labels")["event_time"].min() == day(52)
    assert done.deleted["records"] == 52 * 8
    assert rebuild(trained.home, "bikes", "2").digest == before.digest
    again = maintain(trained.home, trained.pipeline, as_of=day(62))
    assert set(again.deleted.values()) == {0}


def test_windows_are_counted_from_the_same_day_after_old_rows_went(trained, day) -> None:
    trained.change(retain=timedelta(days=10))
    maintain(trained.home, trained.pipeline, as_of=day(62))
    assert first_event(trained.home.lake, trained.pipeline) == day(0)


def test_without_retain_or_a_moment_no_row_goes(trained, day) -> None:
    rows = len(trained.rows("records"))
    assert maintain(trained.home, trained.pipeline, as_of=day(9_999)).deleted == {}
    trained.change(retain=timedelta(days=1))
    assert maintain(trained.home, trained.pipeline).deleted == {}
    assert len(trained.rows("records")) == rows


def test_a_version_whose_files_are_gone_stops_nothing_but_itself(care, day) -> None:
    done = maintain(care.home, care.pipeline, as_of=day(60))
    assert set(done.merged) >= {"records", "labels", "predictions", "quarantine", "measurements"}
    assert done.kept == {}
