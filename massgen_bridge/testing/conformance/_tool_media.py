"""Media that tools give beside their text: the model gets them, or the turn is refused."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from massgen_bridge.agent import InputKind, Turn
from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import MediaPart, ToolResult, user
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._checks import assert_refused
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._sent import asked
from massgen_bridge.testing.conformance._turns import LOOKUP, MEDIA
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import ModelRequest, ModelServer, Text, ToolCalls

__all__ = ["ToolMediaTests"]

_LOOKED_UP = [{"query": f"q{number}", "limit": number} for number in range(3)]
_CALLS = ToolCalls(*(("lookup", arguments) for arguments in _LOOKED_UP))


class ToolMediaTests(ModelConformanceBase):
    """What a tool shows reaches the model that called it."""

    @pytest.mark.parametrize("kind", MEDIA)
    async def test_media_of_tools_reach_the_model(
        self, serve: StartModelServer, kind: InputKind
    ) -> None:
        """Of three calls made at once, the first gives one picture, sound, document or film, the
        second none, the third two. The next model call has all of them, each once, in order and
        byte for byte, beside all texts; they stand in the history that the turn adds, and arrive
        again with it in the next turn. Where the agent does not claim that kind in `tool_media`,
        they arrive, or the turn is refused with `UnsupportedContent` in their place.
        """
        server = serve([_CALLS, Text("Seen."), Text("As before.")])
        results = [_result(kind, number, count) for number, count in enumerate((1, 0, 2))]
        tools = ScriptedTools(*results)
        first = _turn(tools, "Look it up.")
        async with self.agent_at(server) as agent:
            if self.lacks("tools"):
                await assert_refused(agent, first)
                return
            claimed = kind in self.capabilities().tool_media
            try:
                done = await agent.run(first, collect())
            except UnsupportedContent:
                assert not claimed, "it claims what it refuses"
                self.unclaimed = f"{kind} in the results of tools"
                _assert_not_asked_again(server)
                return
            _assert_shown(asked(server), results)
            told = [
                part
                for message in done.new_messages
                for part in message.parts
                if isinstance(part, ToolResult)
            ]
            assert [(one.content, one.media) for one in told] == [
                (one.content, one.media) for one in results
            ]
            if not claimed:
                return
            again = _turn(tools, *first.messages, *done.new_messages, user("Still?"))
            await agent.run(again.model_copy(update={"turn_id": "turn-2"}), collect())
        if self.capabilities().history:
            _assert_shown(asked(server), results)


def _turn(tools: ScriptedTools, *messages: Any) -> Turn:
    return turn(*messages, tools=[LOOKUP], call_tool=tools)


def _result(kind: InputKind, number: int, count: int) -> ToolResult:
    media = tuple(_medium(kind, f"{number}{index}") for index in range(count))
    return ToolResult(call_id="", name="", content=f"Found {number}.", media=media)


def _medium(kind: InputKind, mark: str) -> MediaPart:
    # What follows the end of a file is not looked at.
    return MEDIA[kind].model_copy(update={"data": (MEDIA[kind].data or b"") + mark.encode()})


def _assert_shown(request: ModelRequest, results: Sequence[ToolResult]) -> None:
    """The texts and media of some results are in a request, those in order, each once."""
    sent = [media.data for message in request.messages for media in message.media]
    wanted = [part.data for result in results for part in result.media]
    lost = (Counter(wanted) - Counter(sent)).total()
    assert not lost, f"{lost} of {len(wanted)} media that tools gave were lost"
    assert sent == wanted, "media of tools came twice, or in another order"
    texts = [message.text for message in request.messages if message.role == "tool"]
    assert texts == [result.content for result in results]


def _assert_not_asked_again(server: ModelServer) -> None:
    assert server.calls == 1, "a refusal comes before the next model call"
