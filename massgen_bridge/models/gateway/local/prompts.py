"""A request for the local server's chat endpoint: tools and forms become constrained decoding.

The model's template knows no tools. They are described in the system message, in a line each; a
call is the JSON object that the grammar holds the model to; earlier calls stand in the
conversation as the assistant wrote them, and their results as what the user says next.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from massgen_bridge.models.gateway.local.asked import Asked, Call, Said, Tool
from massgen_bridge.models.gateway.local.schemas import LONG, SHORT, held

__all__ = ["ANSWER", "ARGUMENTS", "NAME", "chat_request", "offered"]

NAME: Final = "name"
ARGUMENTS: Final = "arguments"
ANSWER: Final = "answer"

_MOST_TOOL_TEXT = 3000
_WORDINESS = (240, 80), (120, 0), (60, 0), (0, 0)
_DEPTH = 3


def offered(asked: Asked) -> tuple[Tool, ...]:
    """The tools that the model may call now.

    A model this small calls the same tool again and again, whatever it gives. So where it is free
    to call one, each is offered once until the user speaks again.
    """
    if asked.choice == "none":
        return ()
    if asked.choice == "required":
        return asked.tools
    called = set()
    for said in reversed(asked.messages):
        if said.role == "user" and said.result_of is None:
            break
        called |= {call.name for call in said.calls}
    return tuple(tool for tool in asked.tools if tool.name not in called)


def chat_request(asked: Asked, tools: Iterable[Tool]) -> dict[str, Any]:
    """The body for the local server.

    Args:
        asked: What is asked.
        tools: The tools that the model may call now.

    Raises:
        BadRequest: A schema is none.
        UnsupportedContent: A schema cannot be held to.
    """
    tools = tuple(tools)
    must = asked.choice == "required"
    body: dict[str, Any] = {
        **asked.settings,
        "model": asked.model,
        "messages": list(_messages(asked, tools)),
        "stream": asked.stream,
    }
    if asked.stream:
        body["stream_options"] = {"include_usage": True}
    if asked.limit is not None:
        body["max_tokens"] = asked.limit
    if tools:
        body["response_format"] = _form(_choices(tools, asked, must=must))
    elif asked.schema is not None:
        body["response_format"] = _form(held(asked.schema, LONG, where="the schema of the answer"))
    return body


def _form(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}


def _choices(tools: Iterable[Tool], asked: Asked, *, must: bool) -> dict[str, Any]:
    forms = [
        _closed(
            {
                NAME: {"const": tool.name},
                ARGUMENTS: held(tool.schema, SHORT, where=f"the schema of tool {tool.name!r}"),
            }
        )
        for tool in tools
    ]
    if not must:
        answer: Mapping[str, Any] = {"type": "string"}
        if asked.schema is not None:
            answer = held(asked.schema, LONG, where="the schema of the answer")
        forms.append(_closed({ANSWER: answer}))
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _messages(asked: Asked, tools: tuple[Tool, ...]) -> Iterator[dict[str, str]]:
    """The conversation in plain messages; those of one side that follow each other become one."""
    told = _told(asked, tools)
    said = list(asked.messages)
    if told:
        first = said.pop(0) if said and said[0].role == "system" else Said(role="system", text="")
        text = f"{first.text}\n\n{told}" if first.text.strip() else told
        said.insert(0, replace(first, text=text))
    role, texts = "", list[str]()
    for one in said:
        if role and one.role != role:
            yield {"role": role, "content": "\n\n".join(texts)}
            texts = []
        role = one.role
        texts += filter(None, _texts(one))
    if role:
        yield {"role": role, "content": "\n\n".join(texts)}


def _texts(said: Said) -> Iterator[str]:
    if said.result_of is not None:
        what = "Error" if said.is_error else "Result"
        yield f"{what} of {said.result_of}: {said.text}"
        return
    yield said.text
    yield from map(_written, said.calls)


def _written(call: Call) -> str:
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        arguments = call.arguments
    return json.dumps({NAME: call.name, ARGUMENTS: arguments}, ensure_ascii=False)


def _told(asked: Asked, tools: tuple[Tool, ...]) -> str:
    if not tools:
        return ""
    lines = _tool_lines(tools)
    call = json.dumps({NAME: "tool", ARGUMENTS: {}}).replace("{}", "{…}")
    if asked.choice == "required":
        return f"Call a tool, with what it needs to know, as {call}:\n{lines}"
    answer = json.dumps({ANSWER: "…" if asked.schema is None else {}}, ensure_ascii=False)
    return (
        f"Answer as {answer.replace('{}', '{…}')}. "
        f"Only if you need one of these tools, call it as {call}:\n{lines}"
    )


def _tool_lines(tools: Iterable[Tool]) -> str:
    """The tools, in as many words as there is room for."""
    text = ""
    for of_tool, of_value in _WORDINESS:
        text = "\n".join(_tool_line(tool, of_tool, of_value) for tool in tools)
        if len(text) <= _MOST_TOOL_TEXT:
            break
    return text


def _tool_line(tool: Tool, of_tool: int, of_value: int) -> str:
    values = _values(tool.schema, tool.schema, of_value, _DEPTH)
    about = _short(tool.description, of_tool)
    return f"- {tool.name}({values})" + (f": {about}" if about else "")


def _values(schema: Mapping[str, Any], root: Mapping[str, Any], words: int, depth: int) -> str:
    needed = schema.get("required") or ()
    found = []
    for name, value in (schema.get("properties") or {}).items():
        what = _kind(value, root, words, depth) if isinstance(value, Mapping) else "any"
        about = _short(value.get("description"), words) if isinstance(value, Mapping) else ""
        mark = "" if name in needed else "?"
        found.append(f"{name}{mark}: {what}" + (f" ({about})" if about else ""))
    return ", ".join(found)


def _kind(schema: Any, root: Mapping[str, Any], words: int, depth: int) -> str:
    """What a value is, in a few signs."""
    if not isinstance(schema, Mapping) or depth < 0:
        return "any"
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        there = (root.get("$defs") or root.get("definitions") or {}).get(name)
        return _kind(there, root, words, depth - 1)
    if "const" in schema:
        return json.dumps(schema["const"], ensure_ascii=False)
    if "enum" in schema:
        return " | ".join(json.dumps(one, ensure_ascii=False) for one in schema["enum"])
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " | ".join(_kind(one, root, words, depth - 1) for one in choices)
    kind = schema.get("type")
    if kind == "object" and schema.get("properties"):
        return "{" + _values(schema, root, words, depth - 1) + "}"
    if kind == "array":
        return f"[{_kind(schema.get('items'), root, words, depth - 1)}]"
    return " | ".join(map(str, kind)) if isinstance(kind, list) else str(kind or "any")


def _short(text: Any, most: int) -> str:
    squeezed = " ".join(text.split()) if isinstance(text, str) else ""
    return (
        squeezed
        if len(squeezed) <= most
        else squeezed[: max(most - 1, 0)].rstrip() + "…" * (most > 0)
    )
