"""Answers and errors of the Gemini API, as bytes on the wire."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from testing.servers.plain_http import Answer, events_of, post

from massgen_bridge.testing.servers import (
    ContextOverflow,
    EndsEarly,
    ErrorEvent,
    HttpError,
    ModelServer,
    OfferedTool,
    Refusal,
    Reply,
    SentCall,
    SentMedia,
    SentMessage,
    Structured,
    Text,
    ToolCalls,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = {"x-goog-api-key": "any"}
USER = {"role": "user", "parts": [{"text": "Hello"}]}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
TOOL = {"name": "lookup", "description": "Look up", "parametersJsonSchema": SCHEMA}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def ask(server: ModelServer, *, stream: bool = True, model: str = "m", **changes: Any) -> Answer:
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    body = {"contents": [USER], **changes}
    return post(server, f"/v1beta/models/{model}:{method}", body, headers=KEY)


def parts(answer: Answer) -> list[dict[str, Any]]:
    """The parts of a stream that say something."""
    found = [
        part
        for event in events_of(answer.body)
        for candidate in event.json.get("candidates", ())
        for part in candidate["content"]["parts"]
    ]
    return [part for part in found if part != {"text": ""}]


def last(answer: Answer) -> dict[str, Any]:
    event: dict[str, Any] = events_of(answer.body)[-1].json
    return event


def test_an_answer_is_streamed_a_token_an_event(server: ModelServer) -> None:
    """The reason to stop and what was counted stand in the last event."""
    server.enqueue(Text("one two", reasoning="Hm."))
    answer = ask(server)
    signature = parts(answer)[-1].pop("thoughtSignature")
    assert base64.b64decode(signature, validate=True)
    assert parts(answer)[:3] == [
        {"text": "Hm.", "thought": True},
        {"text": "one"},
        {"text": " two"},
    ]
    assert last(answer)["candidates"][0]["finishReason"] == "STOP"
    assert last(answer)["usageMetadata"] == {
        "promptTokenCount": 5,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 1,
        "totalTokenCount": 8,
    }
    assert last(answer)["modelVersion"] == "m"


def test_an_answer_that_is_not_streamed_is_one_document(server: ModelServer) -> None:
    server.enqueue(ToolCalls(("lookup", {"n": 1}), text="Let me see."))
    document = ask(server, stream=False).json
    text, call = document["candidates"][0]["content"]["parts"]
    assert text == {"text": "Let me see."}
    assert call["functionCall"]["id"] == "00000000000000000001_0"
    assert call["functionCall"]["args"] == {"n": 1}


def test_calls_made_at_once_have_one_signature(server: ModelServer) -> None:
    server.enqueue(ToolCalls(("lookup", {"n": 1}), ("lookup", {"n": 2})))
    first, second = parts(ask(server))
    assert "thoughtSignature" in first
    assert "thoughtSignature" not in second
    assert first["functionCall"]["id"] != second["functionCall"]["id"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Text("I", finish_reason="content_filter"), "SAFETY"),
        (Refusal("I will not."), "SAFETY"),
        (Text("cut", finish_reason="length"), "MAX_TOKENS"),
        (ToolCalls(("lookup", '{"n": 1')), "MALFORMED_FUNCTION_CALL"),
        (ToolCalls(("lookup", "[1]")), "MALFORMED_FUNCTION_CALL"),
        (ToolCalls(("lookup", '{"n": NaN}')), "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_why_it_stops_is_told(server: ModelServer, reply: Reply, reason: str) -> None:
    server.enqueue(reply)
    answer = ask(server)
    assert last(answer)["candidates"][0]["finishReason"] == reason
    assert not any("functionCall" in part for part in parts(answer))


def test_a_refusal_without_words_is_a_blocked_prompt(server: ModelServer) -> None:
    server.enqueue(Refusal(""))
    answer = last(ask(server))
    assert answer["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
    assert "candidates" not in answer


def test_the_limit_cuts_an_answer_off(server: ModelServer) -> None:
    server.enqueue(Text("one two three"))
    answer = ask(server, generationConfig={"maxOutputTokens": 2})
    assert [part["text"] for part in parts(answer)] == ["one", " two"]
    assert last(answer)["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_what_is_counted_is_told_apart(server: ModelServer) -> None:
    usage = Usage(input_tokens=100, output_tokens=30, cached_tokens=40, reasoning_tokens=12)
    server.enqueue(Structured({"n": 1}, usage=usage), Text("x", usage="absent"))
    assert last(ask(server))["usageMetadata"] == {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "candidatesTokenCount": 18,
        "thoughtsTokenCount": 12,
        "totalTokenCount": 130,
    }
    assert "usageMetadata" not in last(ask(server))


def test_errors_have_the_form_of_google(server: ModelServer) -> None:
    server.enqueue(HttpError(status=429, retry_after=7), ContextOverflow(window=10))
    limited = ask(server).json["error"]
    assert (limited["code"], limited["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert limited["details"] == [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
    ]
    assert (
        "exceeds the maximum number of tokens allowed (10)" in ask(server).json["error"]["message"]
    )


def test_a_stream_can_fail_or_end_early(server: ModelServer) -> None:
    server.enqueue(ErrorEvent(after=1, error=HttpError(status=503)), EndsEarly(after=2))
    assert last(ask(server))["error"]["status"] == "UNAVAILABLE"
    assert "finishReason" not in last(ask(server))["candidates"][0]


def test_models_are_listed_in_the_form_of_google(server: ModelServer) -> None:
    listed = post(server, "/v1beta/models", headers=KEY, method="GET").json["models"]
    assert [model["name"] for model in listed] == ["models/scripted"]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("m:streamGenerateContent", 400),
        ("m:streamGenerateContent?alt=sse&key=secret", 400),
        ("m:generateContent?key=secret", 400),
        ("m:thinkHard", 404),
    ],
)
def test_other_addresses_are_refused(server: ModelServer, target: str, status: int) -> None:
    body = {"contents": [USER]}
    assert post(server, f"/v1beta/models/{target}", body, headers=KEY).status == status
    assert server.requests[0].query == target.partition("?")[2]


def test_a_script_sees_what_was_asked(server: ModelServer) -> None:
    """The same as for every other protocol, the key's header included."""
    signed = {"functionCall": {"id": "7", "name": "lookup", "args": {"n": 1}}}
    result = {"id": "7", "name": "lookup", "response": {"error": "none"}}
    picture = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"png").decode()}}
    far = {"fileData": {"fileUri": "https://files.example/1", "mimeType": "application/pdf"}}
    ask(
        server,
        contents=[
            {"role": "user", "parts": [{"text": "See"}, picture, far]},
            {"role": "model", "parts": [{"text": "Hm.", "thought": True}, signed]},
            {"role": "user", "parts": [{"functionResponse": result}]},
            {"role": "model", "parts": [{"text": "None."}]},
            USER,
        ],
        systemInstruction={"parts": [{"text": "Be brief."}]},
        tools=[{"functionDeclarations": [TOOL]}],
        generationConfig={
            "temperature": 0.5,
            "topP": 0.25,
            "seed": 3,
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
        },
    )
    asked = server.requests[0].asked
    assert asked is not None
    assert asked.messages == (
        SentMessage(role="system", text="Be brief."),
        SentMessage(
            role="user",
            text="See",
            media=(
                SentMedia(media_type="image/png", data=b"png"),
                SentMedia(media_type="application/pdf", url="https://files.example/1"),
            ),
        ),
        SentMessage(
            role="assistant",
            calls=(SentCall(call_id="7", name="lookup", arguments={"n": 1}),),
            reasoning="Hm.",
        ),
        SentMessage(role="tool", text="none", answers="7", is_error=True),
        SentMessage(role="assistant", text="None."),
        SentMessage(role="user", text="Hello"),
    )
    assert asked.tools == (OfferedTool(name="lookup", description="Look up", parameters=SCHEMA),)
    assert asked.output_schema == SCHEMA
    assert asked.sampling == {"temperature": 0.5, "top_p": 0.25, "seed": 3}
    assert (asked.model, asked.protocol, asked.last_text) == ("m", "gemini", "Hello")
    assert server.requests[0].api_key == "any"


def test_files_are_taken_piece_by_piece(server: ModelServer) -> None:
    """A film is ready once it has been asked for; pieces that leave a gap are refused."""
    start = {"x-goog-upload-command": "start", "x-goog-upload-header-content-type": "video/mp4"}
    begun = post(server, "/upload/v1beta/files", {}, headers={**KEY, **start})
    upload = begun.headers["x-goog-upload-url"].partition("/upload/")[2]

    def send(data: bytes, command: str, offset: int) -> Answer:
        headers = {"x-goog-upload-command": command, "x-goog-upload-offset": str(offset)}
        return post(server, f"/upload/{upload}", data, headers={**KEY, **headers})

    assert send(b"fi", "upload", 0).headers["x-goog-upload-status"] == "active"
    assert send(b"lm", "upload, finalize", 3).status == 400
    file = send(b"lm", "upload, finalize", 2).json["file"]
    assert (file["state"], file["sizeBytes"]) == ("PROCESSING", "4")
    assert [one.data for one in server.files.files] == [b"film"]
    path = f"/v1beta/{file['name']}"
    assert post(server, path, headers=KEY, method="GET").json["state"] == "ACTIVE"
    assert post(server, path, headers=KEY, method="DELETE").json == {}
    assert post(server, path, headers=KEY, method="GET").status == 403
    assert server.files.files == ()
