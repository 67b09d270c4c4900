import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from components.errors import NotOursError, StoreError, StoreUnreachableError
from components.stores.registry import Registry


@pytest.fixture
def foreign(server):
    """Somebody else's experiment and model of the name `taxi` on a shared server."""
    client = MlflowClient(server.uri, server.uri)
    if client.get_experiment_by_name("taxi") is None:
        client.create_experiment("taxi", tags={"team": "theirs"})
        client.create_registered_model("taxi", {"team": "theirs"}, "do not touch")
    return lambda: _everything(client)


def _everything(client):
    experiment = client.get_experiment_by_name("taxi")
    model = client.get_registered_model("taxi")
    runs = client.search_runs([experiment.experiment_id])
    versions = client.search_model_versions("name = 'taxi'")
    return (dict(experiment), dict(model), list(runs), list(versions))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda r: r.ensure("taxi"), id="ensure"),
        pytest.param(lambda r: r.run("taxi", name="x").__enter__(), id="run"),
        pytest.param(lambda r: r.point("taxi", champion=None), id="point"),
        pytest.param(lambda r: r.tag_version("taxi", "1", {"a": "b"}), id="tag a version"),
        pytest.param(lambda r: r.register("taxi", "models:/m-1", "run"), id="register"),
    ],
)
def test_what_somebody_else_made_is_left_alone_with_advice(server, foreign, change):
    before = foreign()
    with pytest.raises(NotOursError, match=r"(?s)not made by Driftwheel.*Set a prefix"):
        change(Registry(server.uri, owner="us"))
    assert foreign() == before


def test_a_model_of_somebody_else_keeps_us_from_making_the_experiment(server):
    client = MlflowClient(server.uri, server.uri)
    client.create_registered_model("boats")
    with pytest.raises(NotOursError, match="registered model 'boats'"):
        Registry(server.uri, owner="us").ensure("boats")
    assert client.get_experiment_by_name("boats") is None


def test_a_prefix_gives_a_place_of_our_own_beside_theirs(server, foreign):
    before = foreign()
    ours = Registry(server.uri, prefix="team-a-", owner="us")
    ours.ensure("taxi")
    ours.ensure("taxi")
    assert foreign() == before
    client = MlflowClient(server.uri, server.uri)
    assert client.get_registered_model("team-a-taxi").tags["driftwheel.owner"] == "us"


def test_two_homes_do_not_share_a_name(home, open_registry):
    open_registry(home).ensure("bike")
    other = Registry(
        open_registry(home).tracking_uri, owner="them", artifacts=home / "mlruns" / "artifacts"
    )
    with pytest.raises(NotOursError, match="made by the home us"):
        other.ensure("bike")


def test_an_experiment_of_ours_that_was_deleted_by_hand_is_restored(home, open_registry):
    open_registry(home).ensure("bike")
    client = MlflowClient(open_registry(home).tracking_uri)
    client.delete_experiment(client.get_experiment_by_name("bike").experiment_id)
    with open_registry(home).run("bike", name="after"):
        pass


def test_a_server_that_is_away_is_told():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://someone:secret@127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(StoreUnreachableError, match="does not answer") as caught:
        Registry(uri, owner="us").ensure("bike")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["./mlruns", "mlruns", "file:///tmp/mlruns"])
def test_mlflows_file_store_is_refused(uri, tmp_path):
    with pytest.raises(StoreError, match="must be in a database or on a server"):
        Registry(uri, owner="us", artifacts=tmp_path).ensure("bike")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        pytest.param(Path.mkdir, "unable to open", id="a folder"),
        pytest.param(lambda f: f.write_bytes(b"x" * 5000), "not a database", id="another file"),
    ],
)
def test_what_is_no_database_is_told_at_once(tmp_path, place, words):
    place(tmp_path / "mlflow.db")
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", owner="us", artifacts=tmp_path)
    with pytest.raises(StoreUnreachableError, match=words):
        registry.ensure("bike")
