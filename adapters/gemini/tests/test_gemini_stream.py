"""Reading answers: what Gemini sends that others do not, and how it fails."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from massgen_bridge_gemini import bridge_adapters

from massgen_bridge import (
    AgentError,
    BadRequest,
    HostedToolCall,
    ImagePart,
    LimitReached,
    Message,
    ProtocolFailed,
    RateLimited,
    ReasoningDelta,
    ServerFailed,
    Source,
    TextPart,
    Truncated,
    TurnResult,
    Usage,
)
from massgen_bridge.testing.agents import (
    EventLog,
    ScriptedTools,
    collect,
    connection_to,
    run_turn,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import HttpError, ModelServer, Refusal, Reply, Text, ToolCalls

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PICTURE = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PIXEL).decode()}}
CALL = ("lookup", {"query": "tea", "limit": 1})


def _stream(*chunks: dict[str, Any]) -> HttpError:
    body = "".join(f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks)
    return HttpError(status=200, body=body, content_type="text/event-stream")


def _said(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate]}


STOP = _said({"text": ""}, finish="STOP")


async def _run(
    server: ModelServer, asked: Any = None, events: EventLog | None = None, **options: Any
) -> TurnResult:
    connection = connection_to(server, protocol="gemini")
    return await run_turn(
        bridge_adapters()[0], asked or turn("Speak."), connection, events, options=options
    )


def _with_tools(*results: str) -> Any:
    return turn("Look.", tools=[LOOKUP], call_tool=ScriptedTools(*results))


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("MALFORMED_FUNCTION_CALL", ProtocolFailed),
        ("UNEXPECTED_TOOL_CALL", ProtocolFailed),
        ("MISSING_THOUGHT_SIGNATURE", BadRequest),
        ("TOO_MANY_TOOL_CALLS", LimitReached),
        ("OTHER", ProtocolFailed),
    ],
)
async def test_reasons_that_make_no_answer_are_failures(
    model_server: StartModelServer, reason: str, expected: type[AgentError]
) -> None:
    """Half of an answer never passes for one, whatever stopped the model."""
    said = _said({"text": "Half"}, finish=reason)
    with pytest.raises(expected, match=rf"\({reason}\)$"):
        await _run(model_server(_stream(said)))


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "IMAGE_SAFETY"])
async def test_a_blocked_answer_is_a_refusal_that_says_why(
    model_server: StartModelServer, reason: str
) -> None:
    events = collect()
    result = await _run(model_server(_stream(_said(finish=reason))), events=events)
    assert result.stop_reason == "refusal"
    assert result.text == events.text == f"(the provider blocked the answer: {reason})"


async def test_a_blocked_prompt_is_a_refusal(model_server: StartModelServer) -> None:
    """It comes without any candidate."""
    result = await _run(model_server(Refusal("")))
    assert result.stop_reason == "refusal"
    assert result.text == "(the provider blocked the prompt: PROHIBITED_CONTENT)"


async def test_a_limit_that_thinking_used_up_is_told(model_server: StartModelServer) -> None:
    thought = _said({"text": "Hm, hm.", "thought": True}, finish="MAX_TOKENS")
    with pytest.raises(LimitReached, match="raise 'max_output_tokens', or let it think less"):
        await _run(model_server(_stream(thought)))


@pytest.mark.parametrize("body", ["", ": nothing\r\n\r\n"])
async def test_a_stream_of_nothing_is_truncated(model_server: StartModelServer, body: str) -> None:
    reply = HttpError(status=200, body=body, content_type="text/event-stream")
    with pytest.raises((Truncated, ProtocolFailed)):
        await _run(model_server(reply))


async def test_usage_is_that_of_the_last_event(model_server: StartModelServer) -> None:
    """Each event tells of all so far; thoughts and what tools read are counted apart."""
    early = {**_said({"text": "A"}), "usageMetadata": {"promptTokenCount": 10}}
    late = {
        **STOP,
        "usageMetadata": {
            "promptTokenCount": 10,
            "cachedContentTokenCount": 4,
            "toolUsePromptTokenCount": 5,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 7,
        },
    }
    result = await _run(model_server(_stream(early, late)))
    assert result.usage == Usage(
        input_tokens=15, cached_tokens=4, output_tokens=10, reasoning_tokens=7, calls=1
    )


async def test_thoughts_and_signatures_go_back_as_they_came(model_server: StartModelServer) -> None:
    server = model_server([ToolCalls(CALL, CALL, text="I look.", reasoning="Hm. Hm."), Text("So.")])
    events = collect()
    result = await _run(server, _with_tools("green", "black"), events)
    assert result.text == "So."
    assert "".join(event.text for event in events.of(ReasoningDelta)) == "Hm. Hm."
    _, said, given = server.requests[1].body["contents"]
    thought, words, first, second, _ = said["parts"]
    assert thought == {"text": "Hm. Hm.", "thought": True}
    assert words == {"text": "I look."}
    assert "thoughtSignature" in first
    assert "thoughtSignature" not in second
    assert [part["functionResponse"]["response"] for part in given["parts"]] == [
        {"output": "green"},
        {"output": "black"},
    ]


async def test_calls_without_ids_are_answered_without(model_server: StartModelServer) -> None:
    """Older models number their calls not at all."""
    call = {"functionCall": {"name": "lookup", "args": CALL[1]}}
    reply: list[Reply] = [_stream(_said(call, call), STOP), Text("So.")]
    server = model_server(reply, strict=False)
    result = await _run(server, _with_tools("green", "black"))
    ids = [one.call_id for one in result.new_messages[0].tool_calls]
    assert len(set(ids)) == len(ids) == 2
    given = server.requests[1].body["contents"][2]["parts"]
    assert all("id" not in part["functionResponse"] for part in given)


async def test_a_picture_of_the_model_is_part_of_its_answer(model_server: StartModelServer) -> None:
    """One that it makes while it thinks is not."""
    chunks = [
        _said({**PICTURE, "thought": True}),
        _said({"text": "Here: "}, PICTURE),
        STOP,
    ]
    server = model_server(_stream(*chunks))
    result = await _run(server, image_generation={"aspect_ratio": "1:1", "size": "1K"})
    picture = ImagePart(media_type="image/png", data=PIXEL)
    assert result.message == Message(role="assistant", parts=(TextPart(text="Here: "), picture))
    settings = server.requests[0].body["generationConfig"]
    assert settings["responseModalities"] == ["TEXT", "IMAGE"]
    assert settings["imageConfig"] == {"aspectRatio": "1:1", "imageSize": "1K"}


async def test_a_search_is_announced_and_its_sources_are_kept(
    model_server: StartModelServer,
) -> None:
    """The same figures come again with later events."""
    grounding = {
        "webSearchQueries": ["tea", "green tea"],
        "groundingChunks": [{"web": {"uri": "https://tea.example", "title": "Tea"}}],
    }
    found = _said({"text": "Tea."}, groundingMetadata=grounding)
    server = model_server(_stream(found, {**found, **STOP}, found, STOP))
    events = collect()
    result = await _run(server, events=events, web_search=True)
    assert server.requests[0].body["tools"] == [{"googleSearch": {}}]
    assert [(one.name, one.arguments) for one in events.of(HostedToolCall)] == [
        ("web_search", {"query": "tea"}),
        ("web_search", {"query": "green tea"}),
    ]
    assert result.sources == (Source(url="https://tea.example", title="Tea"),)


async def test_what_is_recited_is_told_with_its_source(model_server: StartModelServer) -> None:
    cited = {"citationSources": [{"uri": "https://poem.example", "startIndex": 0}]}
    said = _said({"text": "A poem."}, finish="STOP", citationMetadata=cited)
    result = await _run(model_server(_stream(said)))
    assert result.sources == (Source(url="https://poem.example"),)


async def test_code_that_the_provider_runs_is_announced(model_server: StartModelServer) -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(6 * 7)"}}
    outcome = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42"}}
    server = model_server(_stream(_said(code), _said(outcome), _said({"text": "42."}), STOP))
    events = collect()
    result = await _run(server, events=events, code_execution=True)
    assert result.text == "42."
    (call,) = events.of(HostedToolCall)
    assert (call.name, call.arguments) == (
        "code_execution",
        {"language": "python", "code": "print(6 * 7)"},
    )


async def test_addresses_that_were_read_are_sources(model_server: StartModelServer) -> None:
    metadata = {
        "urlMetadata": [
            {"retrievedUrl": "https://a.example", "urlRetrievalStatus": _status("SUCCESS")},
            {"retrievedUrl": "https://b.example", "urlRetrievalStatus": _status("ERROR")},
        ]
    }
    said = _said({"text": "Read."}, finish="STOP", urlContextMetadata=metadata)
    server, events = model_server(_stream(said)), collect()
    result = await _run(server, events=events, url_context=True)
    assert [one.arguments["url"] for one in events.of(HostedToolCall)] == [
        "https://a.example",
        "https://b.example",
    ]
    assert result.sources == (Source(url="https://a.example"),)


def _status(word: str) -> str:
    return f"URL_RETRIEVAL_STATUS_{word}"


async def test_tools_of_both_sides_go_together(model_server: StartModelServer) -> None:
    """What the provider's tools said goes back to the model, which has called ours besides."""
    hosted = {"toolCall": {"id": "s1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["a"]}}}
    answered = {"toolResponse": {"id": "s1", "toolType": "GOOGLE_SEARCH_WEB", "response": {}}}
    call = {"functionCall": {"id": "c1", "name": "lookup", "args": CALL[1]}}
    server = model_server([_stream(_said(hosted, answered, call), STOP), Text("So.")], strict=False)
    events = collect()
    await _run(server, _with_tools("green"), events, web_search=True)
    first, second = (request.body for request in server.requests)
    assert first["toolConfig"] == {"includeServerSideToolInvocations": True}
    assert [next(iter(part)) for part in second["contents"][1]["parts"]][:3] == [
        "toolCall",
        "toolResponse",
        "functionCall",
    ]
    (told,) = events.of(HostedToolCall)
    assert (told.name, told.call_id, told.arguments) == ("web_search", "s1", {"queries": ["a"]})


@pytest.mark.parametrize("ending", [{"finish": "CONTINUATION"}, {}], ids=["part", "broken"])
async def test_an_answer_goes_on_from_its_token(
    model_server: StartModelServer, ending: dict[str, str]
) -> None:
    """A long one comes in parts, and one whose stream ended too soon is not asked for anew."""
    counted = {"promptTokenCount": 5, "candidatesTokenCount": 2}
    first = {
        **_said({"text": "It was "}, continuationToken="dG8=", **ending),
        "usageMetadata": counted,
    }
    second = {**_said({"text": "a dark night."}, finish="STOP"), "usageMetadata": counted}
    server, events = model_server([_stream(first), _stream(second)], strict=False), collect()
    result = await _run(server, events=events)
    assert result.text == events.text == "It was a dark night."
    assert result.usage == Usage(input_tokens=10, output_tokens=4, calls=1)
    asked, again = (request.body for request in server.requests)
    assert again == {**asked, "continuationToken": "dG8="}


async def test_a_token_that_leads_nowhere_is_used_once(model_server: StartModelServer) -> None:
    server = model_server(_stream(_said({"text": "It"}, continuationToken="dG8=")), strict=False)
    with pytest.raises(Truncated):
        await _run(server)
    assert server.calls == 2


@pytest.mark.parametrize(
    "body",
    [
        'data:{"candidates":[{"content":{"parts":[{"text":"a\u2028b"}]},"finishReason":"STOP"}]}',
        (
            ': here\nevent: x\ndata: {"candidates":[{"content":\n'
            'data: {"parts":[{"text":"a\u2028b"}]},"finishReason":"STOP"}]}\n\n'
        ),
    ],
)
async def test_events_are_read_in_every_form_that_they_may_have(
    model_server: StartModelServer, body: str
) -> None:
    reply = HttpError(status=200, body=body, content_type="text/event-stream")
    assert (await _run(model_server(reply, strict=False))).text == "a\u2028b"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{\n "error": {\n  "code": 503,\n  "message": "Busy."\n }\n}\n', ServerFailed),
        ('[{"error": {"code": 429, "message": "Busy."}}]', RateLimited),
        ("data: {\n\n", ProtocolFailed),
        ("data: 7\n\n", ProtocolFailed),
        ('data: {"candidates": [7]}\n\n', ProtocolFailed),
    ],
)
async def test_what_is_no_event_is_a_failure(
    model_server: StartModelServer, body: str, expected: type[AgentError]
) -> None:
    """An error may come as JSON in the midst of a stream."""
    reply = HttpError(status=200, body=body, content_type="text/event-stream")
    with pytest.raises(AgentError) as caught:
        await _run(model_server(reply, strict=False))
    assert type(caught.value) is expected, str(caught.value)
