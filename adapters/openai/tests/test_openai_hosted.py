"""The provider's own tools, and files that are lent to it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread
from massgen_bridge_openai import bridge_adapters
from pydantic import SecretStr, ValidationError

from massgen_bridge import (
    BadRequest,
    ConfigError,
    DocumentPart,
    HostedToolCall,
    ImagePart,
    LogLine,
    Message,
    Source,
    TextPart,
    TimedOut,
    Turn,
    TurnResult,
    UnsupportedContent,
)
from massgen_bridge.adapting import INLINE_BYTES
from massgen_bridge.testing.agents import (
    EventLog,
    ScriptedTools,
    collect,
    connection_to,
    make_agent,
    turn,
)
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import Cited, HostedCall, ModelServer, Text

pytestmark = pytest.mark.anyio

(SPEC,) = bridge_adapters()
PNG = b"\x89PNG\r\n\x1a\n"


async def _run(
    server: ModelServer, asked: Turn, options: dict[str, Any], events: EventLog | None = None
) -> TurnResult:
    to = connection_to(
        server, protocol="responses", inputs=frozenset({"image", "document"}), model="m"
    )
    agent = await to_thread.run_sync(make_agent, SPEC, options, to)  # it looks for files
    try:
        return await agent.run(asked, events or collect())
    finally:
        await agent.aclose()


@pytest.mark.parametrize(
    ("options", "tool"),
    [
        ({"web_search": True}, {"type": "web_search"}),
        (
            {
                "web_search": {
                    "allowed_domains": ["tea.example"],
                    "context_size": "high",
                    "country": "DE",
                }
            },
            {
                "type": "web_search",
                "filters": {"allowed_domains": ["tea.example"]},
                "search_context_size": "high",
                "user_location": {"type": "approximate", "country": "DE"},
            },
        ),
        (
            {"code_execution": True},
            {"type": "code_interpreter", "container": {"type": "auto"}},
        ),
        (
            {"code_execution": {"memory": "4g"}},
            {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g"}},
        ),
        (
            {"file_search": {"vector_store_ids": ["vs_1"], "max_results": 5}},
            {"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 5},
        ),
        ({"image_generation": True}, {"type": "image_generation"}),
        (
            {"image_generation": {"size": "1024x1024", "output_format": "webp"}},
            {"type": "image_generation", "size": "1024x1024", "output_format": "webp"},
        ),
    ],
)
async def test_each_tool_has_its_form(
    model_server: StartModelServer, options: dict[str, Any], tool: dict[str, Any]
) -> None:
    server = model_server(Text("Yes."))
    await _run(server, turn("Speak."), options)
    assert server.requests[0].body["tools"] == [tool]


async def test_what_the_provider_did_is_told_and_what_it_found_kept(
    model_server: StartModelServer,
) -> None:
    hosted = (
        HostedCall("web_search", '{"query": "tea"}'),
        HostedCall("code_execution", '{"code": "1+1"}', output="2"),
        HostedCall("file_search", '{"queries": ["tea"]}'),
    )
    sources = (Cited(url="https://tea.example", title="Tea"), Cited(title="tea.txt"))
    server = model_server(Text("Tea.", hosted=hosted, sources=(*sources, sources[0])))
    events = collect()
    result = await _run(server, turn("Drink?"), {"web_search": True}, events)
    assert result.text == events.text == "Tea."
    assert result.sources == (
        Source(url="https://tea.example", title="Tea"),
        Source(title="tea.txt"),
    )
    calls = events.of(HostedToolCall)
    assert [(call.name, call.arguments) for call in calls] == [
        ("web_search", {"type": "search", "query": "tea"}),
        ("code_execution", {"code": "1+1"}),
        ("file_search", {"queries": ["tea"]}),
    ]
    assert all(call.call_id for call in calls)


async def test_a_picture_that_was_made_is_part_of_the_answer(
    model_server: StartModelServer,
) -> None:
    made = HostedCall("image_generation", '{"prompt": "a cup"}', image=PNG)
    server = model_server(Text("Here.", hosted=(made,)))
    events = collect()
    result = await _run(server, turn("Draw."), {"image_generation": True}, events)
    assert result.message.parts == (
        TextPart(text="Here."),
        ImagePart(media_type="image/png", data=PNG),
    )
    (call,) = events.of(HostedToolCall)
    assert (call.name, call.arguments) == ("image_generation", {"prompt": "a cup"})


async def test_no_picture_is_made_where_the_answer_has_a_schema(
    model_server: StartModelServer,
) -> None:
    server = model_server()
    asked = turn("Vote.", output_schema={"type": "object"})
    await _run(server, asked, {"image_generation": True, "web_search": True})
    assert [tool["type"] for tool in server.requests[0].body["tools"]] == ["web_search"]


async def test_files_that_code_has_made_come_with_the_answer(
    model_server: StartModelServer,
) -> None:
    sources = tuple(
        Cited(title=name, container="cntr_1") for name in ("plot.png", "rows.csv", "gone.png")
    )
    server = model_server(Text("See the plot.", sources=sources))
    server.vector_stores.made["cntr_1", "plot.png"] = PNG
    server.vector_stores.made["cntr_1", "rows.csv"] = b"a,b"
    events = collect()
    result = await _run(server, turn("Plot."), {"code_execution": True}, events)
    assert result.message.parts[1:] == (
        ImagePart(media_type="image/png", data=PNG, name="plot.png"),
        DocumentPart(media_type="text/csv", data=b"a,b", name="rows.csv"),
    )
    (line,) = events.of(LogLine)
    assert "'gone.png'" in line.text
    assert "there is no gone.png" in line.text


async def test_files_are_searched_in_a_store_that_is_deleted_in_the_end(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.md"
    notes.write_bytes(b"# Tea")
    options = {"file_search": {"files": [str(notes)], "vector_store_ids": ["vs_old"]}}
    server = model_server(Text("Tea."))
    to = connection_to(server, protocol="responses")
    agent = await to_thread.run_sync(make_agent, SPEC, options, to)
    for number in range(2):
        await agent.run(turn(f"What is in it? {number}", turn_id=f"turn-{number}"), collect())
    (store,), (file,) = server.vector_stores.stores, server.files.files
    assert store.file_ids == (file.file_id,)
    assert (file.name, file.data, file.fields["purpose"]) == ("notes.md", b"# Tea", "user_data")
    assert file.fields["expires_after[anchor]"] == "created_at"
    asked = [request.body for request in server.requests if request.number]
    assert [body["tools"][0]["vector_store_ids"] for body in asked] == [
        ["vs_old", store.store_id]
    ] * 2
    await agent.aclose()
    assert (server.vector_stores.stores, server.files.files) == ((), ())


async def test_a_file_that_the_provider_cannot_read_is_told_before_any_call(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00")
    server = model_server(Text("Tea."))
    server.vector_stores.failed = 1
    with pytest.raises(BadRequest, match="could not read 1 of the 1 files"):
        await _run(server, turn("?"), {"file_search": {"files": [str(tmp_path / "a.bin")]}})
    assert server.calls == 0
    assert (server.vector_stores.stores, server.files.files) == ((), ())


async def test_files_are_not_uploaded_past_the_gateway(
    model_server: StartModelServer, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_bytes(b"# Tea")
    options = {"file_search": {"files": [str(tmp_path / "notes.md")]}}
    server = model_server(Text("Tea."))
    own = connection_to(server, protocol="responses", inputs=frozenset({"document"}))
    behind = own.model_copy(update={"api_key": SecretStr("of-this-turn")})
    searching = await to_thread.run_sync(make_agent, SPEC, options, own)
    asked = turn("?").bind(ScriptedTools(), connection=behind)
    with pytest.raises(UnsupportedContent, match="'isolation: none'"):
        await searching.run(asked, collect())
    assert [request.path for request in server.requests] == []
    await searching.aclose()
    large = DocumentPart(media_type="application/pdf", data=b"x" * (INLINE_BYTES + 1))
    reading = make_agent(SPEC, {}, own)
    shown = turn(Message(role="user", parts=(large,))).bind(ScriptedTools(), connection=behind)
    await reading.run(shown, collect())
    await reading.aclose()
    assert "file_data" in server.requests[0].body["input"][0]["content"][0]


async def test_a_large_document_is_uploaded_once_and_deleted_in_the_end(
    model_server: StartModelServer,
) -> None:
    large = DocumentPart(
        media_type="application/pdf", data=b"%PDF" + b"x" * INLINE_BYTES, name="large.pdf"
    )
    small = DocumentPart(media_type="application/pdf", data=b"%PDF")
    asked = turn(Message(role="user", parts=(TextPart(text="Read."), large, small)))
    server = model_server(Text("Read."))
    to = connection_to(server, protocol="responses", inputs=frozenset({"document"}))
    agent = make_agent(SPEC, {}, to)
    for _ in range(2):
        await agent.run(asked, collect())
    (file,) = server.files.files
    for request in (one for one in server.requests if one.number):
        assert request.asked is not None
        media = request.asked.messages[-1].media
        assert [one.data for one in media] == [large.data, small.data]
        assert request.body["input"][0]["content"][1] == {
            "type": "input_file",
            "file_id": file.file_id,
        }
    await agent.aclose()
    assert server.files.files == ()


async def test_an_upload_that_the_provider_does_not_take_is_given_up_and_named() -> None:
    large = DocumentPart(
        media_type="application/pdf", data=b"%PDF" + b"x" * INLINE_BYTES, name="large.pdf"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        to = connection_to(url, protocol="responses", inputs=frozenset({"document"}), timeout_s=0.4)
        agent = make_agent(SPEC, {}, to)
        with pytest.raises(TimedOut) as caught:
            await agent.run(turn(Message(role="user", parts=(large,))), collect())
        await agent.aclose()
    assert "the upload of 'large.pdf' (8,388,612 bytes)" in str(caught.value)
    assert "nothing came for 0.4 s: 'timeout_s'" in str(caught.value)


def _refusal(options: dict[str, Any], protocol: Any) -> str:
    to = connection_to("http://127.0.0.1:9/v1", protocol=protocol)
    with pytest.raises(ConfigError) as caught:
        make_agent(SPEC, options, to)
    return str(caught.value)


def test_an_option_of_another_protocol_is_refused(tmp_path: Path) -> None:
    for options in (
        {"web_search": True},
        {"code_execution": {"memory": "1g"}},
        {"file_search": {"vector_store_ids": ["vs_1"]}},
        {"image_generation": True},
        {"reasoning_summary": "auto"},
    ):
        said = _refusal(options, "chat")
        assert repr(next(iter(options))) in said
        assert "speaks Chat Completions" in said
        assert "'protocol: responses'" in said
    said = _refusal({"max_tokens_parameter": "max_tokens"}, "responses")
    assert "'max_tokens_parameter'" in said
    assert "'protocol: chat'" in said
    missing = str(tmp_path / "missing.md")
    assert "there is no file" in _refusal({"file_search": {"files": [missing]}}, "responses")


@pytest.mark.parametrize(
    "options",
    [
        {"file_search": {}},
        {"file_search": True},
        {"web_search": {"country": "Germany"}},
        {"image_generation": {"sise": "1x1"}},
        {"reasoning_effort": "huge"},
    ],
)
def test_an_option_without_its_form_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SPEC.options.model_validate(options)
