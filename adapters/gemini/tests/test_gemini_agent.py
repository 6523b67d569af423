"""What a turn asks for: options, media, and what does not go together."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from massgen_bridge_gemini import GeminiOptions, bridge_adapters
from pydantic import ValidationError

from massgen_bridge import (
    AudioPart,
    ConfigError,
    DocumentPart,
    ImagePart,
    MediaPart,
    Message,
    Sampling,
    TextPart,
    ToolCall,
    ToolResult,
    UnsupportedContent,
    VideoPart,
    assistant,
    user,
)
from massgen_bridge.testing.agents import (
    ScriptedTools,
    connection_to,
    make_agent,
    run_turn,
    turn,
)
from massgen_bridge.testing.conformance import LOOKUP
from massgen_bridge.testing.servers import ModelServer, Text, ToolCalls

if TYPE_CHECKING:
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"vote": {"type": "string"}}, "required": ["vote"]}
STAND_IN = b"skip_thought_signature_validator"
PIXEL = ImagePart(media_type="image/png", data=b"png")
CALL = ("lookup", {"query": "tea", "limit": 1})


async def _run(
    server: ModelServer, asked: Any, *, model: str = "gemini-3-pro", **options: Any
) -> dict[str, Any]:
    """The body of the last request."""
    connection = connection_to(
        server,
        protocol="gemini",
        model=model,
        inputs=frozenset({"image", "audio", "video", "document"}),
    )
    await run_turn(bridge_adapters()[0], asked, connection, options=options)
    body: dict[str, Any] = server.requests[-1].body
    return body


async def test_options_reach_the_request(model_server: StartModelServer) -> None:
    body = await _run(
        model_server(),
        turn("Speak."),
        reasoning_effort="minimal",
        reasoning_summary=True,
        media_resolution="high",
        file_search={"stores": ["fileSearchStores/mine"], "top_k": 3},
        url_context=True,
        code_execution=True,
    )
    assert body["generationConfig"] == {
        "mediaResolution": "MEDIA_RESOLUTION_HIGH",
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "MINIMAL"},
    }
    names = [name for tool in body["tools"] for name in tool]
    assert sorted(names) == ["codeExecution", "fileSearch", "urlContext"]


async def test_a_plain_turn_asks_for_nothing_more(model_server: StartModelServer) -> None:
    body = await _run(model_server(), turn("Speak."))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Speak."}]}]}


async def test_what_a_connection_adds_goes_into_what_is_there(
    model_server: StartModelServer,
) -> None:
    """Key by key; the API knows each key in two forms."""
    server = model_server()
    extra = {"generation_config": {"topK": 3, "stopSequences": ["."]}, "cachedContent": "c/1"}
    sampling = Sampling(temperature=0.5, extra=extra)
    connection = connection_to(server, protocol="gemini", sampling=sampling)
    await run_turn(bridge_adapters()[0], turn("Speak."), connection)
    body = server.requests[-1].body
    assert body["cachedContent"] == "c/1"
    assert body["generationConfig"] == {"temperature": 0.5, "topK": 3, "stopSequences": ["."]}


async def test_thinking_has_a_budget_with_older_models(model_server: StartModelServer) -> None:
    body = await _run(model_server(), turn("Speak."), model="gemini-2.5-pro", thinking_budget=0)
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 0}


def test_thinking_is_bounded_in_one_way() -> None:
    with pytest.raises(ValidationError, match="say the same in two ways"):
        GeminiOptions(reasoning_effort="low", thinking_budget=100)


@pytest.mark.parametrize(
    ("asked", "options", "together"),
    [
        ({"tools": [LOOKUP]}, {"web_search": True}, r"\('web_search'\) and tools of the run"),
        ({"tools": [LOOKUP], "output_schema": SCHEMA}, {}, r"tools of the run and an output"),
    ],
)
async def test_what_older_models_do_not_take_together_is_refused(
    model_server: StartModelServer, asked: Any, options: Any, together: str
) -> None:
    """Before any call; newer ones take it."""
    server = model_server(Text('{"vote": "agent1"}'))
    wanted = turn("Speak.", call_tool=ScriptedTools(), **asked)
    with pytest.raises(UnsupportedContent, match=together):
        await _run(server, wanted, model="gemini-2.5-flash", **options)
    assert server.calls == 0
    await _run(server, wanted, **options)
    assert server.calls == 1


@pytest.mark.parametrize(
    "asked", [{"output_schema": SCHEMA}, {"tools": [LOOKUP.model_copy(update={"ends_turn": True})]}]
)
async def test_older_models_decide_without_the_provider_s_tools(
    model_server: StartModelServer, asked: Any
) -> None:
    """They take no vote beside them; newer ones do."""
    options = {"web_search": True, "code_execution": True}
    server = model_server(Text('{"vote": "agent1"}'))
    wanted = turn("Vote.", call_tool=ScriptedTools(), **asked)
    for model in ("gemini-2.5-flash", "gemini-3-pro"):
        await _run(server, wanted, model=model, **options)
    await _run(server, turn("Speak."), model="gemini-2.5-flash", **options)
    told = ["googleSearch" in str(one.body.get("tools")) for one in server.requests]
    assert told == [False, True, True]


def test_vertex_is_refused_by_name() -> None:
    connection = connection_to("https://europe-west4-aiplatform.googleapis.com", protocol="gemini")
    with pytest.raises(ConfigError, match="is Vertex AI, which the kind 'gemini' does not speak"):
        make_agent(bridge_adapters()[0], {}, connection)


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (ImagePart(media_type="image/jpg", data=b"x"), "image/jpeg"),
        (ImagePart(media_type="image/heic", data=b"x"), "image/heic"),
        (AudioPart(media_type="audio/mpeg", data=b"x"), "audio/mp3"),
        (VideoPart(media_type="video/mp4", data=b"x"), "video/mp4"),
        (DocumentPart(media_type="application/pdf", data=b"x"), "application/pdf"),
        (DocumentPart(media_type="text/markdown", data=b"x"), "text/markdown"),
    ],
)
async def test_media_go_as_what_they_are(
    model_server: StartModelServer, part: MediaPart, sent: str
) -> None:
    body = await _run(model_server(Text("Seen.")), turn(Message(role="user", parts=(part,))))
    (only,) = body["contents"][0]["parts"]
    assert only == {"inlineData": {"mimeType": sent, "data": base64.b64encode(b"x").decode()}}


@pytest.mark.parametrize(
    "part",
    [
        ImagePart(media_type="image/gif", data=b"x"),
        DocumentPart(media_type="application/msword", data=b"x"),
    ],
)
async def test_media_in_other_forms_are_refused(
    model_server: StartModelServer, part: MediaPart
) -> None:
    server = model_server()
    with pytest.raises(UnsupportedContent, match=f"not as '{part.media_type}'; convert it"):
        await _run(server, turn(Message(role="user", parts=(part,))))
    assert server.calls == 0


@pytest.mark.parametrize("model", ["gemini-3-pro", "gemini-2.5-pro"])
async def test_pictures_of_a_tool_reach_the_model(
    model_server: StartModelServer, model: str
) -> None:
    """Within its result, or beside it where the model knows only that."""
    shown = ToolResult(call_id="", name="", content="drawn", media=(PIXEL,))
    server = model_server([ToolCalls(CALL), Text("I see.")])
    asked = turn("Draw.", tools=[LOOKUP], call_tool=ScriptedTools(shown))
    body = await _run(server, asked, model=model)
    result, *beside = body["contents"][2]["parts"]
    assert ("parts" in result["functionResponse"]) == (model == "gemini-3-pro") == (not beside)
    asked_for = server.requests[-1].asked
    assert asked_for is not None
    assert [one.data for said in asked_for.messages for one in said.media] == [b"png"]


async def test_calls_of_another_model_stand_with_a_stand_in(
    model_server: StartModelServer,
) -> None:
    """Newer models refuse calls that nobody signed; only the first of several has to be."""
    calls = tuple(ToolCall(call_id=f"c{n}", name="lookup", arguments=CALL[1]) for n in (1, 2))
    results = tuple(
        ToolResult(call_id=call.call_id, name="lookup", content="green") for call in calls
    )
    history = (
        user("Look."),
        Message(role="assistant", parts=calls),
        Message(role="tool", parts=results),
    )
    asked = turn(*history, tools=[LOOKUP], call_tool=ScriptedTools())
    body = await _run(model_server(Text("So.")), asked)
    first, second = body["contents"][1]["parts"]
    assert base64.b64decode(first["thoughtSignature"], altchars=b"-_") == STAND_IN
    assert "thoughtSignature" not in second


async def test_a_picture_that_the_model_made_goes_back_to_it(
    model_server: StartModelServer,
) -> None:
    drawn = Message(role="assistant", parts=(TextPart(text="Here."), PIXEL))
    body = await _run(model_server(Text("Yes.")), turn(user("Draw."), drawn, user("Larger?")))
    assert [next(iter(part)) for part in body["contents"][1]["parts"]] == ["text", "inlineData"]


async def test_a_history_that_the_assistant_begins_is_refused(
    model_server: StartModelServer,
) -> None:
    with pytest.raises(UnsupportedContent, match="begin it with a user message"):
        await _run(model_server(), turn(assistant("Hello."), user("Hello?")))
