"""Agents that say what they are told to."""

from __future__ import annotations

import pytest

from massgen_bridge import ballots
from massgen_bridge.agent import ShownAnswer, Turn
from massgen_bridge.errors import ERROR_KINDS, AgentError, ErrorKind
from massgen_bridge.events import BallotWay, TextDelta, ToolCallFinished, ToolCallStarted, TurnEvent
from massgen_bridge.kinds.scripted import ScriptedAgent, ScriptedOptions
from massgen_bridge.messages import ToolCall, ToolResult, user
from massgen_bridge.strategy import StartTurn
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


def to_rank(way: BallotWay, turn_id: str = "a.2") -> ballots.Draft:
    shown = tuple(
        ShownAnswer(label=f"agent{number}", version=1, text=f"Answer {number}.")
        for number in (4, 2, 9)
    )
    start = StartTurn(turn_id=turn_id, agent_id="a", purpose="rank", shown=shown)
    return ballots.compose(start, user("Which?"), system="", way=way, mark="0123abcd")


async def ranking(agent: ScriptedAgent, way: BallotWay) -> list[str]:
    made = to_rank(way)
    assert made.paper is not None
    paper, taken = made.paper, []

    async def vote(call: ToolCall) -> ToolResult:
        cast, result = ballots.take_vote(paper, call)
        taken.append(cast)
        return result

    asked = Turn(
        run_id="r",
        turn_id="a.2",
        agent_id="a",
        messages=made.messages,
        tools=made.tools,
        output_schema=made.output_schema,
        shown=tuple(
            ShownAnswer(label=one.label, version=one.version, text="") for one in paper.choices
        ),
    ).bind(vote)
    result = await agent.run(asked, collect())
    cast = ballots.read(paper, result, taken[0] if taken else None)
    assert isinstance(cast, ballots.RankingCast), cast
    return [one.label for one in cast.ranking]


@pytest.mark.parametrize("way", ["tools", "schema", "text"])
async def test_it_ranks_in_its_order_what_is_shown_and_the_rest_as_shown(way: BallotWay) -> None:
    rankings = (("agent9", "agent1", "agent4"), ("agent2",))
    agent = ScriptedAgent(ScriptedOptions(rankings=rankings))

    assert [await ranking(agent, way) for _ in range(3)] == [
        ["agent9", "agent4", "agent2"],
        ["agent2", "agent4", "agent9"],
        ["agent2", "agent4", "agent9"],
    ]


async def test_without_an_order_it_ranks_first_what_it_votes_for() -> None:
    agent = ScriptedAgent(ScriptedOptions(votes=("agent2", "agent9")))

    assert await ranking(agent, "schema") == ["agent2", "agent4", "agent9"]
    assert await ranking(agent, "schema") == ["agent9", "agent4", "agent2"]


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
