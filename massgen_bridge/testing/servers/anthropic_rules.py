"""The rules that Anthropic holds Messages requests to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.anthropic_history import Block, blocks_of, signature_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_request"]

_FIELDS = frozenset(
    {
        "billing_policy",
        "cache_control",
        "compaction",
        "container",
        "context_management",
        "diagnostics",
        "fallback_credit_token",
        "fallbacks",
        "inference_geo",
        "max_tokens",
        "mcp_servers",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "speed",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "thread",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        "user_profile_id",
        "workspace_id",
    }
)
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_IMAGE_TYPES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
_LEAST_BUDGET = 1024
# What a schema for structured outputs may not say; the SDK's own helper turns it into words.
_SCHEMA_LIMITS = frozenset(
    {
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maximum",
        "minLength",
        "minimum",
        "multipleOf",
    }
)


def check_request(body: Mapping[str, Any]) -> str | None:
    """Why the request is refused; None when it is well formed.

    Every result of a tool has to stand in the user's message right after the assistant's that
    called it, and every call has to be answered there.
    """
    return next(_faults(body), None)


def _faults(body: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong, the first of which is told."""
    for field in ("model", "max_tokens", "messages"):
        if field not in body:
            yield f"{field}: Field required"
    for field in sorted(body.keys() - _FIELDS):
        yield f"{field}: Extra inputs are not permitted"
    if not isinstance(body["max_tokens"], int) or body["max_tokens"] < 1:
        yield "max_tokens: Input should be an integer greater than or equal to 1"
    yield from _settings(body)
    yield from _tools(body)
    yield from _schema((body.get("output_config") or {}).get("format"))
    yield from _messages(body["messages"])


def _settings(body: Mapping[str, Any]) -> Iterator[str]:
    temperature = body.get("temperature")
    if temperature is not None and not 0 <= temperature <= 1:
        yield "temperature: range: 0..1"
    thinking = body.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return
    budget = thinking.get("budget_tokens", 0)
    if budget < _LEAST_BUDGET:
        yield f"thinking.enabled.budget_tokens: Input should be at least {_LEAST_BUDGET}"
    if budget >= body["max_tokens"]:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`"
    if temperature not in {None, 1}:
        yield "`temperature` may only be set to 1 when thinking is enabled"
    if (body.get("tool_choice") or {}).get("type") in {"any", "tool"}:
        yield "Thinking may not be enabled when tool_choice forces tool use."


def _tools(body: Mapping[str, Any]) -> Iterator[str]:
    tools = [tool for tool in body.get("tools") or () if tool.get("type", "custom") == "custom"]
    for index, tool in enumerate(tools):
        where = f"tools.{index}.custom"
        if not _TOOL_NAME.fullmatch(tool.get("name", "")):
            yield f"{where}.name: String should match pattern '^{_TOOL_NAME.pattern}$'"
        if (tool.get("input_schema") or {}).get("type") != "object":
            yield f"{where}.input_schema.type: Input should be 'object'"
    names = [tool["name"] for tool in tools]
    if len(set(names)) < len(names):
        yield "tools: Tool names must be unique."
    match body.get("tool_choice"):
        case {"type": "tool", "name": name} if name not in names:
            yield f"Tool '{name}' not found in provided tools"
        case {} if not body.get("tools"):
            yield "tool_choice: may only be given together with tools"


def _schema(output_format: Any) -> Iterator[str]:
    if output_format is None:
        return
    if output_format.get("type") != "json_schema" or "schema" not in output_format:
        yield "output_config.format: Input should be a schema of the type 'json_schema'"
        return
    for part in _parts(output_format["schema"]):
        kind = part.get("type")
        if kind == "object" and part.get("additionalProperties") is not False:
            yield (
                "output_config.format.schema: For 'object' type, 'additionalProperties' must be "
                "explicitly set to false"
            )
        for word in sorted(_SCHEMA_LIMITS & part.keys()):
            yield (
                f"output_config.format.schema: For '{kind}' type, property '{word}' is not "
                "supported"
            )


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and all schemas within it."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for word in ("$defs", "properties"):
        for inner in (schema.get(word) or {}).values():
            yield from _parts(inner)
    for word in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(word) or ():
            yield from _parts(inner)
    yield from _parts(schema.get("items"))


def _messages(messages: Any) -> Iterator[str]:
    if not isinstance(messages, Sequence) or not messages:
        yield "messages: at least one message is required"
        return
    unanswered: tuple[str, ...] = ()
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping) or message.get("role") not in {"assistant", "user"}:
            yield (
                f"messages.{index}: Input should be a message of the role 'user' or 'assistant'; "
                "the system prompt is the top-level `system` parameter"
            )
            return
        blocks = blocks_of(message.get("content"))
        yield from _content(index, blocks)
        yield from _answers(index, blocks, unanswered)
        unanswered = tuple(block["id"] for block in blocks if block.get("type") == "tool_use")
    if messages[0]["role"] != "user":
        yield 'messages: first message must use the "user" role'
    if unanswered:
        yield _unanswered(len(messages) - 1, unanswered)
    if messages[-1]["role"] != "user":
        yield (
            "This model does not support assistant message prefill. The conversation must end "
            "with a user message."
        )


def _content(index: int, blocks: Sequence[Block]) -> Iterator[str]:
    if not blocks:
        yield f"messages.{index}: all messages must have non-empty content"
    for number, block in enumerate(blocks):
        for fault in _block(block):
            yield f"messages.{index}.content.{number}{fault}"


def _block(block: Block) -> Iterator[str]:
    match block:
        case {"type": "text", "text": text} if not text.strip():
            yield ": text content blocks must contain non-whitespace text"
        case {"type": "thinking", "thinking": text, "signature": signature} if (
            signature != signature_of(text)
        ):
            yield ": Invalid `signature` in `thinking` block"
        case {"type": "image", "source": {"type": "base64", "media_type": media_type}} if (
            media_type not in _IMAGE_TYPES
        ):
            wanted = ", ".join(sorted(_IMAGE_TYPES))
            yield f".image.source.base64.media_type: Input should be one of {wanted}"
        case {"type": "tool_use", "id": call_id} if not _CALL_ID.fullmatch(call_id):
            yield f".tool_use.id: String should match pattern '^{_CALL_ID.pattern}$'"
        case {"type": "tool_use", "input": given} if not isinstance(given, Mapping):
            yield ".tool_use.input: Input should be a valid dictionary"


def _answers(index: int, blocks: Sequence[Block], unanswered: tuple[str, ...]) -> Iterator[str]:
    """What is wrong with the results in a message, which must answer those calls."""
    given: list[str] = []
    for number, block in enumerate(blocks):
        if block.get("type") != "tool_result":
            continue
        call_id = block.get("tool_use_id")
        if call_id not in unanswered:
            yield (
                f"messages.{index}.content.{number}: unexpected `tool_use_id` found in "
                f"`tool_result` blocks: {call_id}. Each `tool_result` block must have a "
                "corresponding `tool_use` block in the previous message."
            )
        elif call_id in given:
            yield f"messages.{index}: each tool_use must have a single result; two for {call_id}"
        elif len(given) < number:
            yield f"messages.{index}: `tool_result` blocks must come before any other content"
        given.append(str(call_id))
    missing = tuple(call_id for call_id in unanswered if call_id not in given)
    if missing:
        yield _unanswered(index - 1, missing)


def _unanswered(index: int, call_ids: tuple[str, ...]) -> str:
    return (
        f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately "
        f"after: {', '.join(call_ids)}. Each `tool_use` block must have a corresponding "
        "`tool_result` block in the next message."
    )
