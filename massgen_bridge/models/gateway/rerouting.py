"""A request that was made for one connection, as another one of the same protocol takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from massgen_bridge.media.types import kind_of
from massgen_bridge.models.chat_quirks import chat_as_understood
from massgen_bridge.models.gemini_extras import gemini_merged, gemini_unmerged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from massgen_bridge.connection import (
        Connection,
        ImageLimits,
        ModelTraits,
        Protocols,
        Quirks,
    )

__all__ = ["lacking_for", "rerouted"]

_MEDIA: Final[Mapping[str, str]] = {
    "document": "document",
    "file": "document",
    "image": "image",
    "image_url": "image",
    "input_audio": "audio",
    "input_file": "document",
    "input_image": "image",
    "video_url": "video",
}
_GEMINI_MEDIA: Final = ("inlineData", "fileData")
# What stands there is a model's or a tool's own.
_OPAQUE: Final = frozenset({"function_call", "functionCall", "tool_use"})
_THOUGHTS: Final = frozenset({"reasoning", "redacted_thinking", "thinking"})
_SAMPLING: Final[Mapping[str, str]] = {"temperature": "temperature", "top_p": "top_p"}
_CHAT_SAMPLING: Final[Mapping[str, str]] = {**_SAMPLING, "seed": "seed"}
_GEMINI_SETTINGS: Final = "generationConfig"
_GEMINI_SAMPLING: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "topP",
    "seed": "seed",
}
_GEMINI_LIMIT: Final = "maxOutputTokens"
_LIMITS: Final[Mapping[str, str]] = {"messages": "max_tokens", "responses": "max_output_tokens"}


def lacking_for(values: Mapping[str, Any], traits: ModelTraits) -> tuple[str, ...]:
    """What a request needs that a model cannot do, in words; nothing where it can do all.

    Args:
        values: The body of the request.
        traits: What the model can do.
    """
    said = (values.get(name) for name in ("messages", "input", "contents"))
    held = [found for one in said for found in _media(one)]
    lacking: set[str] = {kind for kind, _ in held} - traits.inputs
    if "image" in traits.inputs:
        lacking |= _beyond([one for kind, one in held if kind == "image"], traits.images)
    if not traits.structured and _has_schema(values):
        lacking.add("schema")
    return tuple(sorted(lacking))


def rerouted(
    values: Mapping[str, Any], first: Connection, other: Connection, protocol: Protocols
) -> dict[str, Any]:
    """The body for another connection: with its sampling, extras and quirks.

    What the agent itself has set differently from its connection stays as it is.

    Args:
        values: The body as it was made for the first connection; it is not changed.
        first: That connection.
        other: The one that is asked instead.
        protocol: What the request is written in.
    """
    if protocol == "gemini":
        return _rerouted_gemini(values, first, other)
    ours = first.sampling.extra
    body = {name: one for name, one in values.items() if name not in ours or one != ours[name]}
    if protocol == "chat":
        body = _in_common_form(body, first.quirks)
    elif other.provider != first.provider:
        body = _without_thoughts(body)
    _resample(body, first, other, _CHAT_SAMPLING if protocol == "chat" else _SAMPLING)
    _relimit(
        body,
        first,
        other,
        name=_LIMITS.get(protocol, first.quirks.output_limit),
        becomes=_LIMITS.get(protocol, other.quirks.output_limit),
        is_needed=protocol == "messages",
    )
    extra = other.sampling.extra
    if protocol == "chat":
        body = dict(chat_as_understood(body, other.quirks, kept=extra))
    return body | extra


def _rerouted_gemini(
    values: Mapping[str, Any], first: Connection, other: Connection
) -> dict[str, Any]:
    body = gemini_unmerged(values, first.sampling.extra)
    held = body.pop(_GEMINI_SETTINGS, None)
    settings = dict(held) if isinstance(held, dict) else {}
    _resample(settings, first, other, _GEMINI_SAMPLING)
    _relimit(settings, first, other, name=_GEMINI_LIMIT, becomes=_GEMINI_LIMIT)
    if settings:
        body[_GEMINI_SETTINGS] = settings
    return gemini_merged(body, other.sampling.extra)


def _resample(
    body: dict[str, Any], first: Connection, other: Connection, names: Mapping[str, str]
) -> None:
    """Put the other one's sampling where the first one's stands, or nothing."""
    for setting, name in names.items():
        wanted = getattr(other.sampling, setting)
        if body.get(name) in {None, getattr(first.sampling, setting)}:
            body.pop(name, None)
            if wanted is not None:
                body[name] = wanted


def _relimit(
    body: dict[str, Any],
    first: Connection,
    other: Connection,
    *,
    name: str,
    becomes: str,
    is_needed: bool = False,
) -> None:
    """Put the other one's output limit where the first one's stands, or below the turn's own."""
    given, wanted = body.pop(name, None), other.sampling.max_output_tokens
    if given == first.sampling.max_output_tokens and (wanted is not None or not is_needed):
        given = None
    if known := [one for one in (given, wanted) if isinstance(one, int)]:
        body[becomes] = min(known)


def _in_common_form(body: dict[str, Any], quirks: Quirks) -> dict[str, Any]:
    """A chat request as it was before a provider's names were put in."""
    changed = dict(body)
    if quirks.seed not in {None, "seed"} and quirks.seed in changed:
        changed["seed"] = changed.pop(quirks.seed)
    if isinstance(messages := changed.get("messages"), list):
        changed["messages"] = [_message_in_common_form(one, quirks) for one in messages]
    return changed


def _without_thoughts(body: dict[str, Any]) -> dict[str, Any]:
    """A body without a model's earlier thoughts: sealed ones can be read where they come from."""
    changed = dict(body)
    for name in ("input", "messages"):
        if isinstance(said := changed.get(name), list):
            changed[name] = [_message_without(one) for one in said if not _is_thought(one)]
    return changed


def _message_without(message: Any) -> Any:
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    return {**message, "content": [one for one in message["content"] if not _is_thought(one)]}


def _is_thought(one: Any) -> bool:
    return isinstance(one, dict) and one.get("type") in _THOUGHTS


def _message_in_common_form(message: Any, quirks: Quirks) -> Any:
    if not isinstance(message, dict):
        return message
    if message.get("role") == "developer":
        return {**message, "role": "system"}
    thoughts = quirks.reasoning_field
    if thoughts is not None and thoughts in message:
        rest = {name: one for name, one in message.items() if name != thoughts}
        return {**rest, "reasoning_content": message[thoughts]}
    return message


def _beyond(pictures: Sequence[Mapping[str, Any]], limits: ImageLimits) -> set[str]:
    """What of the pictures could be changed by nobody; their sizes fit all models already."""
    most = limits.max_count
    lacking: set[str] = set()
    if most is not None and len(pictures) > most:
        lacking.add(f"more than {most} image{'' if most == 1 else 's'}")
    if not limits.urls and any(_is_address(one) for one in pictures):
        lacking.add("address of an image")
    return lacking


def _is_address(picture: Mapping[str, Any]) -> bool:
    given, source = picture.get("image_url"), picture.get("source")
    if isinstance(source, dict):
        return source.get("type") == "url"
    url = given.get("url") if isinstance(given, dict) else given
    return isinstance(url, str) and not url.startswith("data:")


def _media(said: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The media in what was said, each with its kind."""
    if isinstance(said, list):
        for one in said:
            yield from _media(one)
    if not isinstance(said, dict) or said.get("type") in _OPAQUE or "functionCall" in said:
        return
    if (kind := _MEDIA.get(str(said.get("type")))) is not None:
        yield kind, said
        return
    for name in _GEMINI_MEDIA:
        if isinstance(held := said.get(name), dict):
            yield kind_of(str(held.get("mimeType"))), held
    for name in ("content", "output", "parts", "functionResponse"):
        yield from _media(said.get(name))


def _has_schema(values: Mapping[str, Any]) -> bool:
    def held(name: str) -> Mapping[str, Any]:
        value = values.get(name)
        return value if isinstance(value, dict) else {}

    form = held("response_format") or held("output_config").get("format") or held("output_format")
    form = form or held("text").get("format")
    settings = held("generationConfig")
    is_json = isinstance(form, dict) and form.get("type") in {"json_object", "json_schema"}
    return is_json or any(name in settings for name in ("responseSchema", "responseJsonSchema"))
