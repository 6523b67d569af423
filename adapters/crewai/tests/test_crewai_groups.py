"""Crews and flows of the user's own: brought as they are."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from massgen_bridge_crewai import bridge_adapters

from massgen_bridge import (
    AgentCrashed,
    AgentError,
    BridgeError,
    ConfigError,
    LimitReached,
    Limits,
    ModelCallFinished,
    ProtocolFailed,
    TextDelta,
    ToolCallFinished,
    ToolCallStarted,
    Truncated,
    Usage,
    assistant,
    system,
    user,
)
from massgen_bridge.testing.agents import EventLog, collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import AutoToolCall, EndsEarly, Text, ToolCalls
from massgen_bridge.testing.servers import Usage as Sent

if TYPE_CHECKING:
    from massgen_bridge import Agent, Connection, TurnResult
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import ModelServer, Reply

pytestmark = [
    pytest.mark.anyio,
    # Nobody closes the clients of CrewAI's own models.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

(SPEC,) = bridge_adapters()


def _crews() -> ModuleType:
    """The module as the host loads it: CrewAI looks for files beside the module of a class."""
    spec = importlib.util.spec_from_file_location(
        "crewai_crews", Path(__file__).with_name("crewai_crews.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["crewai_crews"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CREWS = _crews()


def _load(name: str) -> Any:
    return getattr(CREWS, name)


async def _agent(connection: Connection | None = None, **options: Any) -> Agent:
    return await anyio.to_thread.run_sync(lambda: make_agent(SPEC, options, connection, load=_load))


async def _run(agent: Agent, *messages: Any, **more: Any) -> tuple[TurnResult, EventLog]:
    events = collect()
    try:
        return await agent.run(turn(*messages, **more), events), events
    finally:
        await agent.aclose()


@pytest.fixture
def own(model_server: StartModelServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Starts the server that the models of the crews' own speak to."""

    def start(script: Reply | list[Reply]) -> ModelServer:
        server = model_server(script, strict=False)
        monkeypatch.setenv("CREWS_MODEL_ADDRESS", server.base_url("chat"))
        return server

    yield start
    gc.collect()  # here, where their connections may be left open


@pytest.mark.parametrize("name", ["make_own", "Team", "make_streaming"])
async def test_a_crew_is_brought_as_it_is(own: Any, name: str) -> None:
    server = own(Text("It is here.", usage=Sent(input_tokens=20, output_tokens=7)))
    result, events = await _run(await _agent(crew=name), "the key")
    assert result.text == "It is here."
    assert result.usage == Usage(input_tokens=20, output_tokens=7, calls=1)
    assert "Find the key" in server.requests[0].body["messages"][-1]["content"]
    told = events.of(TextDelta)
    assert "".join(event.text for event in told) == "It is here."
    assert {event.source for event in told} == {"Scout"}


async def test_one_crew_object_does_turns_at_the_same_time(own: Any) -> None:
    own(Text("It is here."))
    crew = _load("make_own")()
    agent = await anyio.to_thread.run_sync(
        lambda: make_agent(SPEC, {"crew": "it"}, None, load=lambda _path: crew)
    )
    results: list[str] = []

    async def ask(number: int) -> None:
        results.append((await agent.run(turn(f"thing {number}"), collect())).text)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(ask, number)
    await agent.aclose()
    assert results == ["It is here."] * 5
    assert crew.tasks[0].description == "Find {topic}"


async def test_a_crew_s_own_tools_are_told_of_in_order(own: Any) -> None:
    own([ToolCalls(("lookup", {"query": "key"})), Text("Found.")])
    result, events = await _run(await _agent(crew="make_own"), "the key")
    assert result.text == "Found."
    kinds = [event.type for event in events.events]
    assert kinds.index("tool_call_started") < kinds.index("tool_call_finished")
    (started,), (finished,) = events.of(ToolCallStarted), events.of(ToolCallFinished)
    assert (started.call.name, started.call.arguments) == ("lookup", {"query": "key"})
    assert finished.result.content == "found key"
    assert (started.source, started.call.call_id) == ("Scout", finished.result.call_id)
    assert len(events.of(ModelCallFinished)) == 2


@pytest.mark.parametrize(
    ("limits", "calls"), [(Limits(max_model_calls=3), 3), (Limits(max_tool_calls=1), 2)]
)
async def test_the_limits_of_a_turn_hold_for_own_models(
    own: Any, limits: Limits, calls: int
) -> None:
    server = own(AutoToolCall(again=True))
    with pytest.raises(LimitReached):
        await _run(await _agent(crew="make_own"), "the key", limits=limits)
    assert server.calls == calls


async def test_half_an_answer_of_an_own_model_is_none(own: Any) -> None:
    own(EndsEarly(after=3))
    with pytest.raises(Truncated):
        await _run(await _agent(crew="make_own"), "the key")


async def test_a_crew_that_asks_a_person_fails(own: Any) -> None:
    own(Text("It is here."))
    with pytest.raises(AgentCrashed, match="no person takes part"):
        await _run(await _agent(crew="make_asking"), "the key")


async def test_a_redirected_crew_speaks_through_the_agent_s_model(
    own: Any, model_server: StartModelServer
) -> None:
    untouched, server = own(Text("Not me.")), model_server(Text("Me."), strict=False)
    agent = await _agent(connection_to(server), crew="make_own", models="gateway")
    result, events = await _run(agent, "the key")
    assert (result.text, server.calls, untouched.calls) == ("Me.", 1, 0)
    assert {event.source for event in events.of(TextDelta)} == {"Scout"}


async def test_the_history_is_one_text_for_a_crew(own: Any) -> None:
    server = own(Text("It is here."))
    history = (system("Be brief."), user("Where?"), assistant("Here."), user("Sure?"))
    await _run(await _agent(crew="make_own"), *history)
    told = server.requests[0].body["messages"][-1]["content"]
    assert "Find Be brief.\n\nuser: Where?\n\nassistant: Here.\n\nuser: Sure?" in told


@pytest.mark.parametrize("number", [1, 2])
async def test_a_crew_that_asks_for_no_input_still_gets_the_question(own: Any, number: int) -> None:
    server = own(Text("It is here."))
    crew = _load("make_no_input")()
    agent = await anyio.to_thread.run_sync(
        lambda: make_agent(SPEC, {"crew": "it"}, None, load=lambda _path: crew)
    )
    for _ in range(number):
        await agent.run(turn("Where is {it}?"), collect())
    await agent.aclose()
    assert "Do your job.\n\nWhere is {it}?" in server.requests[-1].body["messages"][-1]["content"]


async def test_the_input_of_the_question_can_be_named(own: Any) -> None:
    server = own(Text("It is here."))
    options: dict[str, Any] = {"input_key": "what", "inputs": {"whom": "Ann"}}
    await _run(await _agent(crew="make_two_inputs", **options), "the key")
    assert "Find the key for Ann" in server.requests[0].body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "several inputs: 'what', 'whom'; say by `input_key`"),
        ({"input_key": "what"}, "asks for 'whom', too; give what it needs by `inputs`"),
        ({"input_key": "that", "inputs": {"what": 1, "whom": 2}}, "asks for no 'that'"),
    ],
)
async def test_an_input_that_nobody_gives_is_an_error(
    own: Any, options: dict[str, Any], words: str
) -> None:
    server = own(Text("It is here."))
    with pytest.raises(AgentCrashed, match=words):
        await _run(await _agent(crew="make_two_inputs", **options), "the key")
    assert server.calls == 0


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"crew": "make_nothing"}, AgentCrashed, "made 'nothing'; expected a Crew"),
        ({"crew": "make_broken"}, AgentCrashed, "raised ValueError: no crew today"),
        ({"crew": "make_needy"}, ConfigError, "needs 'color'; a function that makes a Crew can"),
        ({"crew": "make_crew"}, ConfigError, "needs 'llm'; give the agent a model by `model`"),
        ({"crew": "make_own", "models": "gateway"}, ConfigError, "is to use the agent's model"),
        ({"crew": "__name__"}, ConfigError, "is a 'str'; expected a Crew"),
        ({}, ConfigError, "needs either `model`"),
    ],
)
async def test_what_is_no_crew_is_one_clear_error(
    options: dict[str, Any], error: type[BridgeError], words: str
) -> None:
    with pytest.raises(error, match=words):
        await _run(await _agent(**options), "the key")


async def test_a_crew_with_a_model_of_its_own_asks_it_nothing_more_once_cancelled(
    own: Any,
) -> None:
    call = ToolCalls(("lookup", {"query": "key"}), latency_s=0.3)
    server = own([call, Text("This must not be asked for.")])
    agent, events = await _agent(crew="make_own"), collect()
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            await agent.run(turn("the key"), events)

        tasks.start_soon(ask)
        await server.await_calls(1)
        tasks.cancel_scope.cancel()
    await anyio.sleep(0.6)
    await agent.aclose()
    assert server.calls == 1
    assert events.of(ToolCallStarted) == []


async def test_a_flow_gets_the_question_in_the_field_of_its_state() -> None:
    options: dict[str, Any] = {"flow": "Writing", "output_key": "text", "inputs": {"length": 2}}
    result, _ = await _run(await _agent(**options), "go")
    assert result.text == "go go "


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"inputs": {"text": "", "length": 1}}, ProtocolFailed, "returned nothing"),
        ({"input_key": "what"}, AgentCrashed, "no 'what', as `input_key` says; it has"),
        ({"inputs": {"what": 1}}, AgentCrashed, "no 'what', as `inputs` says"),
        ({"output_key": "what"}, AgentCrashed, "no 'what', as `output_key` says; it has"),
    ],
)
async def test_a_flow_that_does_not_fit_says_what_it_has(
    options: dict[str, Any], error: type[AgentError], words: str
) -> None:
    with pytest.raises(error, match=words):
        await _run(await _agent(flow="Writing", **options), "go")


async def test_a_flow_s_model_calls_are_counted(own: Any) -> None:
    server = own(Text("Well.", usage=Sent(input_tokens=20, output_tokens=7)))
    result, events = await _run(await _agent(flow="Calling"), "How?")
    assert (result.text, result.usage) == (
        "Well.",
        Usage(input_tokens=20, output_tokens=7, calls=1),
    )
    assert "".join(event.text for event in events.of(TextDelta)) == "Well."
    assert server.requests[0].body["messages"][-1]["content"] == "How?"
    assert server.requests[0].api_key == "own"
