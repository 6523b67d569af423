"""What the contents of a Gemini request say."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.model_request import SentCall, SentMedia, SentMessage
from massgen_bridge.testing.servers.wire_values import counted_tokens, decoded, encoded

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "STAND_INS",
    "Part",
    "last_text",
    "parts_of",
    "prompt_tokens",
    "read_messages",
    "signature_of",
    "spelled",
]

Part = Mapping[str, Any]
"""A part of a content as it was sent."""

STAND_INS = frozenset(
    base64.b64encode(words).decode()
    for words in (b"context_engineering_is_the_way_to_go", b"skip_thought_signature_validator")
)
"""What may stand in place of a signature for calls that Gemini has not made."""

# What a client's own values stand under, whose names mean nothing to the API.
_OPAQUE = frozenset(
    {
        "args",
        "labels",
        "parameters",
        "parametersJsonSchema",
        "partMetadata",
        "response",
        "responseJsonSchema",
        "responseSchema",
    }
)
_BASE64 = frozenset({"data", "thoughtSignature"})
_NEXT_WORD = re.compile(r"_([a-z0-9])")
_URL_SAFE = str.maketrans("-_", "+/")

_RESULT_WORDS = ("output", "error", "result")


def spelled(value: Any, known: frozenset[str] | None = None) -> Any:
    """What a client sent, in one of the spellings that the API takes: `mimeType` for `mime_type`.

    Base64 may have either of its alphabets, too.

    Args:
        value: A body, or a part of one.
        known: The names that are spelled anew; None for all.
    """
    if isinstance(value, list):
        return [spelled(one) for one in value]
    if not isinstance(value, dict):
        return value
    told: dict[str, Any] = {}
    for name, one in value.items():
        camel = _NEXT_WORD.sub(lambda found: found[1].upper(), name)
        key = camel if known is None or camel in known else name
        if key in _BASE64 and isinstance(one, str):
            told[key] = one.translate(_URL_SAFE)
        else:
            told[key] = one if key in _OPAQUE else spelled(one)
    return told


def parts_of(content: Mapping[str, Any] | None) -> Sequence[Part]:
    """The parts of a content."""
    return (content or {}).get("parts") or ()


def last_text(body: Mapping[str, Any]) -> str:
    """The text of the last content, which is that of the last result where it ends with one."""
    parts = parts_of(body["contents"][-1])
    if parts and _is_result(parts[-1]):
        return _result_text(parts[-1]["functionResponse"])
    return _text(parts)


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """How many tokens the prompt is said to have."""
    contents = [body.get("systemInstruction"), *body["contents"]]
    chars = sum(_chars(part) for content in contents for part in parts_of(content))
    return counted_tokens(chars, len(body["contents"]))


def read_messages(body: Mapping[str, Any]) -> tuple[SentMessage, ...]:
    """What the contents of a request say.

    Raises:
        ValueError: media are not in base64.
    """
    system = _text(parts_of(body.get("systemInstruction")))
    messages = [SentMessage(role="system", text=system)] if system else []
    for content in body["contents"]:
        for is_result, group in groupby(parts_of(content), _is_result):
            parts = tuple(group)
            messages += map(_result, parts) if is_result else [_said(content.get("role"), parts)]
    return tuple(messages)


def signature_of(name: str, arguments: Any) -> str:
    """The signature of a call, by which it is known again."""
    digest = hashlib.sha256(name.encode() + b"\n" + encoded(arguments)).digest()
    return base64.b64encode(digest).decode()


def _is_result(part: Part) -> bool:
    return "functionResponse" in part


def _chars(part: Part) -> int:
    if _is_result(part):
        return len(_result_text(part["functionResponse"]))
    return len(part.get("text") or "")


def _text(parts: Iterable[Part]) -> str:
    return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


def _result_text(result: Mapping[str, Any]) -> str:
    response = result["response"]
    for word in _RESULT_WORDS:
        if isinstance(response.get(word), str):
            told: str = response[word]
            return told
    return encoded(response).decode()


def _said(role: Any, parts: Sequence[Part]) -> SentMessage:
    return SentMessage(
        role="assistant" if role == "model" else "user",
        text=_text(parts),
        calls=tuple(
            SentCall(
                call_id=part["functionCall"].get("id") or part["functionCall"]["name"],
                name=part["functionCall"]["name"],
                arguments=part["functionCall"].get("args") or {},
            )
            for part in parts
            if "functionCall" in part
        ),
        media=tuple(_media(parts)),
        reasoning="".join(part.get("text", "") for part in parts if part.get("thought")),
    )


def _result(part: Part) -> SentMessage:
    result = part["functionResponse"]
    return SentMessage(
        role="tool",
        text=_result_text(result),
        media=tuple(_media(result.get("parts") or ())),
        answers=result.get("id") or result["name"],
        is_error="error" in result["response"],
    )


def _media(parts: Iterable[Part]) -> Iterator[SentMedia]:
    for part in parts:
        match part:
            case {"inlineData": {"mimeType": media_type, "data": data}}:
                yield SentMedia(media_type=media_type, data=decoded(data))
            case {"fileData": {"fileUri": url, **rest}}:
                yield SentMedia(media_type=str(rest.get("mimeType", "application/*")), url=url)
