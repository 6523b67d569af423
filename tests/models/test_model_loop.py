"""Turns of an agent that is one model, with a model of a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from massgen_bridge.agent import Limits
from massgen_bridge.connection import ModelTraits
from massgen_bridge.errors import (
    AgentCrashed,
    AgentError,
    LimitReached,
    NetworkFailed,
    ProtocolFailed,
    RateLimited,
    UnsupportedContent,
)
from massgen_bridge.events import ModelCallFinished, ToolCallStarted
from massgen_bridge.messages import Message, ToolCall, ToolResult, assistant
from massgen_bridge.models.answers import ModelAnswer
from massgen_bridge.models.model_loop import ModelLoop
from massgen_bridge.models.retry import ModelCalls
from massgen_bridge.models.sdk_clients import ClientPool, Endpoint
from massgen_bridge.specs import AgentContext, NoOptions
from massgen_bridge.testing.agents import ScriptedTools, collect, connection_to, turn
from massgen_bridge.testing.conformance import LOOKUP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge.agent import Emit, StopReason, Turn
    from massgen_bridge.connection import Connection

pytestmark = pytest.mark.anyio

CALL = ToolCall(call_id="c1", name="lookup", arguments={"query": "x"})


class _Client:
    """Nothing but something to lease."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def close(self) -> None:
        """Nothing to give back."""


CLIENTS = ClientPool("tests_model_loop", _Client, _Client.close)


class _Loop(ModelLoop[_Client, ModelAnswer]):
    """Gives the answers, or raises the errors, that it is told to."""

    sdk: ClassVar[str] = "sdk"

    def __init__(self, *answers: ModelAnswer | Exception, traits: Any = None) -> None:
        connection = connection_to("http://127.0.0.1:9/v1", **(traits or {}))
        super().__init__(
            AgentContext(
                agent_id="ann",
                options=NoOptions(),
                connection=connection,
                call_model=ModelCalls(connection),
                load=str,
                base_dir=Path(),
            ),
            CLIENTS,
        )
        self.answers = list(answers)
        self.asked: list[list[Any]] = []
        self.reached: list[tuple[_Client, Connection]] = []

    def first_request(self, turn: Turn) -> dict[str, Any]:
        return {"messages": [turn.question]}

    async def ask(
        self,
        client: _Client,
        request: dict[str, Any],
        emit: Emit,  # noqa: ARG002 - the loop's signature
        connection: Connection,
    ) -> ModelAnswer:
        self.reached.append((client, connection))
        self.asked.append(list(request["messages"]))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def go_on(
        self, request: dict[str, Any], answer: ModelAnswer, results: Sequence[ToolResult]
    ) -> None:
        request["messages"] += [answer.text, *(result.content for result in results)]


def _answer(
    text: str = "", *calls: ToolCall, stop_reason: StopReason = "end", paused: bool = False
) -> ModelAnswer:
    return ModelAnswer(text=text, calls=calls, stop_reason=stop_reason, usage=None, paused=paused)


def _asking(tools: ScriptedTools, **more: Any) -> Turn:
    return turn("Look.", tools=[LOOKUP], call_tool=tools, **more)


async def test_the_model_is_asked_until_it_calls_no_more_tools() -> None:
    loop, events = _Loop(_answer("Hm.", CALL), _answer("", CALL), _answer("So.")), collect()
    result = await loop.run(_asking(ScriptedTools("one", "two")), events)
    assert loop.asked[-1] == ["Look.", "Hm.", "one", "", "two"]
    roles = [message.role for message in result.new_messages]
    assert roles == ["assistant", "tool", "assistant", "tool", "assistant"]
    assert result.message == result.new_messages[-1] == assistant("So.")
    assert len(events.of(ModelCallFinished)) == 3
    assert len(events.of(ToolCallStarted)) == 2


async def test_a_model_that_pauses_is_asked_to_go_on() -> None:
    loop = _Loop(_answer("First, ", paused=True), _answer(paused=True), _answer("then."))
    result = await loop.run(turn("Think."), collect())
    assert loop.asked[-1] == ["Think.", "First, ", ""]
    assert result.new_messages == (assistant("First, "), assistant("then."))
    assert result.text == "then."


async def test_pauses_count_as_model_calls() -> None:
    loop = _Loop(*[_answer(paused=True)] * 20)
    with pytest.raises(LimitReached, match="16 model calls"):
        await loop.run(turn("Think."), collect())
    assert len(loop.asked) == 16


async def test_an_answer_without_anything_is_an_answer() -> None:
    result = await _Loop(_answer()).run(turn("?"), collect())
    assert result.new_messages == (Message(role="assistant", parts=()),)


async def test_calls_that_come_with_a_refusal_are_not_made() -> None:
    tools = ScriptedTools()
    loop = _Loop(_answer("No.", CALL, stop_reason="refusal"))
    result = await loop.run(_asking(tools), collect())
    assert (result.new_messages, result.stop_reason) == ((assistant("No."),), "refusal")
    assert tools.calls == []


async def test_a_call_cut_by_the_output_limit_is_not_made() -> None:
    tools = ScriptedTools()
    with pytest.raises(LimitReached, match="in the middle of a tool call"):
        await _Loop(_answer("", CALL, stop_reason="length")).run(_asking(tools), collect())
    assert tools.calls == []


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ProtocolFailed("no chunk"), ProtocolFailed),
        (ConnectionResetError("gone"), NetworkFailed),
        (RuntimeError("unforeseen"), AgentCrashed),
    ],
)
async def test_what_comes_out_of_a_call_says_where_it_happened(
    raised: Exception, expected: type[AgentError]
) -> None:
    loop = _Loop(raised)
    with pytest.raises(expected) as caught:
        await loop.run(turn("?"), collect())
    assert type(caught.value) is expected
    assert str(caught.value) == f"'loopback' (model 'scripted'): {raised}"
    assert caught.value.agent_id == "ann"
    assert CLIENTS.users() == [[1]]
    await loop.aclose()
    assert CLIENTS.users() == []


async def test_the_time_to_wait_stays_with_an_error() -> None:
    loop = _Loop(RateLimited("later", retry_after_s=7.0))
    with pytest.raises(RateLimited) as caught:
        await loop.run(turn("?"), collect())
    await loop.aclose()
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("traits", "asked"),
    [
        (ModelTraits(tools=False), turn("x", tools=[LOOKUP], call_tool=ScriptedTools())),
        (ModelTraits(structured=False), turn("x", output_schema={"type": "object"})),
    ],
)
async def test_a_turn_beyond_the_model_is_refused_before_any_call(
    traits: ModelTraits, asked: Turn
) -> None:
    loop = _Loop(traits=traits.model_dump())
    with pytest.raises(UnsupportedContent, match="correct the traits"):
        await loop.run(asked, collect())
    assert loop.asked == []


async def test_calls_after_the_one_that_ends_the_turn_are_not_made() -> None:
    calls = [CALL.model_copy(update={"call_id": f"c{number}"}) for number in range(3)]
    ending = ToolResult(call_id="", name="", content="counted", ends_turn=True)
    tools, events = ScriptedTools("looked", ending), collect()
    result = await _Loop(_answer("I vote.", *calls)).run(_asking(tools), events)
    assert tools.calls == [one.call for one in events.of(ToolCallStarted)] == calls[:2]
    message, results = result.new_messages
    assert (result.message, result.text, result.stop_reason) == (message, "I vote.", "tool")
    told = [part for part in results.parts if isinstance(part, ToolResult)]
    assert [(one.call_id, one.content, one.is_error) for one in told] == [
        ("c0", "looked", False),
        ("c1", "counted", False),
        ("c2", "not called: the turn had ended", True),
    ]


async def test_the_last_call_that_a_turn_may_make_counts() -> None:
    limits = Limits(max_model_calls=2)
    asked = _asking(ScriptedTools("found"), limits=limits)
    result = await _Loop(_answer("", CALL), _answer("Done.")).run(asked, collect())
    assert result.text == "Done."
    tools = ScriptedTools("found")
    loop = _Loop(_answer("", CALL), _answer("", CALL), _answer("Too late."))
    with pytest.raises(LimitReached, match="2 model calls"):
        await loop.run(_asking(tools, limits=limits), collect())
    assert (len(loop.asked), len(tools.calls)) == (2, 2)


@pytest.mark.parametrize(("stop_reason", "expected"), [("end", {"a": 1}), ("refusal", None)])
async def test_a_decision_is_decoded_unless_it_was_refused(
    stop_reason: StopReason, expected: object
) -> None:
    loop = _Loop(_answer('{"a": 1}', stop_reason=stop_reason))
    result = await loop.run(turn("?", output_schema={"type": "object"}), collect())
    assert result.structured == expected


async def test_turns_with_keys_of_their_own_share_a_client_that_has_none() -> None:
    loop = _Loop(*(_answer("So.") for _ in range(3)))
    reached = [connection_to("http://127.0.0.1:2/v1", api_key=key) for key in ("one", "two")]
    tools = ScriptedTools()
    await loop.run(turn("Look."), collect())
    for connection in reached:
        await loop.run(turn("Look.").bind(tools, connection=connection), collect())
    clients, connections = zip(*loop.reached, strict=True)
    assert connections == (loop.connection, *reached)
    assert clients[0] is not clients[1] is clients[2]
    assert (clients[1].endpoint.base_url, clients[1].endpoint.api_key) == (
        "http://127.0.0.1:2/v1",
        None,
    )
    assert len(CLIENTS.users()) == 2
    await loop.aclose()
    assert CLIENTS.users() == []
