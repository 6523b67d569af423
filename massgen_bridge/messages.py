"""Messages and their parts: what goes into an agent and what comes out.

All values are frozen, keyword-only and survive a JSON round trip. A part that an agent
cannot carry is refused with `UnsupportedContent`; it is never dropped or turned into text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from massgen_bridge.errors import ProtocolFailed

__all__ = [
    "MEDIA_BY_NAME",
    "MEDIA_NAME",
    "MEDIA_TYPE",
    "AudioPart",
    "DocumentPart",
    "Frozen",
    "ImagePart",
    "JsonValue",
    "MediaPart",
    "Message",
    "Part",
    "Role",
    "TextPart",
    "ToolCall",
    "ToolResult",
    "VideoPart",
    "assistant",
    "json_value",
    "set_of_list",
    "structured_value",
    "system",
    "unbroken",
    "user",
    "with_media",
]

MEDIA_BY_NAME = "media_by_name"
"""Key of a pydantic context: in JSON, media stand under names that a function gives or finds."""

MEDIA_NAME = "sha256:"
"""How such a name begins; the SHA-256 of the bytes follows, in hex. Base64 has no colon."""

MEDIA_TYPE = r"[a-z][a-z0-9-]*/[A-Za-z0-9!#$&^_.+-]+"
"""What a media type of a part is like, without parameters: names as RFC 6838 has them."""

JsonValue = Any
"""Any JSON value; checked where it enters (a tool's schema, a run's journal)."""

Role = Literal["system", "user", "assistant", "tool"]


class Frozen(BaseModel):
    """Base of all values here: immutable, keyword-only, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        defer_build=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )


class TextPart(Frozen):
    """Text, byte for byte as it was given."""

    type: Literal["text"] = "text"
    text: str


class _Media(Frozen):
    """Binary content: either its bytes or an address, never both.

    `media_type` is the IANA name, for example `image/png`. In JSON, `data` is base64, or the name
    under which the bytes are kept elsewhere. `path` is the file in which the host has saved what an
    agent made, for people to find it.
    """

    media_type: str = Field(pattern=f"^{MEDIA_TYPE}$")
    data: bytes | None = None
    url: str | None = None
    name: str | None = None
    path: str | None = None

    @field_serializer("data", mode="wrap", when_used="json")
    def _named(
        self,
        data: bytes | None,
        handler: SerializerFunctionWrapHandler,
        info: SerializationInfo[Any],
    ) -> str | None:
        name: Callable[[bytes], str] | None = (info.context or {}).get(MEDIA_BY_NAME)
        encoded: str | None = handler(data) if name is None or data is None else name(data)
        return encoded

    @field_validator("data", mode="before")
    @classmethod
    def _found(cls, data: Any, info: ValidationInfo[Any]) -> Any:
        find: Callable[[str], bytes] | None = (info.context or {}).get(MEDIA_BY_NAME)
        is_name = isinstance(data, str) and data.startswith(MEDIA_NAME)
        return find(data) if find is not None and is_name else data

    @model_validator(mode="after")
    def _one_source(self) -> _Media:
        if (self.data is None) == (self.url is None):
            raise ValueError("give exactly one of data and url")
        return self


class ImagePart(_Media):
    """A picture."""

    type: Literal["image"] = "image"


class AudioPart(_Media):
    """A sound."""

    type: Literal["audio"] = "audio"


class VideoPart(_Media):
    """A film."""

    type: Literal["video"] = "video"


class DocumentPart(_Media):
    """A file to read, such as a PDF."""

    type: Literal["document"] = "document"


MediaPart = ImagePart | AudioPart | VideoPart | DocumentPart


class ToolCall(Frozen):
    """A model's wish to have a tool called.

    `arguments` is the decoded JSON object; where the model wrote no valid JSON object, it is
    empty and `malformed` holds the text as it came, so that the error can be shown to the model.
    """

    type: Literal["tool_call"] = "tool_call"
    call_id: str
    name: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    malformed: str | None = None


class ToolResult(Frozen):
    """What a tool call gave.

    `media` holds pictures and the like that it gave beside its text. `is_error` marks a result
    that tells the model of a failure. `ends_turn` tells the adapter to make no further model call
    in this turn: the host has what it wanted.
    """

    type: Literal["tool_result"] = "tool_result"
    call_id: str
    name: str
    content: str
    media: tuple[MediaPart, ...] = ()
    is_error: bool = False
    ends_turn: bool = False


Part = Annotated[
    TextPart | ImagePart | AudioPart | VideoPart | DocumentPart | ToolCall | ToolResult,
    Field(discriminator="type"),
]


class Message(Frozen):
    """One message of a conversation."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None

    @property
    def text(self) -> str:
        """All text parts, joined without anything between them."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


def system(text: str) -> Message:
    """A system message of one text part."""
    return Message(role="system", parts=(TextPart(text=text),))


def user(text: str) -> Message:
    """A user message of one text part."""
    return Message(role="user", parts=(TextPart(text=text),))


def assistant(text: str) -> Message:
    """An assistant message of one text part."""
    return Message(role="assistant", parts=(TextPart(text=text),))


def with_media(message: Message, media: Iterable[MediaPart]) -> Message:
    """The message with more media at its end."""
    more = tuple(media)
    return message.model_copy(update={"parts": (*message.parts, *more)}) if more else message


def json_value(text: str | bytes) -> JsonValue:
    """The value of a JSON text.

    Raises:
        ValueError: It is no JSON as the standard has it, or nested too deep to be read: what it
            means could not be sent on as JSON.
    """
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _no_number(digits)


def structured_value(
    text: str, *, what: str, is_cut: bool = False, agent_id: str | None = None
) -> JsonValue:
    """The value that a text stands for in a turn with an output schema.

    Args:
        text: The whole answer.
        what: Names it in the error.
        is_cut: Whether the output limit was reached in it.
        agent_id: The agent that has given it, where one is known.

    Raises:
        ProtocolFailed: It is no JSON.
    """
    try:
        return json_value(text)
    except ValueError as error:
        cut = " and was cut off by the output limit" if is_cut else ""
        raise ProtocolFailed(
            f"{what} had to be JSON, but is not{cut}: {error}", agent_id=agent_id
        ) from error


def set_of_list(value: Any) -> Any:
    """What stands for a set where there are none, as in YAML; anything else as it is."""
    is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return frozenset(value) if is_list else value


def unbroken(text: str) -> str:
    """`text` as UTF-8 can hold it: pairs of surrogates joined, single ones replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
