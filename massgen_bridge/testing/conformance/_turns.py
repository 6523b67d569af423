"""A turn: what comes out of it, and what is told of it meanwhile."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable

import anyio
import pytest

from massgen_bridge.agent import Agent, InputKind, ToolDefinition, Turn
from massgen_bridge.connection import Connection
from massgen_bridge.events import TurnDone, TurnFailed
from massgen_bridge.messages import (
    AudioPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    Message,
    TextPart,
    VideoPart,
)
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._base import ConformanceBase
from massgen_bridge.testing.conformance._checks import assert_events, assert_refused, assert_whole

__all__ = ["LOOKUP", "MEDIA", "TurnTests"]

LOOKUP = ToolDefinition(
    name="lookup",
    description="Looks something up.",
    input_schema={
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["query", "limit"],
        "additionalProperties": False,
    },
)
"""The tool of most tests."""

MEDIA: dict[InputKind, MediaPart] = {
    "image": ImagePart(
        media_type="image/png",
        data=base64.b64decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
            "rkJggg=="
        ),
    ),
    "audio": AudioPart(
        media_type="audio/wav",
        data=b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00\x80>\x00\x00"
        b"data\x00\x00\x00\x00",
    ),
    "document": DocumentPart(
        media_type="application/pdf",
        data=b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
        name="one.pdf",
    ),
    "video": VideoPart(media_type="video/mp4", data=b"\x00\x00\x00\x18ftypmp42isommp42"),
}
"""One medium of each kind."""

_SCHEMA = {"type": "object", "properties": {"choice": {"type": "string"}}, "required": ["choice"]}
_LATE_S = 0.1


class TurnTests(ConformanceBase):
    """A question leads to one whole result, and everything told on the way agrees with it."""

    async def test_it_is_an_agent(self, connection: Connection | None) -> None:
        """What the factory makes has the two methods of the interface, `run` and `aclose`."""
        async with self.agent(connection) as agent:
            assert isinstance(agent, Agent)

    async def test_a_turn_returns_one_whole_result(self, connection: Connection | None) -> None:
        """A question gets a `TurnResult` with an answer that is not empty. The history that it
        adds ends with the assistant's message that is the answer, holds messages of assistant and
        tools only, and survives JSON unchanged.
        """
        async with self.agent(connection) as agent:
            asked: object = agent.run(turn(self.question()), collect())
            assert isinstance(asked, Awaitable), f"`run` is `async def`; it returned {asked!r}"
            result = await asked
        assert_whole(result)
        assert result.text.strip(), "question() has to be one that the agent answers"

    async def test_a_turn_ends_once_and_tells_nothing_later(
        self, connection: Connection | None
    ) -> None:
        """Behind the real executor a turn ends with exactly one terminal event, `TurnDone` with
        the agent's result. The agent itself emits no such event, and nothing at all later than
        its end: 0.1 seconds are watched.
        """
        events = collect()
        async with self.hosted(connection) as agent:
            outcome = await agent.run(turn(self.question()), events)
            told = list(events.events)
            await anyio.sleep(_LATE_S)
        assert isinstance(outcome, TurnDone), f"{outcome}"
        assert_whole(outcome.result)
        assert events.events == told, "an event came after the turn had ended"

    async def test_events_come_in_order_and_agree_with_the_result(
        self, connection: Connection | None
    ) -> None:
        """Each model call starts before it finishes or is retried, each tool call has one start
        and one end, and no call is left open. The deltas join to the text of the result, and the
        usage of the model calls adds up to that of the turn.
        """
        events = collect()
        async with self.agent(connection) as agent:
            result = await agent.run(turn(self.question()), events)
        assert_events(events.events, result, streaming=self.capabilities().streaming)

    async def test_a_session_is_taken_back(self, connection: Connection | None) -> None:
        """The session token of a result, if there is one, can be handed to the next turn."""
        async with self.agent(connection) as agent:
            first = await agent.run(turn(self.question()), collect())
            asked = turn(self.question(2), turn_id="turn-2")
            second = await agent.run(asked.model_copy(update={"session": first.session}), collect())
        assert_whole(second)

    @pytest.mark.parametrize("wanted", [*MEDIA, "tools", "schema"])
    async def test_what_it_does_not_claim_is_refused(
        self, connection: Connection | None, wanted: str
    ) -> None:
        """A turn with a medium, with tools or with an output schema that the capabilities do not
        claim fails with `UnsupportedContent` before anything else happens; nothing is dropped
        silently. What they do claim is not refused, and an answer to an output schema is decoded.
        """
        capabilities = self.capabilities()
        claimed: set[str] = set(capabilities.inputs)
        claimed |= {"tools"} if capabilities.tools else set()
        claimed |= {"schema"} if capabilities.structured else set()
        asked = self._wanting(wanted)
        async with self.agent(connection) as agent:
            if wanted not in claimed:
                await assert_refused(agent, asked)
                return
        async with self.hosted(connection) as hosted:
            outcome = await hosted.run(asked, collect())
        if isinstance(outcome, TurnDone) and wanted == "schema":
            value = outcome.result.structured
            assert value is not None, "it claims output schemas, and decodes no answer"
            assert json.loads(outcome.result.text) == value
        elif isinstance(outcome, TurnFailed):
            assert outcome.kind != "unsupported", f"it claims {wanted!r}, but {outcome}"

    def _wanting(self, wanted: str) -> Turn:
        question = self.question()
        match wanted:
            case "tools":
                return turn(question, tools=[LOOKUP], call_tool=ScriptedTools())
            case "schema":
                return turn(question, output_schema=_SCHEMA)
            case _:
                parts = (
                    TextPart(text=question),
                    *(MEDIA[kind] for kind in MEDIA if kind == wanted),
                )
                return turn(Message(role="user", parts=parts))
