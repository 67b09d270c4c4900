"""Whatever goes wrong ends in one line and a code; its traceback is there for the asking."""

import httpx
import pytest
from prefect.exceptions import ObjectNotFound

from components.errors import ServiceError
from driftwheel import app
from flows import talking

LOST = RuntimeError("Failed to reach API")
LOST.__cause__ = httpx.ConnectError("away")


@pytest.fixture
def _broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def unforeseen(_: object) -> None:
        raise KeyError("https://me:hush@prefect/api")

    monkeypatch.setattr("driftwheel.everyday.settings_of", unforeseen)


@pytest.mark.usefixtures("_broken")
def test_an_unforeseen_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["status"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("something went wrong that nobody foresaw: ")
    assert "(KeyError)" in line
    assert "a bug in Driftwheel" in line
    assert "hush" not in line


@pytest.mark.usefixtures("_broken")
def test_its_traceback_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--debug", "status"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "problem",
    [httpx.ConnectError("no way to https://me:hush@prefect"), ObjectNotFound(ValueError()), LOST],
    ids=lambda problem: type(problem).__name__,
)
def test_a_prefect_that_fails_is_said_in_words(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ingest(**_: object) -> None:
        raise problem

    monkeypatch.setattr("flows.ingest.ingest", ingest)
    with pytest.raises(ServiceError, match="failed during ingest") as caught:
        talking.run_flow("ingest", pipeline="rides")
    assert "hush" not in str(caught.value)


def test_what_a_flow_itself_raises_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def ingest(**_: object) -> None:
        raise RuntimeError("a fault of the flow's own")

    monkeypatch.setattr("flows.ingest.ingest", ingest)
    with pytest.raises(RuntimeError, match="own"):
        talking.run_flow("ingest", pipeline="rides")
