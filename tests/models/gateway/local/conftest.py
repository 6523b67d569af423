"""The translation behind real loopback HTTP, with what the local model writes given by the test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import anthropic
import openai
import pytest

from massgen_bridge.models.gateway.local import Refused, emulate

if TYPE_CHECKING:
    from massgen_bridge.connection import Protocols

_PROTOCOLS: Mapping[str, Protocols] = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
}
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
        requests: What its server was asked.
    """

    def __init__(self) -> None:
        self.written: tuple[str, ...] = ("Hello.",)
        self.finish: str | None = "stop"
        self.status = 200
        self.error: dict[str, Any] = {}
        self.step: int | None = None
        self.requests: list[dict[str, Any]] = []

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
        protocol = _PROTOCOLS[self.path.partition("?")[0]]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            emulation = emulate(protocol, body)
        except Refused as error:
            self._answer(error.status, "application/json", error.body)
            return
        request = json.loads(emulation.body if emulation else body)
        self.model.requests.append(request)
        if self.model.status != 200:
            data = json.dumps(self.model.error).encode()
            data = emulation.failed(self.model.status, data) if emulation else data
            self._answer(self.model.status, "application/json", data)
            return
        stream = bool(request.get("stream"))
        sent = self.model.sent(stream=stream)
        if emulation is None:
            self._answer(200, "text/event-stream" if stream else "application/json", sent)
            return
        step = self.model.step or len(sent) or 1
        pieces = [emulation.feed(sent[at : at + step]) for at in range(0, len(sent), step)]
        answer = b"".join([*pieces, emulation.end()])
        broken = emulation.failure is not None and not stream
        self._answer(500 if broken else 200, emulation.content_type, answer)

    def _answer(self, status: int, content_type: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="session")
def _serving() -> Iterator[tuple[type[_Handler], str]]:
    class Handler(_Handler):
        model = Model()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def model(_serving: tuple[type[_Handler], str]) -> Model:
    """What the model says next; a fresh one for each test."""
    _serving[0].model = Model()
    return _serving[0].model


@pytest.fixture(scope="session")
def openai_client(_serving: tuple[type[_Handler], str]) -> Iterator[openai.OpenAI]:
    url = f"{_serving[1]}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="session")
def anthropic_client(_serving: tuple[type[_Handler], str]) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=_serving[1], api_key="none", max_retries=0) as client:
        yield client
