"""A kind of agent: reads the file that the question names last, with the tool `read_file`.

It calls its tool as an agent with a model would, so that a guard can be tried without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import (
    AdapterSpec,
    Agent,
    AgentContext,
    Capabilities,
    Message,
    TextDelta,
    ToolCall,
    ToolCallFinished,
    ToolCallStarted,
    TurnResult,
    assistant,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge import Emit, Turn

ABLE = Capabilities(tools=True)
TOOL = "read_file"


class Reader:
    """Serves many turns, also at the same time, so it keeps nothing of a turn."""

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Answer with what the tool gives, be it the file or why there is none."""
        ABLE.check(turn)
        called: tuple[Message, ...] = ()
        text = f"I was given no tool {TOOL!r}."
        if any(tool.name == TOOL for tool in turn.tools):
            path = (turn.question.split() or [""])[-1]
            call = ToolCall(call_id=f"{turn.turn_id}-read", name=TOOL, arguments={"path": path})
            await emit(ToolCallStarted(call=call))
            result = await turn.call_tool(call)
            await emit(ToolCallFinished(result=result))
            # The call and its result are part of the history.
            called = (
                Message(role="assistant", parts=(call,)),
                Message(role="tool", parts=(result,)),
            )
            text = result.content
        await emit(TextDelta(text=text))
        answer = assistant(text)
        return TurnResult(message=answer, new_messages=(*called, answer))

    async def aclose(self) -> None:
        """Nothing to give back."""


def _make(_context: AgentContext) -> Agent:
    return Reader()


@hookimpl
def bridge_adapters() -> Iterable[AdapterSpec]:
    """Register the kind `reader`; a framework would be imported by the factory, not here."""
    return [
        AdapterSpec(
            kind="reader",
            summary="Reads the file that the question names last.",
            factory=_make,
            capabilities=ABLE,
        )
    ]
