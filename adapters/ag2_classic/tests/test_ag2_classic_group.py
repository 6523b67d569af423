"""Group chats from YAML: who speaks, when it is over, and what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from massgen_bridge_ag2_classic import bridge_adapters

from massgen_bridge import (
    Chosen,
    ConfigError,
    Declined,
    LimitReached,
    Limits,
    LogLine,
    ModelCallFinished,
    PersonAsked,
    ProtocolFailed,
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
    EventLog,
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import (
    EndsEarly,
    HttpError,
    ModelRequest,
    ModelServer,
    Structured,
    Text,
    ToolCalls,
)

if TYPE_CHECKING:
    from massgen_bridge import Agent
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

ABC = ("ann", "bob", "cleo")


def group(server: ModelServer, *names: str, **settings: Any) -> Agent:
    (spec,) = bridge_adapters()
    members = [{"name": name, "system_message": f"You are {name}."} for name in names or ABC]
    given = {"group": {"members": members, **settings.pop("group", {}), **settings}}
    return make_agent(spec, given, connection_to(server))


def speaker(request: ModelRequest) -> str:
    """Whose model call it is."""
    return request.messages[0].text.removeprefix("You are ").split(".")[0]


def says(**texts: str) -> Any:
    """A script in which each member says the same, whenever it speaks."""

    def script(request: ModelRequest) -> Text:
        return Text(texts.get(speaker(request), f"{speaker(request)} speaks."))

    return script


def who(events: EventLog) -> list[str | None]:
    """Who spoke, in order."""
    told = events.of(ModelCallFinished)
    return [one.source for one in told if one.source != "chat_manager"]


async def test_a_round_goes_on_to_the_last_turn(model_server: StartModelServer) -> None:
    events = collect()
    server = model_server(says())
    result = await group(server, max_turns=5).run(turn("Go."), events)
    assert who(events) == ["ann", "bob", "cleo", "ann", "bob"]
    assert result.text == "bob speaks."
    assert server.calls == 5


async def test_a_sequence_ends_when_each_has_spoken(model_server: StartModelServer) -> None:
    events = collect()
    await group(model_server(says()), pattern="sequence", first="bob").run(turn("Go."), events)
    assert who(events) == ["bob", "cleo", "ann"]


async def test_transitions_lead_through_a_graph(model_server: StartModelServer) -> None:
    events = collect()
    transitions = [
        {"from": "ann", "to": "cleo", "when": "SPEAKS"},
        {"from": "ann", "to": "bob"},
        {"from": "cleo", "to": "bob"},
        {"from": "bob", "to": "end"},
    ]
    agent = group(model_server(says()), pattern="graph", transitions=transitions)
    await agent.run(turn("Go."), events)
    assert who(events) == ["ann", "cleo", "bob"]


async def test_a_member_knows_who_said_what(model_server: StartModelServer) -> None:
    server = model_server(says())
    await group(server, max_turns=3).run(turn("Go."), collect())
    told = [(m["role"], m.get("name"), m["content"]) for m in server.requests[-1].body["messages"]]
    assert told == [
        ("system", None, "You are cleo."),
        ("user", "user", "Go."),
        ("user", "ann", "ann speaks."),
        ("user", "bob", "bob speaks."),
    ]


async def test_its_own_words_are_its_own(model_server: StartModelServer) -> None:
    server = model_server(says())
    history = (system("Be kind."), user("First?"), assistant("One."), user("Go."))
    await group(server, "ann", "bob", max_turns=3).run(turn(*history), collect())
    told = [(m["role"], m["content"]) for m in server.requests[-1].body["messages"]]
    assert told == [
        ("system", "You are ann.\n\nBe kind."),
        ("user", "First?"),
        ("assistant", "One."),
        ("user", "Go."),
        ("assistant", "ann speaks."),
        ("user", "bob speaks."),
    ]


async def test_deltas_name_the_member(model_server: StartModelServer) -> None:
    events = collect()
    await group(model_server(says()), max_turns=3).run(turn("Go."), events)
    texts: dict[str | None, str] = {}
    for delta in events.of(TextDelta):
        texts[delta.source] = texts.get(delta.source, "") + delta.text
    assert texts == {name: f"{name} speaks." for name in ABC}
    assert [one.source for one in events.of(ModelCallFinished)] == list(ABC)


async def test_a_phrase_ends_it_and_is_cut_out(model_server: StartModelServer) -> None:
    agent = group(
        model_server(says(bob="All is said. DONE", ann="Are we DONE?")),
        termination={"phrase": "DONE", "by": ["bob"]},
    )
    result = await agent.run(turn("Go."), collect())
    assert result.text == "All is said."
    assert [m.text for m in result.new_messages] == ["All is said."]


async def test_the_answer_may_be_one_members(model_server: StartModelServer) -> None:
    result = await group(model_server(says()), max_turns=3, answer="ann").run(
        turn("Go."), collect()
    )
    assert result.text == "ann speaks."
    assert result.new_messages[-1] == result.message


async def test_a_member_that_never_spoke_has_no_answer(model_server: StartModelServer) -> None:
    agent = group(model_server(says()), max_turns=1, answer="cleo")
    with pytest.raises(ProtocolFailed, match="'cleo'"):
        await agent.run(turn("Go."), collect())


async def test_a_random_order_is_the_same_each_time(model_server: StartModelServer) -> None:
    agent = group(model_server(says()), pattern="random", max_turns=8)
    logs = [collect(), collect()]
    for log in logs:
        await agent.run(turn("Go."), log)
    orders = [who(log) for log in logs]
    assert orders[0] == orders[1]
    assert all(one != other for one, other in zip(orders[0], orders[0][1:], strict=False))


# --- a model chooses ------------------------------------------------------------------------------


def chooses(name: str) -> Any:
    def script(request: ModelRequest) -> Text | Structured:
        if "Who should speak next" in request.last_text:
            return Structured({"speaker": name})
        return Text(f"{speaker(request)} speaks.")

    return script


async def test_a_model_chooses_who_speaks(model_server: StartModelServer) -> None:
    server, events = model_server(chooses("cleo")), collect()
    await group(server, pattern="auto", max_turns=2).run(turn("Go."), events)
    assert who(events) == ["ann", "cleo"]
    assert server.calls == 3
    assert {one.source for one in events.of(TextDelta)} == {"ann", "cleo"}


async def test_a_model_that_names_nobody_does_not_hold_it_up(
    model_server: StartModelServer,
) -> None:
    """AG2's own pattern asks twelve times and then waits for a person."""
    events = collect()
    server = model_server(default=Text("Hm."))
    await group(server, pattern="auto", max_turns=3).run(turn("Go."), events)
    assert who(events) == ["ann", "bob", "cleo"]
    assert server.calls == 5


# --- hand-offs ------------------------------------------------------------------------------------

SUPPORT = {
    "members": [
        {"name": "desk", "system_message": "You are desk.", "handoffs": ["repairs"]},
        {"name": "repairs", "system_message": "You are repairs."},
    ],
    "pattern": "graph",
}


async def test_a_member_hands_over_by_its_tool(model_server: StartModelServer) -> None:
    def script(request: ModelRequest) -> Text | ToolCalls:
        if speaker(request) == "repairs":
            return Text("Mended.")
        return ToolCalls(("hand_off", {"to": "repairs"}), ("lookup", {"query": "x", "limit": 1}))

    server, events, tools = model_server(script), collect(), ScriptedTools()
    (spec,) = bridge_adapters()
    agent = make_agent(spec, {"group": SUPPORT}, connection_to(server))
    asked = turn("It is broken.", tools=[LOOKUP], call_tool=tools)
    result = await agent.run(asked, events)
    assert result.text == "Mended."
    assert [one.result.name for one in events.of(ToolCallFinished)] == ["hand_off"]
    assert tools.calls == [], "a tool was called after the word had been given away"


async def test_members_use_the_tools_of_the_turn(model_server: StartModelServer) -> None:
    def script(request: ModelRequest) -> Text | ToolCalls:
        if request.ends_with_tool_result or speaker(request) == "ann":
            return Text(f"{speaker(request)} speaks.")
        return ToolCalls(("lookup", {"query": speaker(request), "limit": 1}))

    events, tools = collect(), ScriptedTools("found")
    asked = turn("Go.", tools=[LOOKUP], call_tool=tools)
    result = await group(model_server(script), max_turns=2).run(asked, events)
    assert [call.arguments["query"] for call in tools.calls] == ["bob"]
    assert [one.source for one in events.of(ToolCallFinished)] == ["bob"]
    assert [m.role for m in result.new_messages] == ["assistant", "tool", "assistant"]


async def test_a_hand_off_to_anybody_else_is_told_to_the_model(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(("hand_off", {"to": "boss"})), Text("Then I answer.")])
    (spec,) = bridge_adapters()
    agent = make_agent(spec, {"group": SUPPORT}, connection_to(server))
    assert (await agent.run(turn("It is broken."), collect())).text == "Then I answer."
    assert "'boss' cannot" in server.requests[1].body["messages"][-1]["content"]


async def test_only_the_end_of_the_talk_votes(model_server: StartModelServer) -> None:
    """A tool that ends the turn speaks for the whole group."""
    vote = LOOKUP.model_copy(update={"name": "vote", "ends_turn": True})
    done = ToolResult(call_id="", name="", content="voted", ends_turn=True)

    def script(request: ModelRequest) -> Text | ToolCalls:
        if any(tool.name == "vote" for tool in request.tools):
            return ToolCalls(("vote", {"query": "a", "limit": 1}))
        return Text("I agree. DONE")

    asked = turn("Vote.", tools=[vote], call_tool=ScriptedTools(done))
    for settings, calls in (({"max_turns": 3}, 3), ({"termination": {"phrase": "DONE"}}, 2)):
        server = model_server(script)
        result = await group(server, **settings).run(asked, collect())
        assert (result.stop_reason, server.calls) == ("tool", calls)
        assert [m.role for m in result.new_messages] == ["assistant", "tool"]


async def test_a_tool_that_ends_the_turn_ends_the_chat(model_server: StartModelServer) -> None:
    vote = LOOKUP.model_copy(update={"name": "vote", "ends_turn": True})
    done = ToolResult(call_id="", name="", content="voted", ends_turn=True)
    server = model_server(default=ToolCalls(("vote", {"query": "a", "limit": 1})))
    asked = turn("Vote.", tools=[vote], call_tool=ScriptedTools(done))
    result = await group(server, max_turns=1).run(asked, collect())
    assert result.stop_reason == "tool"
    assert server.calls == 1


async def test_a_schema_holds_the_outcome_of_the_chat(model_server: StartModelServer) -> None:
    schema = {
        "type": "object",
        "properties": {"choice": {"type": "string"}},
        "required": ["choice"],
        "additionalProperties": False,
    }

    def script(request: ModelRequest) -> Text | Structured:
        if request.output_schema is not None:
            return Structured({"choice": speaker(request)})
        return Text("We are done. DONE")

    server = model_server(script)
    asked = turn("Choose.", output_schema=schema)
    result = await group(server, max_turns=2).run(asked, collect())
    assert (result.structured, server.calls) == ({"choice": "bob"}, 2)
    agent = group(server, termination={"phrase": "DONE"})
    result = await agent.run(asked, collect())
    assert result.structured == {"choice": "ann"}
    assert json.loads(result.text) == {"choice": "ann"}


# --- how it fails ---------------------------------------------------------------------------------


async def test_a_failing_member_fails_the_group(model_server: StartModelServer) -> None:
    server = model_server([Text("One."), HttpError(status=500)])
    with pytest.raises(ServerFailed):
        await group(server).run(turn("Go."), collect())
    assert server.calls == 2


async def test_a_failing_member_may_be_skipped(model_server: StartModelServer) -> None:
    server = model_server([Text("One."), HttpError(status=500), Text("Three.")])
    events = collect()
    result = await group(server, on_failure="skip", max_turns=3).run(turn("Go."), events)
    assert result.text == "Three."
    heard = [m["content"] for m in server.requests[-1].body["messages"]]
    assert heard == ["You are cleo.", "Go.", "One."]
    assert "'bob'" in events.of(LogLine)[0].text


async def test_a_group_all_of_whose_members_fail_fails(model_server: StartModelServer) -> None:
    server = model_server(default=HttpError(status=500))
    with pytest.raises(ServerFailed):
        await group(server, on_failure="skip", max_turns=3).run(turn("Go."), collect())
    assert server.calls == 3


async def test_an_answer_that_was_cut_off_fails_the_group(model_server: StartModelServer) -> None:
    with pytest.raises(Truncated):
        await group(model_server([EndsEarly()])).run(turn("Go."), collect())


async def test_the_limit_of_model_calls_holds(model_server: StartModelServer) -> None:
    server = model_server(says())
    asked = turn("Go.", limits=Limits(max_model_calls=4))
    with pytest.raises(LimitReached, match="4 model calls"):
        await group(server, on_failure="skip").run(asked, collect())
    assert server.calls == 4


async def test_a_cancelled_group_says_nothing_more(model_server: StartModelServer) -> None:
    """AG2 goes on after its consumer was cancelled; here nothing does."""
    server = model_server(default=Text.of_tokens(1000, tokens_per_second=50))
    with anyio.CancelScope() as scope:

        async def emit(event: object, /) -> None:
            if isinstance(event, TextDelta):
                scope.cancel()

        await group(server).run(turn("Go."), emit)
    await server.await_close(1, timeout_s=2)
    await anyio.sleep(0.3)
    assert (server.calls, server.running_calls) == (1, 0)


# --- people, variables, output --------------------------------------------------------------------


def with_person(server: ModelServer, *replies: Reply | None) -> tuple[Agent, list[Question]]:
    """A group whose speakers a person chooses."""
    asked: list[Question] = []
    waiting = list(replies)

    async def ask(question: Question, /) -> Reply | None:
        asked.append(question)
        return waiting.pop(0)

    (spec,) = bridge_adapters()
    members = [{"name": name} for name in ABC]
    given = {"group": {"members": members, "pattern": "manual", "max_turns": 4}}
    return make_agent(spec, given, connection_to(server), ask=ask), asked


async def test_a_person_chooses_who_speaks(model_server: StartModelServer) -> None:
    events = collect()
    replies = (Chosen(label="cleo"), Declined(), None)
    agent, asked = with_person(model_server(default=Text("Said.")), *replies)
    await agent.run(turn("Go."), events)
    assert who(events) == ["ann", "cleo", "ann", "bob"], "without a choice, the next in order"
    assert [one.choices for one in asked] == [("bob", "cleo"), ("ann", "bob"), ("bob", "cleo")]
    assert len(events.of(PersonAsked)) == 3


def test_without_anybody_who_chooses_there_is_no_such_group(
    model_server: StartModelServer,
) -> None:
    with pytest.raises(ConfigError, match="'manual'"):
        group(model_server(), pattern="manual")


async def test_context_variables_stand_in_system_messages(model_server: StartModelServer) -> None:
    server = model_server(default=Text("Hello."))
    (spec,) = bridge_adapters()
    members = [{"name": "ann", "system_message": "You work for {shop}."}, {"name": "bob"}]
    given = {
        "group": {"members": members, "max_turns": 1},
        "context_variables": {"shop": "The Lamp Shop"},
    }
    await make_agent(spec, given, connection_to(server)).run(turn("Go."), collect())
    assert server.requests[0].body["messages"][0]["content"] == "You work for The Lamp Shop."


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_nothing_is_printed_or_written(
    model_server: StartModelServer,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    await group(model_server(says())).run(turn("Go."), collect())
    assert capfd.readouterr() == ("", "")
    assert files(tmp_path) == []
