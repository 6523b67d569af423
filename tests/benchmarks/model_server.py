"""A model server in a process of its own, with a script that the command line cannot express."""

from __future__ import annotations

import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers import ModelServer, Text, ToolCalls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from massgen_bridge.messages import JsonValue
    from massgen_bridge.testing.servers import ModelRequest, Reply

__all__ = ["ServerHandle", "answer_or_vote", "model_server"]

_TIMEOUT_S = 20.0
_KEPT = 1000
_TOKENS = 20


def answer_or_vote(request: ModelRequest) -> Reply:
    """A vote for `agent1`, or a ranking by number, where a ballot's tool is offered.

    Else 20 tokens for the model's name: models of one name answer alike, of different names
    differently. A model named `NAME@0.5` takes half a second longer than the server's own latency,
    one named `NAME#300` gives 300 tokens.
    """
    latency_s = float(request.model.partition("@")[2] or 0)
    if request.tools:
        (tool,) = request.tools
        vote: dict[str, JsonValue] = {"label": "agent1", "reason": "It is the clearest."}
        asked = tool.parameters["properties"]
        if "ranking" in asked:
            labels = sorted(asked["ranking"]["items"]["enum"], key=lambda label: int(label[5:]))
            vote = {"ranking": labels, "reason": "It is the clearest."}
        return ToolCalls((tool.name, vote), latency_s=latency_s)
    tokens = int(request.model.partition("#")[2] or _TOKENS)
    words = "".join(f" word{index}" for index in range(tokens - 1))
    return Text(f"{request.model}:{words}", latency_s=latency_s)


class ServerHandle:
    """The server as its user sees it.

    Attributes:
        url: The base URL for OpenAI clients.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url: str = self._receive()

    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of the last requests, in the order of their arrival."""
        self._pipe.send("bodies")
        bodies: list[dict[str, Any]] = self._receive()
        return bodies

    def _receive(self) -> Any:
        if not self._pipe.poll(_TIMEOUT_S):
            raise TimeoutError(f"the model server did not answer within {_TIMEOUT_S:g} s")
        return self._pipe.recv()


@contextmanager
def model_server(
    latency_s: float = 0.0, *, tokens_per_second: float | None = None
) -> Iterator[ServerHandle]:
    """Serve `answer_or_vote`.

    Args:
        latency_s: Seconds before each first byte.
        tokens_per_second: The pace of the streams; None: no pauses.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(
        target=_serve, args=(there, latency_s, tokens_per_second), daemon=True
    )
    process.start()
    there.close()
    try:
        yield ServerHandle(here)
    finally:
        here.close()
        process.join(_TIMEOUT_S)


def _serve(pipe: Connection, latency_s: float, tokens_per_second: float | None) -> None:
    with ModelServer(
        answer_or_vote,
        latency_s=latency_s,
        tokens_per_second=tokens_per_second,
        keep_requests=_KEPT,
    ) as server:
        pipe.send(server.url)
        while True:
            try:
                pipe.recv()
            except EOFError:  # the benchmark is over
                return
            pipe.send([request.body for request in server.requests])
