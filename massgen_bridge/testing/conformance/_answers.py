"""The model's words."""

# ruff: noqa: D205, S101 - tests assert, and their guarantees take several lines

from __future__ import annotations

import pytest

from massgen_bridge.agent import Limits, StopReason
from massgen_bridge.connection import Sampling
from massgen_bridge.errors import ProtocolFailed
from massgen_bridge.events import ReasoningDelta, TextDelta, TurnEvent
from massgen_bridge.testing.agents import collect, turn
from massgen_bridge.testing.conformance._checks import (
    assert_refused,
    assert_same_text,
    assert_whole,
)
from massgen_bridge.testing.conformance._model import ModelConformanceBase
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

_MEGABYTE = 1 << 20
_CODE = "def f(x):\n\n    if x:\n\t\treturn  [1,  2]\n\n\n    return None\r\n"
_UNICODE = (
    "na\u00efve caf\u00e9 \u2014 \u65e5\u672c\u8a9e \u202b\u05d0\u05d1\u202c "
    "\U0001f469\u200d\U0001f680 e\u0301 \U0001d7d8"
)
_LONG = "".join(f"line {number:>7}\n    indented {number:>9}\n" for number in range(30_000))[
    :_MEGABYTE
]
_TEXTS = {
    "code": Text(_CODE),
    "edges": Text("  \n\tspace around all of it \n\n "),
    "empty": Text(""),
    "megabyte": Text(
        _LONG,
        chunks=tuple(_LONG[start : start + 512] for start in range(0, len(_LONG), 512)),
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
_NO_JSON = {
    "prose": Text("I would choose agent2."),
    "cut": Text('{"choice": "agent2", "sco', finish_reason="length"),
}
_THOUGHT = "First this,\n  then that: größer?\n"


class AnswerTests(ModelConformanceBase):
    """An answer is exactly what the model said, whole or told apart from what it is not."""

    @pytest.mark.parametrize("text", _TEXTS.values(), ids=_TEXTS)
    async def test_the_answer_is_exactly_what_the_model_said(
        self, serve: StartModelServer, text: Text
    ) -> None:
        """Code, indentation, white space at both ends, markup that looks like a protocol's own,
        unicode, an empty text and one megabyte come out as the model said them: not a space is
        lost, neither in the result nor in the deltas. One answer takes one model call.
        """
        server, events = serve(text), collect()
        async with self.agent_at(server) as agent:
            result = await agent.run(turn("Speak."), events)
        assert_same_text(result.text, text.text)
        assert_whole(result)
        assert result.stop_reason == "end"
        if self.capabilities().streaming:
            assert_same_text(events.text, text.text)
        assert server.calls == 1, "one answer takes one model call"

    async def test_characters_cut_apart_on_the_way_are_joined(
        self, serve: StartModelServer
    ) -> None:
        """Characters of several bytes come out whole, however the network cuts the stream: here
        after every seventh byte.
        """
        events = collect()
        async with self.agent_at(serve(Drip(answer=Text(_UNICODE + _CODE)))) as agent:
            result = await agent.run(turn("Speak."), events)
        assert result.text == _UNICODE + _CODE
        if self.capabilities().streaming:
            assert events.text == result.text

    async def test_text_is_told_of_while_the_model_speaks(self, serve: StartModelServer) -> None:
        """The first delta of an agent that streams comes while the model still speaks."""
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

    async def test_reasoning_is_told_apart_from_the_answer(self, serve: StartModelServer) -> None:
        """What a model thinks before it answers comes as `ReasoningDelta`, to the letter; it is
        neither in the answer nor in the deltas of its text.
        """
        server, events = serve(Text("The answer.", reasoning=_THOUGHT)), collect()
        async with self.agent_at(server) as agent:
            result = await agent.run(turn("Think."), events)
        assert result.text == "The answer."
        if self.capabilities().streaming:
            assert events.text == result.text
            assert "".join(event.text for event in events.of(ReasoningDelta)) == _THOUGHT

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
        """An answer that was cut off by a limit has the stop reason `length`, one that was filtered
        or refused has `refusal`, and its text is what came; neither passes for a whole one.
        """
        async with self.agent_at(serve(reply)) as agent:
            result = await agent.run(turn("Speak."), collect())
        assert result.stop_reason == expected
        assert result.text == reply.text

    async def test_the_output_limit_of_a_turn_holds(self, serve: StartModelServer) -> None:
        """The limit of output tokens is that of the turn where it has one, else the connection's;
        the answer ends there with the stop reason `length`.
        """
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
        """An agent that can be held to an output schema sends it to the model, as it is, and
        decodes the answer; one that cannot refuses such a turn before any model call.
        """
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
            if self.lacks("structured"):
                await assert_refused(agent, asked)
                assert server.calls == 0
                return
            result = await agent.run(asked, collect())
        assert result.structured == _VALUE
        assert [set(schema.get("properties", ())) for schema in schemas] == [{"choice", "score"}]

    @pytest.mark.parametrize("answer", _NO_JSON.values(), ids=_NO_JSON)
    async def test_structured_output_that_is_no_json_is_a_failure(
        self, serve: StartModelServer, answer: Text
    ) -> None:
        """Prose in place of JSON, and JSON that was cut off, fail a turn with an output schema as
        `ProtocolFailed`; they never pass for a decision.
        """
        server = serve(answer)
        asked = turn("Choose.", output_schema=_SCHEMA, limits=Limits(max_model_calls=3))
        async with self.agent_at(server) as agent:
            if self.lacks("structured"):
                await assert_refused(agent, asked)
                assert server.calls == 0
                return
            with pytest.raises(ProtocolFailed):
                await agent.run(asked, collect())
