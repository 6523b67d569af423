"""The rules that OpenAI holds Responses requests to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.responses_history import SEAL, Item, items_of, parts_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["check_request"]

_FIELDS = frozenset(
    {
        "access_programs",
        "background",
        "background_options",
        "context_management",
        "conversation",
        "image",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
_INCLUDABLE = frozenset(
    {
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "message.output_text.logprobs",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)
_ITEMS = frozenset(
    {
        "code_interpreter_call",
        "file_search_call",
        "function_call",
        "function_call_output",
        "image_generation_call",
        "message",
        "reasoning",
        "web_search_call",
    }
)
_GIVEN = frozenset({"input_file", "input_image", "input_text"})
_SAID = frozenset({"output_text", "refusal"})
_PARTS: Mapping[str, frozenset[str]] = {
    "assistant": _SAID,
    "developer": _GIVEN,
    "system": _GIVEN,
    "user": _GIVEN,
}
_EFFORTS = frozenset({"high", "low", "max", "medium", "minimal", "none", "xhigh"})
_SUMMARIES = frozenset({"auto", "concise", "detailed"})
_LEVELS = frozenset({"high", "low", "medium"})
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NEEDED: Mapping[str, str] = {
    "code_interpreter": "container",
    "file_search": "vector_store_ids",
}
_IMAGE = re.compile(r"https?://|data:image/(gif|jpeg|png|webp);base64,")


def check_request(body: Mapping[str, Any], files: Collection[str] = ()) -> str | None:
    """Why the request is refused; None when it is well formed.

    Every result of a tool has to answer a call that stands before it, every call has to be
    answered, and reasoning that the provider did not store has to come back sealed, with what
    followed it.

    Args:
        body: Of the request.
        files: Ids of the files that were uploaded.
    """
    return next(_faults(body, files), None)


def _faults(body: Mapping[str, Any], files: Collection[str]) -> Iterator[str]:
    """What is wrong, the first of which is told."""
    for field in ("model", "input"):
        if not body.get(field):
            yield f"Missing required parameter: '{field}'."
    for field in sorted(body.keys() - _FIELDS):
        yield f"Unknown parameter: '{field}'."
    yield from _settings(body)
    yield from _tools(body.get("tools") or ())
    yield from _text(body.get("text") or {})
    items = items_of(body)
    for index, item in enumerate(items):
        yield from _item(f"input[{index}]", item, files)
    yield from _pairs(items)
    yield from _reasoning(items)


def _settings(body: Mapping[str, Any]) -> Iterator[str]:
    reasoning, text = body.get("reasoning") or {}, body.get("text") or {}
    choices: tuple[tuple[str, Any, Collection[str]], ...] = (
        ("reasoning.effort", reasoning.get("effort"), _EFFORTS),
        ("reasoning.summary", reasoning.get("summary"), _SUMMARIES),
        ("text.verbosity", text.get("verbosity"), _LEVELS),
        *(("include", wanted, _INCLUDABLE) for wanted in body.get("include") or ()),
    )
    for name, value, known in choices:
        if value is not None and value not in known:
            yield (
                f"Invalid value: '{value}' for '{name}'. Supported values are: "
                f"{', '.join(sorted(known))}."
            )
    if body.get("background") and body.get("store") is False:
        yield "Background responses have to be stored: 'store' must not be false."
    limit = body.get("max_output_tokens")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        yield "Invalid 'max_output_tokens': expected an integer of 1 or more."


def _tools(tools: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        kind = tool.get("type")
        if "function" in tool:
            yield f"Unknown parameter: '{where}.function'."
        if kind == "function":
            if not _TOOL_NAME.fullmatch(tool.get("name", "")):
                yield f"Invalid '{where}.name': expected a string like '^{_TOOL_NAME.pattern}$'."
            if (tool.get("parameters") or {"type": "object"}).get("type") != "object":
                yield f"Invalid schema for function '{tool['name']}': expected 'object'."
            if tool.get("strict", True):
                yield from _strict(tool.get("parameters") or {}, f"function '{tool['name']}'")
        needed = _NEEDED.get(str(kind))
        if needed is not None and not tool.get(needed):
            yield f"Missing required parameter: '{where}.{needed}'."


def _text(text: Mapping[str, Any]) -> Iterator[str]:
    wanted = text.get("format") or {"type": "text"}
    if wanted.get("type") not in {"json_object", "json_schema", "text"}:
        yield f"Invalid value: '{wanted.get('type')}' for 'text.format.type'."
    if wanted.get("type") != "json_schema":
        return
    for field in ("name", "schema"):
        if field not in wanted:
            yield f"Missing required parameter: 'text.format.{field}'."
    if wanted.get("strict"):
        yield from _strict(wanted["schema"], "response_format")


def _strict(schema: Any, where: str) -> Iterator[str]:
    if not isinstance(schema, Mapping):
        return
    properties = schema.get("properties") or {}
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            yield (
                f"Invalid schema for {where}: 'additionalProperties' is required to be supplied "
                "and to be false."
            )
        if set(schema.get("required") or ()) != set(properties):
            yield (
                f"Invalid schema for {where}: 'required' is required to be supplied and to be an "
                "array including every key in properties."
            )
    for inner in (*properties.values(), *(schema.get("$defs") or {}).values()):
        yield from _strict(inner, where)
    for inner in schema.get("anyOf") or ():
        yield from _strict(inner, where)
    yield from _strict(schema.get("items"), where)


def _item(where: str, item: Any, files: Collection[str]) -> Iterator[str]:
    if not isinstance(item, Mapping):
        yield f"Invalid type for '{where}': expected an object."
        return
    kind = item.get("type", "message")
    if kind not in _ITEMS:
        yield f"Invalid value: '{kind}' for '{where}.type'."
    for name, value in item.items():
        if value is None and name in {"id", "status"}:
            yield f"Invalid type for '{where}.{name}': expected a string, but got null instead."
    yield from _said(where, item, kind, files)
    for name in ("id", "call_id"):
        if name in item and not _ID.fullmatch(str(item[name])):
            yield f"Invalid '{where}.{name}': expected at most 64 letters, digits, '_' and '-'."


def _said(where: str, item: Item, kind: str, files: Collection[str]) -> Iterator[str]:
    if kind == "message":
        allowed = _PARTS.get(item.get("role", ""))
        if allowed is None:
            yield f"Invalid value: '{item.get('role')}' for '{where}.role'."
        elif not isinstance(item.get("content"), str):
            yield from _parts(f"{where}.content", item.get("content"), allowed, files)
    if kind == "function_call_output" and not isinstance(item.get("output"), str):
        yield from _parts(f"{where}.output", item.get("output"), _GIVEN, files)
    if kind == "function_call" and not isinstance(item.get("arguments"), str):
        yield f"Invalid type for '{where}.arguments': expected a string."


def _parts(
    where: str, parts: Any, allowed: Collection[str], files: Collection[str]
) -> Iterator[str]:
    if not isinstance(parts, Sequence) or not parts:
        yield f"Invalid type for '{where}': expected a string or an array of objects."
        return
    for index, part in enumerate(parts_of(parts)):
        kind = part.get("type")
        if kind not in allowed:
            yield (
                f"Invalid value: '{kind}' for '{where}[{index}].type'. Supported values are: "
                f"{', '.join(sorted(allowed))}."
            )
        match part:
            case {"file_id": str(file_id)} if file_id not in files:
                yield f"No file was found with id {file_id!r}."
            case {"type": "input_image", "image_url": url} if not _IMAGE.match(str(url)):
                yield f"Invalid '{where}[{index}].image_url': expected the URL of an image."
            case {"type": "input_file", "file_data": _} if not part.get("filename"):
                yield f"Missing required parameter: '{where}[{index}].filename'."
            case {"type": "input_file", "file_data": data} if not str(data).startswith("data:"):
                yield f"Invalid '{where}[{index}].file_data': expected a data URL."


def _pairs(items: Sequence[Item]) -> Iterator[str]:
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    seen: set[str] = set()
    for item in items:
        if item.get("type") == "function_call":
            seen.add(item["call_id"])
        if item.get("type") == "function_call_output":
            call_id = item.get("call_id")
            if call_id not in seen:
                yield f"No tool call found for function call output with call_id {call_id}."
            seen.discard(str(call_id))
    unanswered = [call_id for call_id in calls if call_id in seen]
    if unanswered:
        yield f"No tool output found for function call {unanswered[0]}."


def _reasoning(items: Sequence[Item]) -> Iterator[str]:
    for index, item in enumerate(items):
        if item.get("type") != "reasoning":
            continue
        item_id = item.get("id")
        sealed = item.get("encrypted_content")
        if sealed is None:
            yield (
                f"Item with id '{item_id}' not found. Items are not persisted when `store` is set "
                "to false."
            )
        elif sealed != f"{SEAL.decode()}{item_id}":
            yield f"The encrypted content for item {item_id} could not be verified."
        follower = items[index + 1] if index + 1 < len(items) else {}
        if "id" not in follower:
            yield (
                f"Item '{item_id}' of type 'reasoning' was provided without its required following "
                "item."
            )
