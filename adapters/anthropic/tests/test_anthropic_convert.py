"""Messages, tools and schemas as the Messages protocol takes them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from massgen_bridge_anthropic._convert import (
    conversation,
    output_format,
    tool_results,
    wire_tools,
)

from massgen_bridge import (
    AudioPart,
    DocumentPart,
    ImagePart,
    InputKind,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolDefinition,
    ToolResult,
    UnsupportedContent,
    VideoPart,
    assistant,
    system,
    user,
)

ALL: frozenset[InputKind] = frozenset({"image", "audio", "video", "document"})
DATA = b"\x00\xffdata"
CODED = base64.b64encode(DATA).decode()
CALL = ToolCall(call_id="c1", name="look", arguments={"q": "größe"})
RESULT = ToolResult(call_id="c1", name="look", content="17\n")


def _user(*parts: Part) -> Message:
    return Message(role="user", parts=parts)


def _messages(*messages: Message) -> list[dict[str, Any]]:
    return conversation(messages, ALL)[1]


def test_texts_keep_their_roles_and_every_character() -> None:
    texts = [" \n a\t", "b\r\n\r\n", "  c"]
    prompt, messages = conversation(
        [system(texts[0]), user(texts[1]), assistant(texts[2]), user("d")], ()
    )
    assert prompt == texts[0]
    assert messages == [
        {"role": "user", "content": texts[1]},
        {"role": "assistant", "content": texts[2]},
        {"role": "user", "content": "d"},
    ]


def test_several_texts_of_one_message_are_one_text() -> None:
    message = _user(TextPart(text="a\n"), TextPart(text="  "), TextPart(text="b"))
    assert _messages(message) == [{"role": "user", "content": "a\n  b"}]


def test_all_system_messages_are_one_prompt() -> None:
    prompt, messages = conversation(
        [system("Be brief."), user("a"), system(" "), system("No.")], ()
    )
    assert prompt == "Be brief.\n\nNo."
    assert messages == [{"role": "user", "content": "a"}]


def test_messages_of_one_side_become_one() -> None:
    history = (user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    a, b, c, d = ({"type": "text", "text": text} for text in "abcd")
    assert _messages(*history) == [
        {"role": "user", "content": [a, b]},
        {"role": "assistant", "content": [c, d]},
        {"role": "user", "content": "e"},
    ]


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_text_is_left_out_as_the_protocol_wants_it(blank: str) -> None:
    image = ImagePart(media_type="image/png", url="https://pictures.example/1.png")
    history = (
        user(blank),
        user("a"),
        assistant(blank),
        user("b"),
        Message(role="assistant", parts=(TextPart(text=blank), CALL)),
        Message(role="tool", parts=(RESULT,)),
        _user(TextPart(text=blank), image),
    )
    first, second, third = _messages(*history)
    assert [block["text"] for block in first["content"]] == ["a", "b"]
    assert [block["type"] for block in second["content"]] == ["tool_use"]
    assert [block["type"] for block in third["content"]] == ["tool_result", "image"]


@pytest.mark.parametrize(
    ("history", "begins"),
    [
        ([], "nothing"),
        ([system("Be brief.")], "nothing"),
        ([user(" ")], "nothing"),
        ([assistant("Hello."), user("Hi.")], "an assistant message"),
    ],
)
def test_a_history_that_no_user_begins_is_refused(history: list[Message], begins: str) -> None:
    with pytest.raises(UnsupportedContent, match=f"begins with {begins}; begin it with a user"):
        conversation(history, ())


def test_a_call_and_its_result_stay_a_pair() -> None:
    words = Message(role="assistant", parts=(TextPart(text="Let me look."), CALL))
    assert _messages(user("?"), words, Message(role="tool", parts=(RESULT,)))[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"q": "größe"}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "17\n"}],
        },
    ]


def test_results_of_calls_made_at_once_share_a_message() -> None:
    calls = tuple(ToolCall(call_id=f"c{n}", name="look") for n in range(3))
    told = [
        Message(
            role="tool",
            parts=(ToolResult(call_id=call.call_id, name="look", content=call.call_id),),
        )
        for call in calls
    ]
    sent = _messages(user("?"), Message(role="assistant", parts=calls), *told, user("And?"))
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert [block.get("tool_use_id") for block in sent[2]["content"]] == ["c0", "c1", "c2", None]


@pytest.mark.parametrize(
    ("content", "is_error", "expected"),
    [
        ("gone", True, {"content": "gone", "is_error": True}),
        ("", True, {"content": "(no text)", "is_error": True}),
        ("", False, {}),
        (" \n", False, {}),
    ],
)
def test_a_result_says_whether_it_is_an_error(
    content: str, expected: dict[str, Any], *, is_error: bool
) -> None:
    result = ToolResult(call_id="c1", name="look", content=content, is_error=is_error)
    (block,) = tool_results([result])["content"]
    assert block == {"type": "tool_result", "tool_use_id": "c1", **expected}


@pytest.mark.parametrize(
    ("call_id", "expected"), [("functions.look:0", "functions_look_0"), ("", "_")]
)
def test_ids_of_other_providers_fit_on_both_sides(call_id: str, expected: str) -> None:
    call = ToolCall(call_id=call_id, name="look")
    result = ToolResult(call_id=call_id, name="look", content="x")
    _, asking, telling = _messages(
        user("?"),
        Message(role="assistant", parts=(call,)),
        Message(role="tool", parts=(result,)),
    )
    assert asking["content"][0]["id"] == telling["content"][0]["tool_use_id"] == expected


def test_malformed_arguments_go_back_as_an_object_that_holds_them() -> None:
    call = ToolCall(call_id="c1", name="look", malformed='{"q": ')
    sent = _messages(user("?"), Message(role="assistant", parts=(call,)))
    assert sent[1]["content"][0]["input"] == {"malformed": '{"q": '}


def _content(*parts: Part) -> Any:
    (sent,) = _messages(_user(*parts))
    return sent["content"]


def test_pictures_go_as_data_or_by_address() -> None:
    url = "https://pictures.example/1.png"
    assert _content(
        TextPart(text="Compare:"),
        ImagePart(media_type="image/jpg", data=DATA),
        ImagePart(media_type="image/png", url=url),
    ) == [
        {"type": "text", "text": "Compare:"},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/jpeg", "data": CODED},
        },
        {"type": "image", "source": {"type": "url", "url": url}},
    ]


def test_documents_go_as_pdf_or_as_text() -> None:
    pdf, url = "application/pdf", "https://papers.example/1.pdf"
    assert _content(
        DocumentPart(media_type=pdf, data=DATA, name="report.pdf"),
        DocumentPart(media_type=pdf, url=url),
        DocumentPart(media_type="text/markdown", data="# größe".encode()),
    ) == [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": pdf, "data": CODED},
            "title": "report.pdf",
        },
        {"type": "document", "source": {"type": "url", "url": url}},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "# größe"},
        },
    ]


IMAGE = ImagePart(media_type="image/png", data=DATA)
REFUSED: dict[str, Message] = {
    "image-form": _user(ImagePart(media_type="image/tiff", data=DATA)),
    "audio": _user(AudioPart(media_type="audio/wav", data=DATA)),
    "video": _user(VideoPart(media_type="video/mp4", data=DATA)),
    "document-form": _user(DocumentPart(media_type="application/msword", data=DATA)),
    "document-no-utf-8": _user(DocumentPart(media_type="text/plain", data=DATA)),
    "text-by-address": _user(DocumentPart(media_type="text/plain", url="https://a.example/a")),
    "picture-by-system": Message(role="system", parts=(IMAGE,)),
    "picture-by-assistant": Message(role="assistant", parts=(IMAGE,)),
    "picture-by-tool": Message(role="tool", parts=(RESULT, IMAGE)),
    "text-by-tool": Message(role="tool", parts=(TextPart(text="x"),)),
    "result-by-user": _user(RESULT),
    "call-by-user": _user(CALL),
    "result-by-assistant": Message(role="assistant", parts=(RESULT,)),
}


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED)
def test_what_has_no_form_is_refused(message: Message) -> None:
    with pytest.raises(UnsupportedContent):
        conversation([user("?"), message], ALL)


@pytest.mark.parametrize("part", [IMAGE, DocumentPart(media_type="application/pdf", data=DATA)])
def test_what_the_model_does_not_take_is_refused(part: Part) -> None:
    others = ALL - {part.type}
    with pytest.raises(UnsupportedContent, match=f"takes no '{part.type}' input"):
        conversation([_user(part)], others)


def test_tools_are_described_as_they_are() -> None:
    schema = {"type": "object", "properties": {}}
    tool = ToolDefinition(name="look", description="Looks.", input_schema=schema, ends_turn=True)
    assert wire_tools([tool]) == [{"name": "look", "description": "Looks.", "input_schema": schema}]


def test_a_schema_that_the_provider_holds_stays_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {"vote": {"type": "string"}, "why": {"type": "string", "description": "x"}},
        "required": ["vote", "why"],
        "additionalProperties": False,
    }
    assert output_format(schema) == {"type": "json_schema", "schema": schema}


def test_what_the_provider_cannot_hold_is_told_in_words() -> None:
    score = {"type": "integer", "minimum": 1, "description": "A score."}
    schema = {"type": "object", "properties": {"score": score}, "required": ["score"]}
    held = output_format(schema)["schema"]
    assert held["additionalProperties"] is False
    told = held["properties"]["score"]
    assert "minimum" not in told
    assert "minimum: 1" in told["description"]
    assert score["minimum"] == 1, "the turn's own schema is left alone"


@pytest.mark.parametrize("schema", [{"properties": {}}, {"type": ["string", "null"]}])
def test_a_schema_beyond_the_sdk_s_helper_goes_as_it_is(schema: dict[str, Any]) -> None:
    assert output_format(schema)["schema"] == schema
