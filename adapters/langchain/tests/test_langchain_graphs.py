"""Users' own graphs and Runnables as agents."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from massgen_bridge_langchain import bridge_adapters

from massgen_bridge import (
    Agent,
    ImagePart,
    Message,
    ModelCallFinished,
    ModelCallStarted,
    Sampling,
    TextDelta,
    TextPart,
    ToolCallFinished,
    ToolCallStarted,
    ToolResult,
    UnsupportedContent,
    assistant,
    system,
    user,
)
from massgen_bridge.testing.agents import (
    TEST_KEY,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.servers import Refusal, Text, ToolCalls

if TYPE_CHECKING:
    from massgen_bridge import Connection
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

GRAPHS = runpy.run_path(str(Path(__file__).with_name("langchain_graphs.py")))


def graph_agent(name: str, connection: Connection | None = None, **options: Any) -> Agent:
    (spec,) = bridge_adapters()
    return make_agent(
        spec,
        {"graph": f"graphs.py:{name}", **options},
        connection,
        load=lambda path: GRAPHS[path.removeprefix("graphs.py:")],
    )


@pytest.mark.parametrize(
    "name", ["compiled", "counting", "make_plain", "make_uncompiled", "remembering"]
)
async def test_a_graph_with_messages_gets_the_whole_history(name: str) -> None:
    agent = graph_agent(name)
    for _ in range(2):  # nothing is remembered from turn to turn: the host owns the history
        result = await agent.run(turn(system("S"), "one", assistant("yes"), "two"), collect())
        assert result.text == "2 questions, last: two"
        assert result.new_messages == (result.message,)
        assert result.usage is None
    await agent.aclose()


async def test_a_saver_in_memory_does_not_grow_with_the_turns() -> None:
    agent = graph_agent("remembering")
    await agent.run(turn("one"), collect())
    await agent.aclose()
    assert GRAPHS["remembering"].checkpointer.storage == {}


@pytest.mark.parametrize(
    ("name", "options", "answer"),
    [
        ("essay", {"input_key": "topic", "output_key": "essay"}, "An essay on cats."),
        ("workflow", {}, "Answer to cats"),
        ("shout", {}, "CATS"),
        ("as_dict", {"output_key": "answer"}, "CATS"),
        ("as_number", {}, "4"),
        ("compiled", {"input": "text"}, "1 questions, last: cats"),
        ("compiled", {"output_key": "messages"}, "1 questions, last: cats"),
        ("essay", {"input_key": "topic", "output_key": "notes"}, '["written"]'),
        ("chunks", {}, "A cat"),
    ],
)
async def test_any_runnable_is_an_agent(name: str, options: dict[str, Any], answer: str) -> None:
    agent = graph_agent(name, **options)
    result = await agent.run(turn("cats"), collect())
    await agent.aclose()
    assert result.text == answer


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ({"topic": "question"}, "topic=Be kind.\n\ncats"),
        ({"topic": "question", "persona": "system"}, "persona=Be kind. | topic=cats"),
        ({"talk": "text", "words": {"value": 7}}, "talk=Be kind.\n\ncats | words=7"),
        (
            {"topic": "question", "messages": "messages"},
            "messages=['Be kind.', 'cats'] | topic=cats",
        ),
    ],
)
async def test_a_state_is_filled_key_by_key(state: dict[str, Any], answer: str) -> None:
    agent = graph_agent("briefing", state=state, output_key="brief")
    result = await agent.run(turn(system("Be kind."), "cats"), collect())
    assert result.text == answer


async def test_a_state_without_messages_refuses_pictures() -> None:
    agent = graph_agent("briefing", state={"topic": "question"}, output_key="brief")
    picture = ImagePart(media_type="image/png", data=b"x")
    with pytest.raises(UnsupportedContent, match="state takes no messages"):
        await agent.run(turn(Message(role="user", parts=(picture,))), collect())


async def test_a_runnable_that_gives_pieces_streams() -> None:
    agent = graph_agent("pieces")
    log = collect()
    result = await agent.run(turn("one two three"), log)
    assert result.text == "one two three "
    assert [delta.text for delta in log.of(TextDelta)] == ["one ", "two ", "three "]


async def test_text_holds_the_talk_before(model_server: StartModelServer) -> None:
    agent = graph_agent("shout")
    result = await agent.run(turn("a", assistant("b"), "c"), collect())
    assert result.text == "USER: A\n\nASSISTANT: B\n\nUSER: C"
    picture = ImagePart(media_type="image/png", data=b"x")
    with pytest.raises(UnsupportedContent):
        await agent.run(turn(Message(role="user", parts=(picture,))), collect())
    assert model_server


async def test_media_reach_a_graph_as_standard_blocks(model_server: StartModelServer) -> None:
    server = model_server(Text("a cat"))
    agent = graph_agent("make_chat", connection_to(server))
    picture = ImagePart(media_type="image/png", data=b"x")
    question = Message(role="user", parts=(TextPart(text="What?"), picture))
    await agent.run(turn(question), collect())
    await agent.aclose()
    content = server.requests[0].body["messages"][0]["content"]
    assert content[1]["image_url"]["url"] == "data:image/png;base64,eA=="


async def test_an_async_function_makes_a_graph_once(model_server: StartModelServer) -> None:
    agent = graph_agent("make_later", connection_to(model_server(), model="small"))
    results = []

    async def one() -> None:
        results.append((await agent.run(turn("cats"), collect())).text)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(one)
    await agent.aclose()
    assert results == ["small0: cats"] * 3


async def test_a_chain_streams_the_model_of_the_connection(
    model_server: StartModelServer,
) -> None:
    server = model_server(Text("Meow says the cat"))
    sampling = Sampling(temperature=0.5, max_output_tokens=50)
    agent = graph_agent("make_chain", connection_to(server, sampling=sampling))
    log = collect()
    result = await agent.run(turn("meow"), log)
    await agent.aclose()
    assert result.text == log.text == "Meow says the cat"
    assert [type(event) for event in log.events] == [
        ModelCallStarted,
        *[TextDelta] * 4,
        ModelCallFinished,
    ]
    assert result.usage is not None
    assert result.usage.calls == 1
    (request,) = server.requests
    assert request.api_key == TEST_KEY
    assert request.body["messages"] == [{"role": "user", "content": "Say it: meow"}]
    assert request.body["temperature"] == 0.5
    assert request.body["max_tokens"] == 50
    server.wait_until(lambda: server.open_connections == 0, what="no open connection")


async def test_a_model_without_a_key_is_sent_none(model_server: StartModelServer) -> None:
    server = model_server(Text("ok"))
    agent = graph_agent("make_chat", connection_to(server, api_key=None))
    await agent.run(turn("?"), collect())
    await agent.aclose()
    assert "authorization" not in server.requests[0].headers


async def test_a_chat_model_gets_messages(model_server: StartModelServer) -> None:
    server = model_server([Refusal("No."), Text("ok", finish_reason="length")])
    agent = graph_agent("make_chat", connection_to(server))
    log = collect()
    refused = await agent.run(turn(system("S"), "one", assistant("yes"), "two"), log)
    cut = await agent.run(turn("?"), collect())
    await agent.aclose()
    assert refused.text == log.text == "No."
    assert (refused.stop_reason, cut.stop_reason) == ("refusal", "length")
    roles = [message["role"] for message in server.requests[0].body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


async def test_an_agent_s_own_tools_are_told_of(model_server: StartModelServer) -> None:
    server = model_server(
        [ToolCalls(("double", {"number": 21}), text="Let me see."), Text("It is 42.")]
    )
    agent = graph_agent("make_agent_graph", connection_to(server))
    log = collect()
    result = await agent.run(turn("Twice 21?"), log)
    await agent.aclose()
    assert result.text == log.text == "It is 42."
    assert [type(event) for event in log.events] == [
        ModelCallStarted,
        *[TextDelta] * 3,
        ModelCallFinished,
        ToolCallStarted,
        ToolCallFinished,
        ModelCallStarted,
        *[TextDelta] * 3,
        ModelCallFinished,
    ]
    (started,) = log.of(ToolCallStarted)
    (finished,) = log.of(ToolCallFinished)
    assert (started.call.name, started.call.arguments) == ("double", {"number": 21})
    assert finished.result == ToolResult(call_id=started.call.call_id, name="double", content="42")
    assert [message.role for message in result.new_messages] == ["assistant", "tool", "assistant"]
    assert result.new_messages[0].tool_calls == (started.call,)
    assert result.new_messages[1].parts == (finished.result,)
    assert result.usage is not None
    assert result.usage.calls == 2
    assert {delta.source for delta in log.of(TextDelta)} == {None}


async def test_a_picture_that_an_own_tool_gives_is_told_of_and_reaches_the_model(
    model_server: StartModelServer,
) -> None:
    server = model_server([ToolCalls(("draw", {})), Text("I see a dot.")])
    agent = graph_agent("make_artist", connection_to(server))
    log = collect()
    result = await agent.run(turn("Draw."), log)
    await agent.aclose()
    (finished,) = log.of(ToolCallFinished)
    shown = ImagePart(media_type="image/png", data=b"\x89PNG\r\n\x1a\n")
    assert (finished.result.content, finished.result.media) == ("A dot.", (shown,))
    assert result.new_messages[1].parts == (finished.result,)
    asked = server.requests[1].asked
    assert asked is not None
    assert [media.data for message in asked.messages for media in message.media] == [shown.data]


async def test_members_of_a_graph_are_named(model_server: StartModelServer) -> None:
    server = model_server([Text("A draft"), Text("An answer")])
    agent = graph_agent("make_team", connection_to(server))
    log = collect()
    result = await agent.run(turn("?"), log)
    await agent.aclose()
    assert result.text == "An answer"
    assert [(delta.source, delta.text) for delta in log.of(TextDelta)] == [
        ("drafter", "A"),
        ("drafter", " draft"),
        ("editor", "An"),
        ("editor", " answer"),
    ]
    assert [message.text for message in result.new_messages] == ["A draft", "An answer"]


async def test_a_node_that_blocks_is_watched_from_its_thread(
    model_server: StartModelServer,
) -> None:
    server = model_server(Text("one two three"))
    agent = graph_agent("make_blocking", connection_to(server))
    log = collect()
    result = await agent.run(turn("?"), log)
    await agent.aclose()
    assert result.text == log.text == "one two three"
    assert len(log.of(ModelCallFinished)) == 1
    server.wait_until(lambda: server.open_connections == 0, what="no open connection")


async def test_fifty_turns_of_one_graph_keep_apart(model_server: StartModelServer) -> None:
    server = model_server(together=50)  # echoes
    agent = graph_agent("make_agent_graph", connection_to(server))

    async def one(number: int) -> None:
        log = collect()
        result = await agent.run(turn(f"question {number}", turn_id=f"t{number}"), log)
        assert result.text == log.text == f"question {number}"

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, number)
    assert server.most_running_calls == 50
    await agent.aclose()


@pytest.mark.parametrize("name", ["make_team", "make_agent_graph", "make_chain", "make_blocking"])
async def test_a_graph_that_is_stopped_closes_its_connection_at_once(
    model_server: StartModelServer, name: str
) -> None:
    server = model_server(Text.of_tokens(500, tokens_per_second=50))
    agent = graph_agent(name, connection_to(server))
    log = collect()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.run, turn("?"), log)
        await server.await_tokens(2)
        tasks.cancel_scope.cancel()
    await server.await_close()
    told = len(log.events)
    await anyio.sleep(0.1)
    assert len(log.events) == told
    assert server.calls == 1
    await agent.aclose()


async def test_a_user_s_message_of_a_graph_is_kept_apart_from_the_history() -> None:
    agent = graph_agent("compiled")
    result = await agent.run(turn(user("cats"), user("cats")), collect())
    assert [message.role for message in result.new_messages] == ["assistant"]
