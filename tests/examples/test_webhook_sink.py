"""The webhook sink of examples/hooks against real servers: well, failing, hanging and gone."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from massgen_bridge import ConfigError, RunResult, run

if TYPE_CHECKING:
    from collections.abc import Iterator

SINK = Path(__file__).parents[2] / "examples" / "hooks" / "webhook_sink.py"
CHOSEN = ["answered", "voted", "run_finished"]
PATIENCE_S = 10.0


class Receiver:
    """A webhook on loopback; it answers with the given statuses in turn, then always with 200.

    Attributes:
        requests: Headers and JSON of each request, in order.
        goes_on: While it is not set, requests hang.
    """

    def __init__(self, *statuses: int) -> None:
        self.requests: list[tuple[dict[str, str], Any]] = []
        self.goes_on = threading.Event()
        self.goes_on.set()
        self._statuses = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((dict(self.headers), json.loads(body)))
                receiver.goes_on.wait(PATIENCE_S)
                self.send_response(receiver._statuses.pop(0) if receiver._statuses else 200)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                receiver.requests.append((dict(self.headers), "a redirect was followed"))

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/a-secret-path"

    @property
    def types(self) -> list[str]:
        return [one["event"]["type"] for _, body in self.requests for one in body["records"]]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.goes_on.set()
        self._server.shutdown()
        self._thread.join(PATIENCE_S)
        self._server.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sink goes by the environment's proxies; none of them leads to this machine."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def receivers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _run(url: str | None, **options: Any) -> RunResult:
    if url is not None:
        options["url"] = url
    config = {
        "version": 1,
        "plugins": [str(SINK)],
        "sinks": [{"type": "webhook", "events": CHOSEN, **options}],
        "agents": [
            {"id": name, "backend": {"type": "scripted", "answers": [f"I am {name}."]}}
            for name in ("ada", "lin")
        ],
    }
    result = run(config, "Who?", keep=False)
    assert (result.status, result.answer) == ("answered", "I am ada.")
    return result


ALL = ["answered", "answered", "voted", "voted", "run_finished"]


def test_chosen_records_arrive_in_order_and_once(caplog: pytest.LogCaptureFixture) -> None:
    with Receiver() as receiver:
        result = _run(receiver.url)
    assert receiver.types == ALL
    records = [one for _, body in receiver.requests for one in body["records"]]
    numbers = [one["seq"] for one in records]
    assert numbers == sorted(set(numbers))
    assert {one["run_id"] for one in records} == {result.run_id}
    assert records[-1]["event"]["result"]["answer"] == "I am ada."
    assert caplog.messages == []


def test_addresses_and_headers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver:
        monkeypatch.setenv("HOOK_URL", receiver.url)
        monkeypatch.setenv("HOOK_AUTH", "Bearer a-token\n")
        _run(None, url_variable="HOOK_URL", header_variables={"Authorization": "HOOK_AUTH"})
    assert {headers["Authorization"] for headers, _ in receiver.requests} == {"Bearer a-token"}
    assert {headers["Content-Type"] for headers, _ in receiver.requests} == {"application/json"}


def test_a_request_holds_at_most_a_batch() -> None:
    with Receiver() as receiver:
        _run(receiver.url, batch=1)
    assert [len(body["records"]) for _, body in receiver.requests] == [1] * len(ALL)
    assert receiver.types == ALL


def test_a_failure_that_may_pass_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    with Receiver(500, 429) as receiver:
        _run(receiver.url, batch=1)
    assert receiver.types == [*ALL[:1] * 3, *ALL[1:]]
    assert caplog.messages == []


@pytest.mark.parametrize(("status", "requests"), [(500, 3), (404, 1), (302, 1)])
def test_what_cannot_be_delivered_is_told(
    status: int, requests: int, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(*[status] * requests) as receiver:
        _run(receiver.url, batch=1)
    assert receiver.types == [*ALL[:1] * requests, *ALL[1:]], "afterwards it is back"
    (message,) = caplog.messages
    assert message.startswith("observer 'webhook' failed: ConnectionError: 1 of ")
    assert message.endswith(f" records did not reach 127.0.0.1: HTTP {status}")
    assert "a-secret-path" not in message


def test_a_webhook_that_stays_down_is_tried_once_a_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Receiver(*[503] * 100) as receiver:
        _run(receiver.url, batch=1)
    assert receiver.types == [*ALL[:1] * 3, *ALL[1:]]
    assert "records did not reach 127.0.0.1: HTTP 503" in caplog.messages[0]
    assert f"{len(ALL)} of {len(ALL)} records did not reach" in caplog.messages[-1]


def test_a_webhook_that_is_gone_costs_the_run_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        _run(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert f"{len(ALL)} of {len(ALL)} records did not reach 127.0.0.1" in caplog.messages[-1]
    assert "refused" in caplog.messages[-1]


def test_a_webhook_that_hangs_is_left_behind(
    caplog: pytest.LogCaptureFixture, receivers: ExitStack
) -> None:
    receiver = receivers.enter_context(Receiver())
    receiver.goes_on.clear()
    begun = time.monotonic()
    _run(receiver.url, timeout_s=60, batch=50)
    assert time.monotonic() - begun < PATIENCE_S
    (message,) = caplog.messages
    assert "observer 'webhook' is still busy after 2 s and is left behind" in message


def test_a_webhook_that_hangs_is_given_up_after_its_time(
    caplog: pytest.LogCaptureFixture, receivers: ExitStack
) -> None:
    receiver = receivers.enter_context(Receiver())
    receiver.goes_on.clear()
    _run(receiver.url, timeout_s=0.05, attempts=2)
    assert f"{len(ALL)} of {len(ALL)} records did not reach 127.0.0.1" in caplog.messages[-1]
    assert "timed out" in caplog.messages[-1].lower() or "Timeout" in caplog.messages[-1]


def test_a_variable_that_is_not_set_is_told(caplog: pytest.LogCaptureFixture) -> None:
    _run(None, url_variable="NOT_SET_ANYWHERE")
    (message,) = caplog.messages
    assert message.endswith("ValueError: the environment variable 'NOT_SET_ANYWHERE' is not set")


def test_an_address_that_is_none_is_told(caplog: pytest.LogCaptureFixture) -> None:
    _run("file:///etc/passwd")
    (message,) = caplog.messages
    assert message.endswith("ValueError: the webhook's url is no http or https address")


@pytest.mark.parametrize("options", [{}, {"url_variable": "HOOK_URL"}])
def test_exactly_one_address_is_expected(options: dict[str, str]) -> None:
    url = "http://127.0.0.1:9/" if options else None
    with pytest.raises(ConfigError, match="give either `url` or `url_variable`"):
        _run(url, **options)


def test_a_misspelt_type_of_record_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="there are no records of type anwsered"):
        _run("http://127.0.0.1:9/", events=["answered", "anwsered"])
