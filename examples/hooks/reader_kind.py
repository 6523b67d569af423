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


class Reader:
    """Serves many turns, also at the same time, so it keeps nothing of a turn."""

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Answer with what the tool gives, be it the file or why there is none."""
        path = turn.question.split()[-1]
        call = ToolCall(call_id=turn.turn_id, name="read_file", arguments={"path": path})
        await emit(ToolCallStarted(call=call))
        result = await turn.call_tool(call)
        await emit(ToolCallFinished(result=result))
        return TurnResult(message=assistant(result.content))

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
            capabilities=Capabilities(tools=True),
        )
    ]
