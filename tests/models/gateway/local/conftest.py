"""The gateway before a stand-in for the local model's server, which says what the test gives."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest
from anyio.from_thread import start_blocking_portal
from pydantic import SecretStr

from massgen_bridge.connection import Connection
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.providers import LOCAL

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols

_HEAD = {"created": 1795400448, "model": "local", "system_fingerprint": "b0-unknown", "id": "x"}
_USAGE = {
    "completion_tokens": 7,
    "prompt_tokens": 33,
    "total_tokens": 40,
    "prompt_tokens_details": {"cached_tokens": 24},
}


class Model:
    """What the local model's server says next, in the form that it really has.

    Attributes:
        written: The pieces that the model writes.
        finish: Why it stops; None: the connection breaks before.
        status: The HTTP status of its server.
        error: The body with an error status.
        step: How many bytes come at a time; None: all at once.
        requests: What its server was asked: paths and bodies.
    """

    def __init__(self) -> None:
        self.written: tuple[str, ...] = ("Hello.",)
        self.finish: str | None = "stop"
        self.status = 200
        self.error: dict[str, Any] = {}
        self.step: int | None = None
        self.requests: list[tuple[str, dict[str, Any]]] = []

    def says(self, *written: str, finish: str | None = "stop") -> None:
        """Let it write this from now on."""
        self.written, self.finish = written, finish

    def sent(self, *, stream: bool) -> bytes:
        """What its server sends."""
        return self._events() if stream else self._document()

    def _document(self) -> bytes:
        message = {"role": "assistant", "content": "".join(self.written)}
        choice = {"finish_reason": self.finish, "index": 0, "message": message}
        whole = {"choices": [choice], **_HEAD, "object": "chat.completion", "usage": _USAGE}
        return json.dumps(whole).encode() if self.finish else b'{"choices": ['

    def _events(self) -> bytes:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": None}]
        deltas += [{"content": text} for text in self.written]
        events = [_event([{"finish_reason": None, "index": 0, "delta": delta}]) for delta in deltas]
        if self.finish:
            events.append(_event([{"finish_reason": self.finish, "index": 0, "delta": {}}]))
            events.append(_event([], usage=_USAGE, timings={"cache_n": 32}))
            events.append("data: [DONE]\n\n")
        return "".join(events).encode()


def _event(choices: list[dict[str, Any]], **rest: Any) -> str:
    chunk = {"choices": choices, **_HEAD, "object": "chat.completion.chunk", **rest}
    return f"data: {json.dumps(chunk)}\n\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model: Model

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = self.model
        model.requests.append((self.path, request))
        if model.status != 200:
            self._answer("application/json", [json.dumps(model.error).encode()])
            return
        stream = bool(request.get("stream"))
        sent = model.sent(stream=stream)
        step = model.step or len(sent)
        pieces = [sent[at : at + step] for at in range(0, len(sent), step)]
        self._answer("text/event-stream" if stream else "application/json", pieces)

    def _answer(self, content_type: str, pieces: list[bytes]) -> None:
        self.send_response(self.model.status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(sum(map(len, pieces))))
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)


@pytest.fixture(scope="session")
def serving() -> Iterator[tuple[type[_Handler], int]]:
    """What stands in for the local model's server, and its port."""

    class Handler(_Handler):
        model = Model()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Handler, server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def model(serving: tuple[type[_Handler], int]) -> Model:
    """What the model says next; a fresh one for each test."""
    serving[0].model = Model()
    return serving[0].model


@pytest.fixture(scope="session")
def connect(serving: tuple[type[_Handler], int]) -> Iterator[Callable[[Protocols], Connection]]:
    """Make a connection to the model through a gateway, for one of its protocols."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(ConnectionPool({}, {}, {})) as pool,
    ):
        gateway = portal.call(pool.gateway)

        def make(protocol: Protocols) -> Connection:
            path = "" if protocol == "messages" else "/v1"
            real = Connection(
                name="local",
                provider=LOCAL,
                protocol=protocol,
                model="smollm2-135m-instruct",
                base_url=f"http://127.0.0.1:{serving[1]}{path}",
                api_key=SecretStr("the-real-key"),
            )
            return portal.call(gateway.direct, real)

        yield make


@pytest.fixture(scope="session")
def openai_client(connect: Callable[[Protocols], Connection]) -> Iterator[openai.OpenAI]:
    inner = connect("chat")
    assert inner.api_key is not None
    key = inner.api_key.get_secret_value()
    with openai.OpenAI(base_url=inner.base_url, api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def anthropic_client(connect: Callable[[Protocols], Connection]) -> Iterator[anthropic.Anthropic]:
    inner = connect("messages")
    assert inner.api_key is not None
    key = inner.api_key.get_secret_value()
    with anthropic.Anthropic(base_url=inner.base_url, api_key=key, max_retries=0) as client:
        yield client
