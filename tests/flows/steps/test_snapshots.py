"""A snapshot holds what was known at a moment, and the same moment gives the same bytes."""

import pandas as pd
import pytest

from components.errors import StoreError
from flows.steps.scoring import score
from flows.steps.snapshots import (
    digest_rows,
    first_event,
    first_training,
    join_labels,
    labels_known,
    newest_known,
    predictions_made,
    records_known,
    take_snapshot,
)


@pytest.fixture
def snap(care):
    return lambda as_of: take_snapshot(care.home.lake, care.pipeline, as_of=as_of)


def test_nothing_later_than_the_moment_is_seen(snap, day) -> None:
    rows = snap(day(30)).rows
    assert rows["event_time"].max() == day(29), "the label comes a day after the event"
    assert rows["known_time"].max() == day(30)
    assert rows["label"].notna().all()


def test_a_record_without_label_is_no_row(snap, day) -> None:
    rows = snap(day(30)).rows
    assert len(rows) == 29 * 8 + 1 - 1
    assert day(5 / 8) not in set(rows["event_time"])


def test_before_anything_was_known_a_snapshot_is_empty(snap, day) -> None:
    assert snap(day(0.5)).rows.empty


def test_the_same_moment_asked_twice_gives_the_same_bytes(care, snap, day) -> None:
    first = snap(day(30))
    care.ingest(day(70))
    again = snap(day(30))
    assert again.versions != first.versions, "the tables have grown"
    assert again.digest == first.digest
    pd.testing.assert_frame_equal(again.rows, first.rows)
    assert again.rows.to_csv() == first.rows.to_csv()


def test_another_moment_has_another_digest(snap, day) -> None:
    assert snap(day(30)).digest != snap(day(31)).digest


def test_the_digest_sees_every_cell_and_every_name() -> None:
    rows = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]})
    others = [
        rows.assign(a=[1.0, 2.5]),
        rows.assign(b=["x", "y"]),
        rows.rename(columns={"a": "c"}),
        rows.iloc[::-1],
        rows.iloc[:1],
    ]
    assert digest_rows(rows) == digest_rows(rows.copy())
    assert len({digest_rows(one) for one in [rows, *others]}) == 6


def test_the_name_says_data_and_moment(snap, day) -> None:
    assert snap(day(30)).name == f"bikes records@1 labels@1 as of {day(30).isoformat()}"


def corrected(care, world, day) -> None:
    """Let heat and count of the same early record change, and come in on day 61."""
    rows = world()
    rows.loc[80, ["heat", "count"]] = [99.0, 77.0]
    care.write(rows)
    care.ingest(day(61))


def test_a_correction_is_seen_from_when_it_was_known(care, snap, world, day) -> None:
    before = snap(day(60))
    corrected(care, world, day)
    assert snap(day(60)).digest == before.digest
    row = snap(day(61)).rows.set_index("event_time").loc[day(10)]
    assert (row["heat"], row["label"]) == (99.0, 77.0)
    assert row["known_time"] == day(61)
    assert not snap(day(61)).rows["record_id"].duplicated().any()


def test_records_and_labels_are_each_read_once(care, world, day) -> None:
    corrected(care, world, day)
    for read in (records_known, labels_known):
        rows = read(care.home.lake, care.pipeline, as_of=day(61), since=day(10))
        assert not rows["record_id"].duplicated().any()
        assert rows["event_time"].min() == day(10)
        assert rows["event_time"].is_monotonic_increasing


def test_a_record_corrected_after_its_label_is_known_at_the_later_time(day) -> None:
    records = pd.DataFrame(
        {"record_id": ["a", "b"], "event_time": day(1), "known_time": [day(1), day(9)]}
    )
    labels = pd.DataFrame({"record_id": ["a", "b"], "known_time": day(2), "label": [1.0, 2.0]})
    assert join_labels(records, labels)["known_time"].tolist() == [day(2), day(9)]


def test_the_newest_version_is_kept_whatever_the_order(day) -> None:
    rows = pd.DataFrame(
        {
            "record_id": ["a", "b", "a"],
            "event_time": [day(2), day(1), day(2)],
            "known_time": [day(5), day(1), day(3)],
            "heat": [1.0, 2.0, 3.0],
        }
    )
    kept = newest_known(rows)
    assert kept["record_id"].tolist() == ["b", "a"]
    assert kept["heat"].tolist() == [2.0, 1.0]


def test_without_tables_a_snapshot_says_what_to_do(fresh, day) -> None:
    with pytest.raises(StoreError, match="driftwheel ingest bikes"):
        take_snapshot(fresh.home.lake, fresh.pipeline, as_of=day(1))


def test_predictions_are_read_for_a_stretch_of_events(care, day) -> None:
    score(care.home, care.pipeline, as_of=day(60))
    made = predictions_made(
        care.home.lake, care.pipeline, as_of=day(60), since=day(59.5), until=day(60)
    )
    assert sorted(made["event_time"]) == [day(59.5), day(59.625), day(59.75), day(59.875)]
    nothing = predictions_made(
        care.home.lake, care.pipeline, as_of=day(59), since=day(0), until=day(60)
    )
    assert nothing.empty, "they were made on day 60"


def test_windows_are_anchored_at_the_day_of_the_first_record(care, day) -> None:
    assert first_event(care.home.lake, care.pipeline) == day(0)


def test_the_first_training_is_91_days_in_unless_stated(care, day) -> None:
    assert first_training(care.pipeline, day(0)) == day(91)
    for stated in ("2024-02-01", "2024-02-01T00:00:00Z", "2024-02-01T01:00:00+01:00"):
        care.change(first_train=stated)
        assert first_training(care.pipeline, day(0)) == day(31)
