import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.errors import ServiceError
from flows import living
from flows.servers import live_api, live_mlflow, prefect_environment
from flows.settings import Settings


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path.endswith("/health") else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Healthy)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "prefect").mkdir()
    return Settings(home=tmp_path)


def test_without_servers_there_is_no_address(settings: Settings) -> None:
    assert live_api(settings) == ""
    assert live_mlflow(settings) == ""


def test_the_servers_of_a_home_are_found_while_they_run(settings: Settings, address: str) -> None:
    living.remember(settings.home, api_url=f"{address}/api", mlflow_url=address)
    assert live_api(settings) == f"{address}/api"
    assert live_mlflow(settings) == address
    living.forget(settings.home)
    assert live_api(settings) == ""


def test_a_killed_ups_port_taken_over_by_another_is_not_ours(
    settings: Settings, address: str
) -> None:
    living.remember(settings.home, api_url=f"{address}/api", mlflow_url="")
    file = settings.home / "prefect" / "server.json"
    state = json.loads(file.read_text())
    file.write_text(json.dumps({**state, "started": state["started"] - 60}))
    assert live_api(settings) == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_broken_state_file_means_no_server(settings: Settings, text: str) -> None:
    (settings.home / "prefect" / "server.json").write_text(text)
    assert live_api(settings) == ""


def test_a_named_server_goes_before_ours(settings: Settings, address: str) -> None:
    named = Settings(home=settings.home, prefect_api_url=f"{address}/api/")
    assert live_api(named) == f"{address}/api"


def test_a_server_that_accepts_and_says_nothing_is_no_server(settings: Settings) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        assert live_api(Settings(home=settings.home, prefect_api_url=url)) == ""


def test_one_home_has_one_set_of_servers(settings: Settings) -> None:
    with (
        living.hold_home(settings.home),
        pytest.raises(ServiceError, match="running already"),
        living.hold_home(settings.home),
    ):
        pass
    with living.hold_home(settings.home):
        pass


def test_a_killed_holder_stands_in_nobodys_way(
    settings: Settings, clone: Path, until: Callable[..., Any]
) -> None:
    code = (
        "import sys, time; from pathlib import Path; from flows.living import hold_home\n"
        "with hold_home(Path(sys.argv[1])): print('held', flush=True); time.sleep(300)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(settings.home)],
        env={**os.environ, "PYTHONPATH": str(clone)},
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ServiceError), living.hold_home(settings.home):
            pass
        holder.send_signal(signal.SIGKILL)
    with living.hold_home(settings.home):
        pass


def test_asking_for_a_server_loads_neither_prefect_nor_mlflow(clone: Path) -> None:
    code = "import flows.servers, sys; print({'prefect', 'mlflow', 'pandas'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_our_own_server_keeps_its_files_in_the_home_and_a_named_one_keeps_the_users(
    tmp_path: Path,
) -> None:
    own = prefect_environment(Settings(home=tmp_path), "http://127.0.0.1:1/api")
    named = Settings(home=tmp_path, prefect_api_url="https://there/api")
    theirs = prefect_environment(named, "https://there/api")
    assert own["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert "PREFECT_HOME" not in theirs
    for each in (own, theirs):
        assert each["PREFECT_SERVER_EPHEMERAL_ENABLED"] == "false"
