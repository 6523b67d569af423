"""How users' graphs fail, and what is wrong with the paths to them."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from massgen_bridge_langchain import bridge_adapters

from massgen_bridge import (
    Agent,
    AgentCrashed,
    ConfigError,
    ContextOverflow,
    LimitReached,
    Limits,
    ModelRetried,
    NetworkFailed,
    ProtocolFailed,
    RetryPolicy,
    ServerFailed,
    ToolCallFinished,
    ToolFailed,
    Truncated,
)
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import (
    AutoToolCall,
    Disconnect,
    EndsEarly,
    HttpError,
    Text,
    ToolCalls,
)
from massgen_bridge.testing.servers import ContextOverflow as Overflow

if TYPE_CHECKING:
    from massgen_bridge import Connection
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import Reply

pytestmark = pytest.mark.anyio

GRAPHS = runpy.run_path(str(Path(__file__).with_name("langchain_graphs.py")))


def graph_agent(name: str, connection: Connection | None = None, **options: Any) -> Agent:
    (spec,) = bridge_adapters()
    return make_agent(
        spec,
        {"graph": f"graphs.py:{name}", **options},
        connection,
        agent_id="ann",
        load=lambda path: GRAPHS[path.removeprefix("graphs.py:")],
    )


# --- before the first turn ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("not_a_graph", r"is a 'int'; expected a LangGraph graph"),
        ("make_needy", r"needs 'database'; .* can take config, connection, llm, model"),
        ("make_chat", r"needs 'model'; give the agent a model by `model`"),
        ("make_later", r"needs 'connection'; give the agent a model"),
    ],
)
async def test_a_path_that_leads_to_no_graph_is_an_error_of_the_configuration(
    name: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        graph_agent(name)


async def test_without_graph_and_model_there_is_no_agent() -> None:
    (spec,) = bridge_adapters()
    with pytest.raises(ConfigError, match=r"'ann'.* needs either `model`.* or `graph`"):
        make_agent(spec, {}, None, agent_id="ann")


# --- in a turn ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("make_broken", r"graphs.py:make_broken` raised KeyError: 'no such setting'"),
        ("make_nothing", r"make_nothing` returned 42; expected"),
    ],
)
async def test_a_function_that_makes_no_graph_costs_its_agent_the_turn(
    name: str, problem: str
) -> None:
    agent = graph_agent(name)
    with pytest.raises(AgentCrashed, match=problem):
        await agent.run(turn("?"), collect())


async def test_what_a_graph_s_own_code_raises_is_left_to_the_host() -> None:
    with pytest.raises(ZeroDivisionError, match="the graph's own fault"):
        await graph_agent("failing").run(turn("?"), collect())


@pytest.mark.parametrize("options", [{}, {"recursion_limit": 5}])
async def test_a_graph_that_never_ends_reaches_its_limit(options: dict[str, Any]) -> None:
    limit = options.get("recursion_limit", 25)
    with pytest.raises(LimitReached, match=rf"graph 'graphs.py:endless'.* limit of {limit}"):
        await graph_agent("endless", **options).run(turn("?"), collect())


async def test_nobody_is_there_to_be_asked() -> None:
    with pytest.raises(AgentCrashed, match=r"asks a person .*Go on\?"):
        await graph_agent("asking").run(turn("?"), collect())


@pytest.mark.parametrize(
    ("name", "options", "problem"),
    [
        ("mute", {}, "without an AI message"),
        ("as_dict", {}, "the keys 'answer', 'length'; say by `output_key`"),
        ("as_dict", {"output_key": "essay"}, "no 'essay', .* the keys 'answer', 'length'"),
        ("shout", {"output_key": "essay"}, "no 'essay', .* the type 'str'"),
        ("essay", {"input_key": "topic"}, "say by `output_key`"),
    ],
)
async def test_an_answer_that_is_not_where_it_is_looked_for(
    name: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ProtocolFailed, match=problem):
        await graph_agent(name, **options).run(turn("?"), collect())


@pytest.mark.parametrize("name", ["make_agent_graph", "make_chain", "make_chat", "make_blocking"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (HttpError(status=500), ServerFailed),
        (Disconnect(after=2), NetworkFailed),
        (EndsEarly(), Truncated),
        (Overflow(), ContextOverflow),
    ],
)
async def test_a_fault_of_the_server_has_its_kind_in_a_graph(
    model_server: StartModelServer, name: str, fault: Reply, kind: type[Exception]
) -> None:
    agent = graph_agent(name, connection_to(model_server(fault)))
    with pytest.raises(kind, match=rf"graph 'graphs.py:{name}'"):
        await agent.run(turn("?"), collect())
    await agent.aclose()


async def test_a_graph_that_blocks_has_failed_requests_sent_again_by_the_sdk(
    model_server: StartModelServer,
) -> None:
    server = model_server([HttpError(status=503, retry_after=0), Text("at last")])
    agent = graph_agent("make_blocking", connection_to(server, retry=RetryPolicy(attempts=2)))
    events = collect()
    result = await agent.run(turn("?"), events)
    await agent.aclose()
    assert result.text == "at last"
    assert server.calls == 2
    assert events.of(ModelRetried) == []


async def test_the_words_of_a_chain_are_those_of_the_attempt_that_succeeded(
    model_server: StartModelServer,
) -> None:
    server = model_server([Disconnect(after=3), Text("Cats purr.")])
    policy = RetryPolicy(attempts=2, base_s=0.01)
    agent = graph_agent("make_chain", connection_to(server, retry=policy))
    events = collect()
    result = await agent.run(turn("cats"), events)
    await agent.aclose()
    assert result.text == events.text == "Cats purr."
    assert [event.kind for event in events.of(ModelRetried)] == ["network"]


async def test_a_graph_meets_the_errors_of_its_framework(model_server: StartModelServer) -> None:
    agent = graph_agent("make_choosy", connection_to(model_server(HttpError(status=429))))
    result = await agent.run(turn("?"), collect())
    await agent.aclose()
    assert result.text == "RateLimitError"


@pytest.mark.parametrize("fault", [HttpError(status=500), EndsEarly()])
async def test_a_failure_that_the_graph_takes_care_of_is_its_own_business(
    model_server: StartModelServer, fault: Reply
) -> None:
    agent = graph_agent("make_forgiving", connection_to(model_server(fault)))
    result = await agent.run(turn("?"), collect())
    await agent.aclose()
    assert result.text == "never mind"


async def test_the_limit_of_model_calls_holds_in_a_graph(model_server: StartModelServer) -> None:
    server = model_server()
    agent = graph_agent("make_chatty", connection_to(server))
    with pytest.raises(LimitReached, match="3 model calls"):
        await agent.run(turn("?", limits=Limits(max_model_calls=3)), collect())
    await agent.aclose()
    assert server.calls == 3


async def test_the_limit_of_tool_calls_holds_in_a_graph(model_server: StartModelServer) -> None:
    server = model_server(AutoToolCall(again=True))
    agent = graph_agent("make_agent_graph", connection_to(server))
    log = collect()
    with pytest.raises(LimitReached, match="2 tool calls"):
        await agent.run(turn("?", limits=Limits(max_tool_calls=2)), log)
    await agent.aclose()
    assert len(log.of(ToolCallFinished)) == 2


async def test_a_tool_that_raises_in_a_graph_has_its_kind(
    model_server: StartModelServer,
) -> None:
    server = model_server(ToolCalls(("double", {"number": 9999})))
    agent = graph_agent("make_agent_graph", connection_to(server))
    log = collect()
    with pytest.raises(ToolFailed, match="OverflowError: too large"):
        await agent.run(turn("?"), log)
    await agent.aclose()
    (finished,) = log.of(ToolCallFinished)
    assert finished.result.is_error
    assert finished.result.content == "OverflowError: too large"


async def test_one_failing_turn_leaves_the_others_alone(model_server: StartModelServer) -> None:
    server = model_server([HttpError(status=500)], latency_s=0.1)
    agent = graph_agent("make_agent_graph", connection_to(server))
    texts, failures = [], []

    async def one(number: int) -> None:
        try:
            texts.append((await agent.run(turn(f"q{number}"), collect())).text)
        except ServerFailed as error:
            failures.append(error)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(one, number)
    await agent.aclose()
    assert len(failures) == 1
    assert len(set(texts)) == 4
