"""Every kind of error, as it reaches the host."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest

from massgen_bridge.agent import Limits, Turn
from massgen_bridge.errors import ErrorKind, ToolFailed, error_of_kind
from massgen_bridge.events import TurnFailed
from massgen_bridge.messages import Message, TextPart
from massgen_bridge.testing import servers
from massgen_bridge.testing.agents import TEST_KEY, ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._turns import LOOKUP, MEDIA
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import (
    AutoToolCall,
    Disconnect,
    EndsEarly,
    Hang,
    HttpError,
    MalformedSSE,
    Reply,
    Text,
    ToolCalls,
)

__all__ = ["KindTests"]

_CALL = ToolCalls(("lookup", {"query": "x", "limit": 1}))
_SHOWN = turn(Message(role="user", parts=(TextPart(text="What is it?"), MEDIA["image"])))


def _look(**more: Any) -> Turn:
    return turn("Look it up.", tools=[LOOKUP], **more)


@dataclass(frozen=True, kw_only=True)
class _Way:
    """How a turn comes to fail.

    Attributes:
        reply: What the model's provider does.
        asked: The turn.
        settings: Of the connection.
        tool: What `call_tool` raises; None: it gives a result.
    """

    reply: Reply = field(default_factory=lambda: Text("Nothing is wrong."))
    asked: Turn = field(default_factory=lambda: turn("Speak."))
    settings: Mapping[str, Any] = field(default_factory=dict)
    tool: Exception | None = None


_WAYS: dict[ErrorKind, _Way] = {
    "auth": _Way(reply=HttpError(status=401)),
    "bad_request": _Way(reply=HttpError(status=400)),
    "context": _Way(reply=servers.ContextOverflow()),
    "crash": _Way(reply=_CALL, asked=_look(), tool=RuntimeError("nobody foresaw this")),
    "limit": _Way(reply=AutoToolCall(again=True), asked=_look(limits=Limits(max_model_calls=1))),
    "network": _Way(reply=Disconnect()),
    "not_found": _Way(reply=HttpError(status=404)),
    "permission": _Way(reply=HttpError(status=403)),
    "protocol": _Way(reply=MalformedSSE()),
    "rate_limit": _Way(reply=HttpError(status=429)),
    "server": _Way(reply=HttpError(status=500)),
    "timeout": _Way(reply=Hang(), settings={"timeout_s": 0.4}),
    "tool": _Way(reply=_CALL, asked=_look(), tool=ToolFailed("the tool broke")),
    "truncated": _Way(reply=EndsEarly()),
    "unsupported": _Way(asked=_SHOWN, settings={"inputs": frozenset()}),
}
# A worker's end is the host's to tell; no agent can.
assert _WAYS.keys() == set(get_args(ErrorKind)) - {"worker_crashed"}


class KindTests(ModelConformanceBase):
    """Every kind of error reaches the host as what it is."""

    @pytest.mark.parametrize("kind", _WAYS)
    async def test_each_kind_of_failure_reaches_the_host(
        self, serve: StartModelServer, kind: ErrorKind
    ) -> None:
        """Behind the real executor a turn can fail with every kind there is, from `auth` to
        `unsupported`: as one `TurnFailed` of that kind, that says whether the failure may pass,
        and without the connection's key. An agent without tools refuses a turn with tools.
        """
        way = _WAYS[kind]
        expected: ErrorKind = kind
        if way.asked.tools and self.lacks("tools"):
            expected = "unsupported"
        server = serve(way.reply)
        tools = ScriptedTools(way.tool or "found")
        async with self.hosted(self.connect(server, **way.settings)) as agent:
            outcome = await agent.run(way.asked, collect(), call_tool=tools)
        assert isinstance(outcome, TurnFailed), f"{outcome}"
        assert outcome.kind == expected, f"{outcome}"
        assert outcome.retryable == error_of_kind(expected).retryable
        assert outcome.message.strip()
        assert TEST_KEY not in outcome.message
        assert server.calls == (0 if expected == "unsupported" else 1)
