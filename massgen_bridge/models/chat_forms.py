"""What a Chat Completions request is made of, for every adapter that makes some.

Of the messages, only what the protocol itself takes of media. Their form is for an adapter, since
its framework has one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, assert_never

from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import AudioPart, DocumentPart, ImagePart, VideoPart
from massgen_bridge.models.content import check_input

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from massgen_bridge.agent import InputKind, ToolDefinition
    from massgen_bridge.connection import Connection
    from massgen_bridge.messages import MediaPart

__all__ = [
    "chat_limit_parameter",
    "chat_media",
    "chat_response_format",
    "chat_settings",
    "chat_tools",
]

_AUDIO_TYPES = {
    "audio/mp3": "audio/mp3",
    "audio/mpeg": "audio/mp3",
    "audio/vnd.wave": "audio/wav",
    "audio/wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
}
_STRICT_KEYWORDS = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "properties",
        "required",
        "title",
        "type",
    }
)


def chat_limit_parameter(
    connection: Connection, wanted: Literal["auto", "max_completion_tokens", "max_tokens"] = "auto"
) -> str:
    """What the request parameter that limits the output is called.

    Args:
        connection: The model; its provider knows one of the two.
        wanted: The one to take, whatever the provider knows.
    """
    return connection.quirks.output_limit if wanted == "auto" else wanted


def chat_settings(
    connection: Connection,
    *,
    max_output_tokens: int | None = None,
    max_tokens_parameter: Literal["auto", "max_completion_tokens", "max_tokens"] = "auto",
) -> dict[str, Any]:
    """What every streamed request of a connection says beside its messages and tools.

    What the connection has as `sampling.extra` is not in it: that goes over everything else.

    Args:
        connection: The model.
        max_output_tokens: The turn's limit; None for the connection's own.
        max_tokens_parameter: The request parameter that limits the output.
    """
    sampling = connection.sampling
    settings: dict[str, Any] = {
        "model": connection.model,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    limit = max_output_tokens or sampling.max_output_tokens
    if limit is not None:
        settings[chat_limit_parameter(connection, max_tokens_parameter)] = limit
    for name in ("temperature", "top_p", "seed"):
        value = getattr(sampling, name)
        if value is not None:
            settings[name] = value
    return settings


def chat_tools(tools: Iterable[ToolDefinition]) -> list[dict[str, Any]]:
    """Tools as Chat Completions takes them."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.input_schema,
            },
        }
        for tool in tools
    ]


def chat_response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON Schema as the form that the answer must have.

    It is strict where the provider can hold the model to every word of it; a schema beyond that
    is refused in strict mode, and only guides the model otherwise.
    """
    strict = schema.get("type") == "object" and _is_strict(schema)
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": strict},
    }


def _is_strict(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or not schema.keys() <= _STRICT_KEYWORDS:
        return False
    properties = schema.get("properties", {})
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(properties)
    ):
        return False
    parts = (*properties.values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ()))
    return all(map(_is_strict, parts)) and ("items" not in schema or _is_strict(schema["items"]))


def chat_media(
    part: MediaPart, inputs: Collection[InputKind]
) -> ImagePart | AudioPart | DocumentPart:
    """The part as Chat Completions can carry it.

    Args:
        part: A picture, sound, film or document.
        inputs: Kinds of media that the model takes.

    Returns:
        A picture as it is; a sound as data, of type `audio/mp3` or `audio/wav`; a document as
        data, with a name.

    Raises:
        UnsupportedContent: It cannot be carried.
    """
    check_input(part, inputs)
    match part:
        case ImagePart():
            return part
        case VideoPart():
            raise UnsupportedContent("Chat Completions has no form for video")
        case AudioPart() | DocumentPart() if part.data is None:
            raise UnsupportedContent(
                f"Chat Completions takes {part.type!r} input as data, not by address; "
                f"load {part.url!r} and give its bytes"
            )
        case AudioPart():
            if part.media_type not in _AUDIO_TYPES:
                raise UnsupportedContent(
                    "Chat Completions takes audio as wav or mp3, not as "
                    f"{part.media_type!r}; convert it"
                )
            return part.model_copy(update={"media_type": _AUDIO_TYPES[part.media_type]})
        case DocumentPart():
            name = part.name or f"document.{part.media_type.partition('/')[2]}"
            return part.model_copy(update={"name": name})
        case _:
            assert_never(part)
