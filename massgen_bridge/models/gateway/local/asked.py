"""What a request asks of the local model, whatever its protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from massgen_bridge.errors import BadRequest, UnsupportedContent

__all__ = [
    "Asked",
    "Call",
    "Choice",
    "Finish",
    "Said",
    "Tokens",
    "Tool",
    "chosen_tools",
    "fields",
    "items",
    "mapping",
    "text_of",
    "words",
]

Choice = Literal["auto", "none", "required"]
"""Whether tools may be called, may not, or must. One that must be called is the only one left."""

Finish = Literal["stop", "length", "tool_calls"]
"""Why the model stopped, in the words of Chat Completions."""


class Tokens(NamedTuple):
    """What the server counted; `cached` is a part of `prompt`."""

    prompt: int
    cached: int
    answer: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.prompt + self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that the model may call; `schema` is a JSON Schema of type object."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a tool; `arguments` is JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One piece of a conversation.

    Attributes:
        role: Who said it.
        text: What was said, or what a tool gave.
        calls: The tools that an assistant called after that.
        result_of: The tool whose result it is, for a `user`.
        is_error: The tool failed.
    """

    role: Literal["system", "user", "assistant"]
    text: str
    calls: tuple[Call, ...] = ()
    result_of: str | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request.

    Attributes:
        messages: The conversation, in order.
        tools: The tools that may be called.
        choice: Whether they may.
        schema: JSON Schema that the answer's text must have, None for any text.
        stream: Whether the answer is wanted as a stream.
        tell_usage: Whether a stream is to end with the counts.
        limit: Most tokens of the answer; None for the server's default.
        model: What the request calls the model.
        settings: What else goes to the server as it is: sampling.
        echo: What the answer repeats of the request, in the protocol's form.
    """

    messages: tuple[Said, ...]
    tools: tuple[Tool, ...] = ()
    choice: Choice = "auto"
    schema: Mapping[str, Any] | None = None
    stream: bool = False
    tell_usage: bool = True
    limit: int | None = None
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    echo: Mapping[str, Any] = field(default_factory=dict)


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """The value, if it is an object.

    Raises:
        BadRequest: It is none.
    """
    if not isinstance(value, Mapping):
        raise BadRequest(f"{where}: expected an object, not {value!r:.80}")
    return value


def items(value: Any, where: str) -> Sequence[Any]:
    """The value, if it is an array; none for None.

    Raises:
        BadRequest: It is none.
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadRequest(f"{where}: expected an array, not {value!r:.80}")
    return value


def words(value: Any, where: str) -> str:
    """The value, if it is a string; an empty one for None.

    Raises:
        BadRequest: It is none.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{where}: expected a string, not {value!r:.80}")
    return value


def fields(body: Mapping[str, Any], without: Iterable[str]) -> dict[str, Any]:
    """What of a request goes to the server as it is."""
    left_out = frozenset(without)
    return {key: value for key, value in body.items() if key not in left_out and value is not None}


def text_of(content: Any, where: str, *, kinds: Iterable[str]) -> str:
    """The text of what a message holds: a string, or an array of pieces.

    Args:
        content: What it holds.
        where: Where it stands, for errors.
        kinds: The types of pieces that are text.

    Raises:
        UnsupportedContent: It holds something else, such as a picture.
    """
    if content is None or isinstance(content, str):
        return content or ""
    known, found = frozenset(kinds), []
    for index, value in enumerate(items(content, where)):
        piece = mapping(value, f"{where}[{index}]")
        kind = piece.get("type")
        if kind not in known:
            raise UnsupportedContent(
                f"{where}[{index}]: the local model reads text alone, not {kind!r}; leave it out, "
                "or choose another model"
            )
        key = kind if kind in piece else "text"
        found.append(words(piece.get(key), f"{where}[{index}].{key}"))
    return "".join(found)


def chosen_tools(
    tools: Iterable[Tool], named: str | None, where: str = "tool_choice"
) -> tuple[Tool, ...]:
    """The tools, or the one that must be called.

    Raises:
        BadRequest: There is none of that name.
    """
    offered = tuple(tools)
    if named is None:
        return offered
    found = tuple(tool for tool in offered if tool.name == named)
    if not found:
        known = ", ".join(repr(tool.name) for tool in offered) or "none"
        raise BadRequest(f"{where}: there is no tool {named!r} among the tools ({known})")
    return found
