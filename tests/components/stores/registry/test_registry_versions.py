import json

import onnxruntime
import pytest
from mlflow import MlflowClient

from components.errors import PackageError, StoreError
from components.packages.scorer import load_package
from components.stores.registry import runs


def client_of(registry):
    return MlflowClient(registry.tracking_uri, registry.registry_uri)


def log(registry, package, rows):
    with registry.run("bike", name="a training") as run:
        return run.log_package(package, rows.head()), run.id


def test_a_package_comes_back_byte_for_byte(registry, package, rows, tmp_path):
    uri, _ = log(registry, package, rows)
    fetched = registry.fetch(uri, tmp_path / "fetched")
    assert fetched.parent == tmp_path / "fetched"
    assert {f.name: f.read_bytes() for f in fetched.iterdir()} == {
        f.name: f.read_bytes() for f in package.iterdir()
    }
    load_package(fetched, digest=load_package(package).manifest.digest).probe()


def test_the_same_package_twice_makes_two_versions_that_both_load(
    registry, package, rows, tmp_path
):
    first = registry.register("bike", *log(registry, package, rows), tags={"n": "1"})
    again = registry.register("bike", *log(registry, package, rows), tags={"n": "2"})
    assert (first, again) == ("1", "2")
    digest = load_package(package).manifest.digest
    for version in (first, again):
        folder = registry.fetch_version("bike", version, tmp_path / version)
        load_package(folder, digest=digest).probe()


def test_mlflow_itself_reads_what_was_logged(registry, package, rows, fitted, monkeypatch):
    import mlflow

    uri, run_id = log(registry, package, rows)
    version = registry.register("bike", uri, run_id)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.tracking_uri)
    for address in (uri, f"models:/{registry.name('bike')}/{version}"):
        graph = mlflow.onnx.load_model(address)
        assert [each.name for each in graph.graph.output] == ["value"]
        assert len(graph.graph.initializer) > 0
        session = onnxruntime.InferenceSession(graph.SerializeToString())
        (answers,) = session.run(None, fitted.contract.prepare(rows))
        assert list(answers) == pytest.approx(list(fitted.predict(rows).values))


def test_a_version_names_its_run_its_package_and_its_digest(registry, package, rows):
    uri, run_id = log(registry, package, rows)
    number = registry.register("bike", uri, run_id, tags={"k": "v"}, description="the first")
    (version,) = registry.versions("bike")
    assert (version.number, version.run_id, version.uri) == (number, run_id, uri)
    assert version.digest == load_package(package).manifest.digest
    assert version.description == "the first"
    assert version.tags["k"] == "v"


def test_a_version_is_found_by_its_tag(registry, package, rows):
    uri, run_id = log(registry, package, rows)
    number = registry.register("bike", uri, run_id, tags={"made_for": "rr-1:tested"})
    registry.tag_version("bike", number, {"later": "yes"})
    assert registry.find_version("bike", "made_for", "rr-1:tested") == number
    assert registry.find_version("bike", "made_for", "rr-2:tested") is None
    assert registry.version_tag("bike", number, "later") == "yes"
    assert registry.version_tag("bike", number, "never") is None


def test_before_the_first_version_there_is_nothing_and_no_error(registry):
    assert registry.versions("bike") == []
    assert registry.aliases("bike") == {}
    assert registry.find_version("bike", "k", "v") is None


def test_aliases_move_stay_and_go(registry, package, rows):
    numbers = [registry.register("bike", *log(registry, package, rows)) for _ in range(2)]
    registry.point("bike", champion=numbers[0], challenger=numbers[1])
    assert registry.aliases("bike") == {"champion": numbers[0], "challenger": numbers[1]}
    registry.point("bike", champion=numbers[1], previous=numbers[0])
    registry.point("bike", champion=numbers[1], previous=numbers[0])
    assert registry.aliases("bike")["challenger"] == numbers[1]
    registry.point("bike", challenger=None, previous=None)
    assert registry.aliases("bike") == {"champion": numbers[1]}


def test_an_alias_of_somebody_else_stays(registry, package, rows):
    number = registry.register("bike", *log(registry, package, rows))
    client_of(registry).set_registered_model_alias(registry.name("bike"), "theirs", number)
    registry.point("bike", champion=number, challenger=None, previous=None)
    assert registry.aliases("bike") == {"champion": number, "theirs": number}


def test_an_upload_that_fails_half_way_leaves_nothing_ready(registry, package, rows, monkeypatch):
    def stop(name):
        assert name == "files-before-ready"
        raise OSError("the disk is full")

    monkeypatch.setattr(runs, "failpoint", stop)
    with pytest.raises(StoreError, match="the disk is full"):
        log(registry, package, rows)
    client = client_of(registry)
    experiment = client.get_experiment_by_name(registry.name("bike")).experiment_id
    (model,) = client.search_logged_models([experiment])
    assert str(model.status) == "FAILED"
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FAILED"
    with pytest.raises(StoreError, match="not READY"):
        registry.register("bike", f"models:/{model.model_id}", run.info.run_id)
    assert registry.versions("bike") == []


def test_a_package_that_is_not_whole_is_not_logged(registry, package, rows, tmp_path):
    (tmp_path / "bad").mkdir()
    with pytest.raises(PackageError, match="missing"):
        log(registry, tmp_path / "bad", rows)


def test_a_run_keeps_numbers_texts_files_and_the_snapshot(registry, rows, tmp_path):
    (tmp_path / "page.html").write_text("<p>")
    params, tags = {"seed": "0"}, {"driftwheel.request": "rr-1"}
    with registry.run("bike", name="drift 2011-06-01", tags=tags, params=params) as run:
        run.log_metrics({"mae": 37.5})
        run.set_tags({"why": "x" * 20_000, **{f"t{n}": "v" for n in range(150)}})
        run.log_file(tmp_path / "page.html", "evidently")
        run.log_text("a loss\n", "search.txt")
        run.log_snapshot(rows, name="bike records@3", digest="a" * 64, context="training")
    client = client_of(registry)
    found = client.get_run(run.id)
    assert found.info.status == "FINISHED"
    assert found.info.end_time is not None
    assert found.info.run_name == "drift 2011-06-01"
    assert found.data.params == params
    assert found.data.metrics == {"mae": 37.5}
    assert found.data.tags["driftwheel.request"] == "rr-1"
    assert found.data.tags["t149"] == "v"
    (used,) = found.inputs.dataset_inputs
    assert used.dataset.name == "bike records@3"
    assert json.loads(used.dataset.profile)["num_rows"] == len(rows)
    assert {(tag.key, tag.value) for tag in used.tags} == {("mlflow.data.context", "training")}
    paths = {f.path for f in client.list_artifacts(run.id)}
    assert paths == {"evidently", "search.txt"}


@pytest.mark.parametrize("problem", [ValueError("no"), KeyboardInterrupt()])
def test_a_run_that_raises_ends_failed_and_raises_on(registry, problem):
    with (
        pytest.raises(type(problem)),
        registry.run("bike", name="a training") as run,
    ):
        raise problem
    assert client_of(registry).get_run(run.id).info.status == "FAILED"


def test_what_a_killed_worker_left_open_is_ended_and_nothing_else(registry):
    client, experiment = client_of(registry), registry.experiment_id("bike")
    dead, other = (
        client.create_run(experiment, tags={"driftwheel.request": name}).info.run_id
        for name in ("rr-1", "rr-2")
    )
    half = client.create_logged_model(experiment, "package", source_run_id=dead).model_id
    assert registry.settle_left_behind("bike", "driftwheel.request", "rr-1") == 1
    assert client.get_run(dead).info.status == "KILLED"
    assert client.get_logged_model(half).status == "FAILED"
    assert client.get_run(other).info.status == "RUNNING"
    assert registry.settle_left_behind("bike", "driftwheel.request", "rr-1") == 0


def test_nothing_is_printed(registry, package, rows, tmp_path, capfd):
    uri, run_id = log(registry, package, rows)
    registry.register("bike", uri, run_id)
    registry.fetch(uri, tmp_path / "fetched")
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_snapshot_with_a_source_is_a_delta_table_to_mlflow(registry, rows):
    source = {"path": "/lake/bike/records", "delta_table_version": 3}
    with registry.run("bike", name="a training", tags={"driftwheel.delta.records": "3"}) as run:
        for context in ("training", "evaluation"):
            run.log_snapshot(
                rows, name="bike records@3", digest=context, context=context, source=source
            )
        run.log_text("[1]", "snapshot/served.json")
    inputs = client_of(registry).get_run(run.id).inputs.dataset_inputs
    assert {one.dataset.digest for one in inputs} == {"training", "evaluation"}
    assert {one.dataset.source_type for one in inputs} == {"delta_table"}
    assert json.loads(inputs[0].dataset.source) == source
    assert registry.run_tags(run.id)["driftwheel.delta.records"] == "3"
    assert registry.run_text(run.id, "snapshot/served.json") == "[1]"
    assert registry.run_text(run.id, "snapshot/tested.json") is None
    assert registry.run_text(run.id, "nothing.json") is None
