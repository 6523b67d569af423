"""The tools of a turn as AG2 takes them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import Any

from ag2.annotations import Context
from ag2.events import ToolCallEvent, ToolResultEvent
from ag2.tools.final import FunctionToolSchema
from ag2.tools.final.function_tool import FunctionDefinition
from ag2.tools.tool import Tool

from massgen_bridge import (
    Emit,
    ToolCall,
    ToolCallFinished,
    ToolCallStarted,
    ToolDefinition,
    ToolResult,
)
from massgen_bridge.adapting import HAND_OFF, hand_off_tool, not_called
from massgen_bridge_ag2._calls import Course

__all__ = ["TurnTools"]


class TurnTools(Tool):
    """Calls the host's tools; AG2 never sees what raises in one, and so tells no model of it.

    AG2 starts the calls of one message at once, in order. They are made one after the other: what
    a turn does never depends on which tool happens to be faster.

    Args:
        course: The turn.
        definitions: The tools that the model can call.
        emit: Takes what is told of the calls.
        targets: To whom the word can be given; none where it cannot be.

    Attributes:
        calls: By AG2's id, what the model called; to be set before AG2 is told of it.
        results: By AG2's id, what came of it.
        handoff: Whom the word was given to, and why.
        done: Whether no more model call is to follow.
    """

    name = "massgen_bridge_turn_tools"

    def __init__(
        self,
        course: Course,
        definitions: Sequence[ToolDefinition],
        *,
        emit: Emit,
        targets: Sequence[str] = (),
    ) -> None:
        self._course = course
        self._emit = emit
        self._targets = targets
        self.definitions = (
            *definitions,
            *([hand_off_tool(targets, ends_turn=True)] if targets else []),
        )
        self.calls: dict[str, ToolCall] = {}
        self.results: dict[str, ToolResult] = {}
        self.handoff: tuple[str, str] | None = None

    @property
    def done(self) -> bool:
        """Whether no more model call is to follow."""
        return self._course.ended or self.handoff is not None

    async def schemas(self, context: Context) -> list[FunctionToolSchema]:  # noqa: ARG002 - AG2's signature
        """The tools as AG2 describes them."""
        return [
            FunctionToolSchema(
                function=FunctionDefinition(
                    name=tool.name,
                    description=tool.description,
                    parameters=dict(tool.input_schema),
                )
            )
            for tool in self.definitions
        ]

    def register(
        self,
        stack: ExitStack | AsyncExitStack,
        context: Context,
        *,
        middleware: Any = (),
    ) -> None:
        """Nothing: calls are taken by `take`, also of tools that do not exist."""

    async def take(self, event: ToolCallEvent, context: Context) -> None:
        """Make one tool call; subscribed to AG2's stream before AG2's own executor."""
        async with self._course.lock:
            for key, call in self.calls.items():
                if event.id in self.results:
                    break
                if key not in self.results:
                    self.results[key] = await self._result(call)
        await context.send(ToolResultEvent.from_call(event, result=self.results[event.id].content))

    async def _result(self, call: ToolCall) -> ToolResult:
        course = self._course
        if self.done or course.failure is not None:
            return not_called(call)
        await self._emit(ToolCallStarted(call=call))
        if call.name == HAND_OFF and self._targets:
            result = self._hand_off(call)
        else:
            try:
                result = await course.turn.call_tool(call)
            except Exception as error:  # noqa: BLE001 - raised again: AG2 would tell the model of it
                course.failure = error
                result = _failed(call, "it broke")
            course.ended = result.ends_turn
        await self._emit(ToolCallFinished(result=result))
        return result

    def _hand_off(self, call: ToolCall) -> ToolResult:
        to = call.arguments.get("to")
        known = to in self._targets
        if known:
            self.handoff = (str(to), str(call.arguments.get("reason") or ""))
        content = f"{to} speaks next" if known else f"`to` must be one of {list(self._targets)}"
        return ToolResult(
            call_id=call.call_id,
            name=call.name,
            content=content,
            is_error=not known,
            ends_turn=known,
        )


def _failed(call: ToolCall, reason: str) -> ToolResult:
    return ToolResult(call_id=call.call_id, name=call.name, content=reason, is_error=True)
