"""What a flow leaves to look at never costs it its work."""

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.exceptions import ObjectNotFound

from components.errors import StoreUnreachableError
from flows import artifacts

PROBLEMS = [
    httpx.ConnectError("no way to https://me:hush@prefect/api"),
    ObjectNotFound(ValueError("no such flow run")),
    StoreUnreachableError("MLflow does not answer"),
    ValueError("not a key"),
]


@pytest.fixture(autouse=True)
def _plain_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "get_run_logger", lambda: logging.getLogger("a flow run"))


def failing(problem: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise problem

    return fail


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: type(problem).__name__)
def test_a_table_that_prefect_does_not_take_is_a_warning(
    problem: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(artifacts, "create_table_artifact", failing(problem))
    artifacts.show_ingest({"rows": 3})
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert type(problem).__name__ in record.message
    assert "hush" not in caplog.text


def test_a_run_that_mlflow_cannot_find_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(artifacts, "create_markdown_artifact", lambda **_: None)
    monkeypatch.setattr("flows.servers.live_mlflow", lambda _: "https://mlflow")
    run: Any = SimpleNamespace(
        settings=None,
        home=SimpleNamespace(registry=SimpleNamespace(experiment_id=failing(OSError("away")))),
    )
    artifacts.show_decision(run, decided())
    assert "OSError: away" in caplog.text


def test_the_link_to_mlflow_holds_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    links: list[str] = []
    monkeypatch.setattr(artifacts, "create_markdown_artifact", lambda **_: None)
    monkeypatch.setattr(artifacts, "create_link_artifact", lambda link, **_: links.append(link))
    monkeypatch.setattr("flows.servers.live_mlflow", lambda _: "https://me:hush@mlflow")
    registry = SimpleNamespace(experiment_id=lambda _: "7")
    run: Any = SimpleNamespace(settings=None, home=SimpleNamespace(registry=registry))
    artifacts.show_decision(run, decided())
    assert links == ["https://mlflow/#/experiments/7/runs/r1"]


def test_an_interrupt_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(artifacts, "create_table_artifact", interrupt)
    with pytest.raises(KeyboardInterrupt):
        artifacts.show_ingest({"rows": 3})


def decided() -> Any:
    return SimpleNamespace(
        numbers={}, pipeline="rides", what="promoted", why="better", mlflow_run_id="r1"
    )
