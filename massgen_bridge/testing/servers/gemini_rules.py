"""The rules that Google holds Gemini requests to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from massgen_bridge.testing.servers.gemini_history import STAND_INS, Part, parts_of, signature_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FIELDS", "check_request"]

FIELDS = frozenset(
    {
        "cachedContent",
        "contents",
        "generationConfig",
        "labels",
        "safetySettings",
        "serviceTier",
        "store",
        "systemInstruction",
        "toolConfig",
        "tools",
    }
)
"""What a request may hold."""

_SETTINGS = frozenset(
    {
        "audioTimestamp",
        "candidateCount",
        "enableEnhancedCivicAnswers",
        "frequencyPenalty",
        "imageConfig",
        "logprobs",
        "maxOutputTokens",
        "mediaResolution",
        "presencePenalty",
        "responseJsonSchema",
        "responseLogprobs",
        "responseMimeType",
        "responseModalities",
        "responseSchema",
        "seed",
        "speechConfig",
        "stopSequences",
        "temperature",
        "thinkingConfig",
        "topK",
        "topP",
    }
)
_KINDS = frozenset(
    {
        "codeExecutionResult",
        "executableCode",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "text",
        "toolCall",
        "toolResponse",
    }
)
_BESIDES = frozenset(
    {"mediaResolution", "partMetadata", "thought", "thoughtSignature", "videoMetadata"}
)
_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
_MEDIA_TYPE = re.compile(
    r"image/(jpeg|png|webp|heic|heif)|audio/[a-z0-9.+-]+|video/[a-z0-9.+-]+|text/[a-z0-9.+-]+"
    r"|application/(json|pdf|rtf|x-javascript|x-python)"
)
_OLD = re.compile(r"gemini-[12](\.|-|$)")
_SIGNED = re.compile(r"gemini-[12](\.|-|$)|gemma")
_HOTTEST = 2


def check_request(body: Mapping[str, Any], model: str) -> str | None:
    """Why the request is refused; None when it is well formed.

    Results have to stand in the user's content right after the model's that made the calls: one
    for each of them. Calls of the turn that goes on keep the signature that they came with.
    """
    return next(_faults(body, model), None)


def _faults(body: Mapping[str, Any], model: str) -> Iterator[str]:
    """What is wrong, the first of which is told."""
    yield from _unknown(body, FIELDS, "")
    yield from _settings(body.get("generationConfig") or {})
    yield from _tools(body, model)
    yield from _contents(body.get("contents"), model)


def _unknown(given: Mapping[str, Any], known: frozenset[str], where: str) -> Iterator[str]:
    for name in sorted(given.keys() - known):
        at = f" at '{where}'" if where else ""
        yield f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'


def _settings(settings: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(settings, _SETTINGS, "generation_config")
    temperature = settings.get("temperature")
    if temperature is not None and not 0 <= temperature <= _HOTTEST:
        yield f"* GenerateContentRequest.generation_config.temperature: must be in [0, {_HOTTEST}]"
    if settings.get("maxOutputTokens", 1) < 1:
        yield "max_output_tokens must be positive."
    if "responseSchema" in settings and "responseJsonSchema" in settings:
        yield "Only one of response_schema and response_json_schema may be set."
    shaped = "responseSchema" in settings or "responseJsonSchema" in settings
    if shaped and settings.get("responseMimeType") != "application/json":
        yield "response_mime_type must be 'application/json' when a response schema is set."
    thinking = settings.get("thinkingConfig") or {}
    if "thinkingBudget" in thinking and "thinkingLevel" in thinking:
        yield "You can only set only one of thinking budget and thinking level."


def _tools(body: Mapping[str, Any], model: str) -> Iterator[str]:
    tools = body.get("tools") or ()
    declared = [one for tool in tools for one in tool.get("functionDeclarations") or ()]
    for index, tool in enumerate(declared):
        where = f"GenerateContentRequest.tools[0].function_declarations[{index}]"
        if not _TOOL_NAME.fullmatch(tool.get("name") or ""):
            yield f"* {where}.name: Invalid function name. Must start with a letter or underscore."
        if "parameters" in tool and "parametersJsonSchema" in tool:
            yield f"* {where}: only one of parameters and parameters_json_schema may be set."
        schema = tool.get("parametersJsonSchema") or tool.get("parameters") or {"type": "object"}
        if str(schema.get("type")).lower() != "object":
            yield f"* {where}.parameters: schema should be of type OBJECT"
    names = [tool["name"] for tool in declared]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"Duplicate function declaration found: {name}"
    built_in = any(tool.keys() - {"functionDeclarations"} for tool in tools)
    config = body.get("toolConfig") or {}
    if built_in and declared and not config.get("includeServerSideToolInvocations"):
        yield (
            "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools "
            "with Function calling."
        )
    if _OLD.match(model):
        yield from _old_combinations(body, built_in=built_in, declared=bool(declared))


def _old_combinations(body: Mapping[str, Any], *, built_in: bool, declared: bool) -> Iterator[str]:
    if built_in and declared:
        yield "Built-in tools and Function Calling cannot be combined in the same request."
    shaped = (body.get("generationConfig") or {}).get("responseMimeType") == "application/json"
    if shaped and declared:
        yield "Function calling with a response mime type: 'application/json' is unsupported"
    if shaped and built_in:
        yield "Tool use with a response mime type: 'application/json' is unsupported"


def _contents(contents: Any, model: str) -> Iterator[str]:
    if not isinstance(contents, Sequence) or not contents:
        yield "* GenerateContentRequest.contents: contents is not specified"
        return
    calls: list[Part] = []
    for index, content in enumerate(contents):
        if content.get("role", "user") not in {"model", "user"}:
            yield "Please use a valid role: user, model."
        parts = parts_of(content)
        if not parts:
            yield (
                f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be "
                "empty."
            )
        for number, part in enumerate(parts):
            yield from _part(part, f"contents[{index}].parts[{number}]")
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        yield from _answers(calls, results)
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        if calls and content.get("role") != "model":
            yield "Please ensure that function call turns have the role model."
    if contents[0].get("role", "user") != "user":
        yield "Please ensure that the conversation begins with a user turn."
    if contents[-1].get("role", "user") != "user":
        yield "Please ensure that single turn requests end with a user role."
    if not _SIGNED.match(model):
        yield from _signatures(contents)


def _part(part: Part, where: str) -> Iterator[str]:
    yield from _unknown(part, _KINDS | _BESIDES, where)
    kinds = part.keys() & _KINDS
    if len(kinds) != 1:
        yield (
            f"* GenerateContentRequest.{where}.data: required oneof field 'data' must have one "
            "initialized field"
        )
    match part:
        case {"inlineData": {"mimeType": str(media_type)}} if not _MEDIA_TYPE.fullmatch(media_type):
            yield f"Unsupported MIME type: {media_type}"
        case {"inlineData": {"mimeType": str(), "data": str(data)}} if data:
            pass
        case {"inlineData": _}:
            yield f"* GenerateContentRequest.{where}.inline_data: data and mime_type are required"
        case {"fileData": data} if not data.get("fileUri"):
            yield f"* GenerateContentRequest.{where}.file_data.file_uri: must not be empty."
        case {"functionCall": {"args": arguments}} if not isinstance(arguments, Mapping):
            yield f"Invalid value at '{where}.function_call.args' (Struct)"
        case {"functionResponse": {"response": response}} if not isinstance(response, Mapping):
            yield f"Invalid value at '{where}.function_response.response' (Struct)"
        case {"functionResponse": result} if not result.get("name") or "response" not in result:
            yield f"* GenerateContentRequest.{where}.function_response.name: Name cannot be empty."


def _answers(calls: Sequence[Part], results: Sequence[Part]) -> Iterator[str]:
    """What is wrong with the results in a content, which must answer those calls."""
    if results and not calls:
        yield (
            "Please ensure that function response turn comes immediately after a function call "
            "turn."
        )
    if len(calls) != len(results):
        yield (
            "Please ensure that the number of function response parts is equal to the number of "
            "function call parts of the function call turn."
        )
    for one in ("name", "id"):
        called = sorted(str(call.get(one)) for call in calls)
        answered = sorted(str(result.get(one)) for result in results)
        if called != answered:
            yield f"Please ensure that function responses have the {one} of the function calls."


def _signatures(contents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with the calls that the model has made since the user last said something."""
    asked = max(
        (index for index, content in enumerate(contents) if _is_question(content)), default=0
    )
    for index, content in enumerate(contents):
        first = next((part for part in parts_of(content) if "functionCall" in part), None)
        if first is None:
            continue
        call, signature = first["functionCall"], first.get("thoughtSignature")
        if signature is None and index > asked:
            yield (
                f"Function call is missing a thought_signature in functionCall parts. Additional "
                f"data, function call `{call['name']}`, position {index}."
            )
        own = signature_of(call["name"], call.get("args") or {})
        if signature is not None and signature not in {own, *STAND_INS}:
            yield "Thought signature is not valid"


def _is_question(content: Mapping[str, Any]) -> bool:
    return content.get("role", "user") == "user" and any(
        "functionResponse" not in part for part in parts_of(content)
    )
