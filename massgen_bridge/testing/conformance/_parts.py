"""No part of a history is lost in silence, whatever stands before and behind it."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import product
from random import Random
from typing import Final

import pytest

from massgen_bridge.agent import Agent, Capabilities, InputKind, Turn
from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import (
    ImagePart,
    MediaPart,
    Message,
    Part,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
)
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._sent import asked
from massgen_bridge.testing.conformance._turns import LOOKUP, MEDIA
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import ModelRequest, ModelServer, Text

__all__ = ["PartTests"]

_HISTORIES: Final = 12
_LIKELY: Final = 0.4


class PartTests(ModelConformanceBase):
    """Each part of a message arrives at the model, or the turn is refused."""

    async def test_each_part_of_a_history_arrives(self, serve: StartModelServer) -> None:
        """Of histories that are made at random from what the agent claims to carry - texts, media,
        addresses of pictures, tool calls and their results with media - every part arrives, once.
        An agent that claims no `history` still sends the last message, and may refuse earlier
        media.
        """
        server, able = serve(Text("Seen.")), self.capabilities()
        async with self.agent_at(server) as agent:
            for seed in range(_HISTORIES):
                history = _History(seed, able).messages
                refused = await _refused(agent, history, able, server)
                assert not (refused and able.history), f"it claims what it refuses: {history}"

    async def test_no_part_of_a_history_is_lost(self, serve: StartModelServer) -> None:
        """In a history of the same kind stands one part more, in a message of each role or in the
        result of a tool, of each kind of media, claimed or not. It arrives with all the others, or
        the turn is refused with `UnsupportedContent` before any model call.
        """
        server, able = serve(Text("Seen.")), self.capabilities()
        places: tuple[Role, ...] = ("system", "user", "assistant")
        if able.tools:
            places = (*places, "tool")
        async with self.agent_at(server) as agent:
            for seed, (place, kind) in enumerate(product(places, sorted(MEDIA))):
                history = _History(seed, able, stray=(place, kind)).messages
                await _refused(agent, history, able, server)


async def _refused(
    agent: Agent, history: Sequence[Message], able: Capabilities, server: ModelServer
) -> bool:
    """Do a turn, and see that each part has arrived; whether it was refused instead."""
    calls = server.calls
    try:
        await agent.run(_turn(history, able), collect())
    except UnsupportedContent:
        assert server.calls == calls, "a refusal comes before any model call"
        return True
    _assert_arrived(history, asked(server), able)
    return False


def _turn(history: Sequence[Message], able: Capabilities) -> Turn:
    if not able.tools:
        return turn(*history)
    return turn(*history, tools=[LOOKUP], call_tool=ScriptedTools())


def _assert_arrived(history: Sequence[Message], request: ModelRequest, able: Capabilities) -> None:
    """Each part of a history is in a request; of an agent without history, those that have to be.

    Args:
        history: What the agent was given.
        request: What it sent.
        able: What it claims.
    """
    words = "\n".join(message.text for message in request.messages)
    media = Counter(one.data or one.url for message in request.messages for one in message.media)
    called = [(call.name, call.arguments) for message in request.messages for call in message.calls]
    wanted: Counter[bytes | str | None] = Counter()
    for message in history:
        is_due = able.history or message is history[-1]
        for part in message.parts:
            lost = f"this was lost: {part!r}"
            match part:
                case TextPart():
                    assert not is_due or part.text in words, lost
                case ToolCall():
                    assert not is_due or (part.name, part.arguments) in called, lost
                case ToolResult():
                    assert not is_due or part.content in words, lost
                    wanted.update(one.data or one.url for one in part.media)
                case _:
                    wanted[part.data or part.url] += 1
    if media != wanted:
        pytest.fail(f"of {wanted.total()} media, {(wanted - media).total()} were lost: {history}")


class _History:
    """A history made at random, the same for a seed; no two of its parts are alike.

    Args:
        seed: Gives another history each.
        able: What the agent claims; all media are of that.
        stray: Role of a message and kind of media that stands there, too; in a message of role
            `tool`, in the result.

    Attributes:
        messages: Its messages.
    """

    def __init__(
        self, seed: int, able: Capabilities, stray: tuple[Role, InputKind] | None = None
    ) -> None:
        self._random = Random(seed)  # noqa: S311 - no secret
        self._able = able
        self._stray = stray
        self._number = 0
        self.messages = tuple(self._made())

    def _made(self) -> Iterator[Message]:
        place = self._stray and self._stray[0]
        if place == "system" or self._chance():
            yield self._said("system")
        for _ in range(self._random.randrange(3) or (place in {"assistant", "tool"})):
            yield self._said("user")
            if self._able.tools and (place == "tool" or self._chance()):
                yield from self._looked_up()
            yield self._said("assistant")
        yield self._said("user")

    def _said(self, role: Role) -> Message:
        parts: list[Part] = [TextPart(text=f"Word {self._next()}."), *self._strays(role)]
        if role == "user":
            parts += self._some(self._able.inputs)
        self._random.shuffle(parts)
        return Message(role=role, parts=tuple(parts))

    def _looked_up(self) -> Iterator[Message]:
        calls = tuple(self._called() for _ in range(self._random.randrange(1, 3)))
        yield Message(role="assistant", parts=calls)
        yield Message(role="tool", parts=tuple(map(self._found, calls)))

    def _called(self) -> ToolCall:
        arguments = {"query": f"{self._next()}", "limit": 1}
        return ToolCall(call_id=f"call-{self._next()}", name="lookup", arguments=arguments)

    def _found(self, call: ToolCall) -> ToolResult:
        media = [*self._strays("tool"), *self._some(self._able.tool_media)]
        return ToolResult(
            call_id=call.call_id,
            name=call.name,
            content=f"Found {self._next()}.",
            media=tuple(media),
        )

    def _some(self, kinds: Collection[InputKind]) -> list[MediaPart]:
        """Two media at the most."""
        count = self._random.randrange(3) if kinds else 0
        return [self._shown(self._random.choice(sorted(kinds))) for _ in range(count)]

    def _strays(self, role: Role) -> Iterator[MediaPart]:
        """The part that is to stand in one message of a role."""
        if self._stray is not None and self._stray[0] == role:
            yield self._shown(self._stray[1])
            self._stray = None

    def _shown(self, kind: InputKind) -> MediaPart:
        part, number = MEDIA[kind], self._next()
        if kind == "image" and self._chance():
            return ImagePart(media_type="image/png", url=f"https://a.example/{number}.png")
        # What follows the end of a file is not looked at.
        return part.model_copy(update={"data": (part.data or b"") + f"{number}".encode()})

    def _chance(self) -> bool:
        return self._random.random() < _LIKELY

    def _next(self) -> int:
        self._number += 1
        return self._number
