"""Anthropic Messages: requests read, answers written."""

from __future__ import annotations

import json
import secrets
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

__all__ = ["MessagesWriter", "read_messages"]

_OWN = (
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
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
    "thinking",
    "tool_choice",
    "tools",
)
_STOP_REASONS: Mapping[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}
_TEXT = ("text",)
_PASSED_OVER = ("thinking", "redacted_thinking")


def read_messages(body: Mapping[str, Any]) -> Asked:
    """What a request of Messages asks.

    Raises:
        BadRequest: It is no request of this protocol.
        UnsupportedContent: The local model cannot do it.
    """
    if body.get("mcp_servers"):
        raise UnsupportedContent("mcp_servers: the local model does not know it; leave it out")
    if (body.get("thinking") or {}).get("type") == "enabled":
        raise UnsupportedContent(
            "thinking: the local model does not think before it answers; leave it out"
        )
    tools = [
        _tool(one, f"tools[{index}]") for index, one in enumerate(items(body.get("tools"), "tools"))
    ]
    choice, named = _choice(body.get("tool_choice"))
    settings = fields(body, _OWN)
    if body.get("stop_sequences"):
        settings["stop"] = body["stop_sequences"]
    return Asked(
        messages=tuple(_messages(body)),
        tools=chosen_tools(tools, named),
        choice=choice,
        schema=_schema(body),
        stream=bool(body.get("stream")),
        limit=body.get("max_tokens"),
        model=words(body.get("model"), "model"),
        settings=settings,
    )


def _tool(value: Any, where: str) -> Tool:
    tool = mapping(value, where)
    if tool.get("type") not in {None, "custom"}:
        raise UnsupportedContent(
            f"{where}: the local model has no tool of type {tool.get('type')!r}"
        )
    return Tool(
        name=words(tool.get("name"), f"{where}.name"),
        description=words(tool.get("description"), f"{where}.description"),
        schema=mapping(tool.get("input_schema"), f"{where}.input_schema"),
    )


def _choice(value: Any) -> tuple[Choice, str | None]:
    match value:
        case None | {"type": "auto"}:
            return "auto", None
        case {"type": "none"}:
            return "none", None
        case {"type": "any"}:
            return "required", None
        case {"type": "tool", "name": str(name)}:
            return "required", name
        case _:
            raise BadRequest(
                "tool_choice: expected type 'auto', 'none', 'any', or 'tool' with a name, "
                f"not {value!r:.80}"
            )


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format")
    match wanted:
        case None:
            return None
        case {"type": "json_schema", "schema": Mapping() as schema}:
            return schema
        case _:
            raise BadRequest(
                "output_config.format: expected type 'json_schema' with a schema, "
                f"not {wanted!r:.80}"
            )


def _messages(body: Mapping[str, Any]) -> Iterator[Said]:
    system = text_of(body.get("system"), "system", kinds=_TEXT)
    if system.strip():
        yield Said(role="system", text=system)
    names: dict[str, str] = {}
    for index, value in enumerate(items(body.get("messages"), "messages")):
        where = f"messages[{index}]"
        message = mapping(value, where)
        content = message.get("content")
        blocks = content
        if content is None or isinstance(content, str):
            blocks = [{"type": "text", "text": content or ""}]
        match message.get("role"):
            case "user":
                yield from _user(blocks, f"{where}.content", names)
            case "assistant":
                yield _assistant(blocks, f"{where}.content", names)
            case "system":
                text = text_of(blocks, f"{where}.content", kinds=_TEXT)
                yield Said(role="system", text=text)
            case role:
                raise BadRequest(f"{where}: there is no role {role!r}")


def _user(blocks: Any, where: str, names: Mapping[str, str]) -> Iterator[Said]:
    for index, value in enumerate(items(blocks, where)):
        there = f"{where}[{index}]"
        block = mapping(value, there)
        match block:
            case {"type": "tool_result"}:
                yield Said(
                    role="user",
                    text=text_of(block.get("content"), f"{there}.content", kinds=_TEXT),
                    result_of=names.get(str(block.get("tool_use_id")), "a tool"),
                    is_error=bool(block.get("is_error")),
                )
            case {"type": "document", "source": {"type": "text", "data": str(text)}}:
                title = block.get("title")
                yield Said(role="user", text=f"{title}:\n{text}" if title else text)
            case _:
                yield Said(role="user", text=text_of([block], where, kinds=_TEXT))


def _assistant(blocks: Any, where: str, names: dict[str, str]) -> Said:
    texts, calls = [], []
    for index, value in enumerate(items(blocks, where)):
        there = f"{where}[{index}]"
        block = mapping(value, there)
        if block.get("type") == "tool_use":
            name = words(block.get("name"), f"{there}.name")
            names[words(block.get("id"), f"{there}.id")] = name
            arguments = json.dumps(block.get("input") or {}, ensure_ascii=False)
            calls.append(Call(name=name, arguments=arguments))
        elif block.get("type") not in _PASSED_OVER:
            texts.append(text_of([block], where, kinds=_TEXT))
    return Said(role="assistant", text="".join(texts), calls=tuple(calls))


class MessagesWriter:
    """One answer of Messages.

    Args:
        asked: The request.
    """

    def __init__(self, asked: Asked) -> None:
        self._head: dict[str, Any] = {
            "id": f"msg_{secrets.token_hex(12)}",
            "type": "message",
            "role": "assistant",
            "model": asked.model,
        }
        self._texts = 0

    def begin(self) -> bytes:
        """The head of a stream."""
        usage = {"input_tokens": 0, "output_tokens": 0}
        empty = {**self._head, "content": [], "stop_reason": None, "stop_sequence": None}
        return _event("message_start", message={**empty, "usage": usage})

    def text(self, piece: str) -> bytes:
        """What comes next of the text."""
        begun = b"" if self._texts else _begun(0, {"type": "text", "text": ""})
        self._texts = 1
        return begun + _delta(0, {"type": "text_delta", "text": piece})

    def end(self, call: Call | None, finish: Finish, tokens: Tokens | None) -> bytes:
        """A call, if there is one, and the end of the stream."""
        written = _event("content_block_stop", index=0) if self._texts else b""
        if call is not None:
            index = self._texts
            written += _begun(index, {**_call(call), "input": {}})
            written += _delta(index, {"type": "input_json_delta", "partial_json": call.arguments})
            written += _event("content_block_stop", index=index)
        written += _event(
            "message_delta",
            delta={"stop_reason": _STOP_REASONS[finish], "stop_sequence": None},
            usage=_usage(tokens or Tokens(0, 0, 0)),
        )
        return written + _event("message_stop")

    def whole(
        self, text: str, call: Call | None, finish: Finish, tokens: Tokens | None
    ) -> dict[str, Any]:
        """The answer as one document."""
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        if call is not None:
            content.append({**_call(call), "input": json.loads(call.arguments)})
        return {
            **self._head,
            "content": content,
            "stop_reason": _STOP_REASONS[finish],
            "stop_sequence": None,
            "usage": _usage(tokens or Tokens(0, 0, 0)),
        }


def _call(call: Call) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{secrets.token_hex(12)}", "name": call.name}


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.prompt - tokens.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.answer,
    }


def _begun(index: int, block: Mapping[str, Any]) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _delta(index: int, delta: Mapping[str, Any]) -> bytes:
    return _event("content_block_delta", index=index, delta=delta)


def _event(name: str, **data: Any) -> bytes:
    written = json.dumps({"type": name, **data}, ensure_ascii=False)
    return f"event: {name}\ndata: {written}\n\n".encode()
