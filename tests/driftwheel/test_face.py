"""`import driftwheel`: a home as data frames, and history replayed under policy objects."""

from datetime import timedelta

import pandas as pd
import pytest

import driftwheel
from components.errors import InvalidInputError, StoreError, UnknownPipelineError


@pytest.fixture
def cared_for(home, init, rides_file, train_from, say):
    """Give a home in which rides were ingested, trained on, scored and measured."""
    said = init("rides", rides_file())
    train_from(said, "2024-01-31")
    for step in ("ingest", "score", "monitor"):
        assert say("--home", home, step, "rides", "--as-of", "2024-02-16").code == 0
    return driftwheel.open_home(home)


def test_a_home_is_read_as_frames(cared_for):
    assert list(cared_for) == ["bikeshare", "rides"]
    rides = cared_for["rides"]
    decided = rides.decisions()
    assert decided["what"].tolist()[0] == "promoted"
    assert decided["at"].tolist()[0] == pd.Timestamp("2024-01-31", tz="UTC")
    assert cared_for.decisions().equals(decided)

    early, late = rides.records("2024-01-10"), rides.records(pd.Timestamp("2024-01-20"))
    assert (
        early["event_time"].max() <= pd.Timestamp("2024-01-10", tz="UTC") < late["event_time"].max()
    )
    assert rides.records("2024-01-20", since="2024-01-15")["event_time"].min() == pd.Timestamp(
        "2024-01-15", tz="UTC"
    )
    assert len(rides.labels("2024-01-10")) == len(early) - 1  # the label comes an hour later

    made = rides.predictions()
    assert made["label"].notna().all()
    assert set(made["model_version"]) <= set(decided["served_version"])
    assert rides.predictions(until=made["event_time"].min()).empty
    measured = rides.measurements()
    assert not measured.empty
    name = measured["name"].iloc[0]
    assert set(rides.measurements(name=name)["name"]) == {name}
    assert rides.measurements("2024-01-01").empty


def test_history_is_replayed_under_policies_as_objects(home, init, rides_file, tmp_path):
    init("rides", rides_file())
    rides = driftwheel.open_home(str(home))["rides"]
    asked = driftwheel.Policy(kind="periodic", period=timedelta(days=3))
    done = rides.backtest(["never", asked], start="2024-01-31", end="2024-02-09")
    assert list(done.table.index) == ["never", "periodic (period 3d)"]
    assert (done.table["low"] <= done.table["score"]).all()
    assert done.table.loc["never", "retrainings"] == 0
    assert done.table.loc["periodic (period 3d)", "retrainings"] > 0
    assert set(done.timeline["policy"]) == set(done.table.index)
    assert done.plot(tmp_path / "error.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_not_there_is_said_in_words(home):
    opened = driftwheel.open_home(home)
    assert repr(opened).endswith("bikeshare>")
    assert opened.decisions().empty
    assert "what" in opened.decisions()
    with pytest.raises(UnknownPipelineError, match="did you mean bikeshare"):
        opened["bikshare"]
    with pytest.raises(StoreError, match="driftwheel ingest bikeshare"):
        opened["bikeshare"].records()
    for nonsense in ("soon", "NaT"):
        with pytest.raises(InvalidInputError, match="a moment"):
            opened["bikeshare"].records(nonsense)
    with pytest.raises(InvalidInputError, match=r"driftwheel\.Policy"):
        opened["bikeshare"].backtest([7])
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        driftwheel.train  # noqa: B018 - the access is the claim
