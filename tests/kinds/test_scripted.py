"""Agents that say what they are told to."""

from __future__ import annotations

import pytest

from massgen_bridge.agent import Turn
from massgen_bridge.errors import ERROR_KINDS, AgentError, ErrorKind
from massgen_bridge.events import TextDelta, ToolCallFinished, ToolCallStarted, TurnEvent
from massgen_bridge.kinds.scripted import ScriptedAgent, ScriptedOptions
from massgen_bridge.messages import user
from massgen_bridge.testing.agents import ScriptedTools, collect, turn
from massgen_bridge.testing.conformance import LOOKUP

pytestmark = pytest.mark.anyio
TURN = Turn(run_id="r", turn_id="t", agent_id="a", messages=(user("one two"),))


async def _say(agent: ScriptedAgent) -> tuple[str, list[str], int]:
    events: list[TurnEvent] = []

    async def emit(event: TurnEvent, /) -> None:
        events.append(event)

    result = await agent.run(TURN, emit)
    deltas = [event.text for event in events if isinstance(event, TextDelta)]
    return result.text, deltas, result.usage.input_tokens if result.usage else -1


async def test_answers_come_in_order_and_the_last_one_stays() -> None:
    agent = ScriptedAgent(ScriptedOptions(answers=("first", "second")))

    assert [(await _say(agent))[0] for _ in range(3)] == ["first", "second", "second"]


async def test_a_pace_streams_word_by_word_without_losing_white_space() -> None:
    text = "def f():\n    return 1\n\n  end "
    agent = ScriptedAgent(ScriptedOptions(answers=(text,), tokens_per_second=1000))
    said, deltas, prompt = await _say(agent)

    assert said == text == "".join(deltas)
    assert len(deltas) > 3
    assert prompt == 2


@pytest.mark.parametrize("kind", ERROR_KINDS)
async def test_it_fails_as_its_script_says(kind: ErrorKind) -> None:
    with pytest.raises(AgentError) as caught:
        await _say(ScriptedAgent(ScriptedOptions(fails=kind)))

    assert caught.value.kind == kind


async def test_it_calls_tools_and_tells_what_they_gave() -> None:
    call = {"lookup": {"query": "x"}}
    agent = ScriptedAgent(ScriptedOptions(answers=("I looked:",), calls=(call, call)))
    tools, events = ScriptedTools("first", "second"), collect()
    result = await agent.run(turn("Look.", tools=[LOOKUP], call_tool=tools), events)

    assert result.text == "I looked:\nfirst\nsecond"
    assert [(made.name, made.arguments) for made in tools.calls] == [("lookup", {"query": "x"})] * 2
    assert len({made.call_id for made in tools.calls}) == 2
    assert [message.role for message in result.new_messages] == [
        *("assistant", "tool", "assistant", "tool"),
        "assistant",
    ]
    assert len(events.of(ToolCallStarted)) == len(events.of(ToolCallFinished)) == 2
