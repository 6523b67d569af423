"""Messages as Chat Completions takes them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from massgen_bridge import (
    AudioPart,
    DocumentPart,
    ImagePart,
    InputKind,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
    UnsupportedContent,
    VideoPart,
    assistant,
    system,
    user,
)
from massgen_bridge.adapting import chat_messages

ALL: frozenset[InputKind] = frozenset({"image", "audio", "video", "document"})
DATA = b"\x00\xffdata"
CODED = base64.b64encode(DATA).decode()


def _user(*parts: Part) -> Message:
    return Message(role="user", parts=parts)


def test_texts_keep_their_roles_and_every_character() -> None:
    texts = [" \n a\t", "b\r\n\r\n", ""]
    messages = [system(texts[0]), user(texts[1]), assistant(texts[2])]
    assert chat_messages(messages, ()) == [
        {"role": "system", "content": texts[0]},
        {"role": "user", "content": texts[1]},
        {"role": "assistant", "content": texts[2]},
    ]


def test_several_texts_of_one_message_are_one_text() -> None:
    message = _user(TextPart(text="a\n"), TextPart(text="  b"))
    assert chat_messages([message], ()) == [{"role": "user", "content": "a\n  b"}]


def test_names_are_handed_on() -> None:
    message = Message(role="user", parts=(TextPart(text="hi"),), name="agent1")
    assert chat_messages([message], ()) == [{"role": "user", "content": "hi", "name": "agent1"}]


def test_a_call_and_its_result_stay_a_pair() -> None:
    call = ToolCall(call_id="c1", name="look", arguments={"q": "größe"})
    result = ToolResult(call_id="c1", name="look", content="17\n", is_error=True)
    messages = [
        Message(role="assistant", parts=(TextPart(text="Let me look."), call)),
        Message(role="tool", parts=(result,)),
    ]
    function = {"name": "look", "arguments": '{"q": "größe"}'}
    assert chat_messages(messages, ()) == [
        {
            "role": "assistant",
            "content": "Let me look.",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "17\n"},
    ]


def test_a_call_without_words_has_no_content() -> None:
    message = Message(role="assistant", parts=(ToolCall(call_id="c1", name="look"),))
    (sent,) = chat_messages([message], ())
    assert sent["content"] is None


def test_several_results_are_several_messages() -> None:
    results = tuple(ToolResult(call_id=f"c{n}", name="look", content=str(n)) for n in range(3))
    sent = chat_messages([Message(role="tool", parts=results)], ())
    assert [(one["tool_call_id"], one["content"]) for one in sent] == [
        ("c0", "0"),
        ("c1", "1"),
        ("c2", "2"),
    ]


def test_malformed_arguments_go_back_as_json_that_holds_them() -> None:
    call = ToolCall(call_id="c1", name="look", malformed='{"q": ')
    (sent,) = chat_messages([Message(role="assistant", parts=(call,))], ())
    arguments = sent["tool_calls"][0]["function"]["arguments"]
    assert arguments == '{"malformed": "{\\"q\\": "}'


def _content(*parts: Part) -> Any:
    (sent,) = chat_messages([_user(*parts)], ALL)
    return sent["content"]


def test_pictures_go_as_data_or_by_address() -> None:
    url = "https://pictures.example/1.png"
    assert _content(
        TextPart(text="Compare:"),
        ImagePart(media_type="image/jpeg", data=DATA),
        ImagePart(media_type="image/png", url=url),
    ) == [
        {"type": "text", "text": "Compare:"},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{CODED}"}},
        {"type": "image_url", "image_url": {"url": url}},
    ]


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [("audio/wav", "wav"), ("audio/x-wav", "wav"), ("audio/mpeg", "mp3"), ("audio/mp3", "mp3")],
)
def test_sounds_go_as_wav_or_mp3(media_type: str, expected: str) -> None:
    assert _content(AudioPart(media_type=media_type, data=DATA)) == [
        {"type": "input_audio", "input_audio": {"data": CODED, "format": expected}}
    ]


@pytest.mark.parametrize(
    ("name", "expected"), [("report.pdf", "report.pdf"), (None, "document.pdf")]
)
def test_documents_go_as_files_with_a_name(name: str | None, expected: str) -> None:
    part = DocumentPart(media_type="application/pdf", data=DATA, name=name)
    data = f"data:application/pdf;base64,{CODED}"
    assert _content(part) == [{"type": "file", "file": {"filename": expected, "file_data": data}}]


IMAGE = ImagePart(media_type="image/png", data=DATA)
RESULT = ToolResult(call_id="c1", name="look", content="x")
REFUSED: dict[str, Message] = {
    "audio-form": _user(AudioPart(media_type="audio/ogg", data=DATA)),
    "audio-address": _user(AudioPart(media_type="audio/wav", url="https://a.example/a.wav")),
    "document-address": _user(
        DocumentPart(media_type="application/pdf", url="https://a.example/a.pdf")
    ),
    "video": _user(VideoPart(media_type="video/mp4", data=DATA)),
    "picture-by-system": Message(role="system", parts=(IMAGE,)),
    "picture-by-tool": Message(role="tool", parts=(RESULT, IMAGE)),
    "text-by-tool": Message(role="tool", parts=(TextPart(text="x"),)),
    "result-by-user": _user(RESULT),
    "call-by-user": _user(ToolCall(call_id="c1", name="look")),
    "result-by-assistant": Message(role="assistant", parts=(RESULT,)),
}


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED)
def test_what_has_no_form_is_refused(message: Message) -> None:
    with pytest.raises(UnsupportedContent):
        chat_messages([message], ALL)


@pytest.mark.parametrize(
    "part",
    [
        IMAGE,
        AudioPart(media_type="audio/wav", data=DATA),
        DocumentPart(media_type="application/pdf", data=DATA),
    ],
)
def test_what_the_model_does_not_take_is_refused(part: Part) -> None:
    others = ALL - {part.type}
    with pytest.raises(UnsupportedContent, match=f"takes no '{part.type}' input"):
        chat_messages([_user(part)], others)
