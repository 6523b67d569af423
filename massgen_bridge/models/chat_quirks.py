"""A Chat Completions request as a provider understands it, from one in the common form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from massgen_bridge.connection import Quirks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

__all__ = ["chat_as_understood"]

_COMMON: Final = Quirks()
_REASONING: Final = "reasoning_content"


def chat_as_understood(
    request: Mapping[str, Any], quirks: Quirks, *, kept: Collection[str] = ()
) -> Mapping[str, Any]:
    """The request without what the provider does not know, and with its own names for the rest.

    What limits the output is left as it is: `chat_settings` names it rightly, and an adapter's
    options may want another name.

    Args:
        request: The body in the common form; it is not changed.
        quirks: What the connection's provider understands.
        kept: Keys of the body that stay as they are, such as those of `sampling.extra`.
    """
    if quirks == _COMMON:
        return request
    changed = dict(request)
    if not quirks.stream_usage and "stream_options" not in kept:
        changed.pop("stream_options", None)
    if not quirks.parallel_tool_calls and "parallel_tool_calls" not in kept:
        changed.pop("parallel_tool_calls", None)
    if "seed" in changed and quirks.seed != "seed" and "seed" not in kept:
        seed = changed.pop("seed")
        if quirks.seed is not None:
            changed[quirks.seed] = seed
    form = changed.get("response_format")
    if not quirks.strict_schemas and isinstance(form, dict) and "response_format" not in kept:
        changed["response_format"] = _without_strict(form)
    if isinstance(messages := changed.get("messages"), list) and "messages" not in kept:
        changed["messages"] = list(_messages(messages, quirks))
    return changed


def _without_strict(form: Mapping[str, Any]) -> dict[str, Any]:
    schema = form.get("json_schema")
    if not isinstance(schema, dict):
        return dict(form)
    return {**form, "json_schema": {key: one for key, one in schema.items() if key != "strict"}}


def _messages(messages: Sequence[Any], quirks: Quirks) -> Iterator[Any]:
    for message in messages:
        if not isinstance(message, dict):
            yield message
        elif message.get("role") == "system":
            yield {**message, "role": quirks.system_role}
        elif _REASONING in message and quirks.reasoning_field != _REASONING:
            told = {key: one for key, one in message.items() if key != _REASONING}
            if quirks.reasoning_field is not None:
                told[quirks.reasoning_field] = message[_REASONING]
            yield told
        else:
            yield message
