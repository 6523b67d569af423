"""Group chats from YAML: who speaks, when it is over, and what comes out."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from massgen_bridge_ag2 import bridge_adapters

from massgen_bridge import (
    Chosen,
    ConfigError,
    Declined,
    LimitReached,
    Limits,
    LogLine,
    ModelCallFinished,
    PersonAsked,
    PersonReplied,
    Question,
    Reply,
    ServerFailed,
    TextDelta,
    ToolCallFinished,
    ToolResult,
    Truncated,
    assistant,
    system,
    user,
)
from massgen_bridge.testing.agents import (
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import (
    EndsEarly,
    Hang,
    HttpError,
    ModelRequest,
    ModelServer,
    Structured,
    Text,
    ToolCalls,
)
from massgen_bridge.testing.servers import (
    Reply as ServerReply,
)

if TYPE_CHECKING:
    from massgen_bridge import Agent, ToolDefinition
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

ABC = ("ann", "bob", "cleo")
(SPEC,) = bridge_adapters()


def settings(*names: str, **given: Any) -> dict[str, Any]:
    members = [{"name": name, "system_message": f"You are {name}."} for name in names or ABC]
    return {"group": {"members": members, **given}}


def group(server: ModelServer, *names: str, **given: Any) -> Agent:
    return make_agent(SPEC, settings(*names, **given), connection_to(server))


def speaker(request: ModelRequest) -> str:
    """Whose model call it is."""
    return request.messages[0].text.removeprefix("You are ").split(".")[0]


def says(**replies: str | ServerReply) -> Any:
    """A script in which each member says the same, whenever it speaks."""

    def script(request: ModelRequest) -> ServerReply:
        given = replies.get(speaker(request), f"{speaker(request)} speaks.")
        return Text(given) if isinstance(given, str) else given

    return script


def spoke(server: ModelServer) -> list[str]:
    return [speaker(one.asked) for one in server.requests if one.asked is not None]


# --- who speaks -----------------------------------------------------------------------------------


async def test_a_round_ends_with_the_most_messages(model_server: StartModelServer) -> None:
    server = model_server(says())
    result = await group(server, max_turns=5).run(turn("Go."), collect())
    assert spoke(server) == ["ann", "bob", "cleo", "ann", "bob"]
    assert result.text == "bob speaks."
    assert result.usage is not None
    assert result.usage.calls == 5


async def test_a_sequence_ends_when_each_has_spoken(model_server: StartModelServer) -> None:
    server = model_server(says())
    await group(server, pattern="sequence", first="bob").run(turn("Go."), collect())
    assert spoke(server) == ["bob", "cleo", "ann"]


async def test_transitions_lead_through_a_graph(model_server: StartModelServer) -> None:
    transitions = [
        {"from": "ann", "to": "cleo", "when": "SPEAKS"},
        {"from": "ann", "to": "bob"},
        {"from": "cleo", "to": "bob"},
        {"from": "bob", "to": "end"},
    ]
    server = model_server(says())
    await group(server, pattern="graph", transitions=transitions).run(turn("Go."), collect())
    assert spoke(server) == ["ann", "cleo", "bob"]


async def test_a_member_may_speak_again_at_once(model_server: StartModelServer) -> None:
    server = model_server(says())
    transitions = [{"from": "ann", "to": "ann"}]
    await group(server, transitions=transitions, max_turns=3).run(turn("Go."), collect())
    assert spoke(server) == ["ann", "ann", "ann"]
    assert [m.role for m in _last(server).messages] == [
        "system",
        "user",
        "assistant",
        "assistant",
        "user",
    ]


async def test_the_model_chooses_and_its_words_are_not_told(
    model_server: StartModelServer,
) -> None:
    def script(request: ModelRequest) -> ServerReply:
        if request.output_schema is not None:
            return Text(json.dumps({"speaker": "cleo"}))
        return Text(f"{speaker(request)} speaks.")

    server, events = model_server(script), collect()
    result = await group(server, pattern="auto", max_turns=2).run(turn("Go."), events)
    assert result.text == "cleo speaks."
    chooser = server.requests[1].asked
    assert chooser is not None
    assert chooser.output_schema is not None
    assert chooser.output_schema["properties"]["speaker"]["enum"] == ["bob", "cleo"]
    assert "[ann]: ann speaks." in chooser.last_text
    assert "speaker" not in "".join(delta.text for delta in events.of(TextDelta))
    assert [one.source for one in events.of(ModelCallFinished)] == ["ann", None, "cleo"]


async def test_a_model_that_names_nobody_stalls_nothing(model_server: StartModelServer) -> None:
    def script(request: ModelRequest) -> ServerReply:
        if request.output_schema is not None:
            return Text("I would rather not say.")
        return Text(f"{speaker(request)} speaks.")

    server = model_server(script)
    result = await group(server, pattern="auto", max_turns=3).run(turn("Go."), collect())
    assert result.text == "cleo speaks."
    assert server.calls == 5  # three messages, two choices, and no choice is asked for twice


@pytest.mark.parametrize(
    ("reply", "said", "by_default"),
    [(Chosen(label="cleo"), "cleo speaks.", False), (Declined(), "bob speaks.", True)],
)
async def test_a_person_chooses(
    model_server: StartModelServer, reply: Reply, said: str, *, by_default: bool
) -> None:
    asked: list[Question] = []

    async def ask(question: Question) -> Reply:
        asked.append(question)
        return reply

    connection, events = connection_to(model_server(says())), collect()
    agent = make_agent(SPEC, settings(pattern="manual", max_turns=2), connection, ask=ask)
    result = await agent.run(turn("Go."), events)
    assert result.text == said
    assert asked[0].choices == ("bob", "cleo")
    assert asked[0].shown[0].text == "ann speaks."
    assert len(events.of(PersonAsked)) == 1
    assert events.of(PersonReplied)[0].by_default is by_default


def test_without_a_person_the_manual_pattern_is_refused(model_server: StartModelServer) -> None:
    with pytest.raises(ConfigError, match="nobody can be asked"):
        group(model_server(), pattern="manual")
    assert SPEC.needs_person is not None
    assert SPEC.needs_person(SPEC.options.model_validate(settings(pattern="manual")))
    assert not SPEC.needs_person(SPEC.options.model_validate(settings()))


async def test_a_member_gives_the_word_to_another(model_server: StartModelServer) -> None:
    hand_off = ToolCalls(("hand_off", {"to": "cleo", "reason": "knows it"}), text="Not mine.")
    server, events = model_server(says(ann=hand_off)), collect()
    members = [
        {"name": "ann", "system_message": "You are ann.", "handoffs": ["bob", "cleo"]},
        {"name": "bob", "system_message": "You are bob."},
        {"name": "cleo", "system_message": "You are cleo."},
    ]
    agent = make_agent(SPEC, {"group": {"members": members, "max_turns": 2}}, connection_to(server))
    result = await agent.run(turn("Go."), events)
    assert spoke(server) == ["ann", "cleo"]
    assert result.text == "cleo speaks."
    assert "[ann]: Not mine.\n\n[gives the word to cleo]" in _last(server).last_text
    (finished,) = events.of(ToolCallFinished)
    assert (finished.source, finished.result.is_error) == ("ann", False)


async def test_the_word_cannot_be_given_to_anybody(model_server: StartModelServer) -> None:
    calls: list[str] = []

    def script(request: ModelRequest) -> ServerReply:
        calls.append(request.last_text)
        if len(calls) == 1:
            return ToolCalls(("hand_off", {"to": "cleo"}))
        return Text("Then I speak.")

    members = [{"name": "ann", "handoffs": ["bob"]}, {"name": "bob"}, {"name": "cleo"}]
    given = {"group": {"members": members, "max_turns": 2}}
    agent = make_agent(SPEC, given, connection_to(model_server(script)))
    assert (await agent.run(turn("Go."), collect())).text == "Then I speak."
    assert calls[1] == "`to` must be one of ['bob']"


# --- what members are told ------------------------------------------------------------------------


async def test_a_member_knows_all_that_was_said_its_own_words_included(
    model_server: StartModelServer,
) -> None:
    server = model_server(says())
    history = (system("Be kind."), user("First?"), assistant("One."), user("Go."))
    await group(server, "ann", "bob", max_turns=15).run(turn(*history), collect())
    told = [(m.role, m.text) for m in _last(server).messages]
    talk = [("assistant", "ann speaks."), ("user", "[bob]: bob speaks.")] * 7
    assert told == [
        ("system", "You are ann.\n\nBe kind."),
        ("user", "First?"),
        ("assistant", "One."),
        ("user", "Go."),
        *talk,
    ]


async def test_deltas_name_the_member(model_server: StartModelServer) -> None:
    events = collect()
    await group(model_server(says()), max_turns=3).run(turn("Go."), events)
    texts: dict[str | None, str] = {}
    for delta in events.of(TextDelta):
        texts[delta.source] = texts.get(delta.source, "") + delta.text
    assert texts == {name: f"{name} speaks." for name in ABC}
    assert [one.source for one in events.of(ModelCallFinished)] == list(ABC)


# --- the end --------------------------------------------------------------------------------------


async def test_the_phrase_ends_the_chat_and_is_cut_out(model_server: StartModelServer) -> None:
    server = model_server(says(bob="All is well. APPROVED"))
    result = await group(server, termination={"phrase": "APPROVED"}).run(turn("Go."), collect())
    assert spoke(server) == ["ann", "bob"]
    assert result.text == result.new_messages[-1].text == "All is well."


async def test_one_members_last_message_can_be_the_answer(model_server: StartModelServer) -> None:
    result = await group(model_server(says()), answer="ann", max_turns=3).run(
        turn("Go."), collect()
    )
    assert result.text == "ann speaks."


async def test_a_member_with_nothing_to_say_stalls_nothing(model_server: StartModelServer) -> None:
    server = model_server(says(ann="", bob=""))
    result = await group(server, max_turns=3).run(turn("Go."), collect())
    assert result.text == "cleo speaks."


@pytest.mark.parametrize(
    ("fault", "error"), [(HttpError(status=500), ServerFailed), (EndsEarly(), Truncated)]
)
async def test_a_member_that_fails_fails_the_turn(
    model_server: StartModelServer,
    caplog: pytest.LogCaptureFixture,
    fault: ServerReply,
    error: type[Exception],
) -> None:
    server = model_server(says(bob=fault))
    with caplog.at_level(logging.ERROR), pytest.raises(error):
        await group(server).run(turn("Go."), collect())
    assert spoke(server) == ["ann", "bob"]
    assert not caplog.records


async def test_the_chat_can_go_on_without_a_member_that_fails(
    model_server: StartModelServer,
) -> None:
    server, events = model_server(says(bob=HttpError(status=500))), collect()
    result = await group(server, on_failure="skip", max_turns=3).run(turn("Go."), events)
    assert spoke(server) == ["ann", "bob", "cleo"]
    assert result.text == "cleo speaks."
    assert "without 'bob'" in events.of(LogLine)[0].text
    assert "bob" not in _last(server).last_text


async def test_where_all_fail_the_turn_does(model_server: StartModelServer) -> None:
    server = model_server(HttpError(status=500))
    with pytest.raises(ServerFailed):
        await group(server, on_failure="skip", max_turns=3).run(turn("Go."), collect())
    assert server.calls == 3


async def test_the_limit_of_model_calls_ends_also_a_chat_that_skips(
    model_server: StartModelServer,
) -> None:
    server = model_server(says())
    limited = turn("Go.", limits=Limits(max_model_calls=2))
    with pytest.raises(LimitReached):
        await group(server, on_failure="skip").run(limited, collect())
    assert server.calls == 2


async def test_a_cancelled_chat_closes_its_stream_and_asks_nothing_more(
    model_server: StartModelServer,
) -> None:
    server = model_server(says(bob=Hang(after=2)))
    agent = group(server)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.run, turn("Go."), collect())
        await server.await_calls(2)
        await server.await_tokens(2)
        tasks.cancel_scope.cancel()
    await server.await_close()
    await anyio.sleep(0.2)
    assert server.calls == 2
    assert server.running_calls == 0
    await agent.aclose()


async def test_a_cancelled_chat_calls_no_more_tools(model_server: StartModelServer) -> None:
    server = model_server(says(ann=ToolCalls(("lookup", {"query": "x", "limit": 1}))))
    begun = anyio.Event()

    async def slow(_: object) -> str:
        begun.set()
        await anyio.sleep_forever()
        return ""

    tools, events = ScriptedTools(slow), collect()
    asked = turn("Go.", tools=[LOOKUP], call_tool=tools)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(group(server).run, asked, events)
        await begun.wait()
        tasks.cancel_scope.cancel()
    told = len(events.events)
    await anyio.sleep(0.2)
    assert (len(tools.calls), server.calls, len(events.events)) == (1, 1, told)


# --- tools and schemas ----------------------------------------------------------------------------


async def test_members_call_the_tools_of_the_run(model_server: StartModelServer) -> None:
    def script(request: ModelRequest) -> ServerReply:
        if request.ends_with_tool_result or speaker(request) != "ann":
            return Text(f"{speaker(request)} says {request.last_text}")
        return ToolCalls(("lookup", {"query": "x", "limit": 1}))

    tools, events = ScriptedTools("found"), collect()
    asked = turn("Go.", tools=[LOOKUP], call_tool=tools)
    result = await group(model_server(script), max_turns=2).run(asked, events)
    assert result.text == "bob says [ann]: ann says found"
    assert events.of(ToolCallFinished)[0].source == "ann"


async def test_a_vote_is_cast_at_the_end_for_the_whole_group(
    model_server: StartModelServer,
) -> None:
    def script(request: ModelRequest) -> ServerReply:
        if any(tool.name == "vote" for tool in request.tools):
            return ToolCalls(("vote", {"query": "x", "limit": 1}))
        return Text(f"{speaker(request)} speaks.")

    vote: ToolDefinition = LOOKUP.model_copy(update={"name": "vote", "ends_turn": True})
    ended = ToolResult(call_id="", name="vote", content="counted", ends_turn=True)
    tools, server = ScriptedTools(ended), model_server(script)
    asked = turn("Vote.", tools=[vote], call_tool=tools)
    agent = group(server, termination={"phrase": "bob speaks."})
    result = await agent.run(asked, collect())
    assert spoke(server) == ["ann", "bob", "ann"]  # bob's words were the phrase alone
    assert result.stop_reason == "tool"
    assert len(tools.calls) == 1


async def test_a_schema_is_met_by_one_more_answer(model_server: StartModelServer) -> None:
    def script(request: ModelRequest) -> ServerReply:
        if request.output_schema is not None:
            return Structured({"choice": "a"})
        return Text(f"{speaker(request)} speaks. END")

    schema = {
        "type": "object",
        "properties": {"choice": {"type": "string"}},
        "required": ["choice"],
        "additionalProperties": False,
    }
    server = model_server(script)
    agent = group(server, termination={"phrase": "END"})
    result = await agent.run(turn("Choose.", output_schema=schema), collect())
    assert result.structured == {"choice": "a"}
    assert server.calls == 2
    assert "The conversation is over" in _last(server).last_text


async def test_many_turns_of_a_group_at_once_stay_apart(model_server: StartModelServer) -> None:
    server = model_server(says())
    agent = group(server, max_turns=3)
    answers: dict[int, str] = {}

    async def ask(number: int) -> None:
        asked = turn(f"Question {number}.", turn_id=f"turn-{number}")
        answers[number] = (await agent.run(asked, collect())).text

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, number)
    assert answers == dict.fromkeys(range(10), "cleo speaks.")
    questions = [
        [m.text for m in one.asked.messages if m.text.startswith("Question")]
        for one in server.requests
        if one.asked is not None
    ]
    assert all(len(set(one)) == 1 for one in questions)
    await agent.aclose()


# --- helpers --------------------------------------------------------------------------------------


def _last(server: ModelServer) -> ModelRequest:
    asked = server.requests[-1].asked
    assert asked is not None
    return asked
