"""What providers say of the tokens of a call, in the one meaning that `Usage` has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.agent import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["chat_usage", "gemini_usage", "messages_usage", "responses_usage"]

_NOTHING: Mapping[str, Any] = {}


def chat_usage(usage: Mapping[str, Any] | None) -> Usage | None:
    """From `usage` of Chat Completions, whose prompt includes what came from a cache.

    Returns:
        None where nothing was counted.
    """
    return _whole_prompt(usage, prompt="prompt", answer="completion")


def gemini_usage(usage: Mapping[str, Any] | None) -> Usage | None:
    """From `usageMetadata` of Gemini, which counts thoughts and what its tools read apart.

    Returns:
        None where nothing was counted.
    """
    if usage is None or usage.get("promptTokenCount") is None:
        return None
    thoughts = usage.get("thoughtsTokenCount") or 0
    return Usage(
        input_tokens=usage["promptTokenCount"] + (usage.get("toolUsePromptTokenCount") or 0),
        cached_tokens=usage.get("cachedContentTokenCount") or 0,
        output_tokens=(usage.get("candidatesTokenCount") or 0) + thoughts,
        reasoning_tokens=thoughts,
        calls=1,
    )


def messages_usage(usage: Mapping[str, Any] | None) -> Usage | None:
    """From `usage` of Messages, which counts what was read from and written to a cache apart.

    Returns:
        None where nothing was counted.
    """
    if usage is None or usage.get("input_tokens") is None:
        return None
    cached = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    made = usage.get("output_tokens_details") or _NOTHING
    return Usage(
        input_tokens=usage["input_tokens"] + written + cached,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=usage.get("output_tokens") or 0,
        reasoning_tokens=made.get("thinking_tokens") or 0,
        calls=1,
    )


def responses_usage(usage: Mapping[str, Any] | None) -> Usage | None:
    """From `usage` of Responses, whose input includes what came from a cache.

    Returns:
        None where nothing was counted.
    """
    return _whole_prompt(usage, prompt="input", answer="output")


def _whole_prompt(usage: Mapping[str, Any] | None, *, prompt: str, answer: str) -> Usage | None:
    """In the form of OpenAI's protocols, which differ in what they call prompt and answer."""
    if usage is None or usage.get(f"{prompt}_tokens") is None:
        return None
    read = usage.get(f"{prompt}_tokens_details") or _NOTHING
    made = usage.get(f"{answer}_tokens_details") or _NOTHING
    return Usage(
        input_tokens=usage[f"{prompt}_tokens"],
        cached_tokens=read.get("cached_tokens") or 0,
        cache_write_tokens=read.get("cache_write_tokens") or 0,
        output_tokens=usage.get(f"{answer}_tokens") or 0,
        reasoning_tokens=made.get("reasoning_tokens") or 0,
        calls=1,
    )
