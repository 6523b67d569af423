"""The user's own AG2 agents and networks, brought by import path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import openai
import pytest
from ag2 import Agent as AG2Agent
from ag2 import Context
from ag2.config import OpenAIConfig, OpenAIResponsesConfig
from ag2.events import ImageInput, Input
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import Channel, Hub, TransitionGraph
from massgen_bridge_ag2 import bridge_adapters

from massgen_bridge import (
    AgentCrashed,
    ConfigError,
    ImagePart,
    LimitReached,
    Limits,
    Message,
    ModelCallFinished,
    ServerFailed,
    TextDelta,
    TextPart,
    ToolCallFinished,
    ToolCallStarted,
    ToolResult,
    Truncated,
    UnsupportedContent,
    VideoPart,
    assistant,
    system,
    user,
)
from massgen_bridge.testing.agents import TEST_KEY, collect, connection_to, make_agent, turn
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import (
    AutoToolCall,
    EndsEarly,
    Hang,
    HttpError,
    ModelServer,
    Text,
    ToolCalls,
)

if TYPE_CHECKING:
    from massgen_bridge import Agent
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
PICTURE = b"\x89PNG\r\n\x1a\n"


def config(server: ModelServer, *, streaming: bool = True, http_client: Any = None) -> OpenAIConfig:
    return OpenAIConfig(
        "theirs",
        http_client=http_client,
        base_url=server.base_url("chat"),
        api_key="their-key",
        streaming=streaming,
        max_retries=0,
    )


def own(found: object, **options: Any) -> Agent:
    return make_agent(SPEC, {"agent": "mine.py:it", **options}, None, load=lambda _: found)


def network(make: Callable[[], Awaitable[tuple[Hub, Channel]]], **options: Any) -> Agent:
    return make_agent(SPEC, {"network": "mine.py:it", **options}, None, load=lambda _: make)


# --- an agent -------------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_keeps_its_model_and_its_prompt(
    model_server: StartModelServer, *, streaming: bool
) -> None:
    server, events = model_server(Text("A short answer.")), collect()
    agent = own(AG2Agent("mine", "Be short.", config=config(server, streaming=streaming)))
    history = (system("Be kind."), user("First?"), assistant("One."), user("Second?"))
    result = await agent.run(turn(*history), events)
    assert result.text == events.text == "A short answer."
    (request,) = server.requests
    assert request.api_key == "their-key"
    assert request.asked is not None
    assert [(m.role, m.text) for m in request.asked.messages] == [
        ("system", "Be short.\nBe kind."),
        ("user", "First?"),
        ("assistant", "One."),
        ("user", "Second?"),
    ]
    (finished,) = events.of(ModelCallFinished)
    assert finished.model == "theirs"
    assert finished.usage == result.usage
    assert result.usage is not None
    assert result.usage.output_tokens > 0


async def test_a_function_can_make_the_agent(model_server: StartModelServer) -> None:
    server, made = model_server(), []

    async def make() -> AG2Agent:
        await anyio.lowlevel.checkpoint()
        made.append(1)
        return AG2Agent("mine", config=config(server))

    agent = own(make)
    for number in range(3):
        assert (await agent.run(turn(f"Say {number}"), collect())).text == f"Say {number}"
    assert made == [1]


async def test_pictures_reach_the_model_and_what_it_cannot_take_is_refused(
    model_server: StartModelServer,
) -> None:
    server = model_server()
    agent = own(AG2Agent("mine", config=config(server)))
    text = TextPart(text="What is it?")
    picture = ImagePart(media_type="image/png", data=PICTURE)
    await agent.run(turn(Message(role="user", parts=(text, picture))), collect())
    asked = server.requests[0].asked
    assert asked is not None
    assert [media.data for media in asked.messages[-1].media] == [PICTURE]
    film = VideoPart(media_type="video/mp4", data=b"film")
    with pytest.raises(UnsupportedContent):
        await agent.run(turn(Message(role="user", parts=(text, film))), collect())
    assert server.calls == 1


async def test_its_tools_are_told_in_order_and_their_tracebacks_stay_here(
    model_server: StartModelServer,
) -> None:
    def explode(query: str) -> str:
        """Explodes."""
        raise RuntimeError(f"no such thing as {query}")

    server = model_server([ToolCalls(("explode", {"query": "x"})), Text("It broke.")])
    events = collect()
    agent = own(AG2Agent("mine", config=config(server), tools=[explode]))
    result = await agent.run(turn("Go."), events)
    kinds = [type(event) for event in events.events if not isinstance(event, TextDelta)]
    assert kinds.index(ToolCallStarted) < kinds.index(ToolCallFinished)
    assert events.of(ToolCallFinished)[0].result.is_error
    sent = server.requests[1].asked
    assert sent is not None
    assert sent.last_text == "RuntimeError: no such thing as x"
    assert [m.role for m in result.new_messages] == ["assistant", "tool", "assistant"]


async def test_pictures_that_its_tools_give_are_told(model_server: StartModelServer) -> None:
    def draw() -> Input:
        """Draws."""
        return ImageInput(data=PICTURE, media_type="image/png")

    server = model_server([ToolCalls(("draw", {})), Text("A dot.")])
    events = collect()
    responses = OpenAIResponsesConfig(
        "theirs", base_url=server.base_url("responses"), api_key="their-key", max_retries=0
    )
    agent = own(AG2Agent("mine", config=responses, tools=[draw]))
    result = await agent.run(turn("Draw."), events)
    shown = (ImagePart(media_type="image/png", data=PICTURE),)
    assert events.of(ToolCallFinished)[0].result.media == shown
    told = [part for message in result.new_messages for part in message.parts]
    assert [part.media for part in told if isinstance(part, ToolResult)] == [shown]


async def test_an_answer_that_breaks_off_is_no_answer(model_server: StartModelServer) -> None:
    agent = own(AG2Agent("mine", config=config(model_server(EndsEarly()))))
    with pytest.raises(Truncated):
        await agent.run(turn("Go."), collect())


async def test_its_errors_are_told_by_kind(model_server: StartModelServer) -> None:
    agent = own(AG2Agent("mine", config=config(model_server(HttpError(status=500)))))
    with pytest.raises(ServerFailed, match=r"'mine\.py:it'"):
        await agent.run(turn("Go."), collect())


@pytest.mark.parametrize(
    "limits", [Limits(max_model_calls=3), Limits(max_tool_calls=2)], ids=["models", "tools"]
)
async def test_the_limits_of_a_turn_hold(model_server: StartModelServer, limits: Limits) -> None:
    def look(query: str) -> str:
        """Looks."""
        return query

    server = model_server(ToolCalls(("look", {"query": "x"})))
    agent = own(AG2Agent("mine", config=config(server), tools=[look]))
    with pytest.raises(LimitReached):
        await agent.run(turn("Go.", limits=limits), collect())
    assert server.calls == 3


async def test_no_connection_is_left_open(model_server: StartModelServer) -> None:
    server = model_server()
    agent = own(AG2Agent("mine", config=config(server)))
    for _ in range(5):
        await agent.run(turn("Go."), collect())
    await server.await_idle()
    assert server.open_connections == 0


async def test_a_cancelled_agent_closes_its_stream(model_server: StartModelServer) -> None:
    server = model_server(Hang(after=2))
    agent = own(AG2Agent("mine", config=config(server)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.run, turn("Go."), collect())
        await server.await_tokens(2)
        tasks.cancel_scope.cancel()
    await server.await_close(timeout_s=1)
    assert server.calls == 1


async def test_an_agent_that_asks_a_person_fails_instead_of_waiting(
    model_server: StartModelServer,
) -> None:
    async def confirm(ctx: Context) -> str:
        """Confirms."""
        return await ctx.input("May I?")

    server = model_server(ToolCalls(("confirm", {})))
    agent = own(AG2Agent("mine", config=config(server), tools=[confirm]))
    with pytest.raises(AgentCrashed, match="asks a person"):
        await agent.run(turn("Go."), collect())


async def test_its_model_can_be_redirected(model_server: StartModelServer) -> None:
    theirs, ours = model_server(), model_server(AutoToolCall())

    def look(query: str) -> str:
        """Looks something up."""
        return f"found {query}"

    agent = make_agent(
        SPEC,
        {"agent": "mine.py:it", "models": "gateway"},
        connection_to(ours),
        load=lambda _: AG2Agent("mine", "Be short.", config=config(theirs), tools=[look]),
    )
    events = collect()
    await agent.run(turn("Go."), events)
    assert theirs.calls == 0
    assert ours.calls == 2
    assert {one.api_key for one in ours.requests} == {TEST_KEY}
    asked = ours.requests[1].asked
    assert asked is not None
    assert asked.messages[0].text == "Be short."
    assert asked.last_text.startswith("found ")
    assert len(events.of(ModelCallFinished)) == 2
    assert len(events.of(ToolCallFinished)) == 1
    await agent.aclose()


async def test_a_turn_gives_it_neither_tools_nor_a_schema(model_server: StartModelServer) -> None:
    server = model_server()
    agent = own(AG2Agent("mine", config=config(server)))
    for asked in (turn("Go.", tools=[LOOKUP]), turn("Go.", output_schema={"type": "object"})):
        with pytest.raises(UnsupportedContent):
            await agent.run(asked, collect())
    assert server.calls == 0


@pytest.mark.parametrize(
    ("found", "problem"),
    [(7, "is a 'int'"), (lambda name: name, "needs 'name'")],
)
def test_what_is_no_agent_is_refused(found: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        own(found)


async def test_a_function_that_makes_no_agent_says_so() -> None:
    with pytest.raises(AgentCrashed, match=r"returned 7; expected an `ag2\.Agent`"):
        await own(lambda: 7).run(turn("Go."), collect())


def test_redirected_models_need_one_to_lead_to() -> None:
    with pytest.raises(ConfigError, match="`models: gateway` needs `model`"):
        own(AG2Agent("mine"), models="gateway")


# --- a network ------------------------------------------------------------------------------------


@pytest.fixture
async def client() -> AsyncIterator[Any]:
    """A client that is closed; AG2 closes none of those that it makes."""
    async with openai.DefaultAsyncHttpxClient() as made:
        yield made


def discussion(server: ModelServer, client: Any) -> Callable[[], Awaitable[tuple[Hub, Channel]]]:
    """A group by AG2's protocol `discussion`, which by itself never ends."""

    async def make() -> tuple[Hub, Channel]:
        hub = await Hub.open(MemoryKnowledgeStore(), ttl_sweep_interval=0)
        ann = await hub.register(
            AG2Agent("ann", config=config(server, http_client=client)), attach_plugin=False
        )
        await hub.register(
            AG2Agent("bob", config=config(server, http_client=client)), attach_plugin=False
        )
        return hub, await ann.open(type="discussion", target=["bob"])

    return make


def workflow(server: ModelServer, client: Any) -> Callable[[], Awaitable[tuple[Hub, Channel]]]:
    """A group by AG2's protocol `workflow`, which ends by itself."""

    async def make() -> tuple[Hub, Channel]:
        hub = await Hub.open(MemoryKnowledgeStore(), ttl_sweep_interval=0)
        ann = await hub.register(
            AG2Agent("ann", config=config(server, http_client=client)), attach_plugin=False
        )
        bob = await hub.register(
            AG2Agent("bob", config=config(server, http_client=client)), attach_plugin=False
        )
        graph = TransitionGraph.round_robin([ann.agent_id, bob.agent_id], max_turns=4)
        return hub, await ann.open(
            type="workflow", target=["bob"], knobs={"graph": graph.to_dict()}
        )

    return make


async def test_a_workflow_ends_by_itself(model_server: StartModelServer, client: Any) -> None:
    server = model_server(Text("Words."))
    events = collect()
    result = await network(workflow(server, client)).run(turn("Go."), events)
    assert result.text == "Words."
    assert [delta.source for delta in events.of(TextDelta)] == ["bob", "ann", "bob"]
    assert server.calls == 3


async def test_a_discussion_that_never_ends_is_ended(
    model_server: StartModelServer, client: Any
) -> None:
    server = model_server(Text("Words."))
    events = collect()
    await network(discussion(server, client), max_turns=5).run(turn("Go."), events)
    calls = server.calls
    assert len(events.of(TextDelta)) == 5
    await anyio.sleep(0.2)
    assert server.calls == calls <= 6


async def test_a_participant_that_fails_fails_the_turn(
    model_server: StartModelServer, client: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    server = model_server(HttpError(status=500))
    with pytest.raises(ServerFailed):
        await network(workflow(server, client)).run(turn("Go."), collect())
    assert capfd.readouterr().err == ""


async def test_a_cancelled_network_is_closed(model_server: StartModelServer, client: Any) -> None:
    server = model_server(Hang(after=2))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(network(discussion(server, client)).run, turn("Go."), collect())
        await server.await_tokens(2)
        tasks.cancel_scope.cancel()
    await anyio.sleep(0.2)
    assert server.calls == 1


async def test_a_history_reaches_a_network_as_one_text(
    model_server: StartModelServer, client: Any
) -> None:
    server = model_server(Text("Words."))
    history = (user("First?"), assistant("One."), user("Second?"))
    await network(workflow(server, client)).run(turn(*history), collect())
    asked = server.requests[0].asked
    assert asked is not None
    assert "user: First?\n\nassistant: One.\n\nuser: Second?" in asked.last_text


async def test_what_makes_no_network_says_so() -> None:
    async def make() -> Any:
        return 7

    with pytest.raises(AgentCrashed, match="a hub and a channel"):
        await network(make).run(turn("Go."), collect())
