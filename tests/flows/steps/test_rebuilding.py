"""The rows that a version learnt from come back as they were, whatever happened since."""

import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable

from components.errors import InvalidInputError, StoreError
from components.faults import Fault
from components.packages.manifest import MANIFEST, Manifest
from components.stores.lake import Lake
from components.stores.registry import Version
from flows.steps import rebuilding
from flows.steps.learnt import Learnt, as_ranges, from_ranges, learnt_file, learnt_from
from flows.steps.maintaining import maintain
from flows.steps.rebuilding import rebuild, write_rows
from flows.steps.snapshots import digest_rows, take_snapshot


def about(care, version: str, tmp_path: Path) -> dict:
    folder = care.home.registry.fetch_version(care.name, version, tmp_path / f"package-{version}")
    return Manifest.from_bytes((folder / MANIFEST).read_bytes(), source="manifest").about


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_rows_are_those_that_the_package_states(trained, version, tmp_path, day) -> None:
    made = rebuild(trained.home, "bikes", version)
    stated = about(trained, version, tmp_path)
    assert made.digest == made.stated_digest == stated["rows_digest"]
    assert len(made.rows) == made.stated_rows == stated["rows"]
    assert made.rows["event_time"].max() == pd.Timestamp(stated["seen_until"])
    assert made.rows["known_time"].max() <= day(60)
    assert list(made.rows) == [
        "record_id", "event_time", "known_time", "heat", "weather", "label",
    ]  # fmt: skip


def test_the_tested_twin_saw_nothing_of_the_holdout(trained, day) -> None:
    twin, served = (rebuild(trained.home, "bikes", one).rows for one in "12")
    assert twin["known_time"].max() <= day(46)
    assert served["event_time"].min() >= day(46), "the window of the recipe is 14 days"


def test_corrections_and_new_rows_change_nothing(trained, world, day) -> None:
    before = rebuild(trained.home, "bikes", "2")
    rows = world()
    rows.loc[50 * 8, ["heat", "count"]] = [99.0, 77.0]
    trained.write(rows)
    trained.ingest(day(80))
    after = rebuild(trained.home, "bikes", "2")
    assert after.digest == before.digest
    pd.testing.assert_frame_equal(after.rows, before.rows)


def test_a_pipeline_file_that_was_edited_since_does_not_matter(trained) -> None:
    before = rebuild(trained.home, "bikes", "2")
    file = trained.pipeline.file
    text = file.read_text(encoding="utf-8").replace("last 14d", "last 3d")
    file.write_text(text.replace("{heat: number, weather: category}", "{heat: number}"))
    assert trained.home.pipeline("bikes").features == ("heat",)
    assert rebuild(trained.home, "bikes", "2").digest == before.digest


def test_a_version_opens_after_its_log_was_cleaned_by_force(trained, day, monkeypatch) -> None:
    """Retention 0, clean-up on, 200 commits, checkpoints; then `maintain`, as it is scheduled."""
    before = rebuild(trained.home, "bikes", "2")
    lake, vacuum = trained.home.lake, Lake.vacuum
    # A day would have to go by before it removes what others may be reading.
    monkeypatch.setattr(
        Lake, "vacuum", lambda *args, **more: vacuum(*args, older_than=timedelta(0), **more)
    )
    for table in ("records", "labels"):
        path = f"{lake.root}/bikes/{table}"
        DeltaTable(path).alter.set_table_properties(
            {
                "delta.logRetentionDuration": "interval 0 days",
                "delta.deletedFileRetentionDuration": "interval 0 days",
                "delta.enableExpiredLogCleanup": "true",
            }
        )
        rows = lake.read("bikes", table).slice(0, 1)
        for number in range(200):
            lake.commit("bikes", table, rows, producer="many", version=number)
        DeltaTable(path).create_checkpoint()
        DeltaTable(path).cleanup_metadata()
        with pytest.raises(Exception, match=r"log segment|not found|Not a Delta"):
            DeltaTable(path, version=1)
    done = maintain(trained.home, trained.pipeline, as_of=day(60))
    for table in ("records", "labels"):
        assert done.merged[table] > 200, "what was small is one file"
        assert 1 in done.kept[table]
        assert done.vacuumed[table] >= 200
        DeltaTable(f"{lake.root}/bikes/{table}").create_checkpoint()
    again = maintain(trained.home, trained.pipeline, as_of=day(61))
    assert again.kept == done.kept
    after = rebuild(trained.home, "bikes", "2")
    assert (after.digest, after.stated_digest) == (before.digest, before.digest)


def test_rows_set_aside_are_left_out_again(care, day, monkeypatch) -> None:
    dead = Fault(day(50), day(51), "frozen", "heat", "0 in all 8 rows", 8)
    some = Fault(day(52), day(53), "duplicated", "heat", "two rows", 2, ids=care_ids(care, day(52)))

    def without(lake, pipeline, *, as_of, versions, aside):
        assert not aside
        found = [dead, some]
        return take_snapshot(lake, pipeline, as_of=as_of, versions=versions, aside=found)

    with monkeypatch.context() as patched:
        patched.setattr("flows.steps.retraining.take_snapshot", without)
        care.train(day(60))
    made = rebuild(care.home, "bikes", "2")
    assert made.digest == made.stated_digest
    days = made.rows["event_time"].dt.floor("D").value_counts()
    assert day(50) not in days
    assert days[day(52)] == 6
    run = care.home.registry.version("bikes", "2").run_id
    text = care.home.registry.run_text(run, learnt_file("served"))
    assert not any(one in text for one in some.ids), "no record id outlives an erasure"


def test_history_of_a_rebuilt_snapshot_saw_nothing_of_what_was_set_aside(
    care, day, monkeypatch
) -> None:
    care.change(history=[{"last": "heat"}, {"mean": "label", "over": "7d"}])
    dead = Fault(day(50), day(51), "unit_changed", "heat", "100 times as much", 8)
    some = Fault(day(52), day(53), "labels_broken", "count", "", 2, ids=care_ids(care, day(52)))

    def without(*given, aside, **more):
        return take_snapshot(*given, aside=[*aside, dead, some], **more)

    with monkeypatch.context() as patched:
        patched.setattr("flows.steps.retraining.take_snapshot", without)
        care.train(day(60))
    made = rebuild(care.home, "bikes", "2")
    assert made.digest == made.stated_digest
    run = care.home.registry.version("bikes", "2").run_id
    said = json.loads(care.home.registry.run_text(run, learnt_file("served")))
    seeing = json.dumps(said | {"layout": 1})
    old = Learnt.from_json(seeing, place="a note of before")
    assert old.to_json() == seeing
    found = rebuilding.find(
        care.home, "bikes", "2", old, rebuilding.erased(care.home.lake, "bikes")
    )
    assert len(found.rows) == len(made.rows)
    differ = (found.rows != made.rows) & ~(found.rows.isna() & made.rows.isna())
    assert set(differ.columns[differ.any()]) == {"heat_last", "label_mean_7d"}
    on = made.rows.loc[differ["heat_last"], "event_time"]
    assert on.tolist() == [day(51)], "the row after the stretch saw its last value"


def care_ids(care, moment) -> tuple[str, ...]:
    rows = care.rows("records")
    return tuple(rows[rows["event_time"].dt.floor("D") == moment]["record_id"].head(2))


def test_a_file_of_the_lake_that_was_changed_is_said_with_numbers(trained, monkeypatch) -> None:
    def fewer(*given, **more):
        newest = Fault(more["as_of"] - timedelta(days=5), more["as_of"], "nulls", "heat", "", 1)
        return take_snapshot(*given, **(more | {"aside": [newest]}))

    monkeypatch.setattr(rebuilding, "take_snapshot", fewer)
    with pytest.raises(
        StoreError,
        match=r"gives 72 rows where 105 were learnt from; the snapshot has 439 rows, it had 472",
    ):
        rebuild(trained.home, "bikes", "2")


def test_other_content_is_told_from_missing_rows(trained, monkeypatch) -> None:
    def other(*given, **more):
        taken = take_snapshot(*given, **more)
        taken.rows["heat"] += 1e-9
        return taken

    monkeypatch.setattr(rebuilding, "take_snapshot", other)
    with pytest.raises(StoreError, match=r"as many rows .* with other content .digest"):
        rebuild(trained.home, "bikes", "2")


def test_a_version_of_before_says_so(trained, monkeypatch) -> None:
    old = Version("2", trained.home.registry.version("bikes", "2").run_id, "", {}, "")
    monkeypatch.setattr(trained.home.registry, "version", lambda *_: old)
    with pytest.raises(StoreError, match="does not say which rows it learnt from"):
        rebuild(trained.home, "bikes", "2")


def test_a_version_that_there_never_was_is_said(trained) -> None:
    with pytest.raises(StoreError, match="find version 77 of bikes"):
        rebuild(trained.home, "bikes", "77")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_rows_are_written_whole(trained, tmp_path, suffix) -> None:
    made = rebuild(trained.home, "bikes", "2")
    file = tmp_path / f"rows{suffix}"
    write_rows(made.rows, file)
    if suffix == ".parquet":
        assert digest_rows(pd.read_parquet(file)) == made.digest
    else:
        assert len(pd.read_csv(file)) == len(made.rows)
    assert [one.name for one in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("name", ["rows.json", "rows", "nowhere/rows.csv"])
def test_a_file_that_cannot_be_written_is_wrong_use(tmp_path, name) -> None:
    with pytest.raises(InvalidInputError):
        write_rows(pd.DataFrame({"a": [1]}), tmp_path / name)


def test_mlflow_shows_the_data_of_a_training(trained) -> None:
    registry = trained.home.registry
    run = registry._client.get_run(registry.version("bikes", "2").run_id)
    used = {next(tag.value for tag in one.tags): one.dataset for one in run.inputs.dataset_inputs}
    assert set(used) == {"training", "evaluation"}
    source = json.loads(used["training"].source)
    assert used["training"].source_type == "delta_table"
    assert source["path"].endswith("/lake/bikes/records")
    assert source["delta_table_version"] == 1
    assert json.loads(used["evaluation"].profile)["num_rows"] > 0
    assert used["training"].digest != used["evaluation"].digest


def test_ranges_stand_for_positions() -> None:
    for positions in ([], [0], [3, 4, 5], [0, 2, 4], [1, 2, 9, 10, 11]):
        assert from_ranges(as_ranges(positions)).tolist() == positions


def test_rows_that_are_not_of_the_snapshot_are_refused(care, day) -> None:
    taken = take_snapshot(care.home.lake, care.pipeline, as_of=day(30))
    for rows in (taken.rows.assign(record_id="x"), taken.rows.iloc[::-1]):
        with pytest.raises(StoreError, match="not rows of the snapshot"):
            learnt_from(rows, taken, care.pipeline, salt="s")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"layout": 99}'])
def test_a_damaged_note_is_said_with_its_place(text) -> None:
    with pytest.raises(StoreError, match="here"):
        Learnt.from_json(text, place="here")
