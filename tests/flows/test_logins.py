"""A login in the address of a named server is used, and neither shown nor stored."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.errors import StoreUnreachableError
from flows.deploying import deploy
from flows.events import emit_retrain_requested
from flows.servers import running
from flows.settings import Settings, without_login

AWAY = "http://me:hush@127.0.0.1:1"  # nobody listens there


class _Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def well() -> Iterator[str]:
    """Give the address, with a login, of a server that is well, whatever it is asked."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Well) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://me:hush@127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://me:hush@mlflow/base", "https://mlflow/base"),
        ("https://token@mlflow", "https://mlflow"),
        ("https://mlflow/#/a@b", "https://mlflow/#/a@b"),
        ("", ""),
    ],
)
def test_a_link_holds_no_login(url: str, link: str) -> None:
    assert without_login(url) == link


def test_named_servers_are_used_with_their_login_and_told_without(home: Path, well: str) -> None:
    settings = Settings(home=home, prefect_api_url=f"{well}/api", mlflow_tracking_uri=well)
    said: list[str] = []
    with running(settings, owner="tests", pipelines=(), progress=said.append) as servers:
        stored = (home / "prefect" / "server.json").read_text(encoding="utf-8")
        assert "hush" in servers.api_url
        assert well.endswith(servers.ui_url.rpartition("/")[2])
        for shown in (stored, servers.ui_url, servers.mlflow_url, *said):
            assert "hush" not in shown
    assert len(said) == 2


def test_a_server_that_is_away_is_named_without_its_password(home: Path) -> None:
    settings = Settings(home=home, prefect_api_url=f"{AWAY}/api")
    with (
        pytest.raises(StoreUnreachableError, match="me:…@127") as caught,
        running(settings, owner="tests", pipelines=()),
    ):
        pass
    assert "hush" not in str(caught.value)


def test_an_event_that_is_not_taken_names_no_password() -> None:
    with pytest.raises(StoreUnreachableError, match="me:…@127") as caught:
        emit_retrain_requested(f"{AWAY}/api", prefix="", pipeline="rides", request_id="rr-1")
    assert "hush" not in str(caught.value)


def test_deployments_that_are_not_taken_name_no_password(home: Path) -> None:
    with pytest.raises(StoreUnreachableError, match="me:…@127") as caught:
        deploy(Settings(home=home), [], owner="tests", api_url=f"{AWAY}/api")
    assert "hush" not in str(caught.value)
