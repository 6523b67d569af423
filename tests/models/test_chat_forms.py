"""Tools, schemas, media and limits as Chat Completions takes them."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from massgen_bridge.agent import InputKind, ToolDefinition
from massgen_bridge.connection import Quirks
from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import (
    AudioPart,
    DocumentPart,
    ImagePart,
    MediaPart,
    VideoPart,
)
from massgen_bridge.models.chat_forms import (
    chat_limit_parameter,
    chat_media,
    chat_response_format,
    chat_tools,
)
from massgen_bridge.testing.agents import connection_to

ALL: frozenset[InputKind] = frozenset({"image", "audio", "video", "document"})
DATA = b"\x00\xffdata"
LOOK = ToolDefinition(name="look", description="Looks.", input_schema={"type": "object"})


def test_tools_are_described_as_they_are() -> None:
    schema = {"type": "object", "properties": {}}
    tool = ToolDefinition(name="look", description="Looks.", input_schema=schema, ends_turn=True)
    assert chat_tools([tool]) == [
        {
            "type": "function",
            "function": {"name": "look", "description": "Looks.", "parameters": schema},
        }
    ]


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}
STRICT = {
    "flat": _object(a=TEXT, b={"type": ["integer", "null"], "minimum": 1}),
    "nested": _object(a={"type": "array", "items": _object(b=TEXT)}),
    "choice": _object(a={"anyOf": [_object(b=TEXT), {"type": "null"}]}, c={"enum": ["x", "y"]}),
    "referring": {**_object(a={"$ref": "#/$defs/b"}), "$defs": {"b": _object(c=TEXT)}},
    "named-like-a-keyword": _object(oneOf=TEXT),
}
LOOSE = {
    "open": {**_object(a=TEXT), "additionalProperties": True},
    "open-by-default": {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
    "optional": {**_object(a=TEXT, b=TEXT), "required": ["a"]},
    "open-inside": _object(a={"type": "array", "items": {"type": "object"}}),
    "open-choice": _object(a={"anyOf": [{"type": "object"}]}),
    "open-definition": {**_object(a={"$ref": "#/$defs/b"}), "$defs": {"b": {"type": "object"}}},
    "one-of": _object(a={"oneOf": [TEXT]}),
    "default": _object(a={"type": "string", "default": "x"}),
    "anything": _object(a=True),
    "list": {"type": "array", "items": TEXT},
    "any-of-at-the-top": {"anyOf": [_object(a=TEXT)]},
}


@pytest.mark.parametrize("schema", STRICT.values(), ids=STRICT)
def test_a_schema_is_strict_where_the_provider_can_hold_it(schema: dict[str, Any]) -> None:
    assert chat_response_format(schema) == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


@pytest.mark.parametrize("schema", LOOSE.values(), ids=LOOSE)
def test_a_schema_beyond_that_only_guides(schema: dict[str, Any]) -> None:
    assert chat_response_format(schema)["json_schema"] == {
        "name": "answer",
        "schema": schema,
        "strict": False,
    }


@pytest.mark.parametrize("known", ["max_completion_tokens", "max_tokens"])
@pytest.mark.parametrize("wanted", ["auto", "max_completion_tokens", "max_tokens"])
def test_the_provider_says_what_limits_the_output_unless_the_agent_does(
    known: Literal["max_completion_tokens", "max_tokens"],
    wanted: Literal["auto", "max_completion_tokens", "max_tokens"],
) -> None:
    connection = connection_to("http://127.0.0.1/v1", quirks=Quirks(output_limit=known))
    assert chat_limit_parameter(connection, wanted) == (known if wanted == "auto" else wanted)


IMAGE = ImagePart(media_type="image/png", url="https://pictures.example/1.png")
NAMED = DocumentPart(media_type="application/pdf", data=DATA, name="report.pdf")


@pytest.mark.parametrize("part", [IMAGE, ImagePart(media_type="image/jpeg", data=DATA), NAMED])
def test_what_has_the_right_form_stays_as_it_is(part: MediaPart) -> None:
    assert chat_media(part, ALL) == part


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("audio/mp3", "audio/mp3"),
        ("audio/mpeg", "audio/mp3"),
        ("audio/wav", "audio/wav"),
        ("audio/x-wav", "audio/wav"),
    ],
)
def test_sounds_are_told_apart_by_one_name_each(media_type: str, expected: str) -> None:
    part = AudioPart(media_type=media_type, data=DATA, name="a")
    assert chat_media(part, ALL) == AudioPart(media_type=expected, data=DATA, name="a")


def test_a_document_without_a_name_gets_one() -> None:
    part = DocumentPart(media_type="application/pdf", data=DATA)
    assert chat_media(part, ALL).name == "document.pdf"


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (AudioPart(media_type="audio/ogg", data=DATA), "not as 'audio/ogg'"),
        (AudioPart(media_type="audio/wav", url="https://a.example/a.wav"), "not by address"),
        (DocumentPart(media_type="application/pdf", url="https://a.example/a"), "not by address"),
        (VideoPart(media_type="video/mp4", data=DATA), "no form for video"),
    ],
)
def test_media_without_a_form_are_refused(part: MediaPart, said: str) -> None:
    with pytest.raises(UnsupportedContent, match=said):
        chat_media(part, ALL)


def test_media_that_the_model_does_not_take_are_refused() -> None:
    with pytest.raises(UnsupportedContent, match="no 'image' input"):
        chat_media(IMAGE, ALL - {"image"})
