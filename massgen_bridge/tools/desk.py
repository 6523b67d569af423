"""The tool desk of one turn: limits, argument checks, permission, call, result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from massgen_bridge.errors import AgentError, LimitReached, ToolFailed, error_words
from massgen_bridge.messages import MediaPart, TextPart, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.agent import Turn
    from massgen_bridge.specs import ToolSpec
    from massgen_bridge.verdicts import ToolVerdict

__all__ = ["Judge", "ToolDesk"]


class Judge(Protocol):
    """Who decides on tool calls."""

    async def __call__(self, turn: Turn, call: ToolCall) -> ToolVerdict:
        """The verdict of all plugins together."""


class ToolDesk:
    """Runs the tool calls of one turn.

    Args:
        turn: The turn that the calls belong to.
        tools: What the turn offers, by name.
        judge: Asked before each call; None allows all.
    """

    def __init__(
        self, turn: Turn, tools: Mapping[str, ToolSpec], *, judge: Judge | None = None
    ) -> None:
        self._turn = turn
        self._tools = tools
        self._judge = judge
        self._calls = 0

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call; whatever the model can mend comes back as a result with `is_error`.

        Raises:
            LimitReached: The turn's tool calls are used up.
            ToolFailed: The tool is not what its specification says.
        """
        self._calls += 1
        limit = self._turn.limits.max_tool_calls
        if self._calls > limit:
            raise LimitReached(f"more than {limit} tool calls in one turn")
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(sorted(self._tools)) or "none"
            return _failure(call, f"there is no tool {call.name!r}; tools: {known}")
        problem = _check(tool, call)
        if problem is not None:
            return _failure(call, problem)
        verdict = await self._judge(self._turn, call) if self._judge else None
        if verdict is not None and verdict.action in {"deny", "ask"}:
            why = verdict.reason or "not allowed"
            asked = " (it needs a person's consent, and nobody can be asked)"
            return _failure(call, f"denied: {why}{asked if verdict.action == 'ask' else ''}")
        if verdict is not None and verdict.action == "edit" and verdict.arguments is not None:
            call = call.model_copy(update={"arguments": verdict.arguments})
            problem = _check(tool, call)
            if problem is not None:
                return _failure(call, f"denied: a plugin changed the arguments: {problem}")
        return await _run(tool, call)


def _check(tool: ToolSpec, call: ToolCall) -> str | None:
    if call.malformed is not None:
        return "the arguments are no JSON object"
    import fastjsonschema  # noqa: PLC0415 - only runs with tools pay for it

    try:
        fastjsonschema.validate(tool.definition.input_schema, call.arguments)
    except fastjsonschema.JsonSchemaValueException as error:
        return f"wrong arguments: {error.message}"
    except fastjsonschema.JsonSchemaDefinitionException as error:
        raise ToolFailed(
            f"the 'input_schema' of the tool {call.name!r} is no JSON Schema: {error}"
        ) from error
    return None


async def _run(tool: ToolSpec, call: ToolCall) -> ToolResult:
    try:
        output = await tool.call(call.arguments)
    except AgentError:
        raise
    except Exception as error:  # noqa: BLE001 - a tool is foreign code: the model hears of it
        return _failure(call, f"{type(error).__name__}: {error_words(error)}")
    content, media = _told(call.name, output)
    return ToolResult(
        call_id=call.call_id,
        name=call.name,
        content=content,
        media=media,
        ends_turn=tool.definition.ends_turn,
    )


def _told(name: str, output: object) -> tuple[str, tuple[MediaPart, ...]]:
    """The text that a tool returned, and its media; these are named where there is no text."""
    if isinstance(output, str):
        return output, ()
    parts = output if isinstance(output, list | tuple) else (output,)
    texts: list[str] = []
    media: list[MediaPart] = []
    for part in parts:
        if isinstance(part, MediaPart):
            media.append(part)
        elif isinstance(part, str | TextPart):
            texts.append(part if isinstance(part, str) else part.text)
        else:
            raise ToolFailed(
                f"the tool {name!r} returned a value of type {type(part).__name__!r}, and a tool "
                "returns text, pictures and other media, or a list of them"
            )
    if not any(texts):
        texts = [f"[{part.type}: {part.name or part.media_type}]" for part in media]
    return "\n".join(texts), tuple(media)


def _failure(call: ToolCall, text: str) -> ToolResult:
    return ToolResult(call_id=call.call_id, name=call.name, content=text, is_error=True)
