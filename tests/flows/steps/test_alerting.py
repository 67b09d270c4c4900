"""People are told each cause once, again only where nobody took it, and never a password."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pandas as pd
import pytest

from components.errors import StoreError
from components.faults import Fault
from flows.steps import everyday
from flows.steps.alerting import MOST_APART, Told, alerts_of, send_test, tell
from flows.steps.diagnosing import ending_by_themselves
from monitoring.alerts import channels_of

SECRET = "t0psecret"  # noqa: S105 - of nobody


@dataclass
class Receiver:
    """A webhook on this machine."""

    port: int = 0
    status: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://ada:{SECRET}@127.0.0.1:{self.port}/{SECRET}/hook"

    @property
    def titles(self) -> list[str]:
        return [one["title"] for one in self.got]


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.receiver.status == 200:
            self.receiver.got.append(json.loads(body))
        self.send_response(self.receiver.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": told})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def alerting(fresh, day):
    """Give a home whose ledger can be told of faults, and a way to tell people."""

    class Alerting:
        care = fresh

        def reach(self, *urls: str) -> None:
            ledger = self.care.home.ledger
            self.care.home = replace(self.care.home, alerts=urls)
            self.care.home.__dict__["ledger"] = ledger

        def find(self, *columns: str, since: float = 12, until: float = 13) -> None:
            found = [
                Fault(day(since), day(until), "frozen", one, "0 in all 8 rows", 8)
                for one in columns
            ]
            self.care.ledger.record_faults(
                "bikes", found, as_of=day(13), now=self.care.clock(), count=lambda _: 8
            )

        def end(self, column: str) -> None:
            self.care.ledger.end_fault(
                "bikes",
                f"frozen:{column}",
                how="discarded",
                who="Ada",
                why="sensor was replaced",
                as_of=day(14),
                now=self.care.clock(),
            )

        def tell(self) -> Told:
            self.care.clock.pass_by(pd.Timedelta("1min").to_pytimedelta())
            return tell(self.care.home, self.care.pipeline, clock=self.care.clock)

        @property
        def states(self) -> list[str]:
            return [entry.state for entry in alerts_of(self.care.home, "bikes")]

    return Alerting()


def test_a_fault_is_told_once_however_often_one_looks(alerting, receiver) -> None:
    alerting.reach(receiver.url)
    alerting.find("heat")
    assert alerting.tell() == Told(sent=1)
    alerting.find("heat")
    assert alerting.tell() == Told()

    (message,) = receiver.got
    assert message["title"] == "bikes: data fault frozen in heat since 2024-01-13"
    assert message["type"] == "failure", "it stops training"
    lines = message["message"].splitlines()
    assert lines[:2] == [
        "0 in all 8 rows.",
        "8 rows set aside. Nothing is trained while it stands in the newest window.",
    ]
    assert lines[2] == "Look: driftwheel diagnose bikes"
    assert lines[3].startswith("End it: driftwheel resolve bikes ")
    assert lines[3].endswith(" --reingest|--accept|--discard --reason …")
    (entry,) = alerts_of(alerting.care.home, "bikes")
    assert lines[4] == f"alert {entry.alert.id}"
    assert (entry.state, entry.tries) == ("told", 1)


def test_one_that_is_over_already_is_less_severe(alerting, receiver) -> None:
    alerting.reach(receiver.url)
    alerting.find("heat", since=1, until=2)
    alerting.tell()
    assert receiver.got[0]["type"] == "warning"
    assert "Training goes on without them." in receiver.got[0]["message"]


def test_the_end_of_a_fault_is_told_too(alerting, receiver) -> None:
    alerting.reach(receiver.url)
    alerting.find("heat")
    alerting.tell()
    alerting.end("heat")
    assert alerting.tell() == Told(sent=1)
    assert alerting.tell() == Told()

    assert receiver.titles[1] == "bikes: data fault frozen in heat since 2024-01-13 has ended"
    assert receiver.got[1]["type"] == "success"
    assert "discarded by Ada: sensor was replaced" in receiver.got[1]["message"]


def test_a_receiver_that_is_down_gets_it_with_the_next_run(alerting, receiver, capfd) -> None:
    port, receiver.port = receiver.port, 9  # nobody listens there
    down = receiver.url
    alerting.reach(down)
    alerting.find("heat")
    told = alerting.tell()
    assert (told.sent, told.pending) == (0, 1)
    assert told.lines[0] == "alert url 1 (json://…) could not be reached"
    assert "1 alert waits for the next run" in told.lines[1]

    receiver.port, receiver.status = port, 500
    alerting.reach(receiver.url)
    told = alerting.tell()
    assert told.lines[0] == "alert url 1 (json://…) answered 500"
    receiver.status = 200
    assert alerting.tell() == Told(sent=1)
    assert len(receiver.got) == 1
    (entry,) = alerts_of(alerting.care.home, "bikes")
    assert (entry.state, entry.tries, entry.problem) == ("told", 3, "")
    assert "".join(capfd.readouterr()) == "", "the library's own words go nowhere"


def test_a_channel_that_took_it_is_not_told_again_while_another_is_down(alerting, receiver) -> None:
    up, port = receiver.url, receiver.port
    alerting.reach(up, up.replace(str(port), "9"))
    alerting.find("heat")
    assert (alerting.tell().pending, alerting.tell().pending) == (1, 1)
    assert len(receiver.got) == 1


def test_an_end_that_comes_before_the_news_is_told_after_it(alerting, receiver) -> None:
    receiver.status = 500
    alerting.reach(receiver.url)
    alerting.find("heat")
    alerting.tell()
    alerting.end("heat")
    receiver.status = 200
    assert alerting.tell() == Told(sent=2)
    assert [title.endswith("has ended") for title in receiver.titles] == [False, True]


def test_a_process_that_dies_after_it_sent_sends_the_same_once_more(
    alerting, receiver, monkeypatch
) -> None:
    alerting.reach(receiver.url)
    alerting.find("heat")
    kept = alerting.care.ledger.set_mark

    def dies(pipeline: str, name: str, value: str) -> None:
        if '"told"' in value:
            raise KeyboardInterrupt
        kept(pipeline, name, value)

    monkeypatch.setattr(alerting.care.ledger, "set_mark", dies)
    with pytest.raises(KeyboardInterrupt):
        alerting.tell()
    monkeypatch.undo()
    assert alerting.tell() == Told(sent=1)
    assert receiver.got[0] == receiver.got[1]


def test_many_at_once_come_as_one_message(alerting, receiver) -> None:
    columns = [f"c{number}" for number in range(MOST_APART + 1)]
    alerting.reach(receiver.url)
    alerting.find(*columns)
    assert alerting.tell() == Told(sent=len(columns))
    assert receiver.titles == ["bikes: 6 alerts about its data"]
    assert alerting.tell() == Told()
    assert set(alerting.states) == {"told"}


def test_without_a_channel_it_is_a_line_once_and_stands_in_the_list(alerting, receiver) -> None:
    alerting.find("heat")
    told = alerting.tell()
    assert told.lines == ("bikes: data fault frozen in heat since 2024-01-13: 0 in all 8 rows.",)
    assert alerting.states == ["logged"]
    alerting.reach(receiver.url)
    assert alerting.tell() == Told(), "what was said is not sent later"
    assert receiver.got == []


def test_nobody_is_told_what_ended_before_or_happened_in_a_rehearsal(alerting, receiver) -> None:
    alerting.reach(receiver.url)
    alerting.find("heat")
    alerting.end("heat")
    assert alerting.tell() == Told()
    with ending_by_themselves(alerting.care.ledger, "bikes"):
        alerting.find("weather")
        assert alerting.tell() == Told()
    assert alerting.tell() == Told()
    assert receiver.got == []
    assert set(alerting.states) == {"silent"}


@pytest.mark.parametrize("url", ["no address", "nonsense://x", f"slack://{SECRET}"])
def test_an_address_that_nobody_understands_is_said_without_showing_it(alerting, url) -> None:
    alerting.reach(url)
    alerting.find("heat")
    told = alerting.tell()
    assert told.lines[0].endswith("is none that Apprise understands")
    assert SECRET not in str(told)


def test_no_login_is_shown_or_kept(alerting, receiver, caplog) -> None:
    receiver.status = 500
    alerting.reach(receiver.url)
    alerting.find("heat")
    told = alerting.tell()
    home = alerting.care.home
    shown = (told, home, channels_of(home.alerts), alerts_of(home, "bikes"), caplog.text)
    assert SECRET not in repr(shown)
    assert "127.0.0.1" not in repr(told)
    files = [file for file in home.root.glob("ledger.db*") if SECRET.encode() in file.read_bytes()]
    assert files == []


def test_a_ledger_that_fails_meanwhile_fails_no_flow(alerting, receiver, monkeypatch) -> None:
    alerting.reach(receiver.url)
    alerting.find("heat")

    def gone(*_: str) -> None:
        raise StoreError("the ledger is away")

    monkeypatch.setattr(alerting.care.ledger, "set_mark", gone)
    assert alerting.tell().lines == ("bikes: alerts wait for the next run: the ledger is away",)


def test_a_test_message_goes_to_every_channel_and_says_which_failed(alerting, receiver) -> None:
    alerting.reach(receiver.url, "nonsense://x")
    (_, first), (second, problem) = send_test(alerting.care.home, clock=alerting.care.clock)
    assert first == ""
    assert problem == f"{second.name} is none that Apprise understands"
    assert receiver.titles == ["Driftwheel: a test"]


def test_monitor_and_reconcile_tell_what_they_found(care, day, receiver) -> None:
    rows = pd.read_csv(care.pipeline.source_path)
    times = pd.to_datetime(rows["at"], utc=True)
    rows.loc[(times >= day(56)) & (times < day(59)), "heat"] = 0.0
    care.write(rows)
    care.ingest(day(60))
    care.home = replace(care.home, alerts=(receiver.url,))
    receiver.status = 500
    given = {"clock": care.clock}
    watched = everyday.monitor(care.home, care.pipeline, as_of=day(60), **given)
    assert watched.alerts.pending == len(care.ledger.faults("bikes")) >= 1

    receiver.status = 200
    done = everyday.reconcile(
        care.home,
        care.pipeline,
        grace=pd.Timedelta("2min").to_pytimedelta(),
        carry=lambda _: None,
        **given,
    )
    assert done["alerts"] == {"sent": watched.alerts.pending, "pending": 0, "lines": ()}
    assert any("heat" in title for title in receiver.titles)
