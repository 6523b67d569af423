"""The provider's own tools, files beside messages, and media in the results of tools."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from anthropic_streams import begin, block, end, sse, text
from massgen_bridge_anthropic import bridge_adapters

from massgen_bridge import (
    DocumentPart,
    HostedToolCall,
    ImagePart,
    LogLine,
    Source,
    TextPart,
    ToolResult,
    TurnResult,
)
from massgen_bridge.testing.agents import (
    EventLog,
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    run_turn,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import ModelServer, Text, ToolCalls

pytestmark = pytest.mark.anyio

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
QUERY = {"type": "input_json_delta", "partial_json": '{"query": "tides"}'}
CITED = {
    "type": "web_search_result_location",
    "url": "https://a.example/tides",
    "title": "Tides",
    "cited_text": "The moon does it.",
    "encrypted_index": "x",
}


async def _run(
    server: ModelServer, events: EventLog | None = None, /, *, options: Any = None, **more: Any
) -> TurnResult:
    messages = more.pop("messages", None)
    asked = turn("Speak.", **more)
    if messages is not None:
        asked = asked.model_copy(update={"messages": messages})
    to = connection_to(server, protocol="messages", inputs=frozenset({"image", "document"}))
    return await run_turn(bridge_adapters()[0], asked, to, events, options=options)


@pytest.mark.parametrize(
    ("options", "tool"),
    [
        ({"web_search": True}, {"type": "web_search_20250305", "name": "web_search"}),
        (
            {"web_search": {"max_uses": 2, "allowed_domains": ["a.example"]}},
            {
                "type": "web_search_20250305",
                "name": "web_search",
                "max_uses": 2,
                "allowed_domains": ["a.example"],
            },
        ),
        (
            {"web_fetch": {"max_content_tokens": 500}},
            {"type": "web_fetch_20250910", "name": "web_fetch", "max_content_tokens": 500},
        ),
        ({"code_execution": True}, {"type": "code_execution_20250825", "name": "code_execution"}),
    ],
)
async def test_the_providers_tools_are_asked_for(
    model_server: StartModelServer, options: dict[str, Any], tool: dict[str, Any]
) -> None:
    server = model_server(default=Text("{}"))
    await _run(server, options=options)
    await _run(server, options=options, output_schema={"type": "object"})
    asked, held = server.requests
    assert asked.body["tools"] == [tool]
    assert "tools" not in held.body, "citations and schemas exclude each other"


async def test_a_search_is_told_and_so_is_what_the_answer_rests_on(
    model_server: StartModelServer,
) -> None:
    cited = {"type": "citations_delta", "citation": CITED}
    server = model_server(
        sse(
            begin(),
            *block(0, "server_tool_use", QUERY, id="s1", name="web_search", input={}),
            *block(1, "web_search_tool_result", tool_use_id="s1", content=[]),
            *block(2, "text", cited, cited, {"type": "text_delta", "text": "The moon."}, text=""),
            *end(),
        )
    )
    events = collect()
    result = await _run(server, events, options={"web_search": True})
    (told,) = events.of(HostedToolCall)
    assert told == HostedToolCall(name="web_search", call_id="s1", arguments={"query": "tides"})
    assert result.text == "The moon."
    assert result.sources == (
        Source(url="https://a.example/tides", title="Tides", text="The moon does it."),
    )


def _ran(*file_ids: str) -> dict[str, Any]:
    outputs = [{"type": "bash_code_execution_output", "file_id": one} for one in file_ids]
    done = {"type": "bash_code_execution_result", "content": outputs, "return_code": 0}
    return {"tool_use_id": "s1", "content": {**done, "stdout": "", "stderr": ""}}


async def test_files_that_code_wrote_come_with_the_answer(model_server: StartModelServer) -> None:
    server = model_server()
    chart = server.files.put("chart.png", "image/png", PNG)
    table = server.files.put("table.csv", "text/csv; charset=utf-8", b"a,b\n")
    running = {"id": "s1", "name": "bash_code_execution", "input": {"command": "plot"}}
    server.enqueue(
        sse(
            begin(container={"id": "box1", "expires_at": "2030-01-01T00:00:00Z"}),
            *block(0, "server_tool_use", **running),
            *block(1, "bash_code_execution_tool_result", **_ran(chart.file_id, "file_gone")),
            *block(2, "tool_use", id="c1", name="lookup", input={"query": "x", "limit": 1}),
            *end("tool_use"),
        ),
        sse(
            begin(),
            *block(0, "bash_code_execution_tool_result", **_ran(table.file_id)),
            *text(1, "See both."),
            *end(),
        ),
    )
    events = collect()
    tools = ScriptedTools("found")
    result = await _run(
        server, events, options={"code_execution": True}, tools=[LOOKUP], call_tool=tools
    )
    assert result.message.parts == (
        TextPart(text="See both."),
        ImagePart(media_type="image/png", data=PNG, name="chart.png"),
        DocumentPart(media_type="text/csv", data=b"a,b\n", name="table.csv"),
    )
    calls = [one for one in server.requests if one.path == "/v1/messages"]
    assert "container" not in calls[0].body
    assert calls[1].body["container"] == "box1", "code goes on where it ran"
    (lost,) = events.of(LogLine)
    assert "file_gone" in lost.text


async def test_what_a_tool_shows_reaches_the_model(model_server: StartModelServer) -> None:
    image = ImagePart(media_type="image/png", data=PNG, name="p.png")
    shown = ToolResult(call_id="", name="", content="a plot", media=(image,))
    server = model_server([ToolCalls(("lookup", {"query": "x", "limit": 1})), Text("Seen.")])
    await _run(server, tools=[LOOKUP], call_tool=ScriptedTools(shown))
    (told,) = server.requests[1].body["messages"][-1]["content"]
    assert told["content"] == [
        {"type": "text", "text": "a plot"},
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": "image/png",
                "data": base64.b64encode(PNG).decode(),
            },
        },
    ]


@pytest.mark.parametrize(
    ("provider", "ends_turn", "kept"),
    [("anthropic", False, True), ("anthropic", True, False), ("ollama", False, False)],
)
async def test_prompts_are_kept_where_they_are_sent_again(
    model_server: StartModelServer, provider: str, *, ends_turn: bool, kept: bool
) -> None:
    server = model_server(Text("Done."))
    tool = LOOKUP.model_copy(update={"ends_turn": ends_turn})
    to = connection_to(server, protocol="messages").model_copy(update={"provider": provider})
    agent = make_agent(bridge_adapters()[0], {}, to)
    try:
        await agent.run(turn("Speak.", tools=[tool], call_tool=ScriptedTools("a")), collect())
    finally:
        await agent.aclose()
    expected = {"type": "ephemeral", "ttl": "5m"} if kept else None
    assert server.requests[0].body.get("cache_control") == expected
