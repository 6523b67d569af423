"""Chat Completions: requests read, answers written."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

from massgen_bridge.errors import BadRequest, UnsupportedContent
from massgen_bridge.models.gateway.local.asked import (
    Asked,
    Call,
    Choice,
    Finish,
    Said,
    Tokens,
    Tool,
    chosen_tools,
    fields,
    items,
    mapping,
    text_of,
    words,
)

__all__ = ["ChatWriter", "read_chat"]

_OWN = (
    "functions",
    "function_call",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "parallel_tool_calls",
    "response_format",
    "store",
    "stream",
    "stream_options",
    "tool_choice",
    "tools",
    "user",
)
_TEXT = ("text", "refusal")


def read_chat(body: Mapping[str, Any]) -> Asked:
    """What a request of Chat Completions asks.

    Raises:
        BadRequest: It is no request of this protocol.
        UnsupportedContent: The local model cannot do it.
    """
    for name in ("functions", "function_call", "audio", "prediction", "web_search_options"):
        if body.get(name):
            raise UnsupportedContent(f"{name}: the local model does not know it; leave it out")
    tools = [
        _tool(one, f"tools[{index}]") for index, one in enumerate(items(body.get("tools"), "tools"))
    ]
    choice, named = _choice(body.get("tool_choice"))
    return Asked(
        messages=tuple(_messages(body)),
        tools=chosen_tools(tools, named),
        choice=choice,
        schema=_schema(body.get("response_format")),
        stream=bool(body.get("stream")),
        tell_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        limit=body.get("max_completion_tokens") or body.get("max_tokens"),
        model=words(body.get("model"), "model"),
        settings=fields(body, _OWN),
    )


def _tool(value: Any, where: str) -> Tool:
    tool = mapping(value, where)
    if tool.get("type", "function") != "function":
        raise UnsupportedContent(
            f"{where}: the local model has no tool of type {tool.get('type')!r}"
        )
    function = mapping(tool.get("function"), f"{where}.function")
    return Tool(
        name=words(function.get("name"), f"{where}.function.name"),
        description=words(function.get("description"), f"{where}.function.description"),
        schema=mapping(
            function.get("parameters") or {"type": "object", "properties": {}},
            f"{where}.function.parameters",
        ),
    )


def _choice(value: Any) -> tuple[Choice, str | None]:
    match value:
        case None | "auto":
            return "auto", None
        case "none":
            return "none", None
        case "required":
            return "required", None
        case {"type": "function", "function": {"name": str(name)}}:
            return "required", name
        case _:
            raise BadRequest(
                "tool_choice: expected 'auto', 'none', 'required' or a function's name, "
                f"not {value!r:.80}"
            )


def _schema(value: Any) -> Mapping[str, Any] | None:
    match value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object", "schema": Mapping() as schema}:
            return schema
        case {"type": "json_object"}:
            return {"type": "object"}
        case {"type": "json_schema", "json_schema": {"schema": Mapping() as schema}}:
            return schema
        case _:
            raise BadRequest(
                "response_format: expected 'text', 'json_object', or 'json_schema' with a schema, "
                f"not {value!r:.80}"
            )


def _messages(body: Mapping[str, Any]) -> Iterator[Said]:
    names: dict[str, str] = {}
    for index, value in enumerate(items(body.get("messages"), "messages")):
        where = f"messages[{index}]"
        message = mapping(value, where)
        text = text_of(message.get("content"), f"{where}.content", kinds=_TEXT)
        match message.get("role"):
            case "system" | "developer":
                yield Said(role="system", text=text)
            case "user":
                yield Said(role="user", text=text)
            case "assistant":
                calls = tuple(_calls(message, where, names))
                yield Said(role="assistant", text=text, calls=calls)
            case "tool":
                name = names.get(words(message.get("tool_call_id"), f"{where}.tool_call_id"))
                yield Said(role="user", text=text, result_of=name or "a tool")
            case role:
                raise BadRequest(f"{where}: there is no role {role!r}")


def _calls(message: Mapping[str, Any], where: str, names: dict[str, str]) -> Iterator[Call]:
    for index, value in enumerate(items(message.get("tool_calls"), f"{where}.tool_calls")):
        there = f"{where}.tool_calls[{index}]"
        call = mapping(value, there)
        function = mapping(call.get("function"), f"{there}.function")
        name = words(function.get("name"), f"{there}.function.name")
        names[words(call.get("id"), f"{there}.id")] = name
        yield Call(name=name, arguments=words(function.get("arguments"), f"{there}.function"))


class ChatWriter:
    """One answer of Chat Completions.

    Args:
        asked: The request.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": asked.model,
        }

    def begin(self) -> bytes:
        """The head of a stream."""
        return self._event({"role": "assistant", "content": ""})

    def text(self, piece: str) -> bytes:
        """What comes next of the text."""
        return self._event({"content": piece})

    def end(self, call: Call | None, finish: Finish, tokens: Tokens | None) -> bytes:
        """A call, if there is one, and the end of the stream."""
        written = b""
        if call is not None:
            written = self._event({"tool_calls": [{"index": 0, **_call(call)}]})
        written += self._event({}, finish)
        if self._asked.tell_usage and tokens is not None:
            written += self._sent({"choices": [], "usage": _usage(tokens)})
        return written + b"data: [DONE]\n\n"

    def whole(
        self, text: str, call: Call | None, finish: Finish, tokens: Tokens | None
    ) -> dict[str, Any]:
        """The answer as one document."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if call and not text else text,
            "refusal": None,
        }
        if call is not None:
            message["tool_calls"] = [_call(call)]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        usage = {} if tokens is None else {"usage": _usage(tokens)}
        return {**self._head, "object": "chat.completion", "choices": [choice], **usage}

    def _event(self, delta: Mapping[str, Any], finish: Finish | None = None) -> bytes:
        return self._sent({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    def _sent(self, rest: Mapping[str, Any]) -> bytes:
        chunk = {**self._head, "object": "chat.completion.chunk", **rest}
        return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def _call(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens.prompt,
        "completion_tokens": tokens.answer,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
    }
