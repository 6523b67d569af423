"""The model's words, and what is counted."""

# ruff: noqa: S101, PLR2004 - tests assert, and count

from __future__ import annotations

import pytest

from massgen_bridge.agent import Limits, StopReason, Usage
from massgen_bridge.connection import Sampling
from massgen_bridge.errors import ProtocolFailed
from massgen_bridge.events import ModelCallFinished, TextDelta, TurnEvent
from massgen_bridge.testing import servers
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance._checks import assert_refused
from massgen_bridge.testing.conformance._model import ModelConformanceBase
from massgen_bridge.testing.conformance._turns import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import (
    Drip,
    ModelRequest,
    Refusal,
    Reply,
    Structured,
    Text,
    ToolCalls,
)

__all__ = ["AnswerTests"]

_CODE = "def f(x):\n\n    if x:\n\t\treturn  [1,  2]\n\n\n    return None\r\n"
_UNICODE = (
    "na\u00efve caf\u00e9 \u2014 \u65e5\u672c\u8a9e \u202b\u05d0\u05d1\u202c "
    "\U0001f469\u200d\U0001f680 e\u0301 \U0001d7d8"
)
_LONG = "".join(f"line {number}\n    indented {number:>9}\n" for number in range(6500))
_TEXTS = {
    "code": Text(_CODE),
    "edges": Text("  \n\tspace around all of it \n\n "),
    "empty": Text(""),
    "long": Text(
        _LONG, chunks=tuple(_LONG[start : start + 160] for start in range(0, len(_LONG), 160))
    ),
    "markup": Text('</s><|im_end|>\n```json\n{"a": "\\n"}\n```\ndata: [DONE]\n\n<b>&amp;</b>'),
    "unicode": Text(_UNICODE),
}
_SCHEMA = {
    "type": "object",
    "properties": {"choice": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["choice", "score"],
    "additionalProperties": False,
}
_VALUE = {"choice": "agent2, größer", "score": 7}


class AnswerTests(ModelConformanceBase):
    """Answers are exactly what the model said."""

    @pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS)
    async def test_the_answer_is_exactly_what_the_model_said(
        self, serve: StartModelServer, text: Text
    ) -> None:
        """Not a space is lost, neither in the result nor in what was streamed."""
        server, events = serve(text), collect()
        async with self.agent_at(server) as agent:
            result = await agent.run(turn("Speak."), events)
        assert result.text == text.text
        assert result.message.role == "assistant"
        assert result.new_messages[-1] == result.message
        assert result.stop_reason == "end"
        if self.capabilities().streaming:
            assert events.text == text.text
        assert server.calls == 1, "one answer takes one model call"

    async def test_characters_cut_apart_on_the_way_are_joined(
        self, serve: StartModelServer
    ) -> None:
        """However the network cuts the bytes."""
        events = collect()
        async with self.agent_at(serve(Drip(answer=Text(_UNICODE + _CODE)))) as agent:
            result = await agent.run(turn("Speak."), events)
        assert result.text == _UNICODE + _CODE
        if self.capabilities().streaming:
            assert events.text == result.text

    async def test_text_is_told_of_while_the_model_speaks(self, serve: StartModelServer) -> None:
        """An agent that streams does not save up its words."""
        server = serve(Text.of_tokens(20, tokens_per_second=40))
        running: list[int] = []

        async def emit(event: TurnEvent, /) -> None:
            if isinstance(event, TextDelta):
                running.append(server.running_calls)

        async with self.agent_at(server) as agent:
            result = await agent.run(turn("Speak."), emit)
        assert result.text == Text.of_tokens(20).text
        if self.capabilities().streaming:
            assert running
            assert running[0] == 1, "the model had finished when its first words were told"

    @pytest.mark.parametrize(
        ("reply", "expected"),
        [
            pytest.param(Text("cut off in the", finish_reason="length"), "length", id="length"),
            pytest.param(Text("I", finish_reason="content_filter"), "refusal", id="filter"),
            pytest.param(Refusal("I will not help with that."), "refusal", id="refusal"),
        ],
    )
    async def test_why_the_model_stopped_is_told(
        self, serve: StartModelServer, reply: Text | Refusal, expected: StopReason
    ) -> None:
        """A cut or refused answer does not pass for a whole one."""
        async with self.agent_at(serve(reply)) as agent:
            result = await agent.run(turn("Speak."), collect())
        assert result.stop_reason == expected
        assert result.text == reply.text

    async def test_the_output_limit_of_a_turn_holds(self, serve: StartModelServer) -> None:
        """It comes before that of the connection."""
        server = serve(Text.of_tokens(30))
        sampling = Sampling(max_output_tokens=9)
        async with self.agent_at(server, sampling=sampling) as agent:
            by_connection = await agent.run(turn("Speak."), collect())
            limited = turn("Speak.", limits=Limits(max_output_tokens=4))
            by_turn = await agent.run(limited, collect())
        assert (by_connection.text, by_connection.stop_reason) == (
            Text.of_tokens(9).text,
            "length",
        )
        assert (by_turn.text, by_turn.stop_reason) == (Text.of_tokens(4).text, "length")

    async def test_structured_output_is_decoded(self, serve: StartModelServer) -> None:
        """An agent that can be held to a schema sends the schema and decodes the answer."""
        schemas = []

        def script(request: ModelRequest) -> Reply:
            if request.output_schema is None and request.tools:  # the schema as a tool
                schemas.append(request.tools[0].parameters)
                return ToolCalls((request.tools[0].name, _VALUE))
            schemas.append(request.output_schema or {})
            return Structured(_VALUE)

        server = serve(script)
        asked = turn("Choose.", output_schema=_SCHEMA)
        async with self.agent_at(server) as agent:
            if not self.capabilities().structured:
                await assert_refused(agent, asked)
                assert server.calls == 0
                return
            result = await agent.run(asked, collect())
        assert result.structured == _VALUE
        assert [set(schema.get("properties", ())) for schema in schemas] == [{"choice", "score"}]

    async def test_structured_output_that_is_no_json_is_a_failure(
        self, serve: StartModelServer
    ) -> None:
        """Prose never passes for a decision."""
        server = serve(Text("I would choose agent2."))
        asked = turn("Choose.", output_schema=_SCHEMA, limits=Limits(max_model_calls=3))
        async with self.agent_at(server) as agent:
            if not self.capabilities().structured:
                await assert_refused(agent, asked)
                assert server.calls == 0
                return
            with pytest.raises(ProtocolFailed):
                await agent.run(asked, collect())

    async def test_usage_has_one_meaning(self, serve: StartModelServer) -> None:
        """Input counts what came from a cache, output counts what was spent on reasoning."""
        counted = servers.Usage(
            input_tokens=100, output_tokens=30, cached_tokens=40, reasoning_tokens=12
        )
        events = collect()
        async with self.agent_at(serve(Text("Counted.", usage=counted))) as agent:
            result = await agent.run(turn("Count."), events)
        assert result.usage == Usage(
            input_tokens=100, cached_tokens=40, output_tokens=30, reasoning_tokens=12, calls=1
        )
        assert [event.usage for event in events.of(ModelCallFinished)] == [result.usage]

    async def test_usage_of_several_calls_is_added_up(self, serve: StartModelServer) -> None:
        """A turn's usage is that of all its model calls."""
        if not self.capabilities().tools:
            return  # a turn without tools makes one call
        replies: list[Reply] = [
            ToolCalls(
                ("lookup", {"query": "x", "limit": 1}),
                usage=servers.Usage(input_tokens=10, output_tokens=5),
            ),
            Text("Done.", usage=servers.Usage(input_tokens=20, output_tokens=7, cached_tokens=10)),
        ]
        events = collect()
        asked = turn("Look it up.", tools=[LOOKUP], call_tool=ScriptedTools("found"))
        async with self.agent_at(serve(replies)) as agent:
            result = await agent.run(asked, events)
        assert result.usage == Usage(input_tokens=30, cached_tokens=10, output_tokens=12, calls=2)
        parts = [event.usage for event in events.of(ModelCallFinished)]
        assert len(parts) == 2
        assert sum((part for part in parts if part), Usage()) == result.usage

    async def test_usage_that_nobody_counted_is_unknown(self, serve: StartModelServer) -> None:
        """Unknown is not zero."""
        async with self.agent_at(serve(Text("Uncounted.", usage="absent"))) as agent:
            result = await agent.run(turn("Count."), collect())
        assert result.usage is None
