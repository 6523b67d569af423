"""The messages of a chat: the rules that OpenAI holds them to, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from massgen_bridge.testing.servers.model_request import SentCall, SentMedia, SentMessage
from massgen_bridge.testing.servers.wire_values import decoded, json_or_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_messages", "read_messages", "text_of"]

_ROLES: Mapping[str, Literal["system", "user", "assistant", "tool"]] = {
    "assistant": "assistant",
    "developer": "system",
    "function": "tool",
    "system": "system",
    "tool": "tool",
    "user": "user",
}
_AUDIO_TYPES = {"mp3": "audio/mpeg"}


def check_messages(messages: Sequence[Any]) -> str | None:
    """Why the messages are refused; None when they are well formed.

    Every result of a tool has to answer a call of the assistant's message before it, and every
    call has to be answered before anybody else speaks.
    """
    unanswered: set[str] = set()
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            return f"'messages[{index}]' has no role that is known: {message!r}"
        if message["role"] == "tool":
            call_id = message.get("tool_call_id")
            if call_id not in unanswered:
                return (
                    f"'messages[{index}]' has the role 'tool' but answers no preceding "
                    f"'tool_calls' (tool_call_id: {call_id!r})"
                )
            unanswered.discard(call_id)
            continue
        if unanswered:
            return (
                "an assistant message with 'tool_calls' must be followed by tool messages for "
                f"each 'tool_call_id'; no answer before 'messages[{index}]' to: "
                f"{', '.join(sorted(unanswered))}"
            )
        for number, call in enumerate(message.get("tool_calls") or ()):
            if not isinstance(call.get("function", {}).get("arguments", ""), str):
                return (
                    f"invalid type for 'messages[{index}].tool_calls[{number}].function."
                    "arguments': expected a string of JSON"
                )
        unanswered = {call["id"] for call in message.get("tool_calls") or ()}
    if unanswered:
        return f"no tool messages answer the 'tool_calls': {', '.join(sorted(unanswered))}"
    return None


def text_of(message: Mapping[str, Any]) -> str:
    """The text of one message; parts that are not text are left out."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content or () if "text" in part)


def read_messages(body: Mapping[str, Any]) -> tuple[SentMessage, ...]:
    """What the messages of a request say.

    Raises:
        ValueError: media are not in base64.
    """
    return tuple(map(_read, body["messages"]))


def _read(message: Mapping[str, Any]) -> SentMessage:
    content = message.get("content")
    return SentMessage(
        role=_ROLES[message["role"]],
        text=text_of(message) or message.get("refusal") or "",
        calls=tuple(_calls(message)),
        media=() if isinstance(content, str) else tuple(_media(content or ())),
        answers=message.get("tool_call_id"),
        reasoning=message.get("reasoning_content") or message.get("reasoning") or "",
    )


def _calls(message: Mapping[str, Any]) -> Iterator[SentCall]:
    for call in message.get("tool_calls") or ():
        match call:
            case {"function": {"name": name, "arguments": arguments}}:
                yield SentCall(call_id=call["id"], name=name, arguments=json_or_text(arguments))
            case {"custom": {"name": name, "input": text}}:
                yield SentCall(call_id=call["id"], name=name, arguments=text)


def _media(parts: Sequence[Mapping[str, Any]]) -> Iterator[SentMedia]:
    for part in parts:
        match part:
            case {"image_url": {"url": url}}:
                yield SentMedia.at(url, "image/*")
            case {"video_url": {"url": url}}:  # not OpenAI's, but that of others
                yield SentMedia.at(url, "video/*")
            case {"input_audio": {"data": data, "format": form}}:
                media_type = _AUDIO_TYPES.get(form, f"audio/{form}")
                yield SentMedia(media_type=media_type, data=decoded(data))
            case {"file": {"file_data": url}}:
                yield SentMedia.at(url, "application/*")
            case {"file": _}:
                yield SentMedia(media_type="application/*")
