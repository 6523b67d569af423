"""OpenAI Responses: requests read, answers written."""

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

__all__ = ["ResponsesWriter", "read_responses"]

_OWN = (
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "text",
    "tool_choice",
    "tools",
    "truncation",
    "user",
)
_KEPT_ELSEWHERE = ("background", "conversation", "previous_response_id", "prompt")
_ECHOED = ("instructions", "max_output_tokens", "metadata", "temperature", "text", "top_p")
_TEXT = ("input_text", "output_text", "text", "refusal")


def read_responses(body: Mapping[str, Any]) -> Asked:
    """What a request of Responses asks.

    Raises:
        BadRequest: It is no request of this protocol.
        UnsupportedContent: The local model cannot do it.
    """
    for name in _KEPT_ELSEWHERE:
        if body.get(name):
            raise UnsupportedContent(
                f"{name}: the local model's server keeps nothing between requests; send the whole "
                "conversation as 'input'"
            )
    tools = [
        _tool(one, f"tools[{index}]") for index, one in enumerate(items(body.get("tools"), "tools"))
    ]
    choice, named = _choice(body.get("tool_choice"))
    offered = chosen_tools(tools, named)
    if isinstance(chosen := body.get("tool_choice"), Mapping) and chosen.get("tools"):
        names = {one.get("name") for one in chosen["tools"] if isinstance(one, Mapping)}
        offered = tuple(tool for tool in offered if tool.name in names)
    return Asked(
        messages=tuple(_messages(body)),
        tools=offered,
        choice=choice,
        schema=_schema(body.get("text")),
        stream=bool(body.get("stream")),
        limit=body.get("max_output_tokens"),
        model=words(body.get("model"), "model"),
        settings=fields(body, _OWN),
        echo={
            **{name: body.get(name) for name in _ECHOED},
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "tool_choice": body.get("tool_choice") or "auto",
            "tools": body.get("tools") or [],
        },
    )


def _tool(value: Any, where: str) -> Tool:
    tool = mapping(value, where)
    if tool.get("type") != "function":
        raise UnsupportedContent(
            f"{where}: the local model has no tool of type {tool.get('type')!r}"
        )
    return Tool(
        name=words(tool.get("name"), f"{where}.name"),
        description=words(tool.get("description"), f"{where}.description"),
        schema=mapping(
            tool.get("parameters") or {"type": "object", "properties": {}}, f"{where}.parameters"
        ),
    )


def _choice(value: Any) -> tuple[Choice, str | None]:
    match value:
        case None | "auto" | {"type": "allowed_tools", "mode": "auto"}:
            return "auto", None
        case "none":
            return "none", None
        case "required" | {"type": "allowed_tools", "mode": "required"}:
            return "required", None
        case {"type": "function", "name": str(name)}:
            return "required", name
        case _:
            raise BadRequest(
                "tool_choice: expected 'auto', 'none', 'required' or a function's name, "
                f"not {value!r:.80}"
            )


def _schema(value: Any) -> Mapping[str, Any] | None:
    match (value or {}).get("format") if value is None or isinstance(value, Mapping) else value:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "object"}
        case {"type": "json_schema", "schema": Mapping() as schema}:
            return schema
        case wanted:
            raise BadRequest(
                "text.format: expected 'text', 'json_object', or 'json_schema' with a schema, "
                f"not {wanted!r:.80}"
            )


def _messages(body: Mapping[str, Any]) -> Iterator[Said]:
    instructions = text_of(body.get("instructions"), "instructions", kinds=_TEXT)
    if instructions.strip():
        yield Said(role="system", text=instructions)
    given = body.get("input")
    if isinstance(given, str):
        yield Said(role="user", text=given)
        return
    names: dict[str, str] = {}
    for index, value in enumerate(items(given, "input")):
        where = f"input[{index}]"
        item = mapping(value, where)
        match item.get("type", "message"):
            case "message":
                yield _message(item, where)
            case "function_call":
                name = words(item.get("name"), f"{where}.name")
                names[words(item.get("call_id"), f"{where}.call_id")] = name
                arguments = words(item.get("arguments"), f"{where}.arguments")
                call = Call(name=name, arguments=arguments)
                yield Said(role="assistant", text="", calls=(call,))
            case "function_call_output":
                text = text_of(item.get("output"), f"{where}.output", kinds=_TEXT)
                name = names.get(words(item.get("call_id"), f"{where}.call_id"), "a tool")
                yield Said(role="user", text=text, result_of=name)
            case "reasoning":
                pass  # the local model makes none; another one's helps it nothing
            case kind:
                raise UnsupportedContent(
                    f"{where}: the local model cannot read items of type {kind!r}"
                )


def _message(item: Mapping[str, Any], where: str) -> Said:
    text = text_of(item.get("content"), f"{where}.content", kinds=_TEXT)
    match item.get("role"):
        case "system" | "developer":
            return Said(role="system", text=text)
        case "user":
            return Said(role="user", text=text)
        case "assistant":
            return Said(role="assistant", text=text)
        case role:
            raise BadRequest(f"{where}: there is no role {role!r}")


class ResponsesWriter:
    """One answer of Responses.

    Args:
        asked: The request.
    """

    def __init__(self, asked: Asked) -> None:
        self._head = {
            "id": f"resp_{secrets.token_hex(12)}",
            "object": "response",
            "created_at": int(time.time()),
            "model": asked.model,
            "error": None,
            **asked.echo,
        }
        self._message = f"msg_{secrets.token_hex(12)}"
        self._said: list[str] = []
        self._events = 0

    def begin(self) -> bytes:
        """The head of a stream."""
        response = self._response("in_progress", [], None)
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def text(self, piece: str) -> bytes:
        """What comes next of the text."""
        begun = b"" if self._said else self._begun()
        self._said.append(piece)
        return begun + self._event(
            "response.output_text.delta", **self._place(), delta=piece, logprobs=[]
        )

    def end(self, call: Call | None, finish: Finish, tokens: Tokens | None) -> bytes:
        """A call, if there is one, and the end of the stream."""
        output, written = [], b""
        if self._said:
            status = "incomplete" if finish == "length" else "completed"
            output.append(self._item("".join(self._said), status))
            written += self._text_ended(output[0])
        if call is not None:
            item = _call(call)
            written += self._called(item, len(output))
            output.append(item)
        response = self._response(_status(finish), output, tokens)
        return written + self._event(f"response.{_status(finish)}", response=response)

    def whole(
        self, text: str, call: Call | None, finish: Finish, tokens: Tokens | None
    ) -> dict[str, Any]:
        """The answer as one document."""
        status = _status(finish)
        output = [self._item(text, status)] if text or call is None else []
        if call is not None:
            output.append(_call(call))
        return self._response(status, output, tokens)

    def _begun(self) -> bytes:
        item = {**self._item("", "in_progress"), "content": []}
        return self._event("response.output_item.added", output_index=0, item=item) + self._event(
            "response.content_part.added", **self._place(), part=_part("")
        )

    def _text_ended(self, item: Mapping[str, Any]) -> bytes:
        text = "".join(self._said)
        return (
            self._event("response.output_text.done", **self._place(), text=text, logprobs=[])
            + self._event("response.content_part.done", **self._place(), part=_part(text))
            + self._event("response.output_item.done", output_index=0, item=item)
        )

    def _called(self, item: Mapping[str, Any], index: int) -> bytes:
        place = {"item_id": item["id"], "output_index": index}
        arguments = item["arguments"]
        begun = {**item, "arguments": "", "status": "in_progress"}
        arrived = "response.function_call_arguments"
        return (
            self._event("response.output_item.added", output_index=index, item=begun)
            + self._event(f"{arrived}.delta", **place, delta=arguments)
            + self._event(f"{arrived}.done", **place, name=item["name"], arguments=arguments)
            + self._event("response.output_item.done", output_index=index, item=item)
        )

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._message, "output_index": 0, "content_index": 0}

    def _item(self, text: str, status: str) -> dict[str, Any]:
        return {
            "id": self._message,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [_part(text)],
        }

    def _response(
        self, status: str, output: list[dict[str, Any]], tokens: Tokens | None
    ) -> dict[str, Any]:
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            **self._head,
            "status": status,
            "incomplete_details": cut,
            "output": output,
            "usage": None if tokens is None else _usage(tokens),
        }

    def _event(self, kind: str, **data: Any) -> bytes:
        value = {"type": kind, "sequence_number": self._events, **data}
        self._events += 1
        return f"event: {kind}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


def _status(finish: Finish) -> str:
    return "incomplete" if finish == "length" else "completed"


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(call: Call) -> dict[str, Any]:
    return {
        "id": f"fc_{secrets.token_hex(12)}",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{secrets.token_hex(12)}",
        "name": call.name,
        "arguments": call.arguments,
    }


def _usage(tokens: Tokens) -> dict[str, Any]:
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": tokens.answer,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": tokens.total,
    }
